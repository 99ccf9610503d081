//! The leases that there are, the keys attached to them, and when they expire.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use etcdkit_proto::EtcdError;

use super::checkpoint::Checkpoints;
use super::{MAX_LEASE_TTL, MIN_LEASE_TTL};
use crate::journal::Dirty;

/// The lease table.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    by_id: HashMap<i64, Lease>,
    /// Every lease once, the next to expire first.
    by_expiry: BTreeSet<(Duration, i64)>,
    pub(crate) dirty: Dirty<i64>,
    pub(super) checkpoints: Checkpoints,
}

/// One lease.
#[derive(Debug)]
pub(crate) struct Lease {
    /// In seconds, as granted.
    ttl: i64,
    expiry: Duration,
    /// The seconds that were left at the last checkpoint; 0 since the last renewal, or without one.
    checkpoint: i64,
    /// Copies, so that a lease holds no value's memory.
    keys: BTreeSet<Box<[u8]>>,
}

impl Lease {
    pub(crate) fn ttl(&self) -> i64 {
        self.ttl
    }

    /// The seconds left that are stored with the lease; 0 for all of them.
    pub(crate) fn checkpoint(&self) -> i64 {
        self.checkpoint
    }

    /// Zero once the lease has expired.
    pub(crate) fn remaining(&self, now: Duration) -> Duration {
        self.expiry.saturating_sub(now)
    }

    /// The attached keys, in key order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|key| &**key)
    }
}

impl Leases {
    /// Adds a lease. Returns its TTL, which may be longer than the one asked for.
    pub(crate) fn grant(&mut self, id: i64, ttl: i64, now: Duration) -> Result<i64, EtcdError> {
        if id == 0 {
            return Err(EtcdError::LeaseNotFound);
        }
        if ttl > MAX_LEASE_TTL {
            return Err(EtcdError::LeaseTtlTooLarge);
        }
        if self.by_id.contains_key(&id) {
            return Err(EtcdError::LeaseExists);
        }
        let ttl = ttl.max(MIN_LEASE_TTL);
        let expiry = expiry(ttl, now);
        let lease = Lease {
            ttl,
            expiry,
            checkpoint: 0,
            keys: BTreeSet::new(),
        };
        self.by_id.insert(id, lease);
        self.by_expiry.insert((expiry, id));
        self.dirty.mark(&id);
        self.checkpoints.schedule(id, expiry, now);
        Ok(ttl)
    }

    /// Removes a lease. Returns its keys, in key order.
    pub(crate) fn remove(&mut self, id: i64) -> Result<BTreeSet<Box<[u8]>>, EtcdError> {
        let lease = self.by_id.remove(&id).ok_or(EtcdError::LeaseNotFound)?;
        self.by_expiry.remove(&(lease.expiry, id));
        self.dirty.mark(&id);
        self.checkpoints.forget(id);
        Ok(lease.keys)
    }

    /// Starts a lease's TTL anew, unless it has expired. Returns the TTL.
    pub(crate) fn renew(&mut self, id: i64, now: Duration) -> Option<i64> {
        let lease = self.by_id.get_mut(&id)?;
        if lease.expiry <= now {
            return None;
        }
        self.by_expiry.remove(&(lease.expiry, id));
        lease.expiry = expiry(lease.ttl, now);
        self.by_expiry.insert((lease.expiry, id));
        if std::mem::take(&mut lease.checkpoint) != 0 {
            self.dirty.mark(&id);
        }
        self.checkpoints.schedule(id, lease.expiry, now);
        Some(lease.ttl)
    }

    /// Plans the checkpoint of a lease that was there before checkpoints were.
    pub(super) fn schedule_checkpoint(&mut self, id: i64, now: Duration) {
        if let Some(lease) = self.by_id.get(&id) {
            self.checkpoints.schedule(id, lease.expiry, now);
        }
    }

    /// Leaves a lease only some of its seconds, and has them stored with it.
    pub(super) fn set_remaining(&mut self, id: i64, remaining: i64, now: Duration) {
        if let Some(lease) = self.by_id.get_mut(&id) {
            self.by_expiry.remove(&(lease.expiry, id));
            lease.expiry = expiry(remaining, now);
            lease.checkpoint = remaining;
            self.by_expiry.insert((lease.expiry, id));
            self.dirty.mark(&id);
            self.checkpoints.schedule(id, lease.expiry, now);
        }
    }

    /// Has the seconds that a lease has left stored with it. It expires when it would have anyway.
    pub(super) fn note_remaining(&mut self, id: i64, now: Duration) {
        if let Some(lease) = self.by_id.get_mut(&id) {
            let left = lease.remaining(now);
            // Up to whole seconds, so that it does not expire earlier than granted.
            let left = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            // One that has expired is about to be revoked, and 0 would stand for its whole TTL.
            if (1..lease.ttl).contains(&left) && left != lease.checkpoint {
                lease.checkpoint = left;
                self.dirty.mark(&id);
            }
            self.checkpoints.schedule(id, lease.expiry, now);
        }
    }

    /// Starts the TTL of every lease anew, also of those that have expired.
    pub(crate) fn renew_all(&mut self, now: Duration) {
        self.by_expiry.clear();
        for (id, lease) in &mut self.by_id {
            lease.expiry = expiry(lease.ttl, now);
            self.by_expiry.insert((lease.expiry, *id));
        }
    }

    /// Every lease, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Lease)> {
        self.by_id.iter().map(|(id, lease)| (*id, lease))
    }

    pub(crate) fn get(&self, id: i64) -> Option<&Lease> {
        self.by_id.get(&id)
    }

    /// Every id, the next to expire first.
    pub(crate) fn by_expiry(&self) -> impl Iterator<Item = i64> {
        self.by_expiry.iter().map(|(_, id)| *id)
    }

    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.by_expiry.first().map(|(expiry, _)| *expiry)
    }

    /// The lease that expired first, if one has.
    pub(crate) fn expired(&self, now: Duration) -> Option<i64> {
        let (expiry, id) = self.by_expiry.first()?;
        (*expiry <= now).then_some(*id)
    }

    /// Whether a put may attach its key to the lease; id 0 means no lease.
    pub(crate) fn allow(&self, id: i64) -> bool {
        id == 0 || self.by_id.contains_key(&id)
    }

    /// Moves a key from one lease to another; id 0 means no lease.
    pub(crate) fn attach(&mut self, key: &[u8], from: i64, to: i64) {
        if from == to {
            return;
        }
        if let Some(lease) = self.by_id.get_mut(&from) {
            lease.keys.remove(key);
        }
        if let Some(lease) = self.by_id.get_mut(&to) {
            lease.keys.insert(key.into());
        }
    }
}

fn expiry(ttl: i64, now: Duration) -> Duration {
    now.saturating_add(Duration::from_secs(ttl.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn ttls_are_raised_to_the_shortest_and_refused_above_the_longest() {
        let mut leases = Leases::default();
        for (id, (asked, granted)) in [(i64::MIN, 2), (0, 2), (1, 2), (2, 2), (3, 3)]
            .into_iter()
            .chain([(MAX_LEASE_TTL, MAX_LEASE_TTL)])
            .enumerate()
        {
            assert_eq!(leases.grant(id as i64 + 1, asked, at(0)), Ok(granted));
        }
        assert_eq!(
            leases.grant(99, MAX_LEASE_TTL + 1, at(0)),
            Err(EtcdError::LeaseTtlTooLarge)
        );
        assert_eq!(leases.grant(1, 5, at(0)), Err(EtcdError::LeaseExists));
        assert_eq!(leases.grant(0, 5, at(0)), Err(EtcdError::LeaseNotFound));
        assert_eq!(leases.grant(-7, 5, at(0)), Ok(5));
    }

    #[test]
    fn leases_expire_in_their_order_and_renewals_put_it_off() {
        let mut leases = Leases::default();
        for (id, ttl) in [(1, 10), (2, 5), (3, 7)] {
            leases.grant(id, ttl, at(100)).unwrap();
        }
        assert_eq!(leases.by_expiry().collect::<Vec<_>>(), [2, 3, 1]);
        assert_eq!(leases.next_expiry(), Some(at(105)));
        assert_eq!(leases.expired(at(104)), None);

        assert_eq!(leases.renew(2, at(104)), Some(5));
        assert_eq!(leases.by_expiry().collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(leases.expired(at(107)), Some(3));
        assert_eq!(leases.renew(3, at(107)), None, "expired, not yet revoked");
        assert_eq!(leases.renew(4, at(107)), None, "unknown");
        assert!(leases.remove(3).unwrap().is_empty());
        assert_eq!(leases.expired(at(108)), None);
        assert_eq!(leases.expired(at(1000)), Some(2));
        assert_eq!(leases.remove(3), Err(EtcdError::LeaseNotFound));
    }

    #[test]
    fn a_key_is_with_one_lease() {
        let mut leases = Leases::default();
        leases.grant(1, 10, at(0)).unwrap();
        leases.grant(2, 10, at(0)).unwrap();
        for key in [b"b", b"a", b"c"] {
            leases.attach(key, 0, 1);
        }
        leases.attach(b"b", 1, 2);
        leases.attach(b"c", 1, 1);
        leases.attach(b"a", 1, 0);
        let keys = |leases: &Leases, id| -> Vec<Vec<u8>> {
            let lease = leases.get(id).unwrap();
            lease.keys().map(<[u8]>::to_vec).collect()
        };
        assert_eq!(keys(&leases, 1), [b"c"]);
        assert_eq!(keys(&leases, 2), [b"b"]);
    }
}
