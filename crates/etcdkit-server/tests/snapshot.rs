//! Snapshots out of the server. What the messages look like was seen on etcd 3.6.14.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Cursor;

use common::{WAYS, Way, channel, is, kv, put, start};
use etcdkit_proto::etcdserverpb::lease_client::LeaseClient;
use etcdkit_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, SnapshotRequest,
    SnapshotResponse,
};
use etcdkit_server::Server;
use etcdkit_snapshot::{Error, Snapshot, Visit};
use etcdkit_store::{Bucket, Recovery, Store};
use tonic::Code;

async fn snapshot(server: &Server, way: Way) -> tonic::Streaming<SnapshotResponse> {
    let mut maintenance = MaintenanceClient::new(channel(server, way).await);
    let stream = maintenance.snapshot(SnapshotRequest {}).await.unwrap();
    stream.into_inner()
}

async fn whole(mut stream: tonic::Streaming<SnapshotResponse>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(response) = stream.message().await.unwrap() {
        bytes.extend_from_slice(&response.blob);
    }
    bytes
}

/// A store of what a snapshot holds.
fn recovered(bytes: Vec<u8>) -> Store {
    let mut recovery = Recovery::new();
    let mut snapshot = Snapshot::of(Cursor::new(bytes)).unwrap();
    assert!(snapshot.has_digest());
    snapshot
        .read(|visit| {
            if let Visit::Entry(entry) = visit {
                let bucket = Bucket::of_name(entry.bucket).unwrap();
                recovery.take(bucket, entry.key, entry.value).unwrap();
            }
            Ok::<(), Error>(())
        })
        .unwrap();
    recovery.finish(std::time::Duration::ZERO).unwrap()
}

#[tokio::test]
async fn a_snapshot_comes_in_pieces_with_its_digest_last() {
    for way in WAYS {
        let server = start().await;
        kv(&server, way)
            .await
            .put(put("large", vec![b'x'; 1_000_000]))
            .await
            .unwrap();
        let mut stream = snapshot(&server, way).await;
        let mut responses = Vec::new();
        while let Some(response) = stream.message().await.unwrap() {
            responses.push(response);
        }
        let digest = responses.pop().unwrap();
        assert_eq!((digest.blob.len(), digest.remaining_bytes), (32, 0));
        let size: usize = responses.iter().map(|response| response.blob.len()).sum();
        assert!(size > 1_000_000 && size.is_multiple_of(4096), "{size}");
        let mut left = size as u64;
        for response in &responses {
            assert_eq!(response.blob.len() as u64, left.min(32 * 1024));
            left -= response.blob.len() as u64;
            assert_eq!(response.remaining_bytes, left);
            assert_eq!(response.version, "3.6.0");
            assert!(response.header.is_none());
        }
        assert_eq!((left, digest.version.as_str()), (0, "3.6.0"));
    }
}

#[tokio::test]
async fn a_server_that_says_it_is_older_sends_what_that_one_would() {
    let server = Server::builder()
        .version("3.5.30")
        .enable_v2(true)
        .start()
        .await
        .unwrap();
    let mut stream = snapshot(&server, Way::Tcp).await;
    let mut bytes = Vec::new();
    while let Some(response) = stream.message().await.unwrap() {
        assert_eq!(response.version, "");
        bytes.extend_from_slice(&response.blob);
    }
    let mut names = Vec::new();
    let mut meta = Vec::new();
    Snapshot::of(Cursor::new(bytes))
        .unwrap()
        .read(|visit| {
            match visit {
                Visit::Bucket(name) => names.push(String::from_utf8(name.to_vec()).unwrap()),
                Visit::Entry(entry) if entry.bucket == b"meta" => {
                    meta.push(String::from_utf8(entry.key.to_vec()).unwrap());
                }
                Visit::Entry(_) => {}
            }
            Ok::<(), Error>(())
        })
        .unwrap();
    // The buckets that every etcd makes, used or not.
    assert_eq!(names, Bucket::ALL.map(Bucket::name));
    assert_eq!(meta, ["consistent_index", "term"]);
}

#[tokio::test]
async fn everything_is_in_it() {
    let server = start().await;
    let channel = channel(&server, Way::Tcp).await;
    let mut kv = kv(&server, Way::Tcp).await;
    let lease = LeaseGrantRequest { id: 7, ttl: 100 };
    LeaseClient::new(channel.clone())
        .lease_grant(lease)
        .await
        .unwrap();
    for key in 0..500 {
        let request = PutRequest {
            lease: if key % 5 == 0 { 7 } else { 0 },
            ..put(&format!("k{}", key % 90), format!("v{key}"))
        };
        kv.put(request).await.unwrap();
    }
    let delete = DeleteRangeRequest {
        key: "k1".into(),
        range_end: "k2".into(),
        ..Default::default()
    };
    kv.delete_range(delete).await.unwrap();
    let compaction = CompactionRequest {
        revision: 300,
        physical: true,
    };
    kv.compact(compaction).await.unwrap();

    let store = recovered(whole(snapshot(&server, Way::Tcp).await).await);
    assert_eq!((store.revision(), store.compact_revision()), (502, 300));
    assert_eq!(store.lease_keys(7).count(), 90 / 5 - 2);
    let mut maintenance = MaintenanceClient::new(channel);
    for revision in 301..=502 {
        let request = etcdkit_proto::etcdserverpb::HashKvRequest { revision };
        let theirs = maintenance.hash_kv(request).await.unwrap().into_inner();
        assert_eq!(store.hash_kv(revision).unwrap().hash, theirs.hash);
    }
}

#[tokio::test]
async fn what_is_written_meanwhile_is_not_in_it() {
    let server = start().await;
    let mut kv = kv(&server, Way::Pipe).await;
    for key in 0..30 {
        kv.put(put(&format!("k{key}"), vec![b'x'; 100_000]))
            .await
            .unwrap();
    }
    let mut stream = snapshot(&server, Way::Pipe).await;
    let mut bytes = stream.message().await.unwrap().unwrap().blob.to_vec();
    for key in 0..30 {
        kv.put(put(&format!("k{key}"), "later")).await.unwrap();
    }
    let compaction = CompactionRequest {
        revision: 61,
        physical: true,
    };
    kv.compact(compaction).await.unwrap();
    bytes.extend(whole(stream).await);
    let store = recovered(bytes);
    assert_eq!((store.revision(), store.compact_revision()), (31, -1));
}

#[tokio::test]
async fn a_server_that_stops_ends_a_snapshot() {
    let server = start().await;
    let mut kv = kv(&server, Way::Tcp).await;
    for key in 0..30 {
        kv.put(put(&format!("k{key}"), vec![b'x'; 1_000_000]))
            .await
            .unwrap();
    }
    let mut stream = snapshot(&server, Way::Tcp).await;
    stream.message().await.unwrap().unwrap();
    let ended = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the snapshot was completed"),
                Err(error) => break error,
            }
        }
    };
    // The first is polled first, and most of the snapshot waits for its reader.
    let (stopped, error) = tokio::join!(biased; server.shutdown(), ended);
    stopped.unwrap();
    is(&error, Code::Unavailable, "etcdserver: server stopped");
}
