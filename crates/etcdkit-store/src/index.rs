//! Every key's history, in key order.

use std::collections::BTreeMap;

use etcdkit_proto::mvccpb::KeyValue;

use crate::revision::Revision;
use crate::span::Span;

/// From keys to their histories.
#[derive(Debug, Default)]
pub(crate) struct Index {
    keys: BTreeMap<Box<[u8]>, History>,
}

/// The changes of one key that compaction left.
///
/// A tombstone ends what etcd calls a generation; the change after it creates the key anew.
#[derive(Debug)]
struct History {
    /// Kept in the tree itself: nearly all reads and every count need no more than this.
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

impl Index {
    /// The key's state at a main revision.
    pub(crate) fn get(&self, key: &[u8], at: i64) -> Option<&KeyValue> {
        self.keys.get(key)?.at(at)
    }

    /// The keys of a span that exist at a main revision, in key order.
    pub(crate) fn live<'a>(
        &'a self,
        span: Span<'_>,
        at: i64,
    ) -> impl Iterator<Item = &'a KeyValue> + use<'a> {
        self.histories(span)
            .filter_map(move |history| history.at(at))
    }

    /// How many histories a span has, deleted keys included, counted up to a limit.
    pub(crate) fn count_up_to(&self, span: Span<'_>, limit: usize) -> usize {
        self.histories(span).take(limit).count()
    }

    /// The changes of a span's keys between two main revisions, both included: by key, and for each
    /// key by revision.
    pub(crate) fn changes<'a>(
        &'a self,
        span: Span<'_>,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = Revision> + use<'a> {
        self.histories(span)
            .flat_map(move |history| history.between(from, to))
    }

    fn histories<'a>(&'a self, span: Span<'_>) -> impl Iterator<Item = &'a History> + use<'a> {
        let single = span.single_key().and_then(|key| self.keys.get(key));
        let many = span
            .bounds()
            .map(|bounds| self.keys.range::<[u8], _>(bounds));
        let many = many.into_iter().flatten().map(|(_, history)| history);
        single.into_iter().chain(many)
    }

    /// Every key that exists at a main revision.
    pub(crate) fn all_live(&self, at: i64) -> impl Iterator<Item = (Revision, &KeyValue)> {
        self.keys.values().filter_map(move |history| {
            let change = history.change_at(at)?;
            Some((change.revision, change.kv.as_ref()?))
        })
    }

    /// Appends the change that `make` derives from the key's newest state. Returns what `make`
    /// adds.
    pub(crate) fn update<T>(
        &mut self,
        key: &[u8],
        make: impl FnOnce(Option<&KeyValue>) -> (Change, T),
    ) -> T {
        if let Some(history) = self.keys.get_mut(key) {
            let (change, extra) = make(history.newest.kv.as_ref());
            history
                .older
                .push(std::mem::replace(&mut history.newest, change));
            return extra;
        }
        let (newest, extra) = make(None);
        self.keys.insert(
            key.into(),
            History {
                newest,
                older: Vec::new(),
            },
        );
        extra
    }

    /// Appends a stored change, which is newer than all before it.
    pub(crate) fn recover(&mut self, revision: Revision, tombstone: bool, kv: KeyValue) {
        let key = kv.key.clone();
        let change = Change {
            revision,
            kv: (!tombstone).then_some(kv),
        };
        self.update(&key, |_| (change, ()));
    }

    /// Forgets what nobody may read once the main revision is compacted. Returns the revisions up
    /// to it that stay, sorted.
    pub(crate) fn compact(&mut self, at: i64) -> Vec<Revision> {
        let mut kept = Vec::new();
        self.keys.retain(|_, history| {
            kept.extend(history.compact(at));
            !history.is_over(at)
        });
        kept.sort_unstable();
        kept
    }
}

impl History {
    fn at(&self, at: i64) -> Option<&KeyValue> {
        self.change_at(at)?.kv.as_ref()
    }

    fn change_at(&self, at: i64) -> Option<&Change> {
        if self.newest.revision.main <= at {
            return Some(&self.newest);
        }
        let later = self
            .older
            .partition_point(|change| change.revision.main <= at);
        self.older.get(later.checked_sub(1)?)
    }

    fn between(&self, from: i64, to: i64) -> impl Iterator<Item = Revision> {
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
    fn compact(&mut self, at: i64) -> Option<Revision> {
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
    fn is_over(&self, at: i64) -> bool {
        self.newest.kv.is_none() && self.newest.revision.main < at
    }
}
