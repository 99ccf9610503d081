//! The commands about keys and directories.
//!
//! Arguments without a flag are optional here and asked for by the commands, since etcdctl has a text for
//! each that is missing.

use clap::Args;

use crate::golang::parse_i64;

/// A key.
#[derive(Args, Clone, Debug)]
pub(crate) struct Key {
    /// The path of a key or directory, such as /a/b
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,

    #[arg(hide = true)]
    pub(crate) rest: Vec<String>,
}

/// A key and a value.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeyAndValue {
    /// The path of the key, such as /a/b
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// The value; without one, standard input is the value
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) value: Option<String>,

    #[arg(hide = true)]
    pub(crate) rest: Vec<String>,
}

/// How long something lasts.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct TtlFlag {
    /// Seconds until it expires; 0 for never
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "SECONDS")]
    pub(crate) ttl: i64,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 get [OPTIONS] <KEY>")]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) key: Key,

    /// Sort the result, which matters for directories only
    #[arg(long)]
    pub(crate) sort: bool,

    /// Ask the cluster instead of one member, which may be behind
    #[arg(short, long)]
    pub(crate) quorum: bool,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 ls [OPTIONS] [KEY]")]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) key: Key,

    /// Sort by key; otherwise the order is the server's, and another one each time
    #[arg(long)]
    pub(crate) sort: bool,

    /// List what is in directories below, too
    #[arg(short, long)]
    pub(crate) recursive: bool,

    /// Write a slash after directories
    #[arg(short = 'p')]
    pub(crate) slash: bool,

    /// Ask the cluster instead of one member, which may be behind
    #[arg(short, long)]
    pub(crate) quorum: bool,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 set [OPTIONS] <KEY> [VALUE]")]
pub(crate) struct SetArgs {
    #[command(flatten)]
    pub(crate) words: KeyAndValue,

    #[command(flatten)]
    pub(crate) ttl: TtlFlag,

    /// Only if the key has this value
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "VALUE"
    )]
    pub(crate) swap_with_value: String,

    /// Only if the key was last changed at this index
    #[arg(long, default_value = "0", hide_default_value = true, value_parser = parse_i64, value_name = "INDEX")]
    pub(crate) swap_with_index: i64,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 mk [OPTIONS] <KEY> [VALUE]")]
pub(crate) struct MkArgs {
    #[command(flatten)]
    pub(crate) words: KeyAndValue,

    #[command(flatten)]
    pub(crate) ttl: TtlFlag,

    /// Make a key with the next number in the directory KEY
    #[arg(long)]
    pub(crate) in_order: bool,
}

/// A key, a value, and how long it lasts.
#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 update [OPTIONS] <KEY> [VALUE]")]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    pub(crate) words: KeyAndValue,

    #[command(flatten)]
    pub(crate) ttl: TtlFlag,
}

/// A directory, and how long it lasts.
#[derive(Args, Clone, Debug)]
pub(crate) struct DirectoryArgs {
    #[command(flatten)]
    pub(crate) key: Key,

    #[command(flatten)]
    pub(crate) ttl: TtlFlag,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 rm [OPTIONS] <KEY>")]
pub(crate) struct RmArgs {
    #[command(flatten)]
    pub(crate) key: Key,

    /// Remove a key or an empty directory
    #[arg(long)]
    pub(crate) dir: bool,

    /// Remove a directory with everything in it
    #[arg(short, long)]
    pub(crate) recursive: bool,

    #[command(flatten)]
    pub(crate) condition: Condition,
}

/// What must be there.
#[derive(Args, Clone, Debug)]
pub(crate) struct Condition {
    /// Only if the key has this value
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "VALUE"
    )]
    pub(crate) with_value: String,

    /// Only if the key was last changed at this index
    #[arg(long, default_value = "0", hide_default_value = true, value_parser = parse_i64, value_name = "INDEX")]
    pub(crate) with_index: i64,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 cas [OPTIONS] <KEY> [VALUE]")]
pub(crate) struct CasArgs {
    #[command(flatten)]
    pub(crate) words: KeyAndValue,

    #[command(flatten)]
    pub(crate) ttl: TtlFlag,

    #[command(flatten)]
    pub(crate) condition: Condition,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 cad [OPTIONS] <KEY>")]
pub(crate) struct CadArgs {
    #[command(flatten)]
    pub(crate) key: Key,

    #[command(flatten)]
    pub(crate) condition: Condition,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 in-order [OPTIONS] <DIRECTORY> [VALUE]")]
pub(crate) struct InOrderArgs {
    #[command(flatten)]
    pub(crate) words: KeyAndValue,

    #[command(flatten)]
    pub(crate) ttl: TtlFlag,

    /// Make a directory, which takes no value
    #[arg(long)]
    pub(crate) dir: bool,
}
