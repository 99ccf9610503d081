//! The compared clients stand on the same dependencies, or the comparison is one of those.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// For each package of a lock file, its versions from the registry.
fn locked(file: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in text.split("[[package]]") {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.strip_prefix(" = ")?.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(_)) =
            (field("name"), field("version"), field("source"))
        {
            packages.entry(name).or_default().insert(version);
        }
    }
    packages
}

#[test]
fn both_lock_files_name_the_same_versions() {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = locked(&bench.join("../Cargo.lock"));
    let peer = locked(&bench.join("peer-etcd-client/Cargo.lock"));
    let shared: Vec<&String> = peer.keys().filter(|name| own.contains_key(*name)).collect();
    for name in ["tokio", "h2", "http", "bytes", "prost"] {
        assert!(
            shared.iter().any(|shared| *shared == name),
            "no shared {name}"
        );
    }
    let differing: Vec<String> = shared
        .into_iter()
        .filter(|name| !peer[*name].is_subset(&own[*name]))
        .map(|name| format!("{name}: {:?} here, {:?} there", own[name], peer[name]))
        .collect();
    assert!(
        differing.is_empty(),
        "bench/peer-etcd-client/Cargo.lock differs from Cargo.lock; copy the latter over it and run \
         `cargo metadata --manifest-path bench/peer-etcd-client/Cargo.toml`:\n{}",
        differing.join("\n")
    );
}
