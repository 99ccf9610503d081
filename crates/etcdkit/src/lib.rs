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
//! # Watches, leases, users
//!
//! [`Client::watch`] delivers every change of a key or range, each once and in order, and goes on by itself
//! through whatever happens to connections, members and tokens; it ends only for a typed reason
//! ([`WatchEnd`]). [`Client::list_then_watch`] begins with the contents and outlasts compactions.
//!
//! [`Client::lease`] grants a lease and keeps it alive; [`Lease::lost`] tells when and why it is lost, no
//! later than a server can let it go. [`OpenLease::regrant`] grants it anew and puts its keys again.
//!
//! Locks ([`Client::lock`], also for [many readers](Client::rwlock) or [so many
//! holders](Client::semaphore)) and [elections](Client::election) make writes that a past holder cannot, and
//! [transactions in memory](Client::stm) read and write as if alone: see [`sync`].
//!
//! A [user](ClientBuilder::user) is logged in once for all calls and streams, and again before or when a
//! token ends. Users and roles ([`Client::auth`]), members ([`Client::cluster`]), snapshots and the rest
//! ([`Client::maintenance`]) are looked after from here, too.
//!
//! # Setting up
//!
//! [`Client::connect`] takes endpoints and defaults; [`Client::builder`] sets everything else, and the
//! same settings come from etcdctl's variables ([`Client::from_env`]), a URL
//! ([`ClientBuilder::from_url`]) or the YAML of etcd's Go client. A client lives as long as its clones:
//! endpoints can be replaced ([`Client::set_endpoints`]) or follow the cluster's members
//! ([`Client::sync_endpoints`]), and renewed certificates are taken up ([`Tls`]).
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
//! | `blocking` | a client for programs without `async`: the module `blocking` |
//! | `discovery` | endpoints from DNS SRV records ([`Discovery`]) |
//! | `serde` | typed values by serde in transactions in memory ([`sync`]) |
//! | `v2` | a client for etcd's v2 API: the module `v2` |
//! | `yaml` | settings from YAML ([`ClientBuilder`]) |
//! | `metrics` | metrics by the `metrics` crate; see below |
//!
//! Without a provider there is no TLS. The process-wide default provider of rustls is never touched.
//!
//! # Traces and metrics
//!
//! Each call is a `tracing` span named `etcd` at level DEBUG, a child of the program's current span, with
//! the fields `operation` (such as `put`), and at its end `endpoint`, `attempts` and `outcome`: `ok`, an
//! [`ErrorKind`] such as `lease_not_found`, or `cancelled` if the call was dropped. Events are told under the targets
//! `etcdkit::call`, `etcdkit::connection`, `etcdkit::stream`, `etcdkit::watch` and `etcdkit::lease`,
//! at DEBUG where something is out of the ordinary, at TRACE for each attempt, and at WARN when a lease
//! is lost; and under `etcdkit::v2`, at DEBUG for each HTTP request of the v2 client. None of it has
//! values, passwords or tokens in it, nor keys, except that the URLs of the v2 API are keys.
//!
//! With the feature `metrics` the same is counted and timed by the `metrics` crate, for whatever
//! recorder the program installs; `describe_metrics` tells the recorder what they mean.
//!
//! | metric | kind | labels | |
//! |---|---|---|---|
//! | `etcdkit_calls_total` | counter | `operation`, `outcome` | Calls that have ended. |
//! | `etcdkit_call_duration_seconds` | histogram | `operation` | Time of a call with all its attempts. |
//! | `etcdkit_calls_in_flight` | gauge | `operation` | Calls under way. |
//! | `etcdkit_attempts_total` | counter | `operation`, `endpoint` | Attempts of calls. |
//! | `etcdkit_retries_total` | counter | `operation`, `reason` | Failed attempts that were followed by another. |
//! | `etcdkit_streams` | gauge | `operation` | Open streams. |
//! | `etcdkit_streams_broken_total` | counter | `operation`, `reason` | Streams that ended in an error. |
//! | `etcdkit_connections` | gauge | `endpoint` | Open connections. |
//! | `etcdkit_connect_failures_total` | counter | `endpoint` | Failures to open a connection. |
//! | `etcdkit_endpoint_suspect` | gauge | `endpoint` | 1 from a doubt in an endpoint until it proves well, else 0. |
//! | `etcdkit_watches` | gauge |  | Watches that live. |
//! | `etcdkit_watch_events_total` | counter |  | Events received for watches. |
//! | `etcdkit_watch_lag_revisions` | histogram |  | How many revisions behind the newest one known a program is when it takes an update. |
//! | `etcdkit_watch_resumed_total` | counter |  | Watches created anew where a broken stream or a pause had left them. |
//! | `etcdkit_watch_paused_total` | counter |  | Watches stopped until slow programs have caught up. |
//! | `etcdkit_leases` | gauge |  | Leases that are kept alive. |
//! | `etcdkit_lease_slack_seconds` | histogram |  | Time a lease still had when its renewal arrived. |
//! | `etcdkit_lease_lost_total` | counter | `reason` | Leases that ended without being revoked by this client. |
//!
//! Logging in is a call of its own, the operation `authenticate`.
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
#[cfg(feature = "blocking")]
pub mod blocking;
mod client;
mod config;
mod endpoints;
mod error;
mod exec;
mod lease;
mod observe;
mod op;
mod policy;
pub mod service;
pub mod sync;
mod transport;
mod types;
#[cfg(feature = "v2")]
pub mod v2;
mod watch;
mod wire;
mod wrap;

pub use admin::{
    AddMember, Alarm, AlarmKind, AlarmList, ChangeMember, Cluster, Defragment, Defragmented,
    Disarm, DisarmAll, Downgrade, DowngradeResponse, Downgrades, GetHash, GetHashKv, GetStatus,
    Hash, HashKv, LeaderMoved, ListAlarms, ListMembers, Maintenance, Member, MemberAdded,
    MemberList, MoveLeader, OpenSnapshot, RequestDowngrade, SaveSnapshot, SavedSnapshot, Snapshot,
    SnapshotProgress, Status,
};
pub use auth::{
    Auth, AuthRequest, AuthResponse, AuthRole, AuthStatus, AuthUser, Permission, PermissionKind,
    RoleInfo, RoleList, UserInfo, UserList,
};
pub use client::Client;
pub use config::{ClientBuilder, Discovery, EndpointMode, RetryPolicy};
pub use endpoints::{EndpointSync, RejectedEndpoint};
pub use error::{Code, Error, ErrorKind, Outcome, Result};
pub use exec::{Call, CallOptions};
pub use lease::{
    AttachLease, GetTimeToLive, GrantLease, KeepAliveOnce, Lease, LeaseGrant, LeaseKeepAlive,
    LeaseList, LeaseLost, LeaseRevoke, LeaseTimeToLive, Leases, ListLeases, LostReason, OpenLease,
    OpenStandingLease, RevokeLease, StandingLease,
};
#[cfg(feature = "metrics")]
pub use observe::describe_metrics;
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

/// The examples in the README compile, of which two need a feature.
#[cfg(all(doctest, feature = "blocking", feature = "v2"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
