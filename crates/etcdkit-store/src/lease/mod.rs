//! Leases: the requests about them, and their expiry.
//!
//! The store has no clock. Whoever calls says what time it is, as a [`Duration`] since an origin of
//! the caller's choice; only differences matter, and time must not run backwards.

mod checkpoint;
mod stored;
mod table;

use std::time::Duration;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};

pub use self::checkpoint::LEASE_CHECKPOINT_INTERVAL;
pub(crate) use self::stored::StoredLease;
pub(crate) use self::table::Leases;

use crate::store::{Store, header};
use crate::write::Write;

/// The longest TTL, in seconds; etcd refuses anything above it.
pub const MAX_LEASE_TTL: i64 = 9_000_000_000;

/// The shortest TTL, in seconds; shorter ones, zero and negative ones are raised to it.
///
/// etcd derives it from its election timeout: one and a half of it, rounded up to whole seconds.
/// This is what comes of the default timeout of one second.
pub const MIN_LEASE_TTL: i64 = 2;

impl Store {
    /// Grants a lease with the id of the request, which must not be 0: the server chooses an id
    /// where the client did not, since the store makes no random numbers. The revision stays.
    ///
    /// # Errors
    ///
    /// `LeaseTtlTooLarge` above [`MAX_LEASE_TTL`]; `LeaseExists` if the id is taken;
    /// `LeaseNotFound` for the id 0.
    pub fn lease_grant(
        &mut self,
        request: &LeaseGrantRequest,
        now: Duration,
    ) -> Result<LeaseGrantResponse, EtcdError> {
        let ttl = self.leases.grant(request.id, request.ttl, now)?;
        Ok(LeaseGrantResponse {
            header: header(self.staged),
            id: request.id,
            ttl,
            error: String::new(),
        })
    }

    /// Whether the lease is there, expired or not.
    pub fn lease_exists(&self, id: i64) -> bool {
        self.leases.get(id).is_some()
    }

    /// Ends a lease and deletes its keys in key order, all at one revision; the revision stays if
    /// there are none. The change is published.
    ///
    /// # Errors
    ///
    /// `LeaseNotFound`.
    pub fn lease_revoke(
        &mut self,
        request: &LeaseRevokeRequest,
    ) -> Result<LeaseRevokeResponse, EtcdError> {
        let response = self.stage_lease_revoke(request)?;
        self.publish();
        Ok(response)
    }

    /// Ends a lease, and deletes its keys unseen by reads until [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// `LeaseNotFound`.
    pub fn stage_lease_revoke(
        &mut self,
        request: &LeaseRevokeRequest,
    ) -> Result<LeaseRevokeResponse, EtcdError> {
        let keys = self.leases.remove(request.id)?;
        let mut write = Write::begin(self);
        for key in &keys {
            write.delete(key);
        }
        Ok(LeaseRevokeResponse {
            header: header(write.end()),
        })
    }

    /// Gives a lease its whole TTL again. A lease that is unknown, or due to be revoked, answers
    /// with a TTL of 0, which is not an error in etcd.
    pub fn lease_keep_alive(
        &mut self,
        request: &LeaseKeepAliveRequest,
        now: Duration,
    ) -> LeaseKeepAliveResponse {
        LeaseKeepAliveResponse {
            header: header(self.published),
            id: request.id,
            ttl: self.leases.renew(request.id, now).unwrap_or(0),
        }
    }

    /// Gives every lease its whole TTL again, also those that are due to be revoked: a new leader
    /// cannot know how much of it was spent.
    pub fn lease_renew_all(&mut self, now: Duration) {
        self.leases.renew_all(now);
    }

    /// The whole seconds that a lease has left, its granted TTL, and its keys if asked for, in key
    /// order. An unknown lease answers with a TTL of −1, which is not an error in etcd.
    pub fn lease_time_to_live(
        &self,
        request: &LeaseTimeToLiveRequest,
        now: Duration,
    ) -> LeaseTimeToLiveResponse {
        let mut response = LeaseTimeToLiveResponse {
            header: header(self.published),
            id: request.id,
            ttl: -1,
            ..Default::default()
        };
        if let Some(lease) = self.leases.get(request.id) {
            response.ttl = lease.remaining(now).as_secs() as i64;
            response.granted_ttl = lease.ttl();
            if request.keys {
                response.keys = lease.keys().map(|key| key.to_vec().into()).collect();
            }
        }
        response
    }

    /// Every lease, the one that expires first before the others.
    pub fn lease_leases(&self) -> LeaseLeasesResponse {
        LeaseLeasesResponse {
            header: header(self.published),
            leases: self
                .leases
                .by_expiry()
                .map(|id| LeaseStatus { id })
                .collect(),
        }
    }

    /// The keys attached to a lease, in key order; none if the lease is unknown.
    pub fn lease_keys(&self, id: i64) -> impl Iterator<Item = &[u8]> {
        self.leases
            .get(id)
            .into_iter()
            .flat_map(|lease| lease.keys())
    }

    /// When the next lease expires, if any is left.
    pub fn next_lease_expiry(&self) -> Option<Duration> {
        self.leases.next_expiry()
    }

    /// The lease that is due to be revoked first, if one is.
    ///
    /// Only [`lease_revoke`](Self::lease_revoke) ends it. So expiry is a request like any other,
    /// and one that deletes many keys does not hold up a server for longer than its own deletions.
    pub fn expired_lease(&self, now: Duration) -> Option<i64> {
        self.leases.expired(now)
    }
}
