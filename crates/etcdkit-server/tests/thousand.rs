//! A thousand servers in one process, as a large suite of parallel tests may have.
//!
//! Alone in its binary: what it counts is of the whole process.

#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::measure;
use common::{Way, channel, get, put};
use etcdkit_proto::etcdserverpb::kv_client::KvClient;
use etcdkit_server::Server;
use tokio::runtime::{Builder, Runtime};

const SERVERS: usize = 1_000;

/// What a server may hold on to before its first request, with some room for other versions of what it is
/// made of.
const BYTES_EACH: i64 = 16 * 1024;

/// What the runtime and libraries allocate once, and keep.
const BYTES_ONCE: i64 = 512 * 1024;

/// Every second server has a port.
async fn start_all() -> Vec<(Server, Way)> {
    let mut servers = Vec::with_capacity(SERVERS);
    for number in 0..SERVERS {
        let builder = Server::builder();
        let (builder, way) = match number % 2 {
            0 => (builder, Way::Tcp),
            _ => (builder.without_listener(), Way::Pipe),
        };
        servers.push((builder.start().await.unwrap(), way));
    }
    servers
}

/// Each has its own data.
async fn use_one(server: &Server, way: Way, number: usize) {
    let mut kv = KvClient::new(channel(server, way).await);
    let value = number.to_string();
    let put = kv.put(put("number", value.clone())).await.unwrap();
    assert_eq!(put.into_inner().header.unwrap().revision, 2);
    let found = kv.range(get("number")).await.unwrap().into_inner().kvs;
    assert_eq!(found[0].value, value);
}

/// Lets everything end that has been told to.
async fn until(ended: impl Fn() -> bool + Send + Sync) {
    let patience = std::time::Duration::from_secs(60);
    let wait = async {
        while !ended() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(patience, wait).await.unwrap();
}

fn tasks(runtime: &Runtime) -> usize {
    runtime.metrics().num_alive_tasks()
}

/// A line of the process's status.
fn status(name: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line.to_owned())
}

/// How many files are open, where the system tells.
fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

#[test]
fn a_thousand_servers_are_used_and_leave_nothing_behind() {
    // One thread, whose allocations are counted.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let threads = status("Threads:");
    let files = open_files();

    let mut servers = Vec::new();
    let started = measure(|| servers = runtime.block_on(start_all()));
    assert_eq!(status("Threads:"), threads, "no thread of their own");
    let each = started.bytes_current / SERVERS as i64;
    assert!(each <= BYTES_EACH, "{each} bytes for a server");

    runtime.block_on(async {
        for (number, (server, way)) in servers.iter().enumerate() {
            use_one(server, *way, number).await;
        }
    });
    assert_eq!(status("Threads:"), threads);

    let ended = measure(|| {
        drop(servers);
        runtime.block_on(until(|| tasks(&runtime) == 0));
    });
    let kept = started.bytes_current + ended.bytes_current;
    println!("{each} bytes for a server, {kept} bytes kept by all");
    assert!(kept <= BYTES_ONCE, "{kept} bytes are not given back");
    runtime.block_on(until(|| open_files() == files));
    assert_eq!(status("Threads:"), threads);
}
