//! History that is forgotten without being asked.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Way, kv, put};
use etcdkit_proto::etcdserverpb::kv_client::KvClient;
use etcdkit_proto::etcdserverpb::{CompactionRequest, RangeRequest};
use etcdkit_server::{AutoCompaction, Server};
use tonic::transport::Channel;

const MINUTE: Duration = Duration::from_secs(60);

async fn started(mode: AutoCompaction) -> (Server, KvClient<Channel>) {
    let server = Server::builder()
        .auto_compaction(mode)
        .start()
        .await
        .unwrap();
    let client = kv(&server, Way::Pipe).await;
    (server, client)
}

/// Whether a revision can still be read.
async fn is_kept(client: &mut KvClient<Channel>, revision: i64) -> bool {
    let request = RangeRequest {
        key: "k".into(),
        revision,
        ..Default::default()
    };
    match client.range(request).await {
        Ok(_) => true,
        Err(status) => {
            let text = "etcdserver: mvcc: required revision has been compacted";
            assert_eq!(status.message(), text);
            false
        }
    }
}

async fn put_once(client: &mut KvClient<Channel>) -> i64 {
    let answer = client.put(put("k", "v")).await.unwrap().into_inner();
    answer.header.unwrap().revision
}

#[tokio::test]
async fn what_is_older_than_the_retention_goes() {
    let (server, mut client) = started(AutoCompaction::Periodic(10 * MINUTE)).await;
    put_once(&mut client).await;
    put_once(&mut client).await;
    server.advance_time(9 * MINUTE);
    let newer = put_once(&mut client).await;
    server.advance_time(2 * MINUTE);
    assert!(
        is_kept(&mut client, newer - 1).await,
        "overwritten two minutes ago"
    );
    server.advance_time(20 * MINUTE);
    assert!(!is_kept(&mut client, newer - 1).await);
    assert!(is_kept(&mut client, newer).await, "the newest one stays");
}

#[tokio::test]
async fn so_many_revisions_stay() {
    let (server, mut client) = started(AutoCompaction::Revision(3)).await;
    let mut newest = 0;
    for _ in 0..10 {
        newest = put_once(&mut client).await;
    }
    server.advance_time(4 * MINUTE);
    assert!(is_kept(&mut client, 2).await, "nobody has looked yet");
    server.advance_time(MINUTE);
    assert!(!is_kept(&mut client, newest - 4).await);
    assert!(is_kept(&mut client, newest - 3).await);
}

#[tokio::test]
async fn whoever_compacts_further_does_not_disturb() {
    let (server, mut client) = started(AutoCompaction::Revision(5)).await;
    for _ in 0..10 {
        put_once(&mut client).await;
    }
    let request = CompactionRequest {
        revision: 9,
        ..Default::default()
    };
    client.compact(request).await.unwrap();
    server.advance_time(5 * MINUTE);
    for _ in 0..10 {
        put_once(&mut client).await;
    }
    server.advance_time(5 * MINUTE);
    assert!(!is_kept(&mut client, 15).await);
    assert!(is_kept(&mut client, 16).await);
}

#[tokio::test(start_paused = true)]
async fn time_that_passes_by_itself_counts() {
    let (_server, mut client) = started(AutoCompaction::Periodic(10 * MINUTE)).await;
    put_once(&mut client).await;
    put_once(&mut client).await;
    tokio::time::sleep(25 * MINUTE).await;
    assert!(!is_kept(&mut client, 2).await);
    assert!(is_kept(&mut client, 3).await);
}

#[tokio::test]
async fn nothing_is_forgotten_unless_asked_for() {
    let (server, mut client) = started(AutoCompaction::Off).await;
    put_once(&mut client).await;
    put_once(&mut client).await;
    server.advance_time(Duration::MAX);
    assert!(is_kept(&mut client, 1).await);
}
