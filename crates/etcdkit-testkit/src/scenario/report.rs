//! What a scenario came to.

use std::fmt;

use crate::watch_checker::{Watched, Writes};

/// The size of a scenario in which every promise was kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// How many watches were judged.
    pub watches: usize,
    /// How many events they delivered, all together.
    pub events: usize,
    /// How many writes were acknowledged.
    pub applied: usize,
    /// How many writes may have been applied.
    pub unknown: usize,
}

impl Report {
    pub(super) fn new(writes: &Writes) -> Self {
        Self {
            applied: writes.applied(),
            unknown: writes.unknown(),
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, watched: &Watched) {
        self.watches += 1;
        self.events += watched.events().count();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} watches delivered {} events of {} writes and {} of unknown outcome: none lost, none \
             twice, none from before the start",
            self.watches, self.events, self.applied, self.unknown
        )
    }
}
