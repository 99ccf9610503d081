//! Streams of watches, and knowing when each of them has all that it must get.
//!
//! An always open watch of all keys tells the history of the store. From it follows how many events
//! any other watch has to get, so waiting for them is waiting for a condition. Everything that could
//! overtake a watch (a compaction, a cancellation) waits for that first; the servers could
//! otherwise be right and differ.

mod stream;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use etcdkit_proto::etcdserverpb::WatchCreateRequest;
use tonic::{metadata::AsciiMetadataValue, transport::Channel};

use self::stream::Stream;

use super::{
    calls::Answer,
    history::History,
    host::BoxError,
    operation::WatchCall,
    outcome::Outcome,
    pipe::{Pipe, Received},
};
use crate::etcd::Version;

/// The watches of one server.
#[derive(Debug)]
pub(super) struct Watching {
    channel: Channel,
    version: Version,
    /// The always open watch.
    all: Pipe,
    history: History,
    /// The newest revision that an answer spoke of.
    reached: i64,
    streams: BTreeMap<usize, Stream>,
}

impl Watching {
    /// Opens the watch of all keys. The store must be empty, and need no token yet.
    pub(super) async fn start(channel: &Channel, version: Version) -> Result<Self, BoxError> {
        let mut all = Pipe::open(channel, None);
        all.create(everything(1));
        let created = all.next().await??;
        if !created.created || created.canceled {
            return Err("the watch of all keys was refused".into());
        }
        Ok(Self {
            channel: channel.clone(),
            version,
            all,
            history: History::new(version < Version::new(3, 5, 16)),
            reached: 1,
            streams: BTreeMap::new(),
        })
    }

    /// Takes note of a revision that the store has.
    pub(super) fn has_reached(&mut self, revision: i64) {
        self.reached = self.reached.max(revision);
    }

    /// Takes note of a compaction.
    pub(super) fn has_compacted(&mut self, revision: i64) {
        self.history.compact(revision);
    }

    /// Every change up to the newest revision known.
    pub(super) async fn history(&mut self) -> Result<&History, String> {
        while self.history.revision() < self.reached {
            let received = self.all.next().await;
            let received = received.map_err(|late| format!("revision {}: {late}", self.reached))?;
            self.take(received)?;
        }
        Ok(&self.history)
    }

    /// The same, and what else happens within a time.
    pub(super) async fn history_within(&mut self, time: Duration) -> Result<&History, String> {
        if let Some(received) = self.all.next_within(time).await {
            self.take(received)?;
        }
        self.history().await
    }

    fn take(&mut self, received: Received) -> Result<(), String> {
        let response = received.map_err(|status| format!("the watch of all keys: {status}"))?;
        if response.canceled {
            return Err("the watch of all keys was cancelled".to_owned());
        }
        for event in response.events {
            self.history.take(event);
        }
        Ok(())
    }

    /// Waits until every watch has all that it must get, and has caught up. The token is for a watch
    /// that finds that out.
    pub(super) async fn settle_all(
        &mut self,
        token: Option<AsciiMetadataValue>,
    ) -> Result<(), String> {
        self.history().await?;
        for stream in self.streams.values_mut() {
            stream.settle(&self.history).await?;
        }
        if self.streams.values().any(Stream::may_be_behind) {
            self.catch_up(token).await?;
        }
        Ok(())
    }

    /// Waits until watches without events have caught up too. etcd lets all watches catch up
    /// together, so one that is opened now and has events tells of them all. It is opened for
    /// whoever is about to compact; who may not watch may not compact either.
    async fn catch_up(&mut self, token: Option<AsciiMetadataValue>) -> Result<(), String> {
        let request = everything(self.history.revision());
        if self.history.count(&self.history.wanted(&request)) == 0 {
            return Ok(());
        }
        let mut probe = Pipe::open(&self.channel, token);
        probe.create(request);
        loop {
            match probe.next().await? {
                Ok(response) if response.canceled => return Ok(()),
                Ok(response) if response.events.is_empty() => {}
                Ok(_) => break,
                Err(_) => return Ok(()),
            }
        }
        self.streams.values_mut().for_each(Stream::has_caught_up);
        Ok(())
    }

    /// Takes a step with a stream.
    pub(super) async fn apply(
        &mut self,
        call: &WatchCall,
        token: Option<AsciiMetadataValue>,
    ) -> Result<Outcome, String> {
        self.history().await?;
        let history = &self.history;
        let stream = match self.streams.entry(call.stream()) {
            Entry::Occupied(stream) => stream.into_mut(),
            Entry::Vacant(entry) => entry.insert(Stream::new(Pipe::open(&self.channel, token))),
        };
        let answer = match call {
            WatchCall::Create { request, .. } => stream.create(request, history).await?,
            WatchCall::Cancel { watch_id, .. } => stream.cancel(*watch_id, history).await?,
            WatchCall::Progress { .. } => {
                let always = self.version < Version::new(3, 5, 0);
                stream.progress(history, always).await?
            }
            WatchCall::Drain { .. } => stream.drain(history).await?,
            WatchCall::Close { stream: index } => {
                let answer = stream.drain(history).await?;
                self.streams.remove(index);
                answer
            }
        };
        Ok(Outcome::Answered(Answer::Watch(answer)))
    }
}

fn everything(start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        key: "\0".into(),
        range_end: "\0".into(),
        start_revision,
        ..Default::default()
    }
}
