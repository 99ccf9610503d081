//! The same random operations on a real etcd and on the embedded server: every answer must be equal.
//!
//! Requests are raw messages sent through tonic's stubs, so nothing of etcdkit's client can hide or
//! cause a difference. A failing case is shrunk and names the seed that repeats it.

mod both;
mod calls;
mod case;
mod difference;
mod differences;
mod generate;
mod history;
mod host;
mod operation;
mod outcome;
mod pipe;
mod position;
mod queueing;
mod server;
mod shrink;
mod trial;
mod watching;

pub use both::run_case;
pub use calls::{Answer, Call};
pub(crate) use case::{Comparison, Mismatch, Verdict, run};
pub use case::{Failure, Pair, Report};
pub(crate) use difference::explain;
pub use difference::{Difference, Versions};
pub use differences::DIFFERENCES;
pub use host::ServerKind;
pub(crate) use host::{Api, BoxError, Host, Identity};
pub use operation::{Caller, Operation, QueueAnswer, QueueCall, WatchAnswer, WatchCall};
pub use outcome::Outcome;
pub use trial::Trial;
