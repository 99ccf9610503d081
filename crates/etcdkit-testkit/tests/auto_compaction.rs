//! Automatic compaction by time: the embedded server and every real etcd at once, since it takes real time.

use std::time::{Duration, Instant};

use etcdkit::Client;
use etcdkit_server::{AutoCompaction, Server};
use etcdkit_testkit::etcd::{Binary, Cluster};
use futures_util::future::join_all;

const RETENTION: Duration = Duration::from_secs(2);

/// How late a busy machine may be.
const LATE: Duration = Duration::from_secs(5);

/// A compaction that was found.
#[derive(Debug)]
struct Found {
    /// When it had certainly not happened yet, and when it had.
    after: Duration,
    by: Duration,
    /// How old the revision was at these times.
    least: Duration,
    most: Duration,
}

/// Writes all the time, and notes when which revision was compacted, and how old it was then.
async fn compactions(client: &Client, rounds: usize) -> Vec<Found> {
    let endpoint = client.endpoints().next().expect("an endpoint").to_owned();
    let start = Instant::now();
    let mut written = vec![(1, start)];
    let mut compacted = 0;
    let mut found = Vec::new();
    let mut looked = start;
    while found.len() < rounds {
        let put = client.put("k", "v").await.expect("a put");
        let now = Instant::now();
        written.push((put.header.revision, now));
        let before = std::mem::replace(&mut looked, Instant::now());
        let hash = client.maintenance().hash_kv(&endpoint).await;
        let newest = hash.expect("a hash").compact_revision;
        if newest > compacted {
            compacted = newest;
            // It was the newest one until the next was written.
            let next = written.iter().find(|(revision, _)| *revision > newest);
            let (_, overwritten) = next.expect("the newest is never compacted");
            found.push(Found {
                after: before - start,
                by: start.elapsed(),
                least: before.saturating_duration_since(*overwritten),
                most: overwritten.elapsed(),
            });
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    found
}

fn check(name: &str, found: &[Found]) {
    println!("{name}: {found:?}");
    let turn = RETENTION / 10;
    // The first one counts from the server's start, which the test did not see.
    for pair in found.windows(2) {
        let [before, this] = pair else {
            panic!("pairs");
        };
        // Each at one of the turns, of which one may be late and the next in time.
        assert!(
            this.by - before.after + 2 * turn >= RETENTION
                && this.after.saturating_sub(before.by) <= RETENTION + LATE,
            "{name}: {found:?}"
        );
        // The oldest of eleven notes was made eleven turns ago.
        let oldest = RETENTION + 2 * turn + LATE;
        assert!(
            this.most + turn >= RETENTION && this.least <= oldest,
            "{name}: {found:?}"
        );
    }
}

#[tokio::test]
async fn history_is_kept_for_the_retention() {
    let server = Server::builder()
        .auto_compaction(AutoCompaction::Periodic(RETENTION))
        .start()
        .await
        .expect("a server");
    let ours = Client::connect(server.endpoint()).await.expect("a client");
    let (mut clusters, mut clients) = (Vec::new(), vec![("embedded".to_owned(), ours)]);
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).flag("--auto-compaction-retention=2s");
        let cluster = cluster.start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        clients.push((etcd.to_string(), client));
        clusters.push(cluster);
    }
    join_all(clients.iter().map(async |(name, client)| {
        let found = compactions(client, 3).await;
        check(name, &found);
    }))
    .await;
}
