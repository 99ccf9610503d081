//! A client for etcd's v2 API: the key space of directories that etcd 0.2 to 3.5 serve over HTTP.
//!
//! It is another API than the one of the rest of this crate, on another store: what is written here is
//! seen by nobody who reads there, and the other way round. etcd 3.4 and 3.5 serve it when started
//! with `--enable-v2`, 3.6 and later do not.
//!
//! [`Client`] is the way in. It stays with one endpoint until that fails, then goes on with the next;
//! reads are repeated as long as there is time, writes only if they certainly had no effect. An
//! [`Error`] says, besides its kind and etcd's own number, cause and index, whether the request may
//! have been [applied](Error::outcome) all the same. For writes over this API that is a question that
//! matters: a member that loses its leader answers after 7 s that a write has failed, and the write may
//! be applied later, even after newer ones.
//!
//! # Traces and metrics
//!
//! Calls are told of as those of the v3 client are (see the [crate]'s documentation). Besides,
//! each HTTP request is an event at DEBUG under the target `etcdkit::v2`, with its method, URL, status
//! and time, and [`ClientBuilder::on_exchange`] tells the program of each. Neither shows passwords.

mod admin;
mod auth;
#[cfg(feature = "blocking")]
mod blocking;
mod builder;
mod call;
mod client;
mod cluster_config;
mod counters;
mod discovery;
mod error;
mod exec;
mod form;
mod header;
mod health;
mod keys;
mod leader;
mod lock;
mod machines;
mod members;
pub mod migrate;
pub(crate) mod path;
mod redirect;
mod refusal;
mod request;
mod stats;
mod sync;
mod trace;
mod types;
mod version;
mod watch;

use self::admin::Asker;
pub use self::{
    admin::AdminRequest,
    auth::{Auth, AuthRole, AuthUser, CreateUser, Permissions, Role, User},
    builder::ClientBuilder,
    call::Call,
    client::Client,
    cluster_config::ClusterConfig,
    counters::Counters,
    error::{Error, ErrorKind, Result},
    header::Header,
    health::Health,
    keys::{
        CompareAndDelete, CompareAndSwap, Delete, DeleteDir, DropTtl, Exists, Get, GetRequired,
        GetValue, List, Refresh, Write,
    },
    leader::{Campaign, Leader, LeaderOf, Leadership, Observer, SetLeader},
    lock::{Lock, LockHolder, LockLost, LockLostReason, LockPlace, OpenLock, TryLock},
    members::{Member, Members},
    migrate::Migration,
    stats::{FollowerStats, LeaderInfo, LeaderStats, SelfStats, Stats, StoreStats},
    sync::{EndpointSync, RejectedEndpoint},
    trace::Exchange,
    types::{Action, Event, Found, Leaves, Listing, Node, Response, Ttl, Walk},
    version::Version,
    watch::{OpenWatch, Resync, ResyncReason, Watch, WatchEvent},
};
