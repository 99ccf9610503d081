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
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
//! # let endpoint = server.endpoint();
//! use etcdkit::v2::Client;
//!
//! let client = Client::connect(endpoint).await?;
//!
//! client.set("/app/port", "80").ttl(60).await?;
//! assert_eq!(client.get("/app/port").value().await?.as_deref(), Some("80"));
//! client.compare_and_swap("/app/port", "8080").prev_value("80").await?;
//!
//! for node in client.list("/app").await? {
//!     println!("{} = {:?}", node.key, node.value);
//! }
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! | | |
//! |---|---|
//! | read | [`get`](Client::get), [`exists`](Client::exists), [`list`](Client::list), [`tree`](Client::tree) |
//! | write | [`set`](Client::set), [`create`](Client::create), [`update`](Client::update), [`create_in_order`](Client::create_in_order), [`delete`](Client::delete) |
//! | write on a condition | [`compare_and_swap`](Client::compare_and_swap), [`compare_and_delete`](Client::compare_and_delete) |
//! | directories | [`set_dir`](Client::set_dir), [`create_dir`](Client::create_dir), [`update_dir`](Client::update_dir), [`create_dir_in_order`](Client::create_dir_in_order), [`delete_dir`](Client::delete_dir) |
//! | times to live | [`refresh`](Client::refresh), [`drop_ttl`](Client::drop_ttl), [`refresh_dir`](Client::refresh_dir) |
//! | changes | [`watch`](Client::watch) |
//! | coordination | [`lock`](Client::lock), [`leader`](Client::leader) |
//! | the cluster | [`members`](Client::members), [`machines`](Client::machines), [`stats`](Client::stats), [`version`](Client::version), [`health`](Client::health), [`auth`](Client::auth) |
//!
//! The examples `v2_etcd_jl`, `v2_etcd_clojure` and `v2_py_etcd` show for every function of three older clients
//! what it is here.
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
