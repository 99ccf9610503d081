//! A client for [etcd](https://etcd.io) that keeps working while members fail, and says what it knows
//! when it cannot.
//!
//! [`Client`] is the way in:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = etcdkit_server::Server::builder().start().await?;
//! # let endpoint = server.endpoint();
//! use etcdkit::{Client, Compare, KeyRange, Op};
//!
//! let client = Client::connect(endpoint).await?;
//!
//! client.put("jobs/1", "new").await?;
//! let job = client.get("jobs/1").await?.expect("just written");
//! assert_eq!((job.value_str()?, job.version), ("new", 1));
//!
//! let page = client.range(KeyRange::prefix("jobs/")).limit(100).await?;
//! assert_eq!((page.kvs.len(), page.more), (1, false));
//!
//! let swap = client
//!     .txn()
//!     .when([Compare::mod_revision("jobs/1").eq(job.mod_revision)])
//!     .then([Op::put("jobs/1", "taken")])
//!     .await?;
//! assert!(swap.succeeded);
//! # Ok(())
//! # }
//! ```
//!
//! # What a call promises
//!
//! Operations are builders: each option is a method, and awaiting sends the request. Keys and values are
//! anything that is text or bytes ([`Blob`]); ranges are Rust's own, prefixes and single keys
//! ([`KeyRange`]).
//!
//! A call ends within its time: five seconds, unless the client's
//! [`request_timeout`](ClientBuilder::request_timeout) or the call's own `timeout` says otherwise. Until
//! then reads are repeated, on other endpoints where there are some, whatever happens to connections
//! and members. Writes are repeated only if they certainly had no effect, so a write is never applied
//! twice by the client's doing.
//!
//! When a call fails, [`Error::kind`] says why, [`Error::outcome`] whether it may have been applied all
//! the same, [`Error::endpoint`] and [`Error::attempts`] where and how often it was tried.
//!
//! Dropping a call's future cancels it, on the wire too. Like any write whose answer is not known, one
//! that is dropped under way may have been applied.
//!
//! # Memory
//!
//! Keys and values in answers are [`Bytes`](bytes::Bytes) that share the memory of their answer, which
//! makes large answers cheap. One that is kept for long keeps its whole answer alive: call
//! [`KeyValue::detach`] first.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `tls-aws-lc` (default) | TLS by rustls with the aws-lc-rs provider |
//! | `tls-ring` | TLS by rustls with the ring provider, if aws-lc-rs is not enabled too |
//! | `discovery` | endpoints from DNS SRV records ([`Discovery`]) |
//! | `yaml` | settings from YAML ([`ClientBuilder`]) |
//!
//! Without either there is no TLS. The process-wide default provider of rustls is never touched.
//!
//! # Versions
//!
//! Works with etcd 3.4 and later; what needs a newer server says so. The minimum supported Rust version
//! is 1.88.

#[cfg(all(
    feature = "tls",
    not(any(feature = "tls-aws-lc", feature = "tls-ring"))
))]
compile_error!("the feature `tls` needs a provider: enable `tls-aws-lc` or `tls-ring` instead");

mod admin;
mod auth;
mod client;
mod config;
mod error;
mod exec;
mod lease;
mod op;
mod policy;
mod transport;
mod types;
mod watch;
mod wire;
mod wrap;

pub use admin::{
    AddMember, Alarm, AlarmKind, AlarmList, ChangeMember, Cluster, Defragment, Defragmented,
    Disarm, DisarmAll, Downgrade, DowngradeResponse, Downgrades, GetHash, GetHashKv, GetStatus,
    Hash, HashKv, LeaderMoved, ListAlarms, ListMembers, Maintenance, Member, MemberAdded,
    MemberList, MoveLeader, RequestDowngrade, Status,
};
pub use auth::{
    Auth, AuthRequest, AuthResponse, AuthRole, AuthStatus, AuthUser, Permission, PermissionKind,
    RoleInfo, RoleList, UserInfo, UserList,
};
pub use client::Client;
pub use config::{ClientBuilder, Discovery, EndpointMode, RetryPolicy};
pub use error::{Code, Error, ErrorKind, Outcome, Result};
pub use exec::{Call, CallOptions};
pub use lease::{
    GetTimeToLive, GrantLease, LeaseGrant, LeaseList, LeaseRevoke, LeaseTimeToLive, Leases,
    ListLeases, RevokeLease,
};
pub use op::{
    Compact, CompactResponse, Delete, DeleteResponse, Get, Op, OpResponse, Put, PutResponse, Range,
    RangeResponse, Scan, Txn, TxnResponse,
};
pub use transport::endpoint::IntoEndpoints;
#[cfg(feature = "tls")]
pub use transport::tls::Tls;
pub use types::{
    Blob, ByValue, Compare, Comparing, Header, KeyRange, KeyValue, LeaseId, MemberId, Revision,
    SortOrder, SortTarget,
};

pub use watch::{
    Event, ListThenWatch, ListWatch, OpenWatch, Overflow, Watch, WatchEnd, WatchError, WatchEvents,
    WatchUpdate,
};

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
