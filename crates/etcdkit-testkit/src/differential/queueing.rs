//! Calls that wait in queues: locks, campaigns, and streams of leaders.
//!
//! The queue is the keys below a name, so the history of the store tells who has to wait, and after each
//! operation those who need not wait any longer are waited for. So all have ended that can when the
//! next operation is sent.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use etcdkit_proto::{
    mvccpb::KeyValue,
    v3electionpb::{LeaderRequest, election_client::ElectionClient},
    v3lockpb::lock_client::LockClient,
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tonic::{Request, Status, metadata::AsciiMetadataValue, transport::Channel};

use super::{
    calls::{Answer, with_token},
    history::History,
    operation::{QueueAnswer, QueueCall},
    outcome::Outcome,
    pipe::PATIENCE,
    watching::Watching,
};

/// How often the history is looked at while a call joins its queue.
const POLL: Duration = Duration::from_millis(1);

/// The calls of one server that wait.
#[derive(Debug)]
pub(super) struct Queueing {
    channel: Channel,
    slots: BTreeMap<usize, Slot>,
}

#[derive(Debug)]
enum Slot {
    Turn(Turn),
    Leaders(Leaders),
}

/// A call that waits for its turn. Dropping it cancels the call.
#[derive(Debug)]
struct Turn {
    prefix: Vec<u8>,
    /// The revision that created its key.
    joined: i64,
    call: JoinSet<Outcome>,
    outcome: Option<Outcome>,
}

/// A stream of leaders. Dropping it cancels the call.
#[derive(Debug)]
struct Leaders {
    prefix: Vec<u8>,
    values: mpsc::UnboundedReceiver<Result<KeyValue, Status>>,
    last: Option<KeyValue>,
    /// What was not handed out yet.
    unseen: Vec<KeyValue>,
    ended: Option<Status>,
    _reader: JoinSet<()>,
}

impl Queueing {
    pub(super) fn new(channel: &Channel) -> Self {
        Self {
            channel: channel.clone(),
            slots: BTreeMap::new(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes a step. A slot that is in use stays so.
    pub(super) async fn apply(
        &mut self,
        call: &QueueCall,
        token: Option<AsciiMetadataValue>,
        watching: &mut Watching,
    ) -> Result<Outcome, String> {
        let (QueueCall::Lock { slot, .. }
        | QueueCall::Campaign { slot, .. }
        | QueueCall::Observe { slot, .. }
        | QueueCall::Collect { slot }
        | QueueCall::GiveUp { slot }) = call;
        let in_use = self.slots.contains_key(slot);
        match call {
            QueueCall::Collect { .. } => return Ok(self.collect(*slot)),
            QueueCall::GiveUp { .. } => return self.give_up(*slot, watching).await,
            _ if in_use => {}
            QueueCall::Lock { request, .. } => {
                let mut locks = LockClient::new(self.channel.clone());
                let (name, lease) = (request.name.clone(), request.lease);
                let request = with_token(request.clone(), token);
                let call = async move { outcome(locks.lock(request).await, QueueAnswer::Locked) };
                let turn = Turn::start(&name, lease, call, watching).await?;
                self.slots.insert(*slot, Slot::Turn(turn));
            }
            QueueCall::Campaign { request, .. } => {
                let mut elections = ElectionClient::new(self.channel.clone());
                let (name, lease) = (request.name.clone(), request.lease);
                let request = with_token(request.clone(), token);
                let call =
                    async move { outcome(elections.campaign(request).await, QueueAnswer::Elected) };
                let turn = Turn::start(&name, lease, call, watching).await?;
                self.slots.insert(*slot, Slot::Turn(turn));
            }
            QueueCall::Observe { name, .. } => {
                let request = with_token(LeaderRequest { name: name.clone() }, token);
                let leaders = Leaders::start(&self.channel, name, request);
                self.slots.insert(*slot, Slot::Leaders(leaders));
            }
        }
        Ok(queued(QueueAnswer::Waiting))
    }

    fn collect(&mut self, slot: usize) -> Outcome {
        let Some(waiting) = self.slots.get_mut(&slot) else {
            return queued(QueueAnswer::Nothing);
        };
        let (outcome, over) = match waiting {
            Slot::Turn(turn) => match turn.outcome.take() {
                Some(outcome) => (outcome, true),
                None => (queued(QueueAnswer::Waiting), false),
            },
            Slot::Leaders(leaders) => match &leaders.ended {
                Some(status) if leaders.unseen.is_empty() => (Outcome::refused(status), true),
                _ => {
                    let values = std::mem::take(&mut leaders.unseen);
                    (queued(QueueAnswer::Observed(values)), false)
                }
            },
        };
        if over {
            self.slots.remove(&slot);
        }
        outcome
    }

    /// Cancels a call, and waits until its key is gone. A call whose key is gone already stays: what a
    /// server does for it then cannot be seen.
    async fn give_up(&mut self, slot: usize, watching: &mut Watching) -> Result<Outcome, String> {
        if let Some(Slot::Turn(turn)) = self.slots.get(&slot)
            && turn.outcome.is_none()
        {
            let (prefix, joined) = (turn.prefix.clone(), turn.joined);
            let has_key = |history: &History| {
                let queue = history.queue(&prefix);
                queue.iter().any(|kv| kv.create_revision == joined)
            };
            if !has_key(watching.history().await?) {
                return Ok(queued(QueueAnswer::Waiting));
            }
            self.slots.remove(&slot);
            let start = Instant::now();
            while has_key(watching.history_within(POLL).await?) {
                if start.elapsed() > PATIENCE {
                    return Err("the key of a call that was given up stays".to_owned());
                }
            }
        } else {
            self.slots.remove(&slot);
        }
        Ok(queued(QueueAnswer::Nothing))
    }

    /// Waits for every call that need not wait any longer.
    pub(super) async fn settle(&mut self, history: &History) -> Result<(), String> {
        for (slot, waiting) in &mut self.slots {
            let settled = match waiting {
                Slot::Turn(turn) => turn.settle(history).await,
                Slot::Leaders(leaders) => leaders.settle(history).await,
            };
            settled.map_err(|late| format!("the call in slot {slot}: {late}"))?;
        }
        Ok(())
    }
}

impl Turn {
    /// Starts a call, and waits until it has ended or waits itself.
    async fn start(
        name: &[u8],
        lease: i64,
        call: impl Future<Output = Outcome> + Send + 'static,
        watching: &mut Watching,
    ) -> Result<Self, String> {
        let prefix = [name, b"/"].concat();
        let sign = if lease < 0 { "-" } else { "" };
        let key = format!("{sign}{:x}", lease.unsigned_abs());
        let key = [&prefix, key.as_bytes()].concat();
        let mut turn = Self {
            prefix,
            joined: 0,
            call: JoinSet::new(),
            outcome: None,
        };
        turn.call.spawn(call);
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(Some(ended)) = timeout(POLL, turn.call.join_next()).await {
                let outcome = ended.map_err(|error| error.to_string())?;
                watching.has_reached(outcome.revision());
                turn.outcome = Some(outcome);
                return Ok(turn);
            }
            let queue = watching.history_within(POLL).await?.queue(&turn.prefix);
            let at = queue.iter().position(|kv| kv.key == key);
            if let Some(at) = at
                && at > 0
            {
                turn.joined = queue[at].create_revision;
                return Ok(turn);
            }
        }
        Err("a call neither ends nor joins its queue".to_owned())
    }

    async fn settle(&mut self, history: &History) -> Result<(), String> {
        let queue = history.queue(&self.prefix);
        let waits = queue.iter().any(|kv| kv.create_revision < self.joined);
        if self.outcome.is_some() || waits {
            return Ok(());
        }
        match timeout(PATIENCE, self.call.join_next()).await {
            Ok(Some(Ok(outcome))) => self.outcome = Some(outcome),
            Ok(_) => return Err("it was lost".to_owned()),
            Err(_) => return Err("it is its turn, but it does not end".to_owned()),
        }
        Ok(())
    }
}

impl Leaders {
    fn start(channel: &Channel, name: &Bytes, request: Request<LeaderRequest>) -> Self {
        let (sender, values) = mpsc::unbounded_channel();
        let mut elections = ElectionClient::new(channel.clone());
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let ended = match elections.observe(request).await {
                Ok(response) => {
                    let mut responses = response.into_inner();
                    loop {
                        match responses.message().await {
                            Ok(Some(response)) => {
                                // What the header says depends on when the server looked.
                                if sender.send(Ok(response.kv.unwrap_or_default())).is_err() {
                                    return;
                                }
                            }
                            Ok(None) => break Status::ok("the stream has ended"),
                            Err(status) => break status,
                        }
                    }
                }
                Err(status) => status,
            };
            // Nobody who listens any more is no error.
            let _ = sender.send(Err(ended));
        });
        Self {
            prefix: [name, &b"/"[..]].concat(),
            values,
            last: None,
            unseen: Vec::new(),
            ended: None,
            _reader: reader,
        }
    }

    async fn settle(&mut self, history: &History) -> Result<(), String> {
        let queue = history.queue(&self.prefix);
        let Some(leader) = queue.first() else {
            return Ok(());
        };
        while self.ended.is_none() && self.last.as_ref() != Some(*leader) {
            match timeout(PATIENCE, self.values.recv()).await {
                Ok(Some(Ok(value))) => {
                    self.unseen.push(value.clone());
                    self.last = Some(value);
                }
                Ok(Some(Err(status))) => self.ended = Some(status),
                Ok(None) => return Err("it was lost".to_owned()),
                Err(_) => return Err(format!("nothing is said of the leader {leader:?}")),
            }
        }
        Ok(())
    }
}

fn queued(answer: QueueAnswer) -> Outcome {
    Outcome::Answered(Answer::Queue(answer))
}

fn outcome<R>(result: Result<tonic::Response<R>, Status>, wrap: fn(R) -> QueueAnswer) -> Outcome {
    match result {
        Ok(response) => queued(wrap(response.into_inner())),
        Err(status) => Outcome::refused(&status),
    }
}
