//! Every key's history, in key order.

mod history;
mod pieces;

use etcdkit_proto::mvccpb::KeyValue;

pub(crate) use self::history::Change;
use self::history::History;
use self::pieces::Pieces;
use crate::revision::Revision;
use crate::span::Span;

/// From keys to their histories.
#[derive(Debug, Default)]
pub(crate) struct Index {
    keys: Pieces,
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

    /// How many keys of a span exist at a main revision. `changed` are the keys that were changed after
    /// it, and few: the rest is not looked at one by one.
    pub(crate) fn count<'k>(
        &self,
        span: Span<'_>,
        at: i64,
        changed: impl Iterator<Item = &'k [u8]>,
    ) -> usize {
        let Some(bounds) = span.bounds() else {
            return self.live(span, at).count();
        };
        let mut changed: Vec<&[u8]> = changed.filter(|key| span.contains(key)).collect();
        changed.sort_unstable();
        changed.dedup();
        let changed = changed.iter().filter_map(|key| self.keys.get(key));
        let (mut then, mut now) = (0, 0);
        for history in changed {
            then += usize::from(history.at(at).is_some());
            now += usize::from(history.is_live());
        }
        self.keys.count_live(bounds) + then - now
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
        let many = span.bounds().map(|bounds| self.keys.range(bounds));
        single.into_iter().chain(many.into_iter().flatten())
    }

    /// Every key that exists at a main revision.
    pub(crate) fn all_live(&self, at: i64) -> impl Iterator<Item = (Revision, &KeyValue)> {
        self.keys.all().filter_map(move |history| {
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
        self.keys.update(key, make)
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
        self.keys.retain(|history| {
            kept.extend(history.compact(at));
            !history.is_over(at)
        });
        kept.sort_unstable();
        kept
    }
}
