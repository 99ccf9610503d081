//! lock, leader, which etcdctl never had for v2.

use std::{ffi::OsString, time::Duration};

use clap::{Args, Subcommand};

use crate::golang::{parse_duration, parse_i64};

/// What locks and elections have in common.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct HoldFlags {
    /// Seconds until it is free after this process or its connection is lost; at least 15 are advisable in clusters
    #[arg(long, default_value = "60", value_parser = parse_i64, value_name = "SECONDS")]
    pub(crate) ttl: i64,

    /// Use the server's modules /mod/v2, which etcd 0.2 and 0.3 have, and `etcdkit serve` on request
    #[arg(long)]
    pub(crate) via_modules: bool,
}

#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "etcdkit v2 lock [OPTIONS] <NAME> [-- COMMAND [ARGUMENTS]...]",
    after_help = LOCK_HELP
)]
pub(crate) struct LockArgs {
    /// The name of the lock
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// A program to run while it is held, and its arguments
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<OsString>,

    #[command(flatten)]
    pub(crate) hold: HoldFlags,

    /// What others see of the holder
    #[arg(long, value_name = "VALUE")]
    pub(crate) value: Option<String>,

    /// Give up after this time
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) wait_at_most: Option<Duration>,

    /// Give up at once if the lock is held
    #[arg(long = "try", conflicts_with = "wait_at_most")]
    pub(crate) attempt: bool,

    /// Do not lock; print the value and index of who holds the lock
    #[arg(long, conflicts_with_all = ["renew", "release"])]
    pub(crate) holder: bool,

    /// Do not lock; let the lock with this index last for another --ttl
    #[arg(long, value_name = "INDEX", conflicts_with = "release")]
    pub(crate) renew: Option<u64>,

    /// Do not lock; free the lock with this index, whoever holds it
    #[arg(long, value_name = "INDEX")]
    pub(crate) release: Option<u64>,
}

const LOCK_HELP: &str = "Without a program, the index of the lock is printed once it is held, and it is held until the command
is interrupted. With one, it is run with
  ETCD_LOCK_INDEX  the index, which grows with every holder: resources can refuse an older one
in its environment, the lock is released when it ends, and its exit code is returned.";

#[derive(Args, Clone, Debug)]
pub(crate) struct LeaderArgs {
    #[command(subcommand)]
    pub(crate) command: Option<LeaderCommand>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LeaderCommand {
    /// Prints who leads
    Get(ElectionArgs),
    /// Becomes the leader, or stays it for another --ttl; waits while somebody else leads
    Set(CandidateArgs),
    /// Ends the leadership of VALUE
    Delete(ResignArgs),
    /// Becomes the leader and stays it, until interrupted or while a program runs
    Campaign(CampaignArgs),
    /// Prints who leads, now and whenever that changes
    Observe(ElectionArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ElectionArgs {
    /// The name of the election
    pub(crate) name: String,

    /// Use the server's module /mod/v2/leader
    #[arg(long)]
    pub(crate) via_modules: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ResignArgs {
    /// The name of the election
    pub(crate) name: String,

    /// What the leader is known by
    pub(crate) value: String,

    /// Use the server's module /mod/v2/leader
    #[arg(long)]
    pub(crate) via_modules: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CandidateArgs {
    /// The name of the election
    pub(crate) name: String,

    /// What the leader is known by
    pub(crate) value: String,

    #[command(flatten)]
    pub(crate) hold: HoldFlags,
}

#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "etcdkit v2 leader campaign [OPTIONS] <NAME> <VALUE> [-- COMMAND [ARGUMENTS]...]",
    after_help = CAMPAIGN_HELP
)]
pub(crate) struct CampaignArgs {
    #[command(flatten)]
    pub(crate) candidate: CandidateArgs,

    /// A program to run while leading, and its arguments
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<OsString>,
}

const CAMPAIGN_HELP: &str = "Without a program, the index of the leadership is printed once it begins, and it lasts until the command
is interrupted. With one, it is run with
  ETCD_LEADER_INDEX  the index, which grows with every leader: resources can refuse an older one
in its environment, the leadership ends when it does, and its exit code is returned.";
