//! What writers know about what they did.

use std::collections::HashMap;

use bytes::Bytes;
use etcdkit::Revision;

/// The writes of a run, in any order.
///
/// Values must be unique over the run, so that an event tells which write made it.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    writes: Vec<Write>,
}

/// One request that writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What it changes, all at one revision. Not what turns out to change nothing.
    pub changes: Vec<Change>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a write does to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// The new value; a deletion if there is none.
    pub value: Option<Bytes>,
}

impl Change {
    /// A new value.
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// A deletion.
    pub fn delete(key: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: None,
        }
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied at this revision.
    Applied(Revision),
    /// Perhaps it was applied.
    Unknown,
    /// It was certainly not applied.
    NotApplied,
}

impl Writes {
    /// Notes a write.
    pub fn add(&mut self, changes: impl IntoIterator<Item = Change>, outcome: Outcome) {
        self.writes.push(Write {
            changes: changes.into_iter().collect(),
            outcome,
        });
    }

    /// Decides about those of unknown outcome: these, by their places, were applied, and no others.
    pub(super) fn settle(&mut self, applied: &HashMap<usize, Revision>) {
        for (place, write) in self.writes.iter_mut().enumerate() {
            if write.outcome == Outcome::Unknown {
                let revision = applied.get(&place).copied();
                write.outcome = revision.map_or(Outcome::NotApplied, Outcome::Applied);
            }
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Write] {
        &self.writes
    }

    /// How many were acknowledged.
    pub fn applied(&self) -> usize {
        let applied = |write: &&Write| matches!(write.outcome, Outcome::Applied(_));
        self.writes.iter().filter(applied).count()
    }

    /// How many may have been applied.
    pub fn unknown(&self) -> usize {
        let unknown = |write: &&Write| write.outcome == Outcome::Unknown;
        self.writes.iter().filter(unknown).count()
    }

    /// The revision of the last acknowledged one; 0 if there is none.
    pub fn last_revision(&self) -> Revision {
        let revisions = self.writes.iter().map(|write| match write.outcome {
            Outcome::Applied(revision) => revision,
            Outcome::Unknown | Outcome::NotApplied => 0,
        });
        revisions.max().unwrap_or_default()
    }
}
