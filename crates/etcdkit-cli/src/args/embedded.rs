//! tour and serve: what etcdctl does not have.

use std::ffi::OsString;

use clap::{Args, Parser};

use super::etcd_flags::OtherFlags;
use crate::golang::parse_usize;

#[derive(Args, Clone, Debug)]
pub(crate) struct TourArgs {
    #[arg(hide = true)]
    pub(crate) args: Vec<OsString>,

    /// Compact on the servers of --endpoints, too, which drops the history of all their keys
    #[arg(long)]
    pub(crate) compact: bool,
}

/// Runs the embedded server: one etcd node, in memory
///
/// Flags and variables are named as etcd's. Those that make no sense for one node in memory are
/// accepted, so that a command line of etcd works, and listed at the start.
// Read apart from the other commands: what clients and servers call --max-request-bytes differs.
#[derive(Clone, Debug, Parser)]
#[command(name = "etcdkit serve", args_override_self = true)]
pub(crate) struct ServeArgs {
    #[arg(hide = true)]
    pub(crate) args: Vec<OsString>,

    /// Name of the member
    #[arg(long, env = "ETCD_NAME", default_value = "default")]
    pub(crate) name: String,

    /// Addresses to listen on: http://host:port or unix://path; port 0 takes any free one
    #[arg(
        long,
        env = "ETCD_LISTEN_CLIENT_URLS",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:2379",
        value_name = "URLS"
    )]
    pub(crate) listen_client_urls: Vec<String>,

    /// The member's client URLs as it tells them to clients; those it listens on unless given
    #[arg(
        long,
        env = "ETCD_ADVERTISE_CLIENT_URLS",
        value_delimiter = ',',
        value_name = "URLS"
    )]
    pub(crate) advertise_client_urls: Vec<String>,

    /// The member's peer URLs as it tells them to clients; nothing listens there
    #[arg(
        long,
        env = "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        value_delimiter = ',',
        default_value = "http://localhost:2380",
        value_name = "URLS"
    )]
    pub(crate) initial_advertise_peer_urls: Vec<String>,

    /// Most operations in one transaction
    #[arg(
        long,
        env = "ETCD_MAX_TXN_OPS",
        default_value = "128",
        value_parser = parse_usize,
        value_name = "COUNT"
    )]
    pub(crate) max_txn_ops: usize,

    /// Largest request to accept, in bytes
    #[arg(
        long,
        env = "ETCD_MAX_REQUEST_BYTES",
        default_value = "1572864",
        value_parser = parse_usize,
        value_name = "BYTES"
    )]
    pub(crate) max_request_bytes: usize,

    /// What to log to standard error: debug, info, warn, error, dpanic, panic, or fatal
    #[arg(
        long,
        env = "ETCD_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub(crate) log_level: String,

    #[command(flatten)]
    pub(crate) other: OtherFlags,
}
