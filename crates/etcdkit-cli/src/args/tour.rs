//! tour, which etcdctl does not have.

use std::ffi::OsString;

use clap::Args;

#[derive(Args, Clone, Debug)]
pub(crate) struct TourArgs {
    #[arg(hide = true)]
    pub(crate) args: Vec<OsString>,

    /// Compact on the servers of --endpoints, too, which drops the history of all their keys
    #[arg(long)]
    pub(crate) compact: bool,
}
