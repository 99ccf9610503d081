//! What the clients of a server know.

use std::{collections::BTreeMap, time::Duration};

use etcdkit::{Error, Revision};

use crate::watch_checker::{Change, Outcome, Writes};

/// Whether something was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It was certainly not done, or not tried.
    #[default]
    No,
    /// It was tried, and nobody was told what became of it.
    Perhaps,
    /// It was acknowledged.
    Yes,
}

impl Fate {
    /// What an answer says about a request.
    pub fn of<T>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(_) => Self::Yes,
            Err(error) if error.outcome() == etcdkit::Outcome::Unknown => Self::Perhaps,
            Err(_) => Self::No,
        }
    }
}

/// What is known of something that is made once and removed once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Existence {
    /// Whether it was made.
    pub made: Fate,
    /// Whether it was removed again.
    pub removed: Fate,
}

impl Existence {
    /// Whether it must be there.
    pub fn must_be(self) -> bool {
        self.made == Fate::Yes && self.removed == Fate::No
    }

    /// Whether it may be there.
    pub fn may_be(self) -> bool {
        self.made != Fate::No && self.removed != Fate::Yes
    }
}

/// What all clients of a server know together.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What was written.
    pub writes: Writes,
    /// The newest revision in any answer.
    pub seen: Revision,
    /// The newest revision that a compaction was acknowledged of; 0 for none.
    pub compacted: Revision,
    /// The newest revision that a compaction was tried at; 0 for none.
    pub compacting: Revision,
    /// Leases by their ids, with their times to live. They are to live longer than any test.
    pub leases: BTreeMap<i64, (Duration, Existence)>,
    /// Users by their names.
    pub users: BTreeMap<String, Existence>,
    /// Roles by their names.
    pub roles: BTreeMap<String, Existence>,
}

impl Ledger {
    /// Notes a revision in an answer.
    pub fn saw(&mut self, revision: Revision) {
        self.seen = self.seen.max(revision);
    }

    /// Notes a write and its answer's revision.
    pub fn wrote(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
        result: &Result<Revision, Error>,
    ) {
        let outcome = match (result, Fate::of(result)) {
            (Ok(revision), _) => {
                self.saw(*revision);
                Outcome::Applied(*revision)
            }
            (Err(_), Fate::Perhaps) => Outcome::Unknown,
            (Err(_), _) => Outcome::NotApplied,
        };
        self.writes.add(changes, outcome);
    }
}
