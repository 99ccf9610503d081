//! etcdkit
mod client;
mod config;
mod error;
mod exec;
mod policy;
mod transport;
mod wire;

pub use client::Client;
pub use config::ClientBuilder;
pub use error::{Code, Error, ErrorKind, Outcome, Result};
pub use exec::Call;
pub use transport::endpoint::IntoEndpoints;
#[cfg(feature = "tls")]
pub use transport::tls::Tls;
