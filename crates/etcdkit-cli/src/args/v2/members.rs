//! member, stats, cluster-health, version.

use clap::{Args, Subcommand, ValueEnum};

use super::Words;

#[derive(Args, Clone, Debug)]
pub(crate) struct MemberArgs {
    #[command(subcommand)]
    pub(crate) command: Option<MemberCommand>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Lists the members of the cluster
    List(Words),
    /// Adds a member to the cluster, and prints the variables to start it with
    #[command(override_usage = "etcdkit v2 member add [OPTIONS] <NAME> <PEER_URL>")]
    Add(Words),
    /// Removes a member from the cluster
    #[command(override_usage = "etcdkit v2 member remove [OPTIONS] <MEMBER_ID>")]
    Remove(Words),
    /// Changes the peer URLs of a member
    #[command(override_usage = "etcdkit v2 member update [OPTIONS] <MEMBER_ID> <PEER_URLS>")]
    Update(Words),
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct StatsArgs {
    /// Which
    #[arg(default_value = "store")]
    pub(crate) which: Stats,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Stats {
    /// What the member's store has done
    Store,
    /// What the member has exchanged with the others
    #[value(name = "self")]
    Own,
    /// How the leader sees its followers
    Leader,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct HealthArgs {
    /// Check every 10 seconds until interrupted
    #[arg(short, long)]
    pub(crate) forever: bool,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct VersionArgs {
    /// Ask the server for its version, too
    #[arg(long)]
    pub(crate) server: bool,
}
