//! How much one request may ask for, and how often watches hear of progress.

use std::time::Duration;

use clap::Args;

use crate::golang::{parse_duration, parse_usize};

#[derive(Args, Clone, Debug)]
pub(crate) struct LimitArgs {
    /// Most operations in one transaction
    #[arg(
        long,
        env = "ETCD_MAX_TXN_OPS",
        default_value = "128",
        value_parser = parse_usize,
        value_name = "COUNT"
    )]
    pub(crate) max_txn_ops: usize,

    /// Largest request to accept, in bytes
    #[arg(
        long,
        env = "ETCD_MAX_REQUEST_BYTES",
        default_value = "1572864",
        value_parser = parse_usize,
        value_name = "BYTES"
    )]
    pub(crate) max_request_bytes: usize,

    /// How often watches that ask for it are told of progress; at least 100ms
    #[arg(
        long,
        alias = "experimental-watch-progress-notify-interval",
        env = "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL",
        default_value = "10m",
        value_parser = parse_duration,
        value_name = "DURATION"
    )]
    pub(crate) watch_progress_notify_interval: Duration,
}
