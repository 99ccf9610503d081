//! One watch as its stream sees it: where it stands, and where it would go on.

use std::sync::Arc;

use bytes::Bytes;
use etcdkit_proto::{
    EtcdError,
    etcdserverpb::{WatchCreateRequest, WatchResponse, watch_create_request::FilterType},
    mvccpb,
};

use super::{Event, Overflow, WatchEnd, WatchUpdate, feed::Feed, seat::Seat};
use crate::{ErrorKind, Header, Revision, observe};

/// What is watched, and how.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) key: Bytes,
    pub(super) range_end: Bytes,
    pub(super) prev_kv: bool,
    pub(super) no_puts: bool,
    pub(super) no_deletes: bool,
    pub(super) progress_notify: bool,
    pub(super) overflow: Overflow,
    /// How many bytes of each key are the client's namespace.
    pub(super) prefix: usize,
}

/// One watch.
#[derive(Debug)]
pub(super) struct Watcher {
    spec: Spec,
    feed: Arc<Feed>,
    pub(super) phase: Phase,
    /// The id on the wire of its latest incarnation.
    pub(super) wire_id: i64,
    /// The first revision that the program has not been given.
    pub(super) next: Revision,
    /// The parts of a response that came so far.
    parts: Vec<mvccpb::Event>,
    parts_bytes: usize,
    pub(super) wants_progress: bool,
    /// How many answers may still come to questions for progress that were asked before it was created.
    earlier_questions: usize,
    /// The revision of the member when it confirmed the latest incarnation.
    confirmed_at: Revision,
    /// Held for as long as the watch is on the stream.
    _seat: Seat,
    _observed: observe::Watching,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The server has not been asked on this connection.
    Idle,
    /// The server has been asked, and has not answered.
    Creating,
    Live,
    /// Waits for the program to take what is queued.
    Paused,
    /// The program is done with it; the server has been told.
    Leaving,
}

/// What a response left of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    GoesOn,
    /// The queue is full: the server is to be told to stop.
    Pauses,
    /// The queue is full, and the watch has ended for it: the server is to be told.
    Overflows,
}

impl Watcher {
    pub(super) fn new(spec: Spec, start: Revision, feed: Arc<Feed>, seat: Seat) -> Self {
        Self {
            spec,
            feed,
            phase: Phase::Idle,
            wire_id: 0,
            next: start,
            parts: Vec::new(),
            parts_bytes: 0,
            wants_progress: false,
            earlier_questions: 0,
            confirmed_at: 0,
            _seat: seat,
            _observed: observe::Watching::begin(),
        }
    }

    /// The request that makes the server begin where the program stands. So many questions for progress
    /// that went before it have no answer.
    pub(super) fn create(&mut self, wire_id: i64, questions: usize) -> WatchCreateRequest {
        self.phase = Phase::Creating;
        self.wire_id = wire_id;
        self.earlier_questions = questions;
        self.forget_parts();
        let spec = &self.spec;
        let filter = |on: bool, filter: FilterType| on.then_some(filter as i32);
        let filters = [
            filter(spec.no_puts, FilterType::Noput),
            filter(spec.no_deletes, FilterType::Nodelete),
        ];
        WatchCreateRequest {
            key: spec.key.clone(),
            range_end: spec.range_end.clone(),
            start_revision: self.next,
            progress_notify: spec.progress_notify,
            filters: filters.into_iter().flatten().collect(),
            prev_kv: spec.prev_kv,
            watch_id: wire_id,
            fragment: true,
        }
    }

    pub(super) fn key(&self) -> &Bytes {
        &self.spec.key
    }

    pub(super) fn confirm(&mut self, header: Header) {
        self.confirmed_at = header.revision;
        self.feed.confirm(header);
    }

    /// Whether a promise for all watches of the stream is for this one, too.
    ///
    /// etcd (3.7.1 was seen to) sends confirmations and promises through different queues, so that the
    /// promise may come second that was made first, when the watch was not there yet. Such a one goes
    /// no further than the confirmation says the store was.
    pub(super) fn is_meant_by_promise_of(&mut self, revision: Revision) -> bool {
        let is_meant = self.earlier_questions == 0 || revision > self.confirmed_at;
        self.earlier_questions = match is_meant {
            true => 0,
            false => self.earlier_questions - 1,
        };
        is_meant
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.feed.is_confirmed()
    }

    /// The newest revision that the program has been given, or that it did not ask for.
    pub(super) fn reached(&self) -> Revision {
        self.next - 1
    }

    pub(super) fn end(&self, end: WatchEnd) {
        self.feed.end(end, self.reached());
    }

    pub(super) fn end_with(&self, error: super::WatchError) {
        self.feed.end_with(error);
    }

    /// Takes a response with events, or with the progress that there are none.
    pub(super) fn receive(
        &mut self,
        header: Header,
        response: WatchResponse,
        bytes: usize,
    ) -> After {
        if response.fragment || !self.parts.is_empty() {
            // A part with the rest of a revision must not be delivered before its other parts.
            self.parts.extend(response.events);
            self.parts_bytes += bytes;
            if response.fragment {
                return After::GoesOn;
            }
            let (events, bytes) = (std::mem::take(&mut self.parts), self.parts_bytes);
            self.parts_bytes = 0;
            return self.deliver(header, events, bytes);
        }
        if response.events.is_empty() {
            return self.progress(header, self.spec.progress_notify, bytes);
        }
        self.deliver(header, response.events, bytes)
    }

    /// Everything up to the header's revision has been sent, the server says.
    pub(super) fn progress(&mut self, header: Header, tell: bool, bytes: usize) -> After {
        // A member that lags says what is long known, as before the start in the future.
        if header.revision < self.next - 1 {
            return After::GoesOn;
        }
        self.next = header.revision + 1;
        if !tell {
            return After::GoesOn;
        }
        let update = WatchUpdate::new(header, header.revision, Vec::new());
        self.push(update, bytes)
    }

    fn deliver(&mut self, header: Header, events: Vec<mvccpb::Event>, bytes: usize) -> After {
        let revision = |event: &mvccpb::Event| event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
        // A member that lags may send what was delivered before (etcd issue 20221), and 3.5 had
        // versions that sent things twice.
        let known = events
            .iter()
            .position(|event| revision(event) >= self.next)
            .unwrap_or(events.len());
        let Some(last) = events.last().filter(|_| known < events.len()) else {
            return After::GoesOn;
        };
        let reached = revision(last);
        self.next = reached + 1;
        observe::watch_events(events.len() - known);
        let prefix = self.spec.prefix;
        let events = events
            .into_iter()
            .skip(known)
            .map(|event| Event::from_wire(event, prefix));
        let update = WatchUpdate::new(header, reached, events.collect());
        self.push(update, bytes)
    }

    fn push(&mut self, update: WatchUpdate, bytes: usize) -> After {
        if !self.feed.push(update, bytes) {
            return After::GoesOn;
        }
        match self.spec.overflow {
            Overflow::Pause => After::Pauses,
            Overflow::Fail => {
                self.end(WatchEnd::Overflow);
                After::Overflows
            }
        }
    }

    /// The connection is gone, and with it what the server knew.
    pub(super) fn disconnected(&mut self) {
        self.forget_parts();
        if matches!(self.phase, Phase::Creating | Phase::Live) {
            self.phase = Phase::Idle;
        }
    }

    fn forget_parts(&mut self) {
        (self.parts, self.parts_bytes) = (Vec::new(), 0);
    }
}

/// Why the server ended or refused a watch, and the refusal of the stream's token that it may mean
/// instead: with a new token on a new stream the watch may go on.
pub(super) fn refusal(response: &WatchResponse) -> (WatchEnd, Option<ErrorKind>) {
    let reason = &response.cancel_reason;
    // Refusals of etcd's auth come as the text of a gRPC error: "rpc error: code = … desc = …".
    let text = reason.rsplit("desc = ").next().unwrap_or_default();
    let compact_revision = response.compact_revision;
    match EtcdError::from_text(text) {
        _ if compact_revision != 0 => (WatchEnd::Compacted { compact_revision }, None),
        Some(EtcdError::Compacted) => (WatchEnd::Compacted { compact_revision }, None),
        Some(
            error @ (EtcdError::PermissionDenied
            | EtcdError::InvalidAuthToken
            | EtcdError::AuthOldRevision
            | EtcdError::UserEmpty),
        ) => (WatchEnd::PermissionDenied, Some(error.into())),
        _ => {
            let reason = reason.clone();
            (WatchEnd::Cancelled { reason }, None)
        }
    }
}
