//! What is sent.

use std::collections::BTreeMap;

use etcdkit_proto::{
    etcdserverpb::{ResponseHeader, WatchCreateRequest, WatchResponse},
    mvccpb::{Event, KeyValue},
    v3electionpb::{CampaignRequest, CampaignResponse},
    v3lockpb::{LockRequest, LockResponse},
};
use tonic::Code;

use super::calls::Call;

/// One step: a call, and who makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Who makes it.
    pub caller: Caller,
    /// What is sent.
    pub call: Call,
}

impl From<Call> for Operation {
    fn from(call: Call) -> Self {
        Self {
            caller: Caller::Nobody,
            call,
        }
    }
}

/// Whose token a call shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// No token.
    Nobody,
    /// A token that no server gave out.
    Stranger,
    /// The token that a user got at some login; one that no server gave out if the user has not
    /// logged in as often.
    User {
        /// The user.
        name: &'static str,
        /// How many logins ago: 0 for the last one.
        logins_ago: usize,
    },
}

/// A step in the life of a stream of watches. Streams are opened by their first request, with the
/// token of its caller.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchCall {
    /// Asks for a watch and waits for the answer.
    Create {
        /// Which stream.
        stream: usize,
        /// The request.
        request: WatchCreateRequest,
    },
    /// Cancels a watch and waits for the answer, if there has to be one.
    Cancel {
        /// Which stream.
        stream: usize,
        /// Which watch.
        watch_id: i64,
    },
    /// Asks for the progress and waits for the answer, if there has to be one.
    Progress {
        /// Which stream.
        stream: usize,
    },
    /// Waits until every watch of the stream has what it must get.
    Drain {
        /// Which stream.
        stream: usize,
    },
    /// Drains the stream and ends it.
    Close {
        /// Which stream.
        stream: usize,
    },
}

impl WatchCall {
    /// The stream that it is about.
    pub(super) fn stream(&self) -> usize {
        match *self {
            Self::Create { stream, .. }
            | Self::Cancel { stream, .. }
            | Self::Progress { stream }
            | Self::Drain { stream }
            | Self::Close { stream } => stream,
        }
    }
}

/// What comes of a [`WatchCall`].
#[derive(Clone, Debug, PartialEq)]
pub enum WatchAnswer {
    /// The message that answers the request.
    Message(WatchResponse),
    /// No message has to come.
    Nothing,
    /// What has arrived since the last time.
    Drained {
        /// The events of each watch, in the order of their arrival.
        events: BTreeMap<i64, Vec<Event>>,
        /// Watches that the server cancelled, by their id.
        canceled: BTreeMap<i64, WatchResponse>,
        /// Messages that nothing called for.
        unasked: Vec<WatchResponse>,
    },
    /// The server has ended the stream.
    Ended {
        /// Its code.
        code: Code,
        /// Its text.
        text: String,
    },
}

impl WatchAnswer {
    pub(super) fn header_mut(&mut self) -> Option<&mut ResponseHeader> {
        match self {
            Self::Message(response) => response.header.as_mut(),
            Self::Nothing | Self::Drained { .. } | Self::Ended { .. } => None,
        }
    }
}

/// A call that may wait for others, or that goes on. Each has a slot, from which its result is taken
/// later; using a slot again gives up what was there.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueCall {
    /// `Lock.Lock`
    Lock {
        /// Where the call waits.
        slot: usize,
        /// The request.
        request: LockRequest,
    },
    /// `Election.Campaign`
    Campaign {
        /// Where the call waits.
        slot: usize,
        /// The request.
        request: CampaignRequest,
    },
    /// `Election.Observe`
    Observe {
        /// Where the stream is.
        slot: usize,
        /// The election.
        name: bytes::Bytes,
    },
    /// Takes what has come of the call since the last time.
    Collect {
        /// The call.
        slot: usize,
    },
    /// Cancels the call.
    GiveUp {
        /// The call.
        slot: usize,
    },
}

/// What comes of a [`QueueCall`].
#[derive(Clone, Debug, PartialEq)]
pub enum QueueAnswer {
    /// The call has not ended.
    Waiting,
    /// There is no such call.
    Nothing,
    /// The lock is had.
    Locked(LockResponse),
    /// The election is won.
    Elected(CampaignResponse),
    /// The values of leaders that have arrived.
    Observed(Vec<KeyValue>),
}

impl QueueAnswer {
    pub(super) fn header_mut(&mut self) -> Option<&mut ResponseHeader> {
        match self {
            Self::Locked(response) => response.header.as_mut(),
            Self::Elected(response) => response.header.as_mut(),
            Self::Waiting | Self::Nothing | Self::Observed(_) => None,
        }
    }
}
