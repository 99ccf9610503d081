//! What leases have left after a restart, on the embedded server, and after a move into a real etcd.

use std::{path::Path, time::Duration};

use etcdkit::{Client, LeaseId};
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster};

const GRANTED: u64 = 3000;
const LEASE: LeaseId = LeaseId(7);

/// How long a test may take, in seconds, before it is wrong about what is left.
const SLACK: u64 = 60;

async fn start(directory: &Path, checkpoints: bool) -> (Server, Client) {
    let builder = Server::builder().data_dir(directory);
    let server = builder.lease_checkpoints(checkpoints).start().await;
    let server = server.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    (server, client)
}

async fn grant(client: &Client) {
    let granted = client.leases().grant(Duration::from_secs(GRANTED));
    granted.id(LEASE).await.expect("a lease");
}

async fn assert_left(client: &Client, seconds: u64, what: &str) {
    let lease = client.leases().time_to_live(LEASE).await;
    let lease = lease.expect("the lease");
    assert_eq!(lease.granted_ttl.as_secs(), GRANTED, "{what}");
    let left = lease.ttl.expect("time left").as_secs();
    assert!(
        (seconds.saturating_sub(SLACK)..=seconds).contains(&left),
        "{what}: {left} s are left, not {seconds}"
    );
}

#[tokio::test]
async fn a_lease_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, client) = start(directory.path(), true).await;
    grant(&client).await;
    server.advance_time(Duration::from_secs(400));
    server.advance_time(Duration::from_secs(200));
    assert_left(&client, GRANTED - 600, "before").await;
    server.shutdown().await.expect("an orderly end");

    // What is left counts from the last checkpoint, of which the second was not due yet. A server that makes
    // none respects it.
    for checkpoints in [true, false] {
        let (server, client) = start(directory.path(), checkpoints).await;
        assert_left(&client, GRANTED - 400, "after a restart").await;
        server.shutdown().await.expect("an orderly end");
    }

    let (server, client) = start(directory.path(), true).await;
    let renewed = client.leases().keep_alive_once(LEASE).await;
    renewed.expect("a renewal");
    drop(server);
    let (_server, client) = start(directory.path(), true).await;
    assert_left(&client, GRANTED, "after a renewal").await;
}

#[tokio::test]
async fn a_lease_begins_anew_without_checkpoints() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, client) = start(directory.path(), false).await;
    grant(&client).await;
    server.advance_time(Duration::from_secs(2900));
    server.shutdown().await.expect("an orderly end");
    let (_server, client) = start(directory.path(), true).await;
    assert_left(&client, GRANTED, "after a restart").await;
}

#[tokio::test]
async fn real_clusters_go_on_with_what_is_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, client) = start(directory.path(), true).await;
    grant(&client).await;
    server.advance_time(Duration::from_secs(1000));
    let snapshot = directory.path().join("snapshot.db");
    let saved = client.maintenance().snapshot().save(&snapshot).await;
    saved.expect("a snapshot");

    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).restored_from(&snapshot);
        let cluster = cluster.start().await.expect("a cluster");
        let theirs = Client::connect(cluster.endpoint()).await.expect("a client");
        assert_left(&theirs, GRANTED - 1000, &etcd.to_string()).await;
    }

    let restored = Server::builder().from_snapshot(&snapshot).start().await;
    let restored = restored.expect("a server");
    let client = Client::connect(restored.endpoint())
        .await
        .expect("a client");
    assert_left(&client, GRANTED - 1000, "the embedded server").await;
}
