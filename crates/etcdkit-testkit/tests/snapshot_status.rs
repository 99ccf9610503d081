//! What a snapshot file holds, as our reader and as etcd's own tools tell it.

use std::{fs, path::Path, time::Duration};

use etcdkit::{Client, KeyRange};
use etcdkit_snapshot::{Draft, Error, Snapshot, Status, Visit};
use etcdkit_testkit::etcd::{Binary, Cluster};

/// What `snapshot status` of etcd's tool beside a server tells of a file.
fn told_by_etcd(etcd: &Binary, snapshot: &Path) -> serde_json::Value {
    let output = etcd
        .snapshot_tool()
        .args(["status", "--write-out=json"])
        .arg(snapshot)
        .output()
        .expect("etcd's tool");
    let text = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{etcd}: {problem}");
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{etcd}: {error}: {text}"))
}

/// The same in the words of a tool.
fn told_by_us(etcd: &Binary, status: &Status) -> serde_json::Value {
    let mut told = serde_json::json!({
        "hash": status.hash,
        "revision": status.revision,
        "totalKey": status.entries,
        "totalSize": status.total_size,
    });
    if etcd.version().minor >= 6 {
        told["totalKey"] = status.live_keys.into();
        told["version"] = status.version.clone().unwrap_or_default().into();
    }
    told
}

/// A store with something of everything: many small keys, large values, deletions, leases, and pages
/// that a compaction has freed.
async fn fill(client: &Client) {
    for key in 0..300 {
        let value = format!("value {key}");
        client
            .put(format!("small/{key}"), value)
            .await
            .expect("a put");
    }
    for key in 0..5 {
        let value = vec![b'x'; 200_000];
        client
            .put(format!("large/{key}"), value)
            .await
            .expect("a put");
    }
    let lease = client.leases().grant(Duration::from_secs(600)).await;
    let lease = lease.expect("a lease").id;
    client.put("leased", "v").lease(lease).await.expect("a put");
    let deleted = client.delete(KeyRange::prefix("small/1")).await;
    let revision = deleted.expect("a delete").header.revision;
    client
        .compact(revision - 50)
        .physical()
        .await
        .expect("a compaction");
    client.delete("large/0").await.expect("a delete");
    client.put("large/0", "back again").await.expect("a put");
    client.delete("large/1").await.expect("a delete");
}

#[tokio::test]
async fn our_reader_tells_what_etcds_tools_tell() {
    let all = Binary::all().expect("a real etcd");
    for etcd in &all {
        let cluster = Cluster::builder(etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("backup.db");
        for what in ["empty", "full"] {
            if what == "full" {
                fill(&client).await;
            }
            let saved = client.maintenance().snapshot().save(&path).await;
            let saved = saved.expect("a snapshot");
            let status = etcdkit_snapshot::status(&path).expect("a status");
            assert_eq!(status.total_size + 32, saved.size, "{etcd}, {what}");
            assert_eq!(status.version, saved.version, "{etcd}, {what}");
            for tool in &all {
                assert_eq!(
                    told_by_us(tool, &status),
                    told_by_etcd(tool, &path),
                    "{what} snapshot of {etcd} read by {tool}"
                );
            }
        }
        let live = client.range(..).count_only().await.expect("a count").count;
        let status = etcdkit_snapshot::status(&path).expect("a status");
        assert_eq!(status.live_keys, live as u64, "{etcd}");
    }
}

/// All that a file holds, written anew.
fn written_again(path: &Path) -> Vec<u8> {
    let mut draft = Draft::new();
    let mut snapshot = Snapshot::open(path).expect("a snapshot");
    let all = snapshot.read(|visit| match visit {
        Visit::Bucket(name) => {
            draft.bucket(name);
            Ok(())
        }
        Visit::Entry(entry) => {
            let (key, value) = (entry.key.to_vec(), entry.value.to_vec());
            draft.push(entry.bucket, key, value)
        }
    });
    all.expect("all of it");
    let mut file = Vec::new();
    draft.finish().write_to(&mut file).expect("memory takes it");
    file
}

#[tokio::test]
async fn etcds_tools_tell_of_what_we_write_what_they_tell_of_the_original() {
    let all = Binary::all().expect("a real etcd");
    for etcd in &all {
        let mut cluster = Cluster::builder(etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        fill(&client).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let saved = folder.path().join("backup.db");
        let snapshot = client.maintenance().snapshot().save(&saved).await;
        snapshot.expect("a snapshot");
        let backend = cluster.folder().join("m1/member/snap/db");
        let running = Snapshot::open(&backend).map(|snapshot| snapshot.size());
        assert!(matches!(running, Err(Error::InUse)), "{etcd}: {running:?}");
        cluster.member(0).terminate().await.expect("its end");

        // A snapshot, and the file of a stopped member, with pages that are free again.
        for original in [saved, backend] {
            let bytes = written_again(&original);
            let ours = folder.path().join("ours.db");
            fs::write(&ours, &bytes).expect("a file");
            assert!(
                written_again(&ours) == bytes,
                "{etcd}: the same makes the same"
            );
            let status = etcdkit_snapshot::status(&ours).expect("a status");
            let mut expected = etcdkit_snapshot::status(&original).expect("a status");
            expected.total_size = status.total_size;
            assert_eq!(status, expected, "{etcd}");
            for tool in &all {
                assert_eq!(
                    told_by_us(tool, &status),
                    told_by_etcd(tool, &ours),
                    "{etcd}'s data written by us and read by {tool}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_an_error_or_read_and_never_a_panic() {
    const ROUNDS: usize = 300;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    fill(&client).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("backup.db");
    client
        .maintenance()
        .snapshot()
        .save(&path)
        .await
        .expect("a snapshot");
    let whole = fs::read(&path).expect("the file");
    let status = etcdkit_snapshot::status(&path).expect("a status");
    let mut noticed = 0;
    for _ in 0..ROUNDS {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..50) {
            // The beginnings of pages are where they tell of themselves.
            let page = random.usize(..bytes.len() / 4096) * 4096;
            bytes[page + random.usize(..128)] = random.u8(..);
        }
        if random.u8(..32) == 0 {
            bytes.truncate(random.usize(..whole.len()));
        }
        fs::write(&path, &bytes).expect("a file");
        match etcdkit_snapshot::status(&path) {
            Ok(other) => assert!(other == status || other.hash != status.hash),
            Err(_) => noticed += 1,
        }
    }
    // Much of the file is free pages, which nobody reads.
    assert!(noticed > ROUNDS / 10, "{noticed} of {ROUNDS} were noticed");
    fs::write(&path, &whole[..whole.len() / 2]).expect("a file");
    let error = etcdkit_snapshot::status(&path).expect_err("half of it is missing");
    assert!(matches!(error, Error::Short { .. }), "{error}");
}
