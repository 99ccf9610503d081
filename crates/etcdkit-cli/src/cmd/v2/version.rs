//! `version`.

use std::io::{self, Write};

use super::{connect::Session, failure::of_cluster};
use crate::{
    args::v2::{GlobalArgs, VersionArgs},
    error::Result,
};

pub(super) async fn run(global: &GlobalArgs, args: &VersionArgs) -> Result {
    let mut out = io::stdout();
    writeln!(out, "etcdkit version: {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "API version: 2")?;
    if !args.server {
        return Ok(());
    }
    let session = Session::open(global).await?;
    let version = session.client.version().await;
    session.close().await;
    let version = version.map_err(of_cluster)?;
    writeln!(out, "etcd version: {}", version.server)?;
    if let Some(cluster) = version.cluster {
        writeln!(out, "etcd cluster version: {cluster}")?;
    }
    Ok(())
}
