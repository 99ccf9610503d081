//! Records what real etcd servers and etcd's own clients put on the wire.
//!
//! ```text
//! ETCDKIT_TEST_ETCD=/usr/bin/etcd:/opt/etcd-3.6/etcd cargo run -p etcdkit-proto --features client --example record
//! ```
//!
//! For each server binary (with etcdctl beside it; without the variable the `etcd` on PATH) it runs
//! a script of commands and writes `tests/recorded/VERSION.txt`, which the test `recorded` decodes
//! and encodes again. Requests are recorded only if etcd's own code made them: etcdctl, or etcd's
//! gRPC proxy, which reads our request and sends its own.

mod etcd;
mod journal;
mod proxy;
mod script;
#[path = "../../tests/recorded/transcript.rs"]
mod transcript;

use std::path::{Path, PathBuf};

/// Any error; the recorder stops at the first.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    for etcd in servers()? {
        let binaries = etcd::Binaries::new(&etcd)?;
        let journal = script::run(&binaries).await?;
        let file = folder.join(format!("{}.txt", binaries.version));
        let text = journal.text();
        std::fs::write(&file, &text)?;
        println!("{}: {} bytes", file.display(), text.len());
    }
    Ok(())
}

fn servers() -> Result<Vec<PathBuf>, Failure> {
    if let Some(list) = std::env::var_os("ETCDKIT_TEST_ETCD") {
        return Ok(std::env::split_paths(&list).collect());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("etcd"))
        .find(|file| file.is_file());
    Ok(vec![found.ok_or(
        "no etcd on PATH: install etcd-server and etcd-client, or set ETCDKIT_TEST_ETCD",
    )?])
}
