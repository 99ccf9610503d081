//! Leases: granted, renewed, revoked, looked at. Keys are attached by the puts of `kv.rs`.

use etcdkit_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
};

use super::{Generator, Theme};
use crate::differential::{calls::Call, operation::Operation};

/// Ids of leases; each is granted and revoked again and again. Grants of 0 would get ids of the
/// servers' choice.
pub(super) const LEASES: [i64; 5] = [1, 2, 3, -1, i64::MIN];

/// TTLs in seconds: none ends while a case runs, since no two servers would agree on the moment.
const TTLS: [i64; 6] = [600, 601, 3_600, 9_000_000_000, 9_000_000_001, i64::MAX];

/// TTLs that are raised to the shortest, and soon end: the lease is revoked at once.
const SHORT_TTLS: [i64; 4] = [1, 0, -1, i64::MIN];

impl Generator {
    pub(super) fn lease_call(&mut self) -> Call {
        let id = self.lease();
        match self.random.u32(..20) {
            0..8 => Call::LeaseGrant(LeaseGrantRequest {
                id: match id {
                    0 => 1,
                    id => id,
                },
                ttl: self.pick(&TTLS),
            }),
            // Only where everybody may revoke it.
            8 if self.theme != Theme::Users => {
                let id = self.pick(&[77, -77]);
                let revoke = Call::LeaseRevoke(LeaseRevokeRequest { id });
                self.queued.push_back(Operation::from(revoke));
                Call::LeaseGrant(LeaseGrantRequest {
                    id,
                    ttl: self.pick(&SHORT_TTLS),
                })
            }
            8..12 => Call::LeaseRevoke(LeaseRevokeRequest { id }),
            12..15 => Call::LeaseKeepAlive(LeaseKeepAliveRequest { id }),
            // Their order is that of expiry, and a lock or a campaign may or may not renew its lease
            // in etcd, as it happens.
            18.. if self.theme != Theme::Queues => Call::LeaseLeases(LeaseLeasesRequest {}),
            _ => Call::LeaseTimeToLive(LeaseTimeToLiveRequest {
                id,
                keys: self.chance(80),
            }),
        }
    }

    fn lease(&mut self) -> i64 {
        if self.chance(3) {
            return self.pick(&[0, 9, i64::MAX]);
        }
        self.pick(&LEASES)
    }
}
