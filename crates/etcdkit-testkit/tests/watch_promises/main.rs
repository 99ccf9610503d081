//! The eight promises about watches, on the embedded server and on every real etcd by the same code:
//! many writers, dozens of watches of every kind on streams whose peers stop reading, go on, start
//! again from old revisions and break off, and a history that is compacted meanwhile. In the end
//! every event of every watch is judged.
//!
//! `ETCDKIT_SEED` repeats the plan of a run; `ETCDKIT_ROUNDS` (default 40) makes it longer.

mod peer;
mod trial;
mod writers;

use std::time::Duration;

use etcdkit_server::{Server, ServerBuilder};
use etcdkit_testkit::etcd::{Binary, Cluster, Version};
use trial::{Trial, Trialed};

/// How often idle watches hear of progress.
const NOTIFY: Duration = Duration::from_millis(100);

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

fn rounds() -> u64 {
    variable("ETCDKIT_ROUNDS").unwrap_or(40)
}

fn seed() -> u64 {
    variable("ETCDKIT_SEED").unwrap_or_else(|| fastrand::u64(..))
}

async fn try_embedded(name: &str, server: ServerBuilder, rounds: u64) {
    let server = server.watch_progress_notify_interval(NOTIFY);
    let server = server.start().await.expect("a server");
    let advance = |time| server.advance_time(time);
    let on = Trialed {
        name: name.to_owned(),
        endpoint: server.endpoint(),
        time_to_live: Duration::from_secs(3_600),
        advance: Some(&advance),
        promises_when_asked: true,
        promises_in_order: true,
    };
    Trial::new(on, seed()).await.run(rounds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_server_keeps_every_promise() {
    try_embedded("embedded, in memory", Server::builder(), rounds()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_durable_server_keeps_every_promise() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::builder().data_dir(directory.path());
    try_embedded("embedded, in a file", server, rounds() / 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_real_etcd_keeps_every_promise() {
    for etcd in Binary::all().expect("a real etcd") {
        let flag = match etcd.version() >= Version::new(3, 6, 0) {
            true => "--watch-progress-notify-interval",
            false => "--experimental-watch-progress-notify-interval",
        };
        let flag = format!("{flag}={}ms", NOTIFY.as_millis());
        let cluster = Cluster::builder(&etcd).flag(flag).start().await;
        let cluster = cluster.expect("a cluster");
        let on = Trialed {
            name: etcd.to_string(),
            endpoint: cluster.endpoint().to_owned(),
            time_to_live: Duration::from_secs(1),
            advance: None,
            // Before, it promised what watches that were behind had not delivered yet.
            promises_when_asked: etcd.version() >= Version::new(3, 5, 8),
            promises_in_order: false,
        };
        Trial::new(on, seed()).await.run(rounds() / 2).await;
    }
}
