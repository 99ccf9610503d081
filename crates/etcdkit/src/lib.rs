//! etcdkit
mod client;
mod error;
mod exec;
mod wire;

pub use client::Client;
pub use error::{Code, Error, ErrorKind, Outcome, Result};
pub use exec::Call;
