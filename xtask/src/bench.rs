//! `cargo xtask bench`: builds the compared clients and runs them side by side.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{cargo, etcd, must, root};

/// The runs that BENCHMARKS.md reports, when no other are asked for.
const DEFAULT: &[&[&str]] = &[&["suite"], &["scenes"], &[SERVER]];

/// The comparison of servers, which is without the other clients.
const SERVER: &str = "server";

/// The comparison of clients of the v2 API, a program of its own.
const V2: &str = "v2";

/// A tmpfs wherever Linux has its usual mounts.
const MEMORY: &str = "/dev/shm";

/// Builds everything in release mode and passes these arguments on.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    if arguments == [V2] {
        return run_v2();
    }
    let given = [arguments];
    let runs = match arguments {
        [] => DEFAULT,
        _ => &given,
    };
    let of_clients = runs.iter().any(|run| !run.contains(&SERVER));
    if of_clients {
        find_protoc()?;
    }
    let etcds = etcd::provide()?;

    let target = target();
    let programs = root().join("bench/peer-etcd-client/Cargo.toml");
    // Each alone: built together, one package's features would be on in the other's dependencies.
    must(&mut cargo(&[
        "build",
        "--release",
        "--package",
        "etcdkit-bench",
    ]))?;
    must(&mut cargo(&[
        "build",
        "--release",
        "--package",
        "peer-etcdkit",
    ]))?;
    if of_clients {
        must(
            cargo(&["build", "--release", "--locked", "--manifest-path"])
                .arg(programs)
                .arg("--target-dir")
                .arg(&target),
        )?;
    }
    if runs.iter().any(|run| run.contains(&SERVER)) {
        must(&mut cargo(&[
            "build",
            "--release",
            "--package",
            "etcdkit-cli",
        ]))?;
    }

    for arguments in runs {
        let mut bench = Command::new(target.join("release/etcdkit-bench"));
        bench.args(*arguments).current_dir(root()).env(
            etcd::VARIABLE,
            env::join_paths(etcds.iter().map(|etcd| &etcd.path))?,
        );
        if env::var_os("TMPDIR").is_none() && Path::new(MEMORY).is_dir() {
            bench.env("TMPDIR", MEMORY);
        }
        must(&mut bench)?;
    }
    Ok(())
}

/// The v2 client beside the `etcd` crate, against the newest etcd that has the v2 API.
fn run_v2() -> Result<(), Box<dyn Error>> {
    let etcds = etcd::provide()?;
    let numbers = |etcd: &etcd::Etcd| -> Vec<u32> {
        let numbers = etcd.version.split('.');
        numbers.filter_map(|number| number.parse().ok()).collect()
    };
    let with_v2 = etcds.iter().filter(|etcd| numbers(etcd) < vec![3, 6]);
    let newest = with_v2.max_by_key(|etcd| numbers(etcd));
    let newest = newest.ok_or("only etcds before 3.6 have the v2 API, and there is none")?;
    must(
        cargo(&["run", "--release", "--locked", "--manifest-path"])
            .arg(root().join("bench/v2/Cargo.toml"))
            .arg("--target-dir")
            .arg(target())
            .arg("--")
            .arg(&newest.path),
    )
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |target| root().join(target))
}

/// The build of the etcd-client crate, and nothing else here, runs protoc.
fn find_protoc() -> Result<(), Box<dyn Error>> {
    let protoc = env::var_os("PROTOC").unwrap_or_else(|| "protoc".into());
    let runs = Command::new(&protoc)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if runs {
        return Ok(());
    }
    Err(format!(
        "{} does not run, and building the etcd-client crate needs it: run `apt-get install \
         protobuf-compiler` as root, or name a protoc in PROTOC",
        Path::new(&protoc).display()
    )
    .into())
}
