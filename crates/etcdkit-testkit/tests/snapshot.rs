//! Snapshots: saved whole and verified, or not at all.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};
use etcdkit::{Client, Error, ErrorKind, Outcome};
use etcdkit_proto::etcdserverpb::SnapshotResponse;
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    fake::{FakeServer, Reply},
    proxy::Proxy,
};
use prost::Message;

const PATIENCE: Duration = Duration::from_secs(30);
const DIGEST: u64 = 32;

/// A cluster whose backend is larger than what may be on its way at a time.
async fn filled(etcd: &Binary, megabytes: usize) -> (Cluster, Client) {
    let cluster = Cluster::builder(etcd).start().await.expect("a cluster");
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    for key in 0..megabytes {
        let put = client.put(format!("k{key}"), vec![b'x'; 1_000_000]).await;
        put.expect("a put");
    }
    (cluster, client)
}

/// The version of the backend's format, which a new cluster since 3.6 settles on after a while.
async fn storage_version(etcd: &Binary, cluster: &Cluster, client: &Client) -> Option<String> {
    if etcd.version().minor < 6 {
        return None;
    }
    let wanted = format!("{}.{}.0", etcd.version().major, etcd.version().minor);
    let start = Instant::now();
    loop {
        let status = client.maintenance().status(cluster.endpoint()).await;
        if status.expect("a status").storage_version == wanted {
            return Some(wanted);
        }
        assert!(start.elapsed() < PATIENCE, "{etcd} has no version");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The names of the files in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Restores a snapshot with etcd's own tool, which verifies its digest.
fn restore(etcd: &Binary, snapshot: &Path, into: &Path) {
    let output = etcd
        .snapshot_tool()
        .arg("restore")
        .arg(snapshot)
        .arg("--data-dir")
        .arg(into)
        .output()
        .expect("etcd's tool");
    assert!(
        output.status.success(),
        "{etcd}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(into.join("member/snap/db").exists(), "{etcd}");
}

#[tokio::test]
async fn a_saved_snapshot_is_whole_private_and_restorable() {
    for etcd in Binary::all().expect("a real etcd") {
        let (cluster, client) = filled(&etcd, 3).await;
        let known = storage_version(&etcd, &cluster, &client).await;
        let folder = folder();
        let path = folder.path().join("backup.db");
        let mut reports = Vec::new();
        let saved = client
            .maintenance()
            .snapshot()
            .save(&path)
            .on_progress(|progress| reports.push(progress))
            .await
            .expect("a snapshot");

        let size = fs::metadata(&path).expect("the file").len();
        assert_eq!(saved.size, size, "{etcd}");
        assert!(size > 3_000_000 && size % 512 == DIGEST, "{etcd}: {size}");
        assert_eq!(saved.endpoint, cluster.endpoint());
        assert_eq!(saved.version, known, "{etcd}");
        assert_eq!(files(folder.path()), ["backup.db"], "{etcd}");
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(&path).expect("the file").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600, "{etcd}");

        assert!(reports.iter().all(|progress| progress.total == size));
        assert!(reports.is_sorted_by_key(|progress| progress.received));
        let last = reports.last().expect("a report");
        assert_eq!(last.received, size, "{etcd}");
        restore(&etcd, &path, &folder.path().join("restored"));
    }
}

#[tokio::test]
async fn a_snapshot_is_a_stream_of_the_member_named() {
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).members(3).start().await;
        let mut cluster = cluster.expect("a cluster");
        let endpoints = cluster.endpoints();
        let client = Client::connect(&endpoints[..2]).await.expect("a client");
        client.put("k", "v").await.expect("a put");
        // The last is none of the client's endpoints.
        for endpoint in &endpoints {
            let snapshot = client.maintenance().snapshot().from(endpoint);
            let mut snapshot = snapshot.await.expect("a snapshot");
            assert_eq!(snapshot.endpoint(), endpoint);
            let mut received = 0;
            while let Some(chunk) = snapshot.try_next().await.expect("a chunk") {
                assert!(!chunk.is_empty());
                received += chunk.len() as u64;
            }
            assert_eq!(received, snapshot.size(), "{etcd}");
            assert_eq!(received, snapshot.received(), "{etcd}");
            assert_eq!(snapshot.try_next().await.expect("the end"), None);
        }
        cluster.member(1).kill().expect("a running member");
        cluster.member(2).kill().expect("a running member");
        let snapshot = client.maintenance().snapshot().from(&endpoints[0]);
        snapshot.await.expect("it takes one member, and no leader");
        let any = client.maintenance().snapshot().await;
        assert_eq!(any.expect("a snapshot").endpoint(), endpoints[0], "{etcd}");
        let dead = client.maintenance().snapshot().from(&endpoints[1]);
        let start = Instant::now();
        let error = dead.timeout(Duration::from_secs(1)).await;
        let error = error.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::Connect, "{etcd}: {error}");
        assert!(start.elapsed() < PATIENCE, "{error}");
    }
}

#[tokio::test]
async fn a_snapshot_that_is_cut_leaves_what_was_there_before() {
    for etcd in Binary::all().expect("a real etcd") {
        let (cluster, _) = filled(&etcd, 30).await;
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a port");
        let proxy = Arc::new(proxy);
        let client = Client::connect(proxy.endpoint()).await.expect("a client");
        let folder = folder();
        let path = folder.path().join("backup.db");
        fs::write(&path, "an older one").expect("a file");
        let mut cut_at = 0;
        let save = client.maintenance().snapshot().save(&path);
        let error = save
            .on_progress(|progress| {
                if cut_at == 0 && progress.received > 1 << 20 {
                    cut_at = progress.received;
                    proxy.cut();
                }
            })
            .await
            .expect_err("the connection was cut");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Disconnected, Outcome::NotApplied),
            "{etcd}: {error}"
        );
        assert_eq!(error.operation(), Some("snapshot"));
        assert_eq!(error.endpoint(), Some(&*proxy.endpoint()));
        let text = error.to_string();
        assert!(text.contains("after ") && text.contains(" bytes"), "{text}");
        gone(&folder.path().join("backup.db.part")).await;
        assert_eq!(fs::read(&path).expect("the file"), b"an older one");

        let again = client.maintenance().snapshot().save(&path);
        let saved = again.await.expect("a snapshot");
        assert!(saved.size > 30_000_000, "{etcd}");
    }
}

/// Waits until a file has been removed: the thread that writes it is told, and not waited for.
async fn gone(path: &Path) {
    let start = Instant::now();
    while path.exists() {
        assert!(start.elapsed() < PATIENCE, "{} stays", path.display());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_member_that_falls_silent_is_not_waited_for() {
    let etcd = Binary::newest().expect("a real etcd");
    let (mut cluster, client) = filled(&etcd, 30).await;
    let snapshot = client.maintenance().snapshot();
    let mut snapshot = snapshot
        .silence(Duration::from_millis(500))
        .await
        .expect("a snapshot");
    cluster.member(0).pause().expect("a running member");
    let start = Instant::now();
    let error = read_to_end(&mut snapshot).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(
        error.message().contains("no answer within 500ms"),
        "{error}"
    );
    assert!(error.message().contains(" of "), "{error}");
    assert!(start.elapsed() < PATIENCE, "{error}");
    assert_eq!(snapshot.try_next().await.expect("the end"), None);

    let folder = folder();
    let save = client
        .maintenance()
        .snapshot()
        .save(folder.path().join("x"));
    let error = save.timeout(Duration::from_millis(500)).await;
    let error = error.expect_err("it stands still");
    assert_eq!(
        error.kind(),
        ErrorKind::Connect,
        "a new connection: {error}"
    );
    assert!(files(folder.path()).is_empty());
    cluster.member(0).resume().expect("a running member");
}

async fn read_to_end(snapshot: &mut etcdkit::Snapshot) -> Error {
    loop {
        match snapshot.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended well"),
            Err(error) => return error,
        }
    }
}

#[tokio::test]
async fn a_save_that_is_dropped_removes_its_file() {
    let etcd = Binary::newest().expect("a real etcd");
    let (_cluster, client) = filled(&etcd, 30).await;
    let folder = folder();
    let path = folder.path().join("backup.db");
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let save = client.maintenance().snapshot().save(&path);
    let save = save.on_progress(move |_| {
        if let Some(begun) = begun.take() {
            begun.send(()).expect("the test waits for it");
        }
    });
    tokio::select! {
        saved = save => panic!("it was to be dropped: {saved:?}"),
        begun = has_begun => begun.expect("a beginning"),
    }
    gone(&folder.path().join("backup.db.part")).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told() {
    let etcd = Binary::newest().expect("a real etcd");
    let (_cluster, client) = filled(&etcd, 0).await;
    let path = folder().path().join("no/such/folder/backup.db");
    let error = client.maintenance().snapshot().save(&path).await;
    let error = error.expect_err("there is no folder");
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    let shown = path.display().to_string();
    assert!(error.message().contains(&shown), "{error}");
    let cause = std::error::Error::source(&error).expect("a cause");
    assert!(cause.is::<std::io::Error>(), "{cause:?}");
}

/// A snapshot as a server would send it: the frames of its messages, and the file it makes.
fn fake_snapshot() -> (Vec<Bytes>, Vec<u8>) {
    const BACKEND: &[u8] = include_bytes!("../Cargo.toml");
    let mut backend = BACKEND.to_vec();
    backend.resize(BACKEND.len().next_multiple_of(4096), 0);
    let digest = sha256(&backend);
    let mut frames = Vec::new();
    let mut remaining = backend.len();
    for chunk in backend.chunks(1000) {
        remaining -= chunk.len();
        frames.push(frame(chunk, remaining));
    }
    frames.push(frame(&digest, 0));
    backend.extend_from_slice(&digest);
    (frames, backend)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).to_vec()
}

/// A message in gRPC's frame.
fn frame(chunk: &[u8], remaining: usize) -> Bytes {
    let message = SnapshotResponse {
        remaining_bytes: remaining as u64,
        blob: Bytes::copy_from_slice(chunk),
        ..SnapshotResponse::default()
    };
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.encoded_len() as u32);
    message.encode(&mut frame).expect("room for the message");
    frame.freeze()
}

async fn save_from_fake(reply: Reply) -> (Result<PathBuf, Error>, tempfile::TempDir, FakeServer) {
    let server = FakeServer::start(move |_, _| reply.clone()).await;
    let server = server.expect("a port");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    let folder = folder();
    let path = folder.path().join("backup.db");
    let saved = client.maintenance().snapshot().save(&path).await;
    (saved.map(|_| path), folder, server)
}

#[tokio::test]
async fn what_the_server_sent_is_what_is_saved() {
    let (frames, file) = fake_snapshot();
    let (saved, _folder, _server) = save_from_fake(Reply::frames(frames)).await;
    let saved = fs::read(saved.expect("a snapshot")).expect("the file");
    assert!(saved == file, "{} of {} bytes", saved.len(), file.len());
}

#[tokio::test]
async fn a_snapshot_with_a_wrong_byte_or_size_is_never_saved() {
    type Damage = fn(&mut Vec<Bytes>);
    let damages: [(&str, &str, Damage); 6] = [
        ("a byte of the data", "digest", |frames| {
            let mut wrong = frames[1].to_vec();
            *wrong.last_mut().expect("a byte") ^= 1;
            frames[1] = wrong.into();
        }),
        ("a byte of the digest", "digest", |frames| {
            let mut wrong = frames.pop().expect("the digest").to_vec();
            *wrong.last_mut().expect("a byte") ^= 1;
            frames.push(wrong.into());
        }),
        ("no digest", "before its end", |frames| {
            frames.pop();
        }),
        ("a chunk is missing", "before its end", |frames| {
            frames.remove(1);
        }),
        ("a chunk comes twice", "more than", |frames| {
            frames.insert(1, frames[1].clone());
        }),
        ("half a page", "whole pages", |frames| {
            frames[0] = frame(&[0; 100], 0);
        }),
    ];
    for (what, told, damage) in damages {
        let (mut frames, _) = fake_snapshot();
        damage(&mut frames);
        let (saved, folder, server) = save_from_fake(Reply::frames(frames)).await;
        let error = saved.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::SnapshotCorrupt, "{what}: {error}");
        assert!(error.message().contains(told), "{what}: {error}");
        assert!(error.to_string().contains(" bytes"), "{what}: {error}");
        gone(&folder.path().join("backup.db.part")).await;
        assert!(files(folder.path()).is_empty(), "{what}");
        assert_eq!(
            server.counts().requests,
            1,
            "{what}: it is not fetched anew"
        );
    }
    let (saved, _folder, _server) = save_from_fake(Reply::frames([])).await;
    let error = saved.expect_err("nothing at all");
    assert_eq!(error.kind(), ErrorKind::SnapshotCorrupt, "{error}");
}

#[tokio::test]
async fn only_the_first_chunk_is_asked_for_again() {
    let (frames, file) = fake_snapshot();
    let all = Reply::frames(frames.clone());
    let server = FakeServer::start(move |_, before| match before {
        0 => Reply::Status(14, "etcdserver: server stopped"),
        _ => all.clone(),
    });
    let server = server.await.expect("a port");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    let mut snapshot = client.maintenance().snapshot().await.expect("a snapshot");
    let mut received = Vec::new();
    while let Some(chunk) = snapshot.try_next().await.expect("a chunk") {
        received.extend_from_slice(&chunk);
    }
    assert!(received == file);
    assert_eq!(server.counts().requests, 2);

    let cut = Reply::CloseAfter(frames[0].clone());
    let (saved, folder, server) = save_from_fake(cut).await;
    let error = saved.expect_err("it was cut");
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    let progress = format!("after 1000 of {} bytes", file.len());
    assert!(error.message().contains(&progress), "{error}");
    gone(&folder.path().join("backup.db.part")).await;
    assert_eq!(server.counts().requests, 1);
}

#[tokio::test]
async fn a_refusal_is_told_as_it_is() {
    let refusal = Reply::Status(7, "etcdserver: permission denied");
    let (saved, folder, server) = save_from_fake(refusal).await;
    let error = saved.expect_err("it was refused");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(files(folder.path()).is_empty());
    assert_eq!(server.counts().requests, 1);
}
