//! What was changed and is not durable yet.
//!
//! The store notes what it changed, not how: a backend is then given the state of it, in etcd's
//! bytes. So a lease that was granted and revoked since the last time costs nothing, and every
//! change is written in one place.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::mem;

use crate::backend::{Bucket, Change, Entry};
use crate::record::Record;
use crate::store::Store;
use crate::v2;

/// How many records that compaction dropped are removed in one batch, so that a large compaction does not
/// keep writes waiting.
const REMOVED_AT_ONCE: usize = 4_096;

/// Of which things the state changed, if anybody wants to know.
#[derive(Debug)]
pub(crate) struct Dirty<K> {
    keys: Option<BTreeSet<K>>,
}

impl<K> Default for Dirty<K> {
    fn default() -> Self {
        Self { keys: None }
    }
}

impl<K: Ord> Dirty<K> {
    /// Notes changes from now on.
    pub(crate) fn watch(&mut self) {
        self.keys.get_or_insert_default();
    }

    /// Notes nothing any more, and forgets what was noted.
    pub(crate) fn forget(&mut self) {
        self.keys = None;
    }

    /// Whether [`watch`](Self::watch) was called.
    pub(crate) fn is_watched(&self) -> bool {
        self.keys.is_some()
    }

    pub(crate) fn mark<Q>(&mut self, key: &Q)
    where
        Q: ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        if let Some(keys) = &mut self.keys {
            keys.insert(key.to_owned());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.as_ref().is_none_or(BTreeSet::is_empty)
    }

    pub(crate) fn take(&mut self) -> BTreeSet<K> {
        self.keys.as_mut().map(mem::take).unwrap_or_default()
    }
}

/// How far a store's staged changes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) v2_index: u64,
}

/// Changes that become durable together.
#[derive(Debug)]
pub struct Batch {
    position: Position,
    records: Vec<Record>,
    changes: Vec<Change>,
}

impl Batch {
    /// What to publish once the changes are durable.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The new entries of [`Bucket::Key`], in order and above all others.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The other changes, each of another entry.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

impl Store {
    /// Notes changes from now on, for [`take_changes`](Self::take_changes). A store that is not told
    /// so notes nothing.
    pub fn keep_journal(&mut self) {
        self.leases.dirty.watch();
        self.alarms.dirty.watch();
        self.auth.watch_changes();
        self.dirty_compaction.watch();
        self.v2.watch_changes();
    }

    /// Notes nothing any more, and forgets what was noted: for a store that was read from a file and
    /// lives on in memory.
    pub fn drop_journal(&mut self) {
        self.leases.dirty.forget();
        self.alarms.dirty.forget();
        self.auth.forget_changes();
        self.dirty_compaction.forget();
        self.v2.forget_changes();
        self.garbage.clear();
    }

    /// Whether there is something to make durable, other than the removal of compacted records.
    pub fn has_changes(&self) -> bool {
        self.staged > self.taken
            || !self.leases.dirty.is_empty()
            || !self.alarms.dirty.is_empty()
            || self.auth.has_changes()
            || !self.dirty_compaction.is_empty()
            || self.v2.has_changes()
    }

    /// Whether compacted records are still to be removed from the backend.
    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    /// Everything that changed since the last time, and some of the records to remove.
    pub fn take_changes(&mut self) -> Batch {
        let records = self.log.after(self.taken).to_vec();
        self.taken = self.staged;
        let mut changes = Vec::new();
        self.leases.take_changes(&mut changes);
        self.alarms.take_changes(&mut changes);
        self.auth.take_changes(&mut changes);
        self.take_garbage(&mut changes);
        changes.extend(self.take_compaction_marks());
        self.v2.take_changes(&mut changes);
        Batch {
            position: self.staged_position(),
            records,
            changes,
        }
    }

    /// The oldest first: a tombstone must not go before what it deleted, or an interruption would
    /// bring that back.
    fn take_garbage(&mut self, changes: &mut Vec<Change>) {
        if !self.has_garbage() {
            return;
        }
        let removed = self
            .garbage
            .drain(..self.garbage.len().min(REMOVED_AT_ONCE));
        changes
            .extend(removed.map(|key| Change::Delete(Bucket::Key, key.as_slice().to_vec().into())));
        if !self.has_garbage() {
            self.dirty_compaction.mark(&());
        }
    }

    /// How far everything staged goes.
    pub fn staged_position(&self) -> Position {
        Position {
            revision: self.staged,
            compacted: self.staged_compacted,
            v2_index: self.v2.index(),
        }
    }

    /// Lets reads see what was staged up to a position. Calls `tell` with the new records before
    /// a compaction can drop any of them, and with the new events of the v2 API.
    pub fn publish_up_to(
        &mut self,
        position: Position,
        tell: impl FnOnce(&[Record], &[v2::Published]),
    ) {
        let before = mem::replace(&mut self.published, position.revision);
        let records = self.log.between(before, position.revision);
        let events = self.v2.publish_up_to(position.v2_index);
        if !records.is_empty() || !events.is_empty() {
            tell(records, &events);
        }
        self.run_compactions(position.compacted);
    }

    /// Every published and staged record, in order: the entries of [`Bucket::Key`].
    pub fn records(&self) -> &[Record] {
        self.log.all()
    }

    /// The entries of all other buckets that the store knows of, staged changes included, each bucket's in
    /// the order of their keys.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.alarms.entries(&mut entries);
        self.auth.entries(&mut entries);
        self.leases.entries(&mut entries);
        entries.extend(self.compaction_marks());
        entries.sort_by(|a, b| (a.bucket, &a.key).cmp(&(b.bucket, &b.key)));
        entries
    }
}
