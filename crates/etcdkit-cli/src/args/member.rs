//! member.

use clap::{Args, Subcommand};

use super::Words;

#[derive(Args, Clone, Debug)]
pub(crate) struct MemberArgs {
    #[command(subcommand)]
    pub(crate) command: Option<MemberCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum MemberCommand {
    /// Adds a member to the cluster, and prints the variables to start it with
    Add(MemberAddArgs),
    /// Removes a member from the cluster
    #[command(override_usage = "etcdkit member remove [OPTIONS] <MEMBER_ID>")]
    Remove(Words),
    /// Changes the peer URLs of a member
    Update(MemberUpdateArgs),
    /// Lists all members in the cluster
    List(MemberListArgs),
    /// Makes a learner a voting member
    #[command(override_usage = "etcdkit member promote [OPTIONS] <MEMBER_ID>")]
    Promote(Words),
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit member add [OPTIONS] --peer-urls <URLS> <NAME>")]
pub(crate) struct MemberAddArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    /// Where the new member listens to the others, separated by commas
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "URLS"
    )]
    pub(crate) peer_urls: String,

    /// Add it as a learner, which does not vote until it is promoted
    #[arg(long)]
    pub(crate) learner: bool,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit member update [OPTIONS] --peer-urls <URLS> <MEMBER_ID>")]
pub(crate) struct MemberUpdateArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    /// Where the member listens to the others from now on, separated by commas
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "URLS"
    )]
    pub(crate) peer_urls: String,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct MemberListArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    /// Linearizable (l) or serializable (s)
    #[arg(long, default_value = "l", value_name = "l|s")]
    pub(crate) consistency: String,
}
