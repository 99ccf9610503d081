//! The store, as transactions in memory ask it.

use std::{fmt, future::IntoFuture};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::memory::{Condition, Found, Plan, Source, Write};
use crate::{
    Client, Compare, Error, ErrorKind, KeyRange, Op, OpResponse, Outcome, Result, Revision,
    sync::answer::misshapen,
};

/// Where to ask, until when, and what must hold for every commit.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) client: Client,
    pub(super) deadline: Option<Instant>,
    pub(super) fence: Option<Compare>,
}

/// What became of a commit.
pub(super) enum Answer {
    Done(Revision),
    /// A condition did not hold. The store was at this revision, and this is what the plan's reads and
    /// marks found.
    Lost(Revision, Vec<Found>),
    /// The fence did not hold.
    NotHeld,
}

impl Store {
    /// Reads keys, all at one revision, which is the newest one of the store unless `source` says so.
    pub(super) async fn read(
        &self,
        source: Source,
        keys: &[Bytes],
    ) -> Result<(Revision, Vec<Found>)> {
        match self.read_once(source, source != Source::Newest, keys).await {
            // The member is behind. One that the cluster agrees with catches up before it answers.
            Err(error) if error.kind() == ErrorKind::FutureRevision => {
                self.read_once(source, false, keys).await
            }
            answer => answer,
        }
    }

    async fn read_once(
        &self,
        source: Source,
        locally: bool,
        keys: &[Bytes],
    ) -> Result<(Revision, Vec<Found>)> {
        let revision = match source {
            Source::At(revision) => revision,
            Source::Newest | Source::AnyMember => 0,
        };
        if let [key] = keys {
            let range = self.client.range(KeyRange::key(key)).revision(revision);
            let range = match locally {
                true => range.serializable(),
                false => range.linearizable(),
            };
            let answer = self.within(range, Outcome::NotApplied).await?;
            return Ok((answer.header.revision, vec![answer.kvs.into_iter().next()]));
        }
        let gets = keys.iter().map(|key| {
            let get = Op::get(key).revision(revision);
            match locally {
                true => get.serializable(),
                false => get,
            }
        });
        let txn = self.client.txn().then(gets);
        let answer = self.within(txn, Outcome::NotApplied).await?;
        Ok((answer.header.revision, found(answer.responses, keys.len())?))
    }

    /// Commits, or tells what stands against it.
    pub(super) async fn commit(&self, plan: &Plan) -> Result<Answer> {
        let when = plan.conditions.iter().map(Compare::from);
        let then = plan.writes.iter().map(Op::from);
        let reads = plan.reads.iter().map(Op::get);
        let marks = plan.marks.iter().map(|key| Op::get(key).keys_only());
        let or_else = reads.chain(marks);
        let txn = match &self.fence {
            None => self.client.txn().when(when).then(then).or_else(or_else),
            // Inside of another, so that a fence that does not hold is told from a conflict.
            Some(fence) => {
                let inner = Op::txn(when, then, or_else);
                self.client.txn().when([fence.clone()]).then([inner])
            }
        };
        let answer = self.within(txn, Outcome::Unknown).await?;
        let revision = answer.header.revision;
        let (succeeded, responses) = match &self.fence {
            None => (answer.succeeded, answer.responses),
            Some(_) if !answer.succeeded => return Ok(Answer::NotHeld),
            Some(_) => match answer.responses.into_iter().next() {
                Some(OpResponse::Txn(inner)) => (inner.succeeded, inner.responses),
                _ => return Err(misshapen().with_operation("stm")),
            },
        };
        if succeeded {
            return Ok(Answer::Done(revision));
        }
        let asked = plan.reads.len() + plan.marks.len();
        Ok(Answer::Lost(revision, found(responses, asked)?))
    }

    /// Waits for a request until the deadline; `outcome` is what is known of it then.
    async fn within<T>(
        &self,
        request: impl IntoFuture<Output = Result<T>>,
        outcome: Outcome,
    ) -> Result<T> {
        let Some(deadline) = self.deadline else {
            return request.await;
        };
        // A request is sent when it is first polled, which must not happen after the deadline.
        if Instant::now() >= deadline {
            return Err(out_of_time(Outcome::NotApplied));
        }
        match timeout_at(deadline, request.into_future()).await {
            Ok(answer) => answer,
            Err(_) => Err(out_of_time(outcome)),
        }
    }
}

fn out_of_time(outcome: Outcome) -> Error {
    let message = "the time that the transaction was given is up";
    Error::new(ErrorKind::Timeout, message)
        .with_outcome(outcome)
        .with_operation("stm")
}

/// The answers to that many reads.
fn found(responses: Vec<OpResponse>, asked: usize) -> Result<Vec<Found>> {
    let found: Vec<_> = responses
        .into_iter()
        .filter_map(|response| match response {
            OpResponse::Range(range) => Some(range.kvs.into_iter().next()),
            _ => None,
        })
        .collect();
    match found.len() == asked {
        true => Ok(found),
        false => Err(misshapen().with_operation("stm")),
    }
}

impl From<&Condition> for Compare {
    fn from(condition: &Condition) -> Self {
        match condition {
            Condition::Unchanged { key, since } => {
                Self::mod_revision(KeyRange::key(key)).eq(*since)
            }
            Condition::NotPutAfter { key, revision } => {
                Self::mod_revision(KeyRange::key(key)).lt(revision.saturating_add(1))
            }
        }
    }
}

impl From<&(Bytes, Write)> for Op {
    fn from((key, write): &(Bytes, Write)) -> Self {
        match write {
            Write::Put { value, lease: None } => Self::put(key, value),
            Write::Put {
                value,
                lease: Some(lease),
            } => Self::put(key, value).lease(*lease),
            Write::Delete => Self::delete(KeyRange::key(key)),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("client", &self.client)
            .field("deadline", &self.deadline)
            .field("is_fenced", &self.fence.is_some())
            .finish()
    }
}
