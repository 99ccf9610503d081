//! watch.

use std::ffi::OsString;

use clap::Args;

use crate::golang::parse_i64;

#[derive(Args, Clone, Debug)]
#[command(
    override_usage = "etcdkit watch [OPTIONS] [KEY] [RANGE_END] [-- COMMAND [ARGUMENTS]...]",
    after_long_help = WATCH_HELP
)]
pub(crate) struct WatchArgs {
    /// The key, and where a range from it ends (exclusive)
    #[arg(value_names = ["KEY", "RANGE_END"])]
    pub(crate) args: Vec<OsString>,

    /// A program to run for every event
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,

    /// Read watch and progress requests from standard input, one a line
    #[arg(short, long)]
    pub(crate) interactive: bool,

    /// Watch keys with matching prefix
    #[arg(long)]
    pub(crate) prefix: bool,

    /// The revision to start at; 0 for the next one
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "REVISION")]
    pub(crate) rev: i64,

    /// Show the key-value pair before the event, too
    #[arg(long)]
    pub(crate) prev_kv: bool,

    /// Let the server tell from time to time how far the watch has come
    #[arg(long)]
    pub(crate) progress_notify: bool,
}

const WATCH_HELP: &str = r#"The program is run once for every event, one at a time and without a shell, with
  ETCD_WATCH_REVISION    the revision of the store
  ETCD_WATCH_EVENT_TYPE  "PUT" or "DELETE"
  ETCD_WATCH_KEY         the key
  ETCD_WATCH_VALUE       the value
in its environment; all but the number in double quotes and with the escapes of Go.
The variables ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END stand in for KEY and RANGE_END.

Examples:
  etcdkit watch --prefix jobs/ --rev 1
  etcdkit watch greeting -- sh -c 'echo "$ETCD_WATCH_VALUE"'
"#;
