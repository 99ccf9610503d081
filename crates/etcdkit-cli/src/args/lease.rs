//! lease.

use clap::{Args, Subcommand};

use super::Words;

#[derive(Args, Clone, Debug)]
pub(crate) struct LeaseArgs {
    #[command(subcommand)]
    pub(crate) command: Option<LeaseCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum LeaseCommand {
    /// Creates a lease that lasts so many seconds unless it is kept alive
    #[command(override_usage = "etcdkit lease grant [OPTIONS] <TTL>")]
    Grant(Words),
    /// Ends a lease and deletes the keys attached to it
    #[command(override_usage = "etcdkit lease revoke [OPTIONS] <LEASE_ID>")]
    Revoke(Words),
    /// Tells how long a lease still lasts
    Timetolive(TimeToLiveArgs),
    /// Lists all leases
    List(Words),
    /// Keeps a lease alive until it ends or the command is interrupted
    KeepAlive(KeepAliveArgs),
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit lease timetolive [OPTIONS] <LEASE_ID>")]
pub(crate) struct TimeToLiveArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    /// Tell the keys attached to the lease, too
    #[arg(long)]
    pub(crate) keys: bool,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit lease keep-alive [OPTIONS] <LEASE_ID>")]
pub(crate) struct KeepAliveArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    /// Reset the lease to its full time and exit
    #[arg(long)]
    pub(crate) once: bool,
}
