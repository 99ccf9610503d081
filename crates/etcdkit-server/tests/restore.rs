//! Servers that begin with a snapshot, and files that are refused.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Way, channel, get, kv, put, start};
use etcdkit_proto::etcdserverpb::lease_client::LeaseClient;
use etcdkit_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, HashKvRequest, LeaseGrantRequest,
    LeaseTimeToLiveRequest, PutRequest, SnapshotRequest,
};
use etcdkit_server::{RestoreError, Server, StartError};
use etcdkit_snapshot::{Draft, Error};

type Entry = (&'static str, Vec<u8>, Vec<u8>);

/// Keys with history, a lease and a compaction.
async fn fill(server: &Server) {
    let mut kv = kv(server, Way::Pipe).await;
    let grant = LeaseGrantRequest { id: 7, ttl: 600 };
    let mut leases = LeaseClient::new(channel(server, Way::Pipe).await);
    leases.lease_grant(grant).await.unwrap();
    for key in 0..60 {
        let request = PutRequest {
            lease: if key % 5 == 0 { 7 } else { 0 },
            ..put(&format!("k{}", key % 20), format!("v{key}"))
        };
        kv.put(request).await.unwrap();
    }
    let delete = DeleteRangeRequest {
        key: "k19".into(),
        ..Default::default()
    };
    kv.delete_range(delete).await.unwrap();
    let compaction = CompactionRequest {
        revision: 30,
        physical: true,
    };
    kv.compact(compaction).await.unwrap();
}

async fn save(server: &Server, path: &Path) {
    let mut maintenance = MaintenanceClient::new(channel(server, Way::Pipe).await);
    let stream = maintenance.snapshot(SnapshotRequest {}).await.unwrap();
    let mut stream = stream.into_inner();
    let mut bytes = Vec::new();
    while let Some(response) = stream.message().await.unwrap() {
        bytes.extend_from_slice(&response.blob);
    }
    fs::write(path, bytes).unwrap();
}

/// The hash at each revision from 30 to 62, and the keys of the lease.
async fn facts(server: &Server) -> (Vec<u32>, Vec<Vec<u8>>) {
    let channel = channel(server, Way::Pipe).await;
    let mut maintenance = MaintenanceClient::new(channel.clone());
    let mut hashes = Vec::new();
    for revision in 31..=62 {
        let hash = maintenance.hash_kv(HashKvRequest { revision }).await;
        let hash = hash.unwrap().into_inner();
        assert_eq!(hash.compact_revision, 30);
        hashes.push(hash.hash);
    }
    let request = LeaseTimeToLiveRequest { id: 7, keys: true };
    let lease = LeaseClient::new(channel).lease_time_to_live(request).await;
    let lease = lease.unwrap().into_inner();
    assert_eq!(lease.granted_ttl, 600);
    let keys = lease.keys.iter().map(|key| key.to_vec()).collect();
    (hashes, keys)
}

#[tokio::test]
async fn a_server_begins_with_a_snapshot_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.db");
    let first = start().await;
    fill(&first).await;
    save(&first, &path).await;
    let expected = facts(&first).await;

    let second = Server::builder()
        .from_snapshot(&path)
        .start()
        .await
        .unwrap();
    assert_eq!(facts(&second).await, expected);
    // Both go on from there alike.
    for server in [&first, &second] {
        let mut kv = kv(server, Way::Pipe).await;
        let answer = kv.put(put("k1", "later")).await.unwrap().into_inner();
        assert_eq!(answer.header.unwrap().revision, 63);
    }
    assert_eq!(facts(&second).await, facts(&first).await);
    second.advance_time(std::time::Duration::from_secs(601));
    let found = kv(&second, Way::Pipe).await.range(get("k0")).await;
    assert!(
        found.unwrap().into_inner().kvs.is_empty(),
        "its lease is over"
    );
}

#[cfg(feature = "durable")]
#[tokio::test]
async fn a_durable_server_takes_a_snapshot_once() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("backup.db"), folder.path().join("data"));
    let first = start().await;
    fill(&first).await;
    save(&first, &path).await;
    let expected = facts(&first).await;

    let builder = || Server::builder().data_dir(&data);
    let server = builder().from_snapshot(&path).start().await.unwrap();
    assert_eq!(facts(&server).await, expected);
    let mut kv = kv(&server, Way::Pipe).await;
    kv.put(put("k1", "later")).await.unwrap();
    server.shutdown().await.unwrap();

    let error = builder().from_snapshot(&path).start().await.unwrap_err();
    let source = match &error {
        StartError::Data { source, .. } => source,
        other => panic!("{other}"),
    };
    assert!(
        matches!(source, etcdkit_server::DataError::NotEmpty),
        "{error}"
    );
    let server = builder().start().await.unwrap();
    assert_eq!(facts(&server).await, expected);
    save(&server, &path).await;
    let status = etcdkit_snapshot::status(&path).unwrap();
    assert_eq!(status.revision, 63, "what came after is there, too");
}

#[cfg(feature = "durable")]
#[tokio::test]
async fn a_refused_snapshot_leaves_no_data_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("backup.db"), folder.path().join("data"));
    fs::write(&path, "no snapshot").unwrap();
    let builder = || Server::builder().data_dir(&data);
    let refused = builder().from_snapshot(&path).start().await;
    assert!(matches!(refused, Err(StartError::Restore { .. })));
    builder().start().await.unwrap();
}

async fn refusal(path: &Path) -> RestoreError {
    match Server::builder().from_snapshot(path).start().await {
        Err(StartError::Restore { path: told, source }) => {
            assert_eq!(told, path);
            source
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

fn written(folder: &Path, buckets: &[&str], entries: &[Entry]) -> PathBuf {
    let mut draft = Draft::new();
    for bucket in buckets {
        draft.bucket(bucket);
    }
    for (bucket, key, value) in entries {
        draft.push(bucket, key, value).unwrap();
    }
    let path = folder.join("written.db");
    let mut file = fs::File::create(&path).unwrap();
    draft.finish().write_to(&mut file).unwrap();
    path
}

#[tokio::test]
async fn what_is_no_whole_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.db");
    let server = start().await;
    fill(&server).await;
    save(&server, &path).await;
    let whole = fs::read(&path).unwrap();
    let half = whole.len() / 2 / 4096 * 4096;

    type Check = fn(&Error) -> bool;
    let mut flipped = whole.clone();
    flipped[half] ^= 1;
    let mut undigested = flipped.clone();
    // A page's kind, in a file that has no digest to notice it.
    undigested.truncate(whole.len() - 32);
    undigested[2 * 4096 + 8] = 0xff;
    let cases: [(&str, Vec<u8>, Check); 6] = [
        ("damaged", flipped, |error| matches!(error, Error::Digest)),
        ("damaged", undigested, |error| {
            matches!(error, Error::Damaged { .. })
        }),
        ("cut short", whole[..half].to_vec(), |error| {
            matches!(error, Error::Short { .. })
        }),
        ("cut short", whole[..whole.len() - 1].to_vec(), |error| {
            matches!(error, Error::Ragged { .. })
        }),
        ("no snapshot", b"SQLite format 3\0".repeat(1024), |error| {
            matches!(error, Error::NotASnapshot(_))
        }),
        ("no snapshot", Vec::new(), |error| {
            matches!(error, Error::NotASnapshot(_))
        }),
    ];
    for (what, bytes, is_it) in cases {
        fs::write(&path, bytes).unwrap();
        let error = refusal(&path).await;
        assert!(error.to_string().contains(what), "{what}: {error}");
        match error {
            RestoreError::File(file) => assert!(is_it(&file), "{what}: {file:?}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    let missing = refusal(&folder.path().join("missing.db")).await;
    assert!(matches!(missing, RestoreError::File(Error::Io(_))));
}

#[tokio::test]
async fn what_is_not_etcds_or_too_new_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let revision = |main: i64| [&main.to_be_bytes()[..], b"_", &[0; 8]].concat();
    let version = |version: &str| ("meta", b"storageVersion".to_vec(), version.into());
    let garbage = || ("key", revision(2), b"\xff\xff".to_vec());

    let path = written(folder.path(), &["key", "images"], &[]);
    let error = refusal(&path).await;
    assert!(matches!(&error, RestoreError::UnknownBucket { name } if name == "images"));
    let path = written(folder.path(), &[], &[version("3.6.0")]);
    assert!(matches!(refusal(&path).await, RestoreError::NoKeys));
    for entry in [
        garbage(),
        ("key", b"no revision".to_vec(), vec![]),
        ("lease", b"no lease".to_vec(), vec![]),
        ("authUsers", b"ann".to_vec(), b"\xff".to_vec()),
    ] {
        let path = written(folder.path(), &["key"], std::slice::from_ref(&entry));
        let error = refusal(&path).await;
        assert!(
            matches!(error, RestoreError::Entry(_)),
            "{entry:?}: {error}"
        );
    }
    for newer in ["3.8.0", "4.0.0", "next"] {
        // What the file is says more than what cannot be read of it.
        let path = written(folder.path(), &["key"], &[garbage(), version(newer)]);
        let error = refusal(&path).await;
        assert!(
            matches!(&error, RestoreError::Newer { found, .. } if found == newer),
            "{error}"
        );
    }
}

/// Without a digest only the structure and the entries tell of damage.
#[tokio::test]
async fn no_damage_makes_a_start_panic() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let server = start().await;
    fill(&server).await;
    save(&server, &path).await;
    let mut whole = fs::read(&path).unwrap();
    whole.truncate(whole.len() - 32);

    let (mut refused, rounds) = (0, 400);
    for _ in 0..rounds {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..=3) {
            let place = random.usize(2 * 4096..bytes.len());
            bytes[place] = random.u8(..);
        }
        fs::write(&path, bytes).unwrap();
        let builder = Server::builder().without_listener().from_snapshot(&path);
        match builder.start().await {
            Ok(server) => {
                let mut kv = kv(&server, Way::Pipe).await;
                // It may be refused, but the server lives on.
                let _ = kv.put(put("k", "v")).await;
                kv.range(get("k")).await.unwrap();
            }
            Err(StartError::Restore { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > rounds / 50, "{refused} of {rounds}");
}
