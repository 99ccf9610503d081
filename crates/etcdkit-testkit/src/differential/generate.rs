//! Random operations, each theme in a file of its own.
//!
//! Not sent, because real servers crash on it: an unknown sort target (before 3.6), a permission grant
//! without a permission (3.4), and an alarm of an unknown kind (3.5). Nor is a new member added, which a
//! cluster of one would wait for.

mod admin;
mod auth;
mod kv;
mod lease;
mod queue;
mod txn;
mod watch;

use std::collections::VecDeque;

use bytes::Bytes;
use etcdkit_proto::etcdserverpb::RangeRequest;

use self::kv::hash_kv;
use super::{
    calls::Call,
    operation::{Caller, Operation},
    position::{from_compacted, from_current, retained},
};
use crate::etcd::Version;

/// Every so many operations the whole history is compared.
const HASH_INTERVAL: usize = 50;

/// Makes operations from a seed. Their revisions are relative; see `position.rs`.
#[derive(Debug)]
pub(super) struct Generator {
    random: fastrand::Rng,
    theme: Theme,
    /// The version of the real server, for what may not be sent to some.
    version: Version,
    made: usize,
    /// What comes next, whatever chance would say.
    queued: VecDeque<Operation>,
}

/// What a case is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    /// Keys, transactions, leases.
    Store,
    /// Users and roles.
    Users,
    /// Watches.
    Watches,
    /// The member, and alarms.
    Member,
    /// Locks and elections.
    Queues,
}

const THEMES: [Theme; 5] = [
    Theme::Store,
    Theme::Users,
    Theme::Watches,
    Theme::Member,
    Theme::Queues,
];

/// Of a hundred operations, how many are made by which function; keys take the rest.
type Mix = [(u32, fn(&mut Generator) -> Call); 5];

impl Theme {
    const fn mix(self) -> Mix {
        let parts = match self {
            Self::Store => [12, 0, 0, 0, 0],
            Self::Users => [8, 35, 6, 6, 3],
            Self::Watches => [6, 0, 45, 0, 0],
            Self::Member => [8, 0, 5, 45, 0],
            Self::Queues => [8, 0, 0, 0, 55],
        };
        [
            (parts[0], Generator::lease_call),
            (parts[1], Generator::auth_call),
            (parts[2], Generator::watch_call),
            (parts[3], Generator::admin_call),
            (parts[4], Generator::queue_call),
        ]
    }
}

impl Generator {
    pub(super) fn new(seed: u64, version: Version) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        // Seeds in a row go through all themes.
        let theme = THEMES[(seed % THEMES.len() as u64) as usize];
        let mut generator = Self {
            random,
            theme,
            version,
            made: 0,
            queued: VecDeque::new(),
        };
        match theme {
            Theme::Users => generator.queue_users(),
            Theme::Queues => generator.queue_sessions(),
            Theme::Store | Theme::Watches | Theme::Member => {}
        }
        generator
    }

    pub(super) fn next(&mut self) -> Operation {
        if let Some(operation) = self.queued.pop_front() {
            return operation;
        }
        self.made += 1;
        if self.made.is_multiple_of(HASH_INTERVAL) {
            return self.by_someone(hash_kv(0));
        }
        let call = self.call();
        self.by_someone(call)
    }

    fn call(&mut self) -> Call {
        let mut chosen = self.random.u32(..100);
        for (share, make) in self.theme.mix() {
            match chosen.checked_sub(share) {
                Some(rest) => chosen = rest,
                None => return make(self),
            }
        }
        self.kv_call()
    }

    fn by_someone(&mut self, call: Call) -> Operation {
        let caller = if self.theme == Theme::Users {
            self.caller()
        } else if self.version >= Version::new(3, 5, 0) && self.chance(2) {
            // Nobody is asked for a token, and since 3.5 a wrong one does no harm.
            Caller::Stranger
        } else {
            Caller::Nobody
        };
        Operation { caller, call }
    }

    /// The questions that end a case: what watches have, the whole history, and what it was at older
    /// revisions.
    pub(super) fn last_operations(&mut self) -> Vec<Operation> {
        let mut operations: Vec<Operation> = Vec::new();
        match self.theme {
            Theme::Users => operations.extend(Self::surrender()),
            Theme::Member => operations.extend(Self::all_clear().map(Operation::from)),
            Theme::Store | Theme::Watches | Theme::Queues => {}
        }
        operations.extend(Self::last_watch_calls().map(Operation::from));
        operations.extend(Self::last_queue_calls().map(Operation::from));
        let mut revisions = vec![
            0,
            -1,
            from_compacted(-1),
            from_compacted(0),
            from_compacted(1),
            from_current(0),
            from_current(1),
        ];
        revisions.extend((0..8).map(|_| retained(self.random.i64(0..=1_000))));
        operations.extend(revisions.into_iter().map(hash_kv).map(Operation::from));
        let everything = Call::Range(RangeRequest {
            key: Bytes::from_static(b"\0"),
            range_end: Bytes::from_static(b"\0"),
            ..Default::default()
        });
        operations.push(everything.into());
        operations
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(..100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.usize(..from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_operations() {
        let run = |seed| {
            let mut generator = Generator::new(seed, Version::new(3, 6, 14));
            (0..200).map(|_| generator.next()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
