//! Where the data is.

use super::other::Refusal;

const DURABLE: &str =
    "keeping data on disk is not in this version of etcdkit; leave it out for a server in memory";

pub(super) const REFUSED: [Refusal; 2] = [
    ("data-dir", "ETCD_DATA_DIR", DURABLE),
    ("wal-dir", "ETCD_WAL_DIR", DURABLE),
];
