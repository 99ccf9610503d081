//! What became of one key.

use etcdkit_proto::mvccpb::KeyValue;

use crate::revision::Revision;

/// The changes of one key that compaction left.
///
/// A tombstone ends what etcd calls a generation; the change after it creates the key anew.
#[derive(Debug)]
pub(super) struct History {
    /// Kept apart: nearly all reads need no more than this.
    newest: Change,
    /// All before it, oldest first.
    older: Vec<Change>,
}

/// One change of a key: its new state, or `None` if it was deleted.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) revision: Revision,
    pub(crate) kv: Option<KeyValue>,
}

impl History {
    pub(super) fn new(first: Change) -> Self {
        Self {
            newest: first,
            older: Vec::new(),
        }
    }

    pub(super) fn newest(&self) -> &Change {
        &self.newest
    }

    /// Whether the key exists after all changes.
    pub(super) fn is_live(&self) -> bool {
        self.newest.kv.is_some()
    }

    pub(super) fn push(&mut self, change: Change) {
        self.older.push(std::mem::replace(&mut self.newest, change));
    }

    pub(super) fn at(&self, at: i64) -> Option<&KeyValue> {
        self.change_at(at)?.kv.as_ref()
    }

    pub(super) fn change_at(&self, at: i64) -> Option<&Change> {
        if self.newest.revision.main <= at {
            return Some(&self.newest);
        }
        let later = self
            .older
            .partition_point(|change| change.revision.main <= at);
        self.older.get(later.checked_sub(1)?)
    }

    pub(super) fn between(&self, from: i64, to: i64) -> impl Iterator<Item = Revision> {
        let first = self
            .older
            .partition_point(|change| change.revision.main < from);
        let older = self.older.get(first..).unwrap_or_default();
        older
            .iter()
            .chain([&self.newest])
            .map(|change| change.revision)
            .filter(move |revision| (from..=to).contains(&revision.main))
    }

    /// Returns the one change up to `at` that stays.
    ///
    /// It is the newest one, unless it is a tombstone older than `at`: a tombstone exactly at the
    /// compacted revision stays, so that a watch from there still sees the deletion (etcd 3.5.16).
    pub(super) fn compact(&mut self, at: i64) -> Option<Revision> {
        let newest = self
            .change_at(at)
            .filter(|c| c.kv.is_some() || c.revision.main == at);
        let stays = newest.map(|change| change.revision);
        let first = stays.unwrap_or(Revision {
            main: at + 1,
            sub: 0,
        });
        let gone = self.older.partition_point(|change| change.revision < first);
        self.older.drain(..gone);
        if self.older.capacity() > 4 * self.older.len() {
            self.older.shrink_to_fit();
        }
        stays
    }

    /// Whether nothing is left once `at` is compacted: the key was deleted before, and that was
    /// all.
    pub(super) fn is_over(&self, at: i64) -> bool {
        self.newest.kv.is_none() && self.newest.revision.main < at
    }
}
