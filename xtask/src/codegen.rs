//! `cargo xtask codegen`: writes `etcdkit-proto`'s generated code from `proto/`.
//!
//! The compiler is protox, so nobody needs protoc; the result is committed, so users need neither.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

const FILES: &[&str] = &[
    "mvccpb/kv.proto",
    "authpb/auth.proto",
    "etcdserverpb/header.proto",
    "etcdserverpb/kv.proto",
    "etcdserverpb/watch.proto",
    "etcdserverpb/lease.proto",
    "etcdserverpb/cluster.proto",
    "etcdserverpb/maintenance.proto",
    "etcdserverpb/auth.proto",
    "v3lockpb/lock.proto",
    "v3electionpb/election.proto",
    "grpc/health.proto",
];

/// Generates the code; with `check` it only compares the result with what is committed.
pub(crate) fn run(check: bool) -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("xtask has no parent folder")?;
    let committed = root.join("crates/etcdkit-proto/src/generated");
    let out = if check {
        root.join("target/codegen-check")
    } else {
        committed.clone()
    };
    // The folder starts empty, so that the file of a package that is gone goes too.
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;

    let proto = root.join("proto");
    let descriptors = protox::compile(FILES.iter().map(|file| proto.join(file)), [&proto])?;
    tonic_prost_build::configure()
        .bytes(".")
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .build_transport(false)
        .out_dir(&out)
        .compile_fds(descriptors)?;

    if check {
        let stale: Vec<PathBuf> = differing(&out, &committed)?;
        if !stale.is_empty() {
            return Err(format!(
                "generated code is stale: {stale:?}; run `cargo xtask codegen` and commit the result"
            )
            .into());
        }
    }
    Ok(())
}

/// The names of files that are not the same in both folders.
fn differing(left: &Path, right: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut names = std::collections::BTreeSet::new();
    for dir in [left, right] {
        for entry in fs::read_dir(dir)? {
            names.insert(PathBuf::from(entry?.file_name()));
        }
    }
    Ok(names
        .into_iter()
        .filter(|name| fs::read(left.join(name)).ok() != fs::read(right.join(name)).ok())
        .collect())
}
