//! `cargo xtask test`: all tests of the workspace, against every real etcd that can be had.

use std::error::Error;

use crate::{cargo, etcd, must};

/// Fetches missing etcds, runs `cargo test` with these further arguments, and says what was tested.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let etcds = etcd::provide()?;
    let tested = etcds
        .iter()
        .map(|etcd| format!("  etcd {} ({})", etcd.version, etcd.path.display()))
        .collect::<Vec<_>>()
        .join("\n");
    println!("real servers under test:\n{tested}");

    let binaries = std::env::join_paths(etcds.iter().map(|etcd| &etcd.path))?;
    let result = must(
        cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"])
            .args(arguments)
            .env(etcd::VARIABLE, binaries),
    );
    println!("real servers tested:\n{tested}");
    result
}
