//! One stream, and what its watches have.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use etcdkit_proto::{
    etcdserverpb::{WatchCreateRequest, WatchResponse},
    mvccpb::Event,
};
use tonic::Status;

use crate::differential::{
    history::{History, Wanted},
    operation::WatchAnswer,
    pipe::{PATIENCE, Pipe},
};

/// After how long a progress request without an answer is sent again: etcd does not answer it while
/// a watch catches up, and does not say so.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// A stream of watches.
#[derive(Debug)]
pub(super) struct Stream {
    pipe: Pipe,
    watches: BTreeMap<i64, Watched>,
    /// Messages that nothing called for.
    unasked: Vec<WatchResponse>,
    /// How many answers may still come to progress requests that were sent again.
    asked_again: usize,
    ended: Option<Status>,
}

#[derive(Debug)]
struct Watched {
    wanted: Wanted,
    start_revision: i64,
    /// Whether it starts below the compacted revision, and has to be cancelled by the server.
    lost: bool,
    /// Whether it had to catch up when it was made, and was not seen to have done so.
    behind: bool,
    received: usize,
    /// What was not handed out yet.
    events: Vec<Event>,
    canceled: Option<WatchResponse>,
    handed_out_cancellation: bool,
}

impl Stream {
    pub(super) fn new(pipe: Pipe) -> Self {
        Self {
            pipe,
            watches: BTreeMap::new(),
            unasked: Vec::new(),
            asked_again: 0,
            ended: None,
        }
    }

    /// Whether a watch had to catch up, and nothing has shown that it has.
    pub(super) fn may_be_behind(&self) -> bool {
        let mut watches = self.watches.values();
        watches.any(|watched| watched.behind && watched.received == 0)
    }

    /// Takes note that every watch has caught up.
    pub(super) fn has_caught_up(&mut self) {
        for watched in self.watches.values_mut() {
            watched.behind = false;
        }
    }

    pub(super) async fn create(
        &mut self,
        request: &WatchCreateRequest,
        history: &History,
    ) -> Result<WatchAnswer, String> {
        self.pipe.create(request.clone());
        let Some(response) = self.until(|response| response.created).await? else {
            return Ok(self.ended());
        };
        if !response.canceled {
            let wanted = history.wanted(request);
            let watched = Watched {
                lost: wanted.from < history.compacted(),
                behind: request.start_revision != 0 && wanted.from <= history.revision(),
                wanted,
                start_revision: request.start_revision,
                received: 0,
                events: Vec::new(),
                canceled: None,
                handed_out_cancellation: false,
            };
            self.watches.insert(response.watch_id, watched);
        }
        Ok(WatchAnswer::Message(response))
    }

    pub(super) async fn cancel(
        &mut self,
        watch_id: i64,
        history: &History,
    ) -> Result<WatchAnswer, String> {
        self.settle(history).await?;
        self.pipe.cancel(watch_id);
        if self.watches.remove(&watch_id).is_none() {
            return Ok(WatchAnswer::Nothing);
        }
        let canceled =
            |response: &WatchResponse| response.canceled && response.watch_id == watch_id;
        Ok(match self.until(canceled).await? {
            Some(response) => WatchAnswer::Message(response),
            None => self.ended(),
        })
    }

    /// Asks for the progress. It has to be answered when there is a watch, and none that was
    /// cancelled or starts in the future; 3.4 answers always.
    pub(super) async fn progress(
        &mut self,
        history: &History,
        always: bool,
    ) -> Result<WatchAnswer, String> {
        self.settle(history).await?;
        if self.ended.is_some() {
            return Ok(self.ended());
        }
        let called_for = !self.watches.is_empty()
            && self.watches.values().all(|watched| {
                watched.canceled.is_none() && watched.start_revision <= history.revision()
            });
        self.pipe.ask_progress();
        if !called_for && !always {
            return self.refusal().await;
        }
        let tells_all = |response: &WatchResponse| {
            let header = response.header.unwrap_or_default();
            header.revision >= history.revision()
        };
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.pipe.next_within(ASK_AGAIN).await {
                // An answer to an earlier request may come late.
                Some(Ok(response)) if is_progress(&response) && tells_all(&response) => {
                    return Ok(WatchAnswer::Message(response));
                }
                Some(Ok(response)) => self.sort(response),
                Some(Err(status)) => {
                    self.ended = Some(status);
                    return Ok(self.ended());
                }
                None => {
                    self.pipe.ask_progress();
                    self.asked_again += 1;
                }
            }
        }
        Err("no answer to a progress request".to_owned())
    }

    /// Makes sure that a request sent before was seen, by one that is refused.
    async fn refusal(&mut self) -> Result<WatchAnswer, String> {
        self.pipe.create(WatchCreateRequest {
            key: "b".into(),
            range_end: "a".into(),
            ..Default::default()
        });
        Ok(match self.until(|response| response.created).await? {
            Some(_) => WatchAnswer::Nothing,
            None => self.ended(),
        })
    }

    pub(super) async fn drain(&mut self, history: &History) -> Result<WatchAnswer, String> {
        self.settle(history).await?;
        if self.ended.is_some() {
            return Ok(self.ended());
        }
        let mut events = BTreeMap::new();
        let mut canceled = BTreeMap::new();
        for (id, watched) in &mut self.watches {
            if !watched.events.is_empty() {
                events.insert(*id, std::mem::take(&mut watched.events));
            }
            if let Some(response) = &watched.canceled
                && !watched.handed_out_cancellation
            {
                watched.handed_out_cancellation = true;
                canceled.insert(*id, response.clone());
            }
        }
        Ok(WatchAnswer::Drained {
            events,
            canceled,
            unasked: std::mem::take(&mut self.unasked),
        })
    }

    /// Waits until every watch has all that it must get.
    pub(super) async fn settle(&mut self, history: &History) -> Result<(), String> {
        while self.ended.is_none()
            && let Some((id, watched)) = self
                .watches
                .iter()
                .find(|(_, watched)| !watched.is_complete(history))
        {
            let missing = format!("watch {id}, from {}", watched.wanted.from);
            match self.pipe.next().await {
                Ok(Ok(response)) => self.sort(response),
                Ok(Err(status)) => self.ended = Some(status),
                Err(late) => return Err(format!("{missing}: {late}")),
            }
        }
        Ok(())
    }

    /// Waits for a message, and takes what comes before it. Returns `None` if the stream ends.
    async fn until(
        &mut self,
        is_it: impl Fn(&WatchResponse) -> bool,
    ) -> Result<Option<WatchResponse>, String> {
        while self.ended.is_none() {
            match self.pipe.next().await? {
                Ok(response) if is_it(&response) => return Ok(Some(response)),
                Ok(response) => self.sort(response),
                Err(status) => self.ended = Some(status),
            }
        }
        Ok(None)
    }

    fn ended(&self) -> WatchAnswer {
        let status = self.ended.clone().unwrap_or_else(|| Status::ok(""));
        WatchAnswer::Ended {
            code: status.code(),
            text: status.message().to_owned(),
        }
    }

    fn sort(&mut self, mut response: WatchResponse) {
        if let Some(header) = &mut response.header {
            header.raft_term = 0;
        }
        if is_progress(&response)
            && let Some(left) = self.asked_again.checked_sub(1)
        {
            self.asked_again = left;
            return;
        }
        match self.watches.get_mut(&response.watch_id) {
            Some(watched) if response.canceled => watched.canceled = Some(response),
            Some(watched) if !is_progress(&response) => {
                watched.received += response.events.len();
                watched.events.extend(response.events);
            }
            _ => self.unasked.push(response),
        }
    }
}

impl Watched {
    fn is_complete(&self, history: &History) -> bool {
        self.canceled.is_some() || (!self.lost && self.received >= history.count(&self.wanted))
    }
}

fn is_progress(response: &WatchResponse) -> bool {
    !response.created && !response.canceled && response.events.is_empty()
}
