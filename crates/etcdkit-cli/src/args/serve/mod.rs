//! serve: etcd's own flags, one file per theme.

mod limits;
mod network;
mod other;
mod storage;
mod tls;

use std::ffi::OsString;

use clap::Parser;

use limits::LimitArgs;
use network::NetworkArgs;
use other::OtherFlags;
use storage::StorageArgs;

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

    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) storage: StorageArgs,

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
