//! Faults on purpose: what can go wrong between a program and etcd, when a test wants it.
//!
//! [`Server::faults`](crate::Server::faults) gives the handle. The page
//! [`testing`](crate::testing) shows it in whole tests.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use etcdkit_server::faults::{EtcdError, Rpc};
//!
//! let server = etcdkit_server::Server::builder().start().await?;
//! let faults = server.faults();
//! // The second put from now is written, but its caller hears of a timeout.
//! let lost = faults.on(Rpc::KvPut).nth(2).once_applied().fail(EtcdError::ServerTimeout);
//! // … what is tested writes …
//! assert_eq!(lost.hits(), faults.calls(Rpc::KvPut) / 2);
//! # Ok(()) }
//! ```

mod board;
mod failure;
mod handle;
mod rule;
mod rules;
mod select;
mod streams;

pub use etcdkit_proto::{Code, EtcdError};

pub use self::failure::Failure;
pub use self::handle::{Alarm, Faults};
pub use self::rule::{Fault, FaultBuilder};
pub use self::select::Rpcs;
pub use crate::rpc::Rpc;

pub(crate) use self::board::{Board, before, take, wants_leader};
pub(crate) use self::rules::Step;
pub(crate) use self::streams::OpenStream;
