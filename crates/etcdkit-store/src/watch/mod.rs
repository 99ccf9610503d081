//! Watches: who is told what, in which order.
//!
//! [`Watchers`] has the watchers of all streams. It is told what the store publishes, puts it into
//! the queues of the streams that watch it, and gives out the responses of a stream one by one, as
//! fast as its peer takes them.
//!
//! A watcher is *synced* as long as its stream's queue has room: it gets changes as they are
//! published. A watcher that starts in the past, or has no room, is *behind*: when the queue is
//! empty it reads the store's log, until it has caught up. So a peer that does not read costs a
//! bounded amount of memory, and no event is lost to it, unless a compaction overtakes it, of which
//! it is told.

mod catch_up;
mod event;
mod figures;
mod fragments;
mod intervals;
mod matcher;
mod stream;
mod watcher;

use std::sync::Arc;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use slab::Slab;

use self::event::Changed;
pub use self::figures::WatchFigures;
use self::matcher::Matcher;
use self::stream::{Queued, Stream};
use self::watcher::{State, Watcher};
use crate::record::Record;
use crate::span::Span;
use crate::store::{Store, header};

/// The watch id of responses that belong to no watcher.
const NO_WATCH: i64 = -1;

/// The watchers of a store, stream by stream.
///
/// Headers of responses carry only the revision, like those of [`Store`]. What is called with a
/// store must always be called with the same one, and after every publication
/// [`published`](Self::published) before anything else.
#[derive(Debug, Default)]
pub struct Watchers {
    streams: Slab<Stream>,
    watchers: Slab<Watcher>,
    matcher: Matcher,
}

/// A stream of watchers, from [`Watchers::open`] to [`Watchers::close`]. Numbers are small, and
/// those of closed streams are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(usize);

impl StreamId {
    /// The number of the stream, for tables beside.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What [`Watchers::next`] found for a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// To be sent now.
    Response(WatchResponse),
    /// Nothing yet, but not everything was looked at: ask again, after others had their turn.
    Working,
    /// Nothing, until [`Watchers::published`] names the stream or the stream is told something.
    Idle,
}

impl Watchers {
    /// Opens a stream without watchers.
    pub fn open(&mut self) -> StreamId {
        StreamId(self.streams.insert(Stream::default()))
    }

    /// Ends a stream and all its watchers.
    pub fn close(&mut self, stream: StreamId) {
        let Some(stream) = self.streams.try_remove(stream.0) else {
            return;
        };
        for slot in stream.ids.into_values() {
            self.remove_watcher(slot);
        }
    }

    /// Starts a watcher, or refuses to; the stream's next response says which.
    pub fn create(&mut self, store: &Store, stream: StreamId, mut request: WatchCreateRequest) {
        let current = store.revision();
        if request.key.is_empty() {
            request.key = vec![0].into();
        }
        if request.start_revision < 0 {
            return self.refuse(store, stream, EtcdError::Compacted.text());
        }
        if Span::new(&request.key, &request.range_end).is_empty() {
            return self.refuse(store, stream, EtcdError::WatchEmptyRange.text());
        }
        let Some(opened) = self.streams.get_mut(stream.0) else {
            return;
        };
        let id = match request.watch_id {
            0 => opened.auto_id(),
            taken if opened.ids.contains_key(&taken) => {
                return self.refuse(store, stream, EtcdError::WatchDuplicateId.text());
            }
            chosen => chosen,
        };
        let watcher = Watcher::new(stream.0, id, request, current);
        let is_behind = watcher.state == State::Behind;
        let entry = self.watchers.vacant_entry();
        let slot = entry.key();
        self.matcher.insert(watcher.span(), slot);
        entry.insert(watcher);
        opened.ids.insert(id, slot);
        if is_behind {
            opened.behind.push_back(slot);
        }
        opened.ready.push_back(WatchResponse {
            header: header(current),
            watch_id: id,
            created: true,
            ..Default::default()
        });
    }

    /// Says to the peer of a stream that a watcher was not started. The stream lives on.
    pub fn refuse(&mut self, store: &Store, stream: StreamId, reason: impl Into<String>) {
        if let Some(stream) = self.streams.get_mut(stream.0) {
            stream.ready.push_back(WatchResponse {
                header: header(store.revision()),
                watch_id: NO_WATCH,
                created: true,
                canceled: true,
                cancel_reason: reason.into(),
                ..Default::default()
            });
        }
    }

    /// Ends a watcher; an unknown one gets no answer.
    pub fn cancel(&mut self, store: &Store, stream: StreamId, watch_id: i64) {
        let Some(opened) = self.streams.get_mut(stream.0) else {
            return;
        };
        let Some(slot) = opened.ids.remove(&watch_id) else {
            return;
        };
        opened.ready.push_back(WatchResponse {
            header: header(store.revision()),
            watch_id,
            canceled: true,
            ..Default::default()
        });
        opened.forget(slot);
        self.remove_watcher(slot);
    }

    /// Asks how far a stream is. It is answered when all its watchers are synced, and not at all
    /// if there is none, or one that ended or starts in the future.
    pub fn ask_progress(&mut self, stream: StreamId) {
        if let Some(stream) = self.streams.get_mut(stream.0) {
            stream.progress_asked = true;
        }
    }

    /// It is time for progress notifications: tells those watchers of a stream that want them,
    /// and had no event since the last time.
    pub fn notify_progress(&mut self, store: &Store, stream: StreamId) {
        let Some(stream) = self.streams.get_mut(stream.0) else {
            return;
        };
        let mut ids: Vec<_> = stream.ids.iter().collect();
        ids.sort_unstable();
        for (id, slot) in ids {
            let Some(watcher) = self.watchers.get_mut(*slot) else {
                continue;
            };
            let due = watcher.progress_notify && watcher.idle && watcher.queued == 0;
            watcher.idle = true;
            if due && watcher.is_synced(store.revision()) {
                stream.ready.push_back(progress(store, *id));
            }
        }
    }

    /// How many responses a stream has ready that are not events. A server stops reading requests
    /// when the peer does not take the answers.
    pub fn ready(&self, stream: StreamId) -> usize {
        self.streams
            .get(stream.0)
            .map_or(0, |stream| stream.ready.len())
    }

    /// Takes note of records that were just published. Calls `has_work` with streams that have something
    /// to send now and had nothing before.
    pub fn published(&mut self, records: &[Record], mut has_work: impl FnMut(StreamId)) {
        if self.watchers.is_empty() {
            return;
        }
        for records in records.chunk_by(|a, b| a.revision().main == b.revision().main) {
            let mut matches = self.matches(records);
            // The changes of one watcher stay together, so that a response can have them all.
            if records.len() > 1 {
                matches.sort_by_key(|queued| queued.slot);
            }
            for changes in matches.chunk_by(|a, b| a.slot == b.slot) {
                self.deliver(changes, &mut has_work);
            }
        }
    }

    /// Who is to be told of the records of one revision.
    fn matches(&self, records: &[Record]) -> Vec<Queued> {
        let mut matches = Vec::new();
        for record in records {
            let mut change = None;
            self.matcher.for_each_with(record.changed_key(), |slot| {
                let Some(watcher) = self.watchers.get(slot) else {
                    return;
                };
                if watcher.state != State::Synced || record.revision().main < watcher.next {
                    return;
                }
                let change = change.get_or_insert_with(|| Arc::new(Changed::of(record)));
                if change.passes(watcher.filters) {
                    matches.push(Queued {
                        slot,
                        change: Arc::clone(change),
                    });
                }
            });
        }
        matches
    }

    /// Queues the changes that one revision has for one watcher, or leaves it behind.
    fn deliver(&mut self, changes: &[Queued], has_work: &mut impl FnMut(StreamId)) {
        let Some(first) = changes.first() else { return };
        let Some(watcher) = self.watchers.get_mut(first.slot) else {
            return;
        };
        let index = watcher.stream;
        let Some(stream) = self.streams.get_mut(index) else {
            return;
        };
        if !stream.has_work() {
            has_work(StreamId(index));
        }
        let revision = first.change.kv.mod_revision;
        if stream.enqueue(changes) {
            watcher.queued += changes.len();
            watcher.next = revision + 1;
        } else {
            watcher.next = revision;
            watcher.state = State::Behind;
            stream.behind.push_back(first.slot);
        }
    }

    /// What to send next on a stream. Responses of watchers with `fragment` are split at `max_bytes`.
    pub fn next(&mut self, store: &Store, stream: StreamId, max_bytes: usize) -> Next {
        let Some(opened) = self.streams.get_mut(stream.0) else {
            return Next::Idle;
        };
        if let Some(response) = opened.ready.pop_front() {
            return Next::Response(response);
        }
        if let Some((slot, changes)) = opened.dequeue() {
            return self.send_queued(store, slot, &changes, max_bytes);
        }
        if let Some(slot) = opened.behind.pop_front() {
            return self.catch_up(store, slot, max_bytes);
        }
        if std::mem::take(&mut opened.progress_asked) {
            let watchers = &self.watchers;
            let mut slots = opened.ids.values();
            let synced = slots.all(|slot| {
                watchers
                    .get(*slot)
                    .is_some_and(|watcher| watcher.is_synced(store.revision()))
            });
            if synced && !opened.ids.is_empty() {
                return Next::Response(progress(store, NO_WATCH));
            }
        }
        Next::Idle
    }

    fn send_queued(
        &mut self,
        store: &Store,
        slot: usize,
        changes: &[Arc<Changed>],
        max_bytes: usize,
    ) -> Next {
        let Some(watcher) = self.watchers.get_mut(slot) else {
            return Next::Working;
        };
        watcher.queued = watcher.queued.saturating_sub(changes.len());
        watcher.idle = false;
        let revision = changes.last().map_or(0, |change| change.kv.mod_revision);
        let prev_kv = watcher.prev_kv;
        let events = changes.iter().map(|change| change.to_event(store, prev_kv));
        let response = WatchResponse {
            header: header(revision),
            watch_id: watcher.id,
            events: events.collect(),
            ..Default::default()
        };
        self.send(slot, response, max_bytes)
    }

    /// Reads a part of what a watcher has missed.
    fn catch_up(&mut self, store: &Store, slot: usize, max_bytes: usize) -> Next {
        let current = store.revision();
        let Some(watcher) = self.watchers.get_mut(slot) else {
            return Next::Working;
        };
        if watcher.next < store.compact_revision() {
            watcher.state = State::Compacted;
            let response = WatchResponse {
                // etcd leaves the revision out here.
                header: header(0),
                watch_id: watcher.id,
                canceled: true,
                compact_revision: store.compact_revision(),
                ..Default::default()
            };
            self.matcher.remove(watcher.span(), slot);
            return Next::Response(response);
        }
        let part = catch_up::read(store, watcher.span(), watcher.next);
        watcher.next = part.next;
        if part.next > current {
            watcher.state = State::Synced;
        } else if let Some(stream) = self.streams.get_mut(watcher.stream) {
            stream.behind.push_back(slot);
        }
        let changes = part.changes.iter();
        let changes = changes.filter(|change| change.passes(watcher.filters));
        let events: Vec<_> = changes
            .map(|change| change.to_event(store, watcher.prev_kv))
            .collect();
        if events.is_empty() {
            return Next::Working;
        }
        watcher.idle = false;
        let response = WatchResponse {
            // Ahead of the events, if more follow; so it is in etcd.
            header: header(current),
            watch_id: watcher.id,
            events,
            ..Default::default()
        };
        self.send(slot, response, max_bytes)
    }

    /// Splits a response if its watcher wants that.
    fn send(&mut self, slot: usize, response: WatchResponse, max_bytes: usize) -> Next {
        let Some(watcher) = self.watchers.get(slot).filter(|watcher| watcher.fragment) else {
            return Next::Response(response);
        };
        let mut parts = fragments::split(response, max_bytes).into_iter();
        let first = parts.next();
        if let Some(stream) = self.streams.get_mut(watcher.stream) {
            stream.ready.extend(parts);
        }
        first.map_or(Next::Working, Next::Response)
    }

    fn remove_watcher(&mut self, slot: usize) {
        if let Some(watcher) = self.watchers.try_remove(slot)
            && watcher.state != State::Compacted
        {
            self.matcher.remove(watcher.span(), slot);
        }
    }
}

/// Everything up to the store's revision was sent.
fn progress(store: &Store, watch_id: i64) -> WatchResponse {
    WatchResponse {
        header: header(store.revision()),
        watch_id,
        ..Default::default()
    }
}
