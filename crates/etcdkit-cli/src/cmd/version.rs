//! `version`.

use std::io::Write;

use crate::error::Result;

/// The newest etcd whose API is spoken in full.
const API_VERSION: &str = "3.7";

pub(crate) fn run() -> Result {
    let mut out = std::io::stdout();
    writeln!(out, "etcdkit version: {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "API version: {API_VERSION}")?;
    Ok(())
}
