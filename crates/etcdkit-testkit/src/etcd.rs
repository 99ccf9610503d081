//! Real etcd processes: find the binaries, start clusters, and hurt them.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use etcdkit_testkit::etcd::{Binary, Cluster};
//!
//! for etcd in Binary::all()? {
//!     let mut cluster = Cluster::builder(&etcd).members(3).start().await?;
//!     let endpoints = cluster.endpoints();
//!     cluster.member(0).kill()?;
//!     cluster.member(0).restart().await?;
//! #   drop(endpoints);
//! }
//! # Ok(()) }
//! ```

mod binary;
mod cluster;
mod member;
mod ports;

pub use binary::{Binary, NoEtcd, Version};
pub use cluster::{Cluster, ClusterBuilder, Newcomer};
pub use member::{Member, MemberError};

/// A loopback port that nothing listens on, and that the kernel gives to no outgoing connection.
pub(crate) fn free_port() -> u16 {
    ports::free(1).first().copied().unwrap_or_default()
}
