//! The same random operations on a real etcd and on the embedded server: every answer must be equal.
//!
//! Requests are raw messages sent through tonic's stubs, so nothing of etcdkit's client can hide or
//! cause a difference. A failing case is shrunk and names the seed that repeats it.

mod calls;
mod case;
mod differences;
mod generate;
mod history;
mod operation;
mod outcome;
mod pipe;
mod position;
mod queueing;
mod server;
mod shrink;
mod watching;

pub use calls::{Answer, Call};
pub use case::{Failure, Pair, Report, run_case};
pub use differences::{DIFFERENCES, Difference, Versions};
pub use operation::{Caller, Operation, QueueAnswer, QueueCall, WatchAnswer, WatchCall};
pub use outcome::Outcome;
pub use server::ServerKind;
