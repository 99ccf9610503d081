//! Checkpoints: storing now and then what leases have left.
//!
//! Without them a restart gives every lease its whole TTL again, so that a long one may never expire.
//! The rules are those of etcd's feature `LeaseCheckpoint`: every five minutes, for leases that have
//! more than that left.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::store::Store;

/// The time between two checkpoints of a lease; those that have less left have none.
pub const LEASE_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// How many leases are checked at once, so that others are not kept waiting.
const CHECKED_AT_ONCE: usize = 1_000;

/// When the next checkpoint of each lease is due, if there are checkpoints.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    kept: Option<Due>,
}

#[derive(Debug, Default)]
struct Due {
    by_id: HashMap<i64, Duration>,
    in_order: BTreeSet<(Duration, i64)>,
}

impl Checkpoints {
    /// Plans the next checkpoint of a lease that has none planned, and has enough left.
    pub(super) fn schedule(&mut self, id: i64, expiry: Duration, now: Duration) {
        if let Some(due) = &mut self.kept
            && expiry.saturating_sub(now) > LEASE_CHECKPOINT_INTERVAL
            && !due.by_id.contains_key(&id)
        {
            let at = now.saturating_add(LEASE_CHECKPOINT_INTERVAL);
            due.by_id.insert(id, at);
            due.in_order.insert((at, id));
        }
    }

    pub(super) fn forget(&mut self, id: i64) {
        if let Some(due) = &mut self.kept
            && let Some(at) = due.by_id.remove(&id)
        {
            due.in_order.remove(&(at, id));
        }
    }

    fn next(&self) -> Option<(Duration, i64)> {
        self.kept.as_ref()?.in_order.first().copied()
    }
}

impl Store {
    /// Has checkpoints of leases from now on.
    pub fn keep_lease_checkpoints(&mut self, now: Duration) {
        self.leases.checkpoints.kept.get_or_insert_default();
        let leases: Vec<i64> = self.leases.iter().map(|(id, _)| id).collect();
        for id in leases {
            self.leases.schedule_checkpoint(id, now);
        }
    }

    /// When the next checkpoint is due, if there are any.
    pub fn next_lease_checkpoint(&self) -> Option<Duration> {
        self.leases.checkpoints.next().map(|(at, _)| at)
    }

    /// Stores what is left of leases whose checkpoint is due, of a thousand at most. The revision
    /// stays.
    pub fn checkpoint_leases(&mut self, now: Duration) {
        for _ in 0..CHECKED_AT_ONCE {
            match self.leases.checkpoints.next() {
                Some((at, id)) if at <= now => {
                    self.leases.checkpoints.forget(id);
                    self.leases.note_remaining(id, now);
                }
                _ => break,
            }
        }
    }

    /// Whether a checkpoint of a lease is stored, which renewing it takes back.
    pub fn has_lease_checkpoint(&self, id: i64) -> bool {
        self.leases
            .get(id)
            .is_some_and(|lease| lease.checkpoint() != 0)
    }
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::etcdserverpb::{
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    };

    use super::*;
    use crate::recovery::Recovery;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn store(leases: &[(i64, i64)]) -> Store {
        let mut store = Store::new();
        store.keep_journal();
        store.keep_lease_checkpoints(at(0));
        for (id, ttl) in leases {
            let request = LeaseGrantRequest { id: *id, ttl: *ttl };
            store.lease_grant(&request, at(0)).unwrap();
        }
        store
    }

    fn left(store: &Store, id: i64, now: Duration) -> i64 {
        let request = LeaseTimeToLiveRequest { id, keys: false };
        store.lease_time_to_live(&request, now).ttl
    }

    /// The store that a restart finds.
    fn restarted(store: &Store, now: Duration) -> Store {
        let mut recovery = Recovery::new();
        for entry in store.entries() {
            recovery
                .take(entry.bucket, &entry.key, &entry.value)
                .unwrap();
        }
        recovery.finish(now).unwrap()
    }

    #[test]
    fn a_restart_goes_on_from_the_last_checkpoint() {
        let mut store = store(&[(1, 1000), (2, 300)]);
        assert_eq!(store.next_lease_checkpoint(), Some(at(300)));
        store.checkpoint_leases(at(299));
        assert!(!store.has_lease_checkpoint(1));
        store.checkpoint_leases(Duration::from_millis(301_500));
        assert!(store.has_lease_checkpoint(1));
        assert!(!store.has_lease_checkpoint(2), "it has too little left");
        assert_eq!(
            store.next_lease_checkpoint(),
            Some(Duration::from_millis(601_500))
        );

        let restarted = restarted(&store, at(5000));
        assert_eq!(left(&restarted, 1, at(5000)), 699, "rounded up");
        assert_eq!(left(&restarted, 2, at(5000)), 300);
        assert!(restarted.has_lease_checkpoint(1), "for the next restart");
        // Checkpoints expire nothing earlier than granted.
        assert_eq!(store.expired_lease(at(299)), None);
        assert_eq!(left(&store, 1, at(302)), 698);
    }

    #[test]
    fn a_renewal_takes_the_checkpoint_back() {
        let mut store = store(&[(1, 1000)]);
        store.checkpoint_leases(at(400));
        let request = LeaseKeepAliveRequest { id: 1 };
        store.take_changes();
        assert_eq!(store.lease_keep_alive(&request, at(500)).ttl, 1000);
        assert!(store.has_changes(), "a backend must hear of it");
        assert!(!store.has_lease_checkpoint(1));
        assert_eq!(left(&restarted(&store, at(0)), 1, at(0)), 1000);
        store.take_changes();
        store.lease_keep_alive(&request, at(501));
        assert!(!store.has_changes(), "there is nothing to take back");
    }

    #[test]
    fn what_is_renewed_all_the_time_needs_no_checkpoint() {
        let mut store = store(&[(1, 1000)]);
        for second in (0..3000).step_by(100) {
            let request = LeaseKeepAliveRequest { id: 1 };
            store.lease_keep_alive(&request, at(second));
            store.checkpoint_leases(at(second));
            assert!(!store.has_lease_checkpoint(1));
        }
        // Once it is not renewed any more, it gets one.
        store.checkpoint_leases(at(3300));
        assert!(store.has_lease_checkpoint(1));
    }

    #[test]
    fn an_expired_lease_does_not_come_to_life_again() {
        let mut store = store(&[(1, 700)]);
        store.checkpoint_leases(at(300));
        store.checkpoint_leases(at(800));
        assert_eq!(left(&restarted(&store, at(0)), 1, at(0)), 400);
    }

    #[test]
    fn a_lease_that_ends_is_not_waited_for() {
        let mut store = store(&[(1, 1000)]);
        store.lease_revoke(&LeaseRevokeRequest { id: 1 }).unwrap();
        assert_eq!(store.next_lease_checkpoint(), None);
        store.checkpoint_leases(at(1000));
    }

    #[test]
    fn nothing_is_stored_unless_asked_for() {
        let mut store = Store::new();
        let request = LeaseGrantRequest { id: 1, ttl: 1000 };
        store.lease_grant(&request, at(0)).unwrap();
        assert_eq!(store.next_lease_checkpoint(), None);
        store.checkpoint_leases(at(500));
        assert!(!store.has_lease_checkpoint(1));
        // Leases that are there when it begins count, too.
        store.keep_lease_checkpoints(at(500));
        assert_eq!(store.next_lease_checkpoint(), Some(at(800)));
    }

    #[test]
    fn many_leases_take_turns() {
        let leases: Vec<(i64, i64)> = (1..=2500).map(|id| (id, 1000)).collect();
        let mut store = store(&leases);
        let mut rounds = 0;
        while store.next_lease_checkpoint() <= Some(at(400)) {
            store.checkpoint_leases(at(400));
            rounds += 1;
        }
        assert_eq!(rounds, 3);
        assert!(leases.iter().all(|(id, _)| store.has_lease_checkpoint(*id)));
    }
}
