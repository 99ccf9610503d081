//! An exact etcd, inside your process.
//!
//! [`Server`] is a single etcd member that answers etcd's own gRPC and HTTP API: over TCP, over unix sockets,
//! or over an in-memory pipe that needs no port. In memory it starts in about a millisecond, so that each
//! test can have its own ([`testing`]) and break it ([`faults`]); with
//! [a data directory](ServerBuilder::data_dir) it keeps everything in one file.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = etcdkit_server::Server::builder().start().await?;
//! println!("etcd at {}", server.endpoint()); // any etcd client of any language may connect
//! server.shutdown().await?;
//! # Ok(()) }
//! ```
//!
//! # What it answers
//!
//! * `KV`: everything, and 3.7's `RangeStream`. `Watch`: everything; a peer that does not read costs
//!   bounded memory and loses nothing. `Lease`: everything; leases expire on time, or when
//!   [`Server::advance_time`] says so.
//! * `Auth`: everything, with passwords hashed by bcrypt, etcd's "simple" tokens or [JSON Web Tokens](AuthToken),
//!   and users by [their certificates](ServerTls::client_cert_auth).
//! * `Lock` and `Election`: everything.
//! * `Maintenance`: everything. Snapshots are etcd's: its tools restore them for a cluster, and
//!   a server here [begins with one](ServerBuilder::from_snapshot) of a cluster. The alarm `NOSPACE` is
//!   raised when the data reaches [its quota](ServerBuilder::quota_backend_bytes), others by clients
//!   only; all keep clients from writing. A downgrade is taken note of.
//! * `Cluster`: the one member, which can be listed and updated. gRPC health.
//! * `/health`, `/version` and `/metrics` over HTTP/1 and HTTP/2, on the same port.
//! * The v2 API of etcd 2.0 to 3.5, [if it is enabled](ServerBuilder::enable_v2): keys and watches, users and roles,
//!   members, machines and statistics; on request [the modules](ServerBuilder::v2_modules) of etcd 0.2, too. Its
//!   keys are apart from those of v3.
//! * Anything else is `Unimplemented`.
//!
//! `HashKV` gives the number that a real etcd gives after the same requests.
//!
//! # What it is not
//!
//! One member without replication: nothing takes over when it ends, and a lost disk is lost data. It follows
//! etcd 3.6; where it does not do what etcd does is listed in [`differences`].

mod applier;
mod authority;
mod auto_compaction;
mod body;
mod builder;
mod clock;
mod connection;
mod connector;
mod data;
mod downgrade;
#[cfg(feature = "durable")]
mod durable;
mod expiry;
pub mod faults;
mod gate;
mod grpc;
mod http2;
mod http_api;
mod hub;
mod incoming;
mod leadership;
mod listen;
mod metrics;
mod node;
mod password;
mod restore;
mod route;
mod rpc;
mod server;
mod service;
mod source;
mod tls;
mod token;
mod v2;
mod version;

pub use auto_compaction::AutoCompaction;
pub use builder::{ServerBuilder, StartError};
pub use connector::Connector;
#[cfg(feature = "durable")]
pub use durable::{DataError, Disk};
pub use restore::RestoreError;
pub use server::{Server, ShutdownError};
#[cfg(feature = "self-signed")]
pub use tls::{Identity, SelfSigned, SelfSignedError};
pub use tls::{ServerTls, TlsVersion};
pub use token::{AuthToken, Jwt, SignMethod};

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/differences.md")]
pub mod differences {}
