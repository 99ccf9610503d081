//! Where the data is, and how much of it.

use clap::Args;

use super::other::Refusal;
use crate::golang::parse_i64;

#[derive(Args, Clone, Debug)]
pub(crate) struct StorageArgs {
    /// How large the data may grow, in bytes; 0 for etcd's 2 GiB, negative for no limit
    #[arg(
        long,
        env = "ETCD_QUOTA_BACKEND_BYTES",
        default_value = "0",
        value_parser = parse_i64,
        value_name = "BYTES"
    )]
    pub(crate) quota_backend_bytes: i64,
}

const DURABLE: &str =
    "keeping data on disk is not in this version of etcdkit; leave it out for a server in memory";

pub(super) const REFUSED: [Refusal; 2] = [
    ("data-dir", "ETCD_DATA_DIR", DURABLE),
    ("wal-dir", "ETCD_WAL_DIR", DURABLE),
];
