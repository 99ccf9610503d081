//! get, put, del, txn, compaction.
//!
//! Arguments without a flag are counted by the commands themselves: etcdctl has an exit code and a
//! text for each wrong count.

use std::ffi::OsString;

use clap::Args;

use crate::golang::parse_i64;

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit get [OPTIONS] <KEY> [RANGE_END]")]
pub(crate) struct GetArgs {
    /// The key, and where a range from it ends (exclusive)
    #[arg(value_names = ["KEY", "RANGE_END"])]
    pub(crate) args: Vec<OsString>,

    /// Linearizable (l) or serializable (s)
    #[arg(long, default_value = "l", value_name = "l|s")]
    pub(crate) consistency: String,

    /// Order of results: ASCEND or DESCEND
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) order: String,

    /// What to sort by: CREATE, KEY, MODIFY, VALUE or VERSION
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "TARGET"
    )]
    pub(crate) sort_by: String,

    /// Maximum number of results; 0 for all
    #[arg(long, default_value = "0", value_parser = parse_i64)]
    pub(crate) limit: i64,

    /// Get keys with matching prefix
    #[arg(long)]
    pub(crate) prefix: bool,

    /// Get keys that are greater than or equal to the given key using byte compare
    #[arg(long)]
    pub(crate) from_key: bool,

    /// The revision to read at; 0 for the newest
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "REVISION")]
    pub(crate) rev: i64,

    /// Get only the keys
    #[arg(long)]
    pub(crate) keys_only: bool,

    /// Get only the count; needs --write-out=fields
    #[arg(long)]
    pub(crate) count_only: bool,

    /// Only write values; needs --write-out=simple
    #[arg(long)]
    pub(crate) print_value_only: bool,

    /// Minimum create revision
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "REVISION")]
    pub(crate) min_create_rev: i64,

    /// Maximum create revision; 0 for no limit
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "REVISION")]
    pub(crate) max_create_rev: i64,

    /// Minimum modification revision
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "REVISION")]
    pub(crate) min_mod_rev: i64,

    /// Maximum modification revision; 0 for no limit
    #[arg(long, default_value = "0", value_parser = parse_i64, value_name = "REVISION")]
    pub(crate) max_mod_rev: i64,

    /// Let the server stream the keys (3.7); smaller requests of the same revision with older servers
    #[arg(long)]
    pub(crate) stream: bool,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit put [OPTIONS] <KEY> [VALUE]")]
pub(crate) struct PutArgs {
    /// The key and its value; without a value, standard input is the value
    #[arg(value_names = ["KEY", "VALUE"])]
    pub(crate) args: Vec<OsString>,

    /// Lease ID (in hexadecimal) to attach to the key
    #[arg(long, default_value = "0", value_name = "ID")]
    pub(crate) lease: String,

    /// Return the previous key-value pair before modification
    #[arg(long)]
    pub(crate) prev_kv: bool,

    /// Update the key using its current value
    #[arg(long)]
    pub(crate) ignore_value: bool,

    /// Update the key using its current lease
    #[arg(long)]
    pub(crate) ignore_lease: bool,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit del [OPTIONS] <KEY> [RANGE_END]")]
pub(crate) struct DelArgs {
    /// The key, and where a range from it ends (exclusive)
    #[arg(value_names = ["KEY", "RANGE_END"])]
    pub(crate) args: Vec<OsString>,

    /// Delete keys with matching prefix
    #[arg(long)]
    pub(crate) prefix: bool,

    /// Return deleted key-value pairs
    #[arg(long)]
    pub(crate) prev_kv: bool,

    /// Delete keys that are greater than or equal to the given key using byte compare
    #[arg(long)]
    pub(crate) from_key: bool,

    /// Delete the range from KEY to RANGE_END at once; without it, two seconds are left to interrupt
    #[arg(long)]
    pub(crate) range: bool,
}

/// Three sections on standard input, each ended by an empty line: comparisons, requests if all hold,
/// requests otherwise.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = TXN_HELP)]
pub(crate) struct TxnArgs {
    #[arg(hide = true)]
    pub(crate) args: Vec<OsString>,

    /// Ask for each section
    #[arg(short, long)]
    pub(crate) interactive: bool,
}

const TXN_HELP: &str = r#"Comparisons: TARGET("KEY") OPERATOR "OPERAND"
  TARGET    val (value), ver (version), c (create revision), m (mod revision), lease (in hexadecimal)
  OPERATOR  = != > <
Requests: get, put and del with their arguments and flags; strings in double quotes take the
escapes of Go (\n, \x00, …), in single quotes none.

Example:
  mod("key1") > "0"

  put key1 "overwrote-key1"

  put key1 "created-key1"
  put key2 "some extra key"

"#;

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit compaction [OPTIONS] <REVISION>")]
pub(crate) struct CompactionArgs {
    /// History before this revision is dropped
    #[arg(value_name = "REVISION")]
    pub(crate) args: Vec<OsString>,

    /// Wait until the server has physically removed all old revisions
    #[arg(long)]
    pub(crate) physical: bool,
}
