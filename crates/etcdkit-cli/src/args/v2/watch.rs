//! watch, exec-watch.

use std::ffi::OsString;

use clap::Args;

use super::Key;
use crate::golang::parse_i64;

/// From where, and how deep, to watch.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Range {
    /// Begin behind this index; 0 begins now
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "INDEX")]
    pub(crate) after_index: i64,

    /// Watch what is below the key, too
    #[arg(short, long)]
    pub(crate) recursive: bool,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit v2 watch [OPTIONS] <KEY>")]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) key: Key,

    /// Go on until interrupted, not only until the first change
    #[arg(short, long)]
    pub(crate) forever: bool,

    #[command(flatten)]
    pub(crate) range: Range,
}

#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "etcdkit v2 exec-watch [OPTIONS] <KEY> -- <COMMAND> [ARGUMENTS]...",
    after_help = EXEC_WATCH_HELP
)]
pub(crate) struct ExecWatchArgs {
    /// The key or directory to watch
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// The program to run for every change, and its arguments
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<OsString>,

    #[command(flatten)]
    pub(crate) range: Range,
}

const EXEC_WATCH_HELP: &str = "The program has in its environment
  ETCD_WATCH_ACTION          set, create, update, delete, compareAndSwap, compareAndDelete or expire
  ETCD_WATCH_KEY             the key that was changed
  ETCD_WATCH_VALUE           its value, empty if it was removed
  ETCD_WATCH_MODIFIED_INDEX  the index of the change
Changes of directories are passed over. The next change does not wait for the program to end.";
