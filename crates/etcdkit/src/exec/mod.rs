//! The one request core.
//!
//! Every unary request of the client is a [`Call`], every streamed answer a [`Replies`], every two-way
//! stream a [`Duplex`]; all choose among the pool's connections and explain failures the same way.

mod budget;
mod call;
mod duplex;
mod failure;
mod options;
mod replies;
mod vigil;

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::time::Instant;

pub(crate) use self::{
    budget::RetryBudget,
    duplex::Duplex,
    replies::{Broken, Replies},
};
pub use self::{call::Call, options::CallOptions};
use crate::{policy::Class, wire::Frame};

/// What is so long after `start`. Durations beyond what the clock can tell mean "as long as it takes".
pub(crate) fn deadline_after(start: Instant, time: Duration) -> Instant {
    start
        .checked_add(time)
        .unwrap_or_else(|| start + Duration::from_secs(1 << 32))
}

/// A remote procedure: its name for people and its path on the wire.
#[derive(Debug)]
pub(crate) struct Method {
    /// The operation's name in errors and traces, such as `put`.
    pub(crate) name: &'static str,
    /// The gRPC path, such as `/etcdserverpb.KV/Put`.
    pub(crate) path: PathAndQuery,
}

/// One request, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static Method,
    pub(crate) frame: Frame,
    pub(crate) class: Class,
    /// The caller's limit for the whole call; `None` takes the client's.
    pub(crate) timeout: Option<Duration>,
    /// The one endpoint to ask, by its place in the client's list.
    pub(crate) only: Option<usize>,
}

/// Turns the bytes of a reply into what the caller gets.
pub(crate) type Decode<T> = fn(Bytes) -> std::result::Result<T, prost::DecodeError>;
