//! endpoint, alarm, defrag, move-leader, downgrade, snapshot, and commands without flags.

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
    Health(Words),
    /// Prints the status of each endpoint
    Status(Words),
    /// Prints the KV history hash of each endpoint
    Hashkv(HashKvArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct HashKvArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    /// The newest revision to hash; 0 for the newest there is
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "REVISION")]
    pub(crate) rev: i64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct AlarmArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AlarmCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum AlarmCommand {
    /// Disarms all alarms
    Disarm(Words),
    /// Lists all alarms
    List(Words),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DefragArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    /// Defragment all members of the cluster instead of --endpoints
    #[arg(long)]
    pub(crate) cluster: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct DowngradeArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DowngradeCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum DowngradeCommand {
    /// Asks whether the cluster can be downgraded to a version
    #[command(override_usage = "etcdkit downgrade validate [OPTIONS] <TARGET_VERSION>")]
    Validate(Words),
    /// Begins to downgrade the cluster to a version
    #[command(override_usage = "etcdkit downgrade enable [OPTIONS] <TARGET_VERSION>")]
    Enable(Words),
    /// Ends a downgrade that is under way
    Cancel(Words),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SnapshotArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SnapshotCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum SnapshotCommand {
    /// Saves the database of one endpoint to a file, once its digest is verified
    #[command(override_usage = "etcdkit snapshot save [OPTIONS] <FILE>")]
    Save(Words),
    /// Checks a saved snapshot and tells what is in it
    #[command(override_usage = "etcdkit snapshot status [OPTIONS] <FILE>")]
    Status(Words),
    /// Refused: the tool etcdutl restores snapshots
    #[command(hide = true, disable_help_flag = true)]
    Restore(RestoreArgs),
}

/// Any words, since they are not read.
#[derive(Args, Clone, Debug)]
pub(crate) struct RestoreArgs {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// Arguments without a flag, whose number the command checks itself.
#[derive(Args, Clone, Debug)]
pub(crate) struct Words {
    #[arg(hide = true)]
    pub(crate) args: Vec<OsString>,
}
