//! The embedded server beside a real etcd: the same driver, the same machine, in turns.
//!
//! Each server is a process of its own. The driver is the program of the `etcdkit` client for either,
//! on one thread, so that the other core is the server's.

mod embedded;
mod fan_out;
mod keys;
mod load;
mod process;
mod start;

use std::path::PathBuf;

use etcdkit_bench_load::Failure;
use etcdkit_testkit::etcd::{Binary, Version};
use tokio::runtime::Runtime;

use self::process::Kind;
use crate::{
    cli::{Arguments, Part, ServerOptions},
    programs::Programs,
};

/// Everything that the parts share.
struct Bench<'a> {
    arguments: &'a Arguments,
    runtime: &'a Runtime,
    /// The program of the client under which the servers are loaded.
    driver: PathBuf,
    /// The program that has `serve`.
    etcdkit: PathBuf,
    etcd: Binary,
    /// Where the durable servers keep their data: on a disk, not in memory.
    disk: PathBuf,
    rounds: usize,
    /// What counts are divided by.
    share: u64,
}

/// Runs the parts that were asked for, and prints each table when it is ready.
pub(crate) fn run(
    arguments: &Arguments,
    options: &ServerOptions,
    runtime: &Runtime,
) -> Result<(), Failure> {
    let driver = Programs::find(&["etcdkit".to_owned()])?;
    let driver = driver.0.into_iter().next().ok_or("no driver")?.plain;
    let folder = std::env::current_exe()?;
    let bench = Bench {
        arguments,
        runtime,
        driver,
        etcdkit: folder.with_file_name("etcdkit"),
        etcd: etcd()?,
        disk: match &options.disk {
            Some(folder) => folder.clone(),
            None => folder.with_file_name(""),
        },
        rounds: if options.smoke { 1 } else { arguments.rounds },
        share: if options.smoke { 100 } else { 1 },
    };
    println!(
        "etcd {}, data in memory below {}, on disk below {}\n",
        bench.etcd.version(),
        std::env::temp_dir().display(),
        bench.disk.display()
    );
    for part in options.parts() {
        let text = match part {
            Part::Memory => load::run(&bench, [Kind::Memory, Kind::EtcdWithoutFsync])?,
            Part::Durable => load::run(&bench, [Kind::Durable, Kind::Etcd])?,
            Part::Start => start::run(&bench)?,
            Part::Embedded => embedded::run(&bench)?,
            Part::Watch => fan_out::run(&bench)?,
            Part::Keys => keys::run(&bench)?,
        };
        println!("{text}");
    }
    Ok(())
}

/// The newest etcd 3.5, which most clusters run; the newest of all where there is none.
fn etcd() -> Result<Binary, Failure> {
    let all = Binary::all()?;
    let is_3_5 = |binary: &&Binary| {
        let version = binary.version();
        (Version::new(3, 5, 0)..Version::new(3, 6, 0)).contains(&version)
    };
    let found = all.iter().rfind(is_3_5).or(all.last());
    Ok(found.ok_or("no etcd")?.clone())
}
