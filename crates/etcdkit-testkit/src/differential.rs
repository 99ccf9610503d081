//! The same random operations on a real etcd and on the embedded server: every answer must be equal.
//!
//! Requests are raw messages sent through tonic's stubs, so nothing of etcdkit's client can hide or
//! cause a difference. A failing case is shrunk and names the seed that repeats it.

mod case;
mod differences;
mod generate;
mod operation;
mod position;
mod server;
mod shrink;

pub use case::{Failure, Pair, Report, run_case};
pub use differences::{DIFFERENCES, Difference};
pub use operation::{Answer, Operation, Outcome};
pub use server::{Server, ServerKind};
