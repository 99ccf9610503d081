//! All watches of one stream: what to tell the server, and what its responses mean. Pure: bytes and
//! messages in, bytes and deliveries out.
//!
//! Each watch gets a fresh id for each of its incarnations, chosen here, so that all are created
//! without waiting for one another, and whatever still comes for an earlier incarnation is known.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use etcdkit_proto::etcdserverpb::{
    WatchCancelRequest, WatchProgressRequest, WatchRequest, WatchResponse,
    watch_request::RequestUnion,
};

use super::{
    WatchEnd, WatchError,
    feed::Feed,
    seat::Seat,
    watcher::{After, Phase, Spec, Watcher, refusal},
};
use crate::{Error, ErrorKind, Header, Revision, observe, wire};

/// Names a watch within its session.
pub(super) type Key = u32;

/// Marks refusals and answers for the whole stream.
const NO_ID: i64 = -1;

/// The watches of one stream, which outlive its connections.
#[derive(Debug, Default)]
pub(super) struct Session {
    watchers: HashMap<Key, Watcher>,
    /// How many incarnations there were.
    incarnations: i64,
    /// The ids of create requests without an answer. etcd answers in their order, and where it
    /// refuses one it may not say which.
    creating: VecDeque<i64>,
    is_connected: bool,
    /// Whether a watch waits for an answer to a question for progress.
    is_progress_wanted: bool,
    /// How many questions for progress of this connection have no answer. etcd answers in their order,
    /// but not those it cannot.
    questions: usize,
    cluster: Option<u64>,
    /// The latest header.
    header: Header,
    /// The newest revision in a header so far.
    seen: Revision,
}

/// What the stream's owner has to do about a response.
#[derive(Debug)]
pub(super) enum Duty {
    None,
    /// To find out the store's revision, and say so ([`Session::store_is_at`]): the member is behind.
    CheckRevision {
        /// The newest revision seen so far.
        seen: Revision,
    },
    /// To find out whether another token would help, which needs another stream; or else to end
    /// the watch ([`Session::end`]).
    BlameToken {
        refusal: ErrorKind,
        key: Key,
        end: WatchEnd,
    },
    /// To open another stream, on another member if there is one: this one makes no sense.
    GiveUp(Error),
}

impl Session {
    pub(super) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.watchers.len()
    }

    /// Adds a watch.
    pub(super) fn open(
        &mut self,
        key: Key,
        spec: Spec,
        start: Revision,
        feed: Arc<Feed>,
        seat: Seat,
        out: &mut BytesMut,
    ) {
        self.watchers
            .insert(key, Watcher::new(spec, start, feed, seat));
        if self.is_connected {
            self.create(key, out);
        }
    }

    /// Ends a watch that the program is done with.
    pub(super) fn cancel(&mut self, key: Key, out: &mut BytesMut) {
        let Some(watcher) = self.watchers.get_mut(&key) else {
            return;
        };
        match watcher.phase {
            Phase::Creating | Phase::Live => {
                watcher.phase = Phase::Leaving;
                cancel(watcher.wire_id, out);
            }
            Phase::Idle | Phase::Paused => self.end(key, WatchEnd::Closed),
            Phase::Leaving => {}
        }
    }

    /// Lets a paused watch go on.
    pub(super) fn resume(&mut self, key: Key, out: &mut BytesMut) {
        let Some(watcher) = self.watchers.get_mut(&key) else {
            return;
        };
        if watcher.phase == Phase::Paused {
            watcher.phase = Phase::Idle;
            if self.is_connected {
                self.create(key, out);
            }
        }
    }

    /// Notes that the program wants to know how far a watch has come.
    pub(super) fn want_progress(&mut self, key: Key) {
        if let Some(watcher) = self.watchers.get_mut(&key) {
            watcher.wants_progress = true;
            self.is_progress_wanted = true;
        }
    }

    /// Whether the server has to be asked for progress.
    pub(super) fn wants_progress(&self) -> bool {
        self.is_connected && self.is_progress_wanted
    }

    /// The key of some watch that waits for an answer to a question for progress.
    pub(super) fn key_wanting_progress(&self) -> Option<&Bytes> {
        let mut watchers = self.watchers.values();
        let wanting = watchers.find(|watcher| watcher.wants_progress);
        wanting.map(Watcher::key)
    }

    /// The store is at this revision, says a read that was made after the question for progress:
    /// watches that have come that far need no answer of the server.
    pub(super) fn tell_progress_at(&mut self, now: Revision, out: &mut BytesMut) {
        let has_come = |watcher: &Watcher| watcher.wants_progress && watcher.reached() >= now;
        for key in self.keys_where(has_come) {
            if let Some(watcher) = self.watchers.get(&key) {
                let revision = watcher.reached();
                let header = Header {
                    revision,
                    ..self.header
                };
                self.progress_of(key, header, 0, out);
            }
        }
        self.note_who_waits();
    }

    pub(super) fn ask_for_progress(&mut self, out: &mut BytesMut) {
        self.questions += 1;
        request(RequestUnion::ProgressRequest(WatchProgressRequest {}), out);
    }

    /// A stream is open: asks for all watches at once.
    pub(super) fn connected(&mut self, out: &mut BytesMut) {
        self.is_connected = true;
        for key in self.keys_where(|watcher| watcher.phase == Phase::Idle) {
            self.create(key, out);
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.is_connected = false;
        self.questions = 0;
        self.creating.clear();
        self.watchers.values_mut().for_each(Watcher::disconnected);
        self.remove_if(|watcher| watcher.phase == Phase::Leaving, &WatchEnd::Closed);
    }

    /// Takes one response of the server, of this size.
    pub(super) fn receive(
        &mut self,
        mut response: WatchResponse,
        bytes: usize,
        out: &mut BytesMut,
    ) -> Duty {
        let header = Header::from(response.header.take());
        if header.cluster_id != 0 {
            let expected = *self.cluster.get_or_insert(header.cluster_id);
            if expected != header.cluster_id {
                let found = header.cluster_id;
                self.end_all(&WatchEnd::OtherCluster { expected, found });
                return Duty::None;
            }
        }
        let is_behind = header.revision != 0 && header.revision < self.seen;
        self.seen = self.seen.max(header.revision);
        self.header = header;
        if response.created {
            let duty = self.created(header, &response);
            return match duty {
                Duty::None if is_behind => Duty::CheckRevision { seen: self.seen },
                duty => duty,
            };
        }
        if response.watch_id == NO_ID {
            self.progress(header, bytes, out);
            return Duty::None;
        }
        let key = key_of(response.watch_id);
        let Some(watcher) = self.watchers.get_mut(&key) else {
            return Duty::None;
        };
        if watcher.wire_id != response.watch_id {
            return Duty::None;
        }
        if response.canceled {
            if response.compact_revision != 0 {
                // etcd holds on to a watch that a compaction has ended, and answers no question for
                // progress on the stream until the id is cancelled.
                cancel(response.watch_id, out);
            }
            return self.cancelled(key, &response);
        }
        if watcher.phase != Phase::Live {
            return Duty::None;
        }
        let after = watcher.receive(header, response, bytes);
        self.after(key, after, out);
        Duty::None
    }

    /// The store is at revision `now`, says a read that began when `seen` had been seen. What was
    /// seen since then may well be newer than what the read saw.
    pub(super) fn store_is_at(&mut self, now: Revision, seen: Revision) {
        if now < seen {
            self.end_all(&WatchEnd::WentBackwards { seen, now });
        }
    }

    /// Ends the watches that the server never accepted, or all, because it will accept none.
    pub(super) fn refuse(&mut self, error: Error, even_confirmed: bool) {
        let denied = [ErrorKind::PermissionDenied, ErrorKind::AuthFailed];
        let end = match denied.contains(&error.kind()) {
            true => WatchEnd::PermissionDenied,
            false => WatchEnd::Refused,
        };
        let error = Arc::new(error);
        self.watchers.retain(|_, watcher| {
            let ends = even_confirmed || !watcher.is_confirmed();
            if ends {
                let why = WatchError::new(end.clone(), watcher.reached());
                watcher.end_with(why.with_source(Some(Arc::clone(&error))));
            }
            !ends
        });
    }

    /// Ends a watch.
    pub(super) fn end(&mut self, key: Key, end: WatchEnd) {
        if let Some(watcher) = self.watchers.remove(&key) {
            watcher.end(end);
        }
    }

    pub(super) fn end_all(&mut self, end: &WatchEnd) {
        self.remove_if(|_| true, end);
    }

    fn create(&mut self, key: Key, out: &mut BytesMut) {
        let Some(watcher) = self.watchers.get_mut(&key) else {
            return;
        };
        // Positive and never used before on this stream; small as long as little is re-created.
        let wire_id = ((self.incarnations & 0x3fff_ffff) << 32) | i64::from(key);
        if watcher.wire_id == wire_id {
            self.incarnations += 1;
            return self.create(key, out);
        }
        self.creating.push_back(wire_id);
        if watcher.is_confirmed() {
            observe::watch_resumed(watcher.next);
        }
        request(
            RequestUnion::CreateRequest(watcher.create(wire_id, self.questions)),
            out,
        );
    }

    fn created(&mut self, header: Header, response: &WatchResponse) -> Duty {
        // A refusal may come with the id -1. Since answers are in order, it is for the first.
        let place = match response.watch_id {
            NO_ID => Some(0),
            id => self.creating.iter().position(|creating| *creating == id),
        };
        let Some(wire_id) = place.and_then(|place| self.creating.remove(place)) else {
            return Duty::None;
        };
        let key = key_of(wire_id);
        let Some(watcher) = self.watchers.get_mut(&key) else {
            return Duty::None;
        };
        if response.canceled {
            return self.cancelled(key, response);
        }
        // One that is leaving has been told so, and the answer to that follows.
        if watcher.phase == Phase::Creating {
            watcher.phase = Phase::Live;
            watcher.confirm(header);
        }
        Duty::None
    }

    fn cancelled(&mut self, key: Key, response: &WatchResponse) -> Duty {
        match self.watchers.get(&key).map(|watcher| watcher.phase) {
            // The answer to our own request. A paused watch stays.
            None | Some(Phase::Paused) => {}
            Some(Phase::Leaving) => self.end(key, WatchEnd::Closed),
            Some(_) => match refusal(response) {
                (end, Some(refusal)) => return Duty::BlameToken { refusal, key, end },
                (end, None) => self.end(key, end),
            },
        }
        Duty::None
    }

    fn progress(&mut self, header: Header, bytes: usize, out: &mut BytesMut) {
        self.questions = self.questions.saturating_sub(1);
        for key in self.keys_where(|watcher| watcher.phase == Phase::Live) {
            let watcher = self.watchers.get_mut(&key);
            if watcher.is_some_and(|watcher| watcher.is_meant_by_promise_of(header.revision)) {
                self.progress_of(key, header, bytes, out);
            }
        }
        self.note_who_waits();
    }

    /// Tells one watch how far it has come, and its program if that has asked.
    fn progress_of(&mut self, key: Key, header: Header, bytes: usize, out: &mut BytesMut) {
        if let Some(watcher) = self.watchers.get_mut(&key) {
            let tell = std::mem::take(&mut watcher.wants_progress);
            let after = watcher.progress(header, tell, bytes);
            self.after(key, after, out);
        }
    }

    /// Those that could not be told go on waiting.
    fn note_who_waits(&mut self) {
        self.is_progress_wanted = self.watchers.values().any(|watcher| watcher.wants_progress);
    }

    fn keys_where(&self, fits: impl Fn(&Watcher) -> bool) -> Vec<Key> {
        let fits = |(key, watcher): (&Key, &Watcher)| fits(watcher).then_some(*key);
        self.watchers.iter().filter_map(fits).collect()
    }

    fn after(&mut self, key: Key, after: After, out: &mut BytesMut) {
        match after {
            // Nearly every message, which needs no second look for its watch.
            After::GoesOn => {}
            After::Pauses => {
                if let Some(watcher) = self.watchers.get_mut(&key) {
                    watcher.phase = Phase::Paused;
                    observe::watch_paused(watcher.reached());
                    cancel(watcher.wire_id, out);
                }
            }
            After::Overflows => {
                if let Some(watcher) = self.watchers.remove(&key) {
                    cancel(watcher.wire_id, out);
                }
            }
        }
    }

    fn remove_if(&mut self, ends: impl Fn(&Watcher) -> bool, end: &WatchEnd) {
        self.watchers.retain(|_, watcher| {
            let ends = ends(watcher);
            if ends {
                watcher.end(end.clone());
            }
            !ends
        });
    }
}

impl Drop for Session {
    /// Nobody will drive the watches any more, so none must wait for ever.
    fn drop(&mut self) {
        self.end_all(&WatchEnd::Closed);
    }
}

fn key_of(wire_id: i64) -> Key {
    (wire_id & i64::from(u32::MAX)) as Key
}

fn cancel(watch_id: i64, out: &mut BytesMut) {
    request(
        RequestUnion::CancelRequest(WatchCancelRequest { watch_id }),
        out,
    );
}

fn request(request: RequestUnion, out: &mut BytesMut) {
    let request = WatchRequest {
        request_union: Some(request),
    };
    wire::append(out, &request);
}

#[cfg(test)]
mod tests;
