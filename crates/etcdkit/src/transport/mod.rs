//! Connections to etcd's endpoints: opening and keeping them, choosing one, speaking gRPC on it.
//!
//! Built on the `h2` crate directly, for two reasons: whether a request was ever sent is then a fact
//! rather than a guess, and a call costs a third of what it costs through a general gRPC stack.

pub(crate) mod attempt;
pub(crate) mod backoff;
pub(crate) mod closing;
pub(crate) mod connection;
pub(crate) mod dial;
pub(crate) mod endpoint;
pub(crate) mod exchange;
pub(crate) mod health;
#[cfg(feature = "v2")]
pub(crate) mod http1;
pub(crate) mod metadata;
pub(crate) mod pick;
pub(crate) mod pool;
mod refiller;
mod reply;
pub(crate) mod roster;
mod slot;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::error::Error as StdError;

use etcdkit_proto::Code;

/// How one attempt at a request failed, by what that means for trying again.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection was closing; the server never processed the request.
    NotSent(Box<dyn StdError + Send + Sync>),
    /// The server would not take the request now, and did not process it.
    Refused(Box<dyn StdError + Send + Sync>),
    /// The connection or stream broke after the request had been handed over.
    Lost(Box<dyn StdError + Send + Sync>),
    /// The server answered with an error.
    Status { code: Code, message: String },
    /// The peer does not speak gRPC as etcd does.
    Protocol(String),
    /// The answer is framed well, but is not the message that belongs there.
    Undecodable(prost::DecodeError),
    /// The answer is larger than the client takes.
    TooLarge { length: usize, limit: usize },
}

impl Failure {
    fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol(what.into())
    }

    /// What a stream that failed before its answer began means: HTTP/2 says so when a request was not
    /// processed.
    ///
    /// A stream fails with the peer's GOAWAY only if its number is above the last one the peer
    /// processed (RFC 9113, 6.8), and REFUSED_STREAM promises the same for one stream (8.7).
    fn of_stream(error: h2::Error) -> Self {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        match error.is_remote() {
            true if error.is_go_away() => Self::NotSent(error.into()),
            true if refused => Self::Refused(error.into()),
            _ => Self::Lost(error.into()),
        }
    }
}
