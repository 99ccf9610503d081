//! What comes back, in a comparable form.

use etcdkit_proto::etcdserverpb::{TxnResponse, response_op::Response};
use tonic::{Code, Status};

use super::{calls::Answer, operation::WatchAnswer};

/// What a server does with an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It answers.
    Answered(Answer),
    /// It refuses.
    Refused {
        /// With this code.
        code: Code,
        /// And this text.
        text: String,
    },
    /// It does not do in time what it must do. Never right, also when both servers do it.
    Late(String),
}

impl Outcome {
    /// The same without what differs between any two servers.
    pub(super) fn comparable(mut self) -> Self {
        if let Self::Answered(answer) = &mut self {
            leave_out_chance(answer);
        }
        self
    }

    pub(super) fn refused(status: &Status) -> Self {
        Self::Refused {
            code: status.code(),
            text: status.message().to_owned(),
        }
    }

    /// The answer, if it is one.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Refused { .. } | Self::Late(_) => None,
        }
    }

    /// Whether it is the refusal with this text.
    pub(super) fn is_refused(&self, expected: &str) -> bool {
        matches!(self, Self::Refused { text, .. } if text == expected)
    }

    /// The store's revision after the operation; 0 if the server does not say.
    pub(super) fn revision(&self) -> i64 {
        let mut answer = self.answer().cloned();
        let header = answer.as_mut().and_then(Answer::header_mut);
        header.map_or(0, |header| header.revision)
    }

    /// How many answers there are, those of a transaction's operations and events of watches
    /// included.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Answered(Answer::Txn(response)) => 1 + count_nested(response),
            Self::Answered(Answer::Watch(WatchAnswer::Drained { events, .. })) => {
                1 + events.values().map(Vec::len).sum::<usize>()
            }
            _ => 1,
        }
    }
}

fn count_nested(response: &TxnResponse) -> usize {
    let nested = response.responses.iter().map(|op| match &op.response {
        Some(Response::ResponseTxn(txn)) => 1 + count_nested(txn),
        _ => 1,
    });
    nested.sum()
}

/// Clears what differs between any two servers, or two runs of one: secrets made at random, times,
/// sizes of files, positions in logs.
fn leave_out_chance(answer: &mut Answer) {
    if let Some(header) = answer.header_mut() {
        // It rises when a busy machine makes a member elect itself again.
        header.raft_term = 0;
    }
    match answer {
        Answer::Authenticate(response) if !response.token.is_empty() => {
            response.token = "…".to_owned();
        }
        Answer::LeaseTimeToLive(response) => {
            // What is left depends on the moment of asking, and the order on nothing.
            response.ttl = response.ttl.min(0);
            response.keys.sort_unstable();
        }
        Answer::Status(response) => {
            response.db_size = 0;
            response.db_size_in_use = 0;
            response.raft_index = 0;
            response.raft_applied_index = 0;
            response.raft_term = 0;
            // 3.6 raises it to its own some seconds after its first start.
            response.storage_version.clear();
            response.errors.sort_unstable();
        }
        // etcd has them in a map.
        Answer::Alarm(response) => {
            response
                .alarms
                .sort_unstable_by_key(|alarm| (alarm.alarm, alarm.member_id));
        }
        Answer::Hash(response) => response.hash = 0,
        _ => {}
    }
}
