//! What one attempt of a transaction has read and written, and what its commit has to compare: pure.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use bytes::Bytes;

use super::Isolation;
use crate::{KeyValue, LeaseId, Revision};

/// A key as the store has it, or its absence.
pub(super) type Found = Option<KeyValue>;

/// What the attempt knows of a key.
#[derive(Clone)]
struct Known {
    found: Found,
    /// Whether the closure has seen it, so that the transaction depends on it.
    is_read: bool,
}

/// What is to become of a key.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Write {
    Put {
        value: Bytes,
        lease: Option<LeaseId>,
    },
    Delete,
}

/// What can be said of a key without asking the store.
pub(super) enum Look {
    /// The transaction itself has put it, or deleted it.
    Written(Option<Bytes>),
    Found(Found),
    Unknown,
}

/// Which state of the store a read is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The newest one that the cluster agrees on.
    Newest,
    /// Whatever a member has.
    AnyMember,
    At(Revision),
}

/// What an attempt begins with: nothing, or what its predecessor's commit has found instead of what
/// it had expected.
#[derive(Clone, Default)]
pub(super) struct Start {
    /// The revision of what was found.
    pub(super) revision: Option<Revision>,
    pub(super) found: Vec<(Bytes, Found)>,
}

/// One attempt.
#[derive(Clone)]
pub(super) struct Memory {
    isolation: Isolation,
    /// Whether an attempt before this one has failed.
    is_retry: bool,
    /// The revision that all reads are of, where they are of one.
    snapshot: Option<Revision>,
    known: BTreeMap<Bytes, Known>,
    writes: BTreeMap<Bytes, Write>,
}

/// Something that must hold for a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The key was last changed at this revision; 0: it does not exist.
    Unchanged { key: Bytes, since: Revision },
    /// The key was not put after this revision.
    NotPutAfter { key: Bytes, revision: Revision },
}

/// A commit: if the conditions hold, the writes, otherwise the reads.
#[derive(Clone, Default)]
pub(super) struct Plan {
    pub(super) conditions: Vec<Condition>,
    pub(super) writes: Vec<(Bytes, Write)>,
    /// What the next attempt begins with.
    pub(super) reads: Vec<Bytes>,
    /// What is looked at only to tell which condition did not hold, without values.
    pub(super) marks: Vec<Bytes>,
}

/// More than a transaction of the server can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge {
    pub(super) conditions: usize,
    pub(super) writes: usize,
    pub(super) room: usize,
}

impl Memory {
    pub(super) fn new(isolation: Isolation, is_retry: bool, start: Start) -> Self {
        let known = start.found.into_iter().map(|(key, found)| {
            let is_read = false;
            (key, Known { found, is_read })
        });
        Self {
            isolation,
            is_retry,
            snapshot: start.revision.filter(|_| isolation.is_pinned()),
            known: known.collect(),
            writes: BTreeMap::new(),
        }
    }

    /// The revision that all reads are of; none before the first, or where they are not of one.
    pub(super) fn snapshot(&self) -> Option<Revision> {
        self.snapshot
    }

    /// Which state of the store the next read is of.
    pub(super) fn source(&self) -> Source {
        match self.snapshot {
            Some(revision) => Source::At(revision),
            None if self.isolation.is_pinned() => Source::Newest,
            // A member that is behind must not be believed twice: what it says fails every commit.
            None if self.isolation == Isolation::RepeatableReads && self.is_retry => Source::Newest,
            None => Source::AnyMember,
        }
    }

    /// Reads a key for the closure.
    pub(super) fn look(&mut self, key: &[u8]) -> Look {
        match self.writes.get(key) {
            Some(Write::Put { value, .. }) => Look::Written(Some(value.clone())),
            Some(Write::Delete) => Look::Written(None),
            None => self.look_beneath(key),
        }
    }

    /// The same without the transaction's own writes.
    pub(super) fn look_beneath(&mut self, key: &[u8]) -> Look {
        match self.known.get_mut(key) {
            Some(known) => {
                known.is_read = true;
                Look::Found(known.found.clone())
            }
            None => Look::Unknown,
        }
    }

    /// Whether reading the key asks the store.
    pub(super) fn is_unknown(&self, key: &[u8]) -> bool {
        !self.known.contains_key(key)
    }

    /// Takes in an answer of the store, which was at `revision` then. What is known already stays, so
    /// that a key never changes under the closure.
    pub(super) fn learn(
        &mut self,
        revision: Revision,
        found: impl IntoIterator<Item = (Bytes, Found)>,
    ) {
        if self.isolation.is_pinned() {
            self.snapshot.get_or_insert(revision);
        }
        for (key, found) in found {
            if let Entry::Vacant(vacant) = self.known.entry(key) {
                let is_read = false;
                vacant.insert(Known { found, is_read });
            }
        }
    }

    pub(super) fn write(&mut self, key: Bytes, write: Write) {
        self.writes.insert(key, write);
    }

    /// Attaches a key that is put to a lease.
    pub(super) fn attach(&mut self, key: &[u8], to: LeaseId) {
        if let Some(Write::Put { lease, .. }) = self.writes.get_mut(key) {
            *lease = Some(to).filter(|lease| lease.0 != 0);
        }
    }

    /// All keys that are known, for an attempt that reads them anew.
    pub(super) fn known_keys(&self) -> impl Iterator<Item = &Bytes> {
        self.known.keys()
    }

    /// What is to be sent to commit; nothing if the attempt has only read what was so at one revision
    /// anyway. `room` is how many conditions, and how many operations, the server takes.
    pub(super) fn commit(&self, room: usize) -> Result<Option<Plan>, TooLarge> {
        let is_checked = self.isolation != Isolation::ReadCommitted;
        let is_settled = self.writes.is_empty() && (self.isolation.is_pinned() || !is_checked);
        if is_settled {
            return Ok(None);
        }
        let read = self.known.iter().filter(|(_, known)| known.is_read);
        let mut conditions: Vec<_> = read
            .filter(|_| is_checked)
            .map(|(key, known)| Condition::Unchanged {
                key: key.clone(),
                since: mod_revision(known.found.as_ref()),
            })
            .collect();
        let mut reads: Vec<_> = conditions.iter().map(|it| it.key().clone()).collect();
        let mut marks = Vec::new();
        if let Some(revision) = self.snapshot
            && self.isolation == Isolation::SerializableSnapshot
        {
            let is_blind = |key: &&Bytes| self.known.get(*key).is_none_or(|known| !known.is_read);
            for key in self.writes.keys().filter(is_blind) {
                marks.push(key.clone());
                conditions.push(Condition::NotPutAfter {
                    key: key.clone(),
                    revision,
                });
            }
        }
        if conditions.len() > room || self.writes.len() > room {
            return Err(TooLarge {
                conditions: conditions.len(),
                writes: self.writes.len(),
                room,
            });
        }
        if conditions.is_empty() && self.writes.is_empty() {
            return Ok(None);
        }
        if !conditions.is_empty() {
            // What was fetched and not needed may be needed by the next attempt.
            let left = room - reads.len() - marks.len();
            let unread = self.known.iter().filter(|(_, known)| !known.is_read);
            let unread = unread.map(|(key, _)| key);
            let unread = unread.filter(|key| !self.writes.contains_key(*key));
            reads.extend(unread.take(left).cloned());
        }
        let writes = self.writes.iter();
        Ok(Some(Plan {
            conditions,
            writes: writes
                .map(|(key, write)| (key.clone(), write.clone()))
                .collect(),
            reads,
            marks,
        }))
    }
}

impl Condition {
    pub(super) fn key(&self) -> &Bytes {
        match self {
            Self::Unchanged { key, .. } | Self::NotPutAfter { key, .. } => key,
        }
    }

    fn holds(&self, found: Option<&KeyValue>) -> bool {
        match self {
            Self::Unchanged { since, .. } => mod_revision(found) == *since,
            Self::NotPutAfter { revision, .. } => mod_revision(found) <= *revision,
        }
    }
}

impl Plan {
    /// The first key that is not as it should have been; `found` are the answers for the reads and
    /// then the marks.
    pub(super) fn culprit(&self, found: &[Found]) -> Option<&Bytes> {
        let asked: BTreeMap<_, _> = self.reads.iter().chain(&self.marks).zip(found).collect();
        let mut conditions = self.conditions.iter();
        let broken = conditions.find(|condition| {
            let found = asked.get(condition.key());
            found.is_some_and(|found| !condition.holds(found.as_ref()))
        });
        broken.map(Condition::key)
    }

    /// What the next attempt begins with, from an answer at `revision`.
    pub(super) fn start(&self, revision: Revision, found: Vec<Found>) -> Start {
        Start {
            revision: Some(revision),
            // The marks, which come last, have no values.
            found: self.reads.iter().cloned().zip(found).collect(),
        }
    }
}

fn mod_revision(found: Option<&KeyValue>) -> Revision {
    found.map_or(0, |kv| kv.mod_revision)
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("isolation", &self.isolation)
            .field("snapshot", &self.snapshot)
            .field("known", &self.known.len())
            .field("writes", &self.writes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
