//! What a server's store went through, as an always open watch of all keys tells.

use std::collections::BTreeMap;

use bytes::Bytes;
use etcdkit_proto::{
    etcdserverpb::{WatchCreateRequest, watch_create_request::FilterType},
    mvccpb::{Event, KeyValue, event::EventType},
};

/// Every change since the store was empty.
#[derive(Debug, Default)]
pub(super) struct History {
    changes: Vec<Change>,
    live: BTreeMap<Bytes, KeyValue>,
    compacted: i64,
    compactions: usize,
    /// Whether compactions remove the tombstones of exactly their revision (before 3.5.16).
    forgets_tombstones: bool,
}

#[derive(Debug)]
struct Change {
    revision: i64,
    key: Bytes,
    deleted: bool,
    /// The number of the compaction that removed it although watches may start there.
    forgotten_by: Option<usize>,
}

impl History {
    pub(super) fn new(forgets_tombstones: bool) -> Self {
        Self {
            forgets_tombstones,
            ..Self::default()
        }
    }

    pub(super) fn take(&mut self, event: Event) {
        let deleted = event.r#type == EventType::Delete as i32;
        let Some(kv) = event.kv else { return };
        self.changes.push(Change {
            revision: kv.mod_revision,
            key: kv.key.clone(),
            deleted,
            forgotten_by: None,
        });
        if deleted {
            self.live.remove(&kv.key);
        } else {
            self.live.insert(kv.key.clone(), kv);
        }
    }

    /// The revision of the last change.
    pub(super) fn revision(&self) -> i64 {
        self.changes.last().map_or(1, |change| change.revision)
    }

    pub(super) fn compacted(&self) -> i64 {
        self.compacted
    }

    pub(super) fn compact(&mut self, revision: i64) {
        self.compacted = revision;
        self.compactions += 1;
        if self.forgets_tombstones {
            let tombstones = self.changes.iter_mut();
            for change in tombstones.filter(|change| change.deleted && change.revision == revision)
            {
                change.forgotten_by = Some(self.compactions);
            }
        }
    }

    /// What a request of now asks for.
    pub(super) fn wanted(&self, request: &WatchCreateRequest) -> Wanted {
        let has = |filter: FilterType| request.filters.contains(&(filter as i32));
        Wanted {
            key: match request.key.is_empty() {
                true => Bytes::from_static(b"\0"),
                false => request.key.clone(),
            },
            range_end: request.range_end.clone(),
            no_put: has(FilterType::Noput),
            no_delete: has(FilterType::Nodelete),
            from: match request.start_revision {
                0 => self.revision() + 1,
                from => from,
            },
            compactions: self.compactions,
        }
    }

    /// How many events a watch gets up to now, if it is not cancelled.
    pub(super) fn count(&self, wanted: &Wanted) -> usize {
        let events = self.changes.iter().filter(|change| wanted.has(change));
        events.count()
    }

    /// The keys of a queue, that of its head first.
    pub(super) fn queue(&self, prefix: &[u8]) -> Vec<&KeyValue> {
        let mut queue: Vec<_> = self
            .live
            .values()
            .filter(|kv| kv.key.starts_with(prefix))
            .collect();
        queue.sort_by_key(|kv| kv.create_revision);
        queue
    }
}

/// Which events a watch is to get.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    key: Bytes,
    range_end: Bytes,
    no_put: bool,
    no_delete: bool,
    /// The first revision.
    pub(super) from: i64,
    /// How many compactions there were when it was asked for.
    compactions: usize,
}

impl Wanted {
    fn has(&self, change: &Change) -> bool {
        let in_range = match &*self.range_end {
            b"" => change.key == self.key,
            b"\0" => change.key >= self.key,
            end => change.key >= self.key && *change.key < *end,
        };
        let filtered = match change.deleted {
            true => self.no_delete,
            false => self.no_put,
        };
        let forgotten = change
            .forgotten_by
            .is_some_and(|compaction| compaction <= self.compactions);
        in_range && !filtered && !forgotten && change.revision >= self.from
    }
}
