//! One watcher.

use etcdkit_proto::etcdserverpb::WatchCreateRequest;
use etcdkit_proto::etcdserverpb::watch_create_request::FilterType;

use crate::span::Span;

/// What one watcher wants, and how far it has come.
#[derive(Debug)]
pub(super) struct Watcher {
    /// The slot of its stream.
    pub(super) stream: usize,
    pub(super) id: i64,
    key: Box<[u8]>,
    range_end: Box<[u8]>,
    pub(super) start_revision: i64,
    /// The lowest revision that was not delivered or queued yet.
    pub(super) next: i64,
    pub(super) state: State,
    pub(super) filters: Filters,
    pub(super) prev_kv: bool,
    pub(super) fragment: bool,
    /// Whether it wants to hear of progress.
    pub(super) progress_notify: bool,
    /// Whether no event was sent since the last time for progress notifications.
    pub(super) idle: bool,
    /// How many of its changes are in the stream's queue.
    pub(super) queued: usize,
}

/// Where a watcher gets its events from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// From publications, as they come.
    Synced,
    /// From the log, until it has caught up.
    Behind,
    /// From nowhere: what it missed is compacted. Its id stays in use until it is cancelled, as
    /// in etcd.
    Compacted,
}

/// The kinds of events that a watcher does not want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    pub(super) no_put: bool,
    pub(super) no_delete: bool,
}

impl Watcher {
    /// `current` is the newest published revision.
    pub(super) fn new(stream: usize, id: i64, request: WatchCreateRequest, current: i64) -> Self {
        let start = request.start_revision;
        let (next, state) = match start {
            0 => (current + 1, State::Synced),
            future if future > current => (future, State::Synced),
            past => (past, State::Behind),
        };
        let has = |kind: FilterType| request.filters.contains(&(kind as i32));
        Self {
            stream,
            id,
            key: request.key.as_ref().into(),
            range_end: request.range_end.as_ref().into(),
            start_revision: start,
            next,
            state,
            filters: Filters {
                no_put: has(FilterType::Noput),
                no_delete: has(FilterType::Nodelete),
            },
            prev_kv: request.prev_kv,
            fragment: request.fragment,
            progress_notify: request.progress_notify,
            idle: true,
            queued: 0,
        }
    }

    pub(super) fn span(&self) -> Span<'_> {
        Span::new(&self.key, &self.range_end)
    }

    /// Whether everything up to the current revision was delivered or queued. Like in etcd, a
    /// watcher that starts in the future has made no progress yet.
    pub(super) fn is_synced(&self, current: i64) -> bool {
        self.state == State::Synced && self.start_revision <= current
    }
}
