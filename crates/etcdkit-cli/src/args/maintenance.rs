//! endpoint, member, and commands without flags.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use crate::golang::parse_i64;

#[derive(Args, Clone, Debug)]
pub(crate) struct EndpointArgs {
    /// Use all client URLs of the cluster's members instead of --endpoints
    #[arg(long, global = true, env = "ETCDCTL_CLUSTER")]
    pub(crate) cluster: bool,

    #[command(subcommand)]
    pub(crate) command: Option<EndpointCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum EndpointCommand {
    /// Checks the healthiness of each endpoint
    Health(NoArgs),
    /// Prints the status of each endpoint
    Status(NoArgs),
    /// Prints the KV history hash of each endpoint
    Hashkv(HashKvArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct HashKvArgs {
    #[command(flatten)]
    pub(crate) none: NoArgs,

    /// The newest revision to hash; 0 for the newest there is
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "REVISION")]
    pub(crate) rev: i64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct MemberArgs {
    #[command(subcommand)]
    pub(crate) command: Option<MemberCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum MemberCommand {
    /// Lists all members in the cluster
    List(MemberListArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct MemberListArgs {
    #[command(flatten)]
    pub(crate) none: NoArgs,

    /// Linearizable (l) or serializable (s)
    #[arg(long, default_value = "l", value_name = "l|s")]
    pub(crate) consistency: String,
}

/// A command that takes no arguments, and says so itself.
#[derive(Args, Clone, Debug)]
pub(crate) struct NoArgs {
    #[arg(hide = true)]
    pub(crate) args: Vec<OsString>,
}
