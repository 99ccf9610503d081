//! Data moves from the embedded server into real clusters and back, by snapshot, and stays the same.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use bytes::Bytes;
use etcdkit::{Client, ErrorKind, KeyRange, LeaseId, Op, Permission};
use etcdkit_proto::etcdserverpb::{SnapshotRequest, maintenance_client::MaintenanceClient};
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster};

const PASSWORD: &str = "the word";

/// Everything that must survive a move.
#[derive(Debug)]
struct Facts {
    /// The hash of all records at each revision that can be read, and the compacted one.
    hashes: Vec<(i64, u32, i64)>,
    /// Each lease with its time to live in seconds and its keys.
    leases: Vec<(LeaseId, u64, Vec<Bytes>)>,
    users: Vec<(String, Vec<String>)>,
    roles: Vec<(String, Vec<Permission>)>,
}

impl Facts {
    /// Compares one after the other, so that a difference is found in the output.
    fn check(&self, others: &Self, what: &str) {
        assert_eq!(self.leases, others.leases, "{what}");
        assert_eq!(self.users, others.users, "{what}");
        assert_eq!(self.roles, others.roles, "{what}");
        let differing = self.hashes.iter().zip(&others.hashes).find(|(a, b)| a != b);
        assert_eq!(differing, None, "{what}");
        assert_eq!(self.hashes.len(), others.hashes.len(), "{what}");
    }
}

/// Reads the facts as root.
async fn facts(client: &Client) -> Facts {
    let endpoint = client.endpoints().next().expect("an endpoint").to_owned();
    let maintenance = client.maintenance();
    let newest = maintenance.hash_kv(&endpoint).await.expect("a hash");
    let mut hashes = Vec::new();
    // etcd 3.4 refuses the compacted revision itself.
    for revision in newest.compact_revision + 1..=newest.header.revision {
        let hash = maintenance.hash_kv(&endpoint).revision(revision).await;
        let hash = hash.expect("a hash");
        hashes.push((revision, hash.hash, hash.compact_revision));
    }

    let mut leases = Vec::new();
    for lease in client.leases().list().await.expect("the leases").leases {
        let lease = client.leases().time_to_live(lease).keys().await;
        let mut lease = lease.expect("a lease");
        lease.keys.sort_unstable();
        leases.push((lease.id, lease.granted_ttl.as_secs(), lease.keys));
    }
    leases.sort_unstable_by_key(|(id, ..)| *id);

    let mut users = Vec::new();
    for name in client.auth().users().await.expect("the users").users {
        let user = client.auth().user(&name).get().await.expect("a user");
        users.push((name, user.roles));
    }
    let mut roles = Vec::new();
    for name in client.auth().roles().await.expect("the roles").roles {
        let role = client.auth().role(&name).get().await.expect("a role");
        let permissions = match name.as_str() {
            // It may do everything. Since 3.5 etcd shows that as a permission, which it does not store.
            "root" => Vec::new(),
            _ => role.permissions,
        };
        roles.push((name, permissions));
    }
    Facts {
        hashes,
        leases,
        users,
        roles,
    }
}

/// A client of this user.
async fn client_of(endpoint: &str, user: &str) -> Client {
    let builder = Client::builder().endpoints([endpoint]).user(user, PASSWORD);
    builder.connect().await.expect("a client")
}

/// Writes at random, the same for the same seed and the same store.
async fn write(client: &Client, seed: u64, writes: usize, leases: &[LeaseId]) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..writes {
        let key = format!("key/{:02}", random.u8(..40));
        let value = "x".repeat(random.usize(..200));
        match random.u8(..10) {
            0 => {
                let range = KeyRange::prefix(&key[..5]);
                client.delete(range).await.expect("a delete");
            }
            1 => {
                let ops = (0..random.usize(1..5)).map(|place| match random.bool() {
                    true => Op::put(format!("{key}/{place}"), value.clone()),
                    false => Op::delete(format!("key/{:02}", 50 + place)),
                });
                let ops: Vec<_> = ops.collect();
                client.txn().then(ops).await.expect("a transaction");
            }
            2 => {
                let lease = leases[random.usize(..leases.len())];
                client.put(key, value).lease(lease).await.expect("a put");
            }
            3 => {
                client.delete(key).await.expect("a delete");
            }
            _ => {
                client.put(key, value).await.expect("a put");
            }
        }
    }
}

/// The leases that [`fill`] grants and does not revoke.
const LEASES: [LeaseId; 3] = [LeaseId(77), LeaseId(1 << 40), LeaseId(i64::MAX)];

/// Something of everything, with authentication on at the end. Returns a client of root.
async fn fill(endpoint: &str, seed: u64) -> Client {
    let client = Client::connect(endpoint).await.expect("a client");
    let revoked = LeaseId(5);
    for lease in LEASES.into_iter().chain([revoked]) {
        let ttl = Duration::from_secs(3000 + lease.0.rem_euclid(100) as u64);
        let granted = client.leases().grant(ttl).id(lease).await;
        granted.expect("a lease");
    }
    client
        .put("revoked", "v")
        .lease(revoked)
        .await
        .expect("a put");
    write(&client, seed, 150, &LEASES).await;
    for place in 0..3 {
        let value = vec![b'0' + place; 1_000_000];
        let key = format!("large/{place}");
        client.put(key, value).await.expect("a put");
    }
    client.delete("large/1").await.expect("a delete");
    client.leases().revoke(revoked).await.expect("its end");
    for back in [100, 60] {
        let newest = client.range("none").await.expect("a range").header.revision;
        let compaction = client.compact(newest - back).physical();
        compaction.await.expect("a compaction");
        write(&client, seed + back as u64, 80, &LEASES).await;
    }
    // The newest change deletes, and all of its key's history.
    client.put("gone", "v").await.expect("a put");
    client.delete("gone").await.expect("a delete");

    let auth = client.auth();
    for (name, permissions) in [
        ("root", vec![]),
        (
            "reader",
            vec![
                Permission::read(KeyRange::prefix("key/")),
                Permission::read_write("large/0"),
                Permission::write(KeyRange::from("z".to_owned()..)),
            ],
        ),
        ("empty", vec![]),
    ] {
        // etcd has the role of root without being told.
        auth.role(name).add().await.expect("a role");
        for permission in permissions {
            let granted = auth.role(name).grant(permission).await;
            granted.expect("a permission");
        }
    }
    for (name, roles) in [("root", vec!["root"]), ("ann", vec!["empty", "reader"])] {
        auth.user(name).add(PASSWORD).await.expect("a user");
        for role in roles {
            auth.user(name).grant_role(role).await.expect("a role");
        }
    }
    let certified = auth.user("certified").add_without_password().await;
    certified.expect("a user");
    auth.enable().await.expect("authentication");
    client_of(endpoint, "root").await
}

/// Whether ann may what she might before.
async fn check_ann(endpoint: &str, what: &str) {
    let ann = client_of(endpoint, "ann").await;
    ann.range(KeyRange::prefix("key/")).await.expect("may read");
    let refused = ann.put("key/1", "v").await.expect_err("may not write");
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{what}");
    let wrong = Client::builder()
        .endpoints([endpoint])
        .user("ann", "another word");
    assert!(wrong.connect().await.is_err(), "{what}: any password does");
}

/// A snapshot as the client takes it, and, where there is one, as `etcdctl` of each etcd does.
async fn snapshots(client: &Client, tools: &[Binary], folder: &Path) -> Vec<PathBuf> {
    let ours = folder.join("ours.db");
    let saved = client.maintenance().snapshot().save(&ours).await;
    saved.expect("a snapshot");
    let endpoint = client.endpoints().next().expect("an endpoint").to_owned();
    let mut paths = vec![ours];
    for tool in tools {
        let path = folder.join(format!("{}.db", tool.version()));
        let mut command = Command::new(tool.path().with_file_name("etcdctl"));
        command
            .env_clear()
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &endpoint, "--user"])
            .arg(format!("root:{PASSWORD}"))
            .args(["snapshot", "save"])
            .arg(&path);
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.expect("no panic").expect("etcdctl");
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{tool}: {problem}");
        paths.push(path);
    }
    paths
}

#[tokio::test]
async fn the_embedded_server_moves_into_real_clusters() {
    let seed = fastrand::u64(..1 << 60);
    println!("seed {seed}");
    let all = Binary::all().expect("a real etcd");
    let server = Server::builder().start().await.expect("a server");
    let ours = fill(&server.endpoint(), seed).await;
    let before = facts(&ours).await;
    assert!(before.hashes.len() > 50, "{before:?}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths = snapshots(&ours, &all, folder.path()).await;
    // They hold the same, whoever takes them.
    let first = etcdkit_snapshot::status(&paths[0]).expect("a status");
    for path in &paths {
        let status = etcdkit_snapshot::status(path).expect("a status");
        assert_eq!(status.revision, first.revision);
        assert_eq!(status.entries, first.entries);
    }

    let mut clusters = Vec::new();
    for (etcd, path) in all.iter().zip(paths.iter().rev()) {
        let cluster = Cluster::builder(etcd).restored_from(path).start().await;
        let cluster = cluster.expect("a cluster");
        let theirs = client_of(cluster.endpoint(), "root").await;
        before.check(&facts(&theirs).await, &etcd.to_string());
        check_ann(cluster.endpoint(), &etcd.to_string()).await;
        clusters.push((etcd, cluster, theirs));
    }

    // From here on each goes its own way, and all the same.
    write(&ours, seed ^ 1, 100, &LEASES).await;
    let after = facts(&ours).await;
    for (etcd, _cluster, theirs) in &clusters {
        write(theirs, seed ^ 1, 100, &LEASES).await;
        after.check(&facts(theirs).await, &etcd.to_string());
    }
}

/// Starts an embedded server with a file, and checks that it has all that the real one had.
async fn moved_back(path: &Path, before: &Facts, what: &str) -> (Server, Client) {
    let server = Server::builder().from_snapshot(path).start().await;
    let server = server.unwrap_or_else(|error| panic!("{what}: {error}"));
    let ours = client_of(&server.endpoint(), "root").await;
    before.check(&facts(&ours).await, what);
    check_ann(&server.endpoint(), what).await;
    (server, ours)
}

#[tokio::test]
async fn real_clusters_move_into_the_embedded_server() {
    let seed = fastrand::u64(..1 << 60);
    println!("seed {seed}");
    for etcd in &Binary::all().expect("a real etcd") {
        let what = &etcd.to_string();
        let mut cluster = Cluster::builder(etcd).start().await.expect("a cluster");
        let theirs = fill(cluster.endpoint(), seed).await;
        let before = facts(&theirs).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [path, _] = &snapshots(&theirs, std::slice::from_ref(etcd), folder.path()).await[..]
        else {
            panic!("two snapshots");
        };
        let (_server, ours) = moved_back(path, &before, what).await;

        // Both go on alike, and back into a real cluster.
        for client in [&theirs, &ours] {
            write(client, seed ^ 1, 100, &LEASES).await;
        }
        let after = facts(&theirs).await;
        after.check(&facts(&ours).await, what);
        let path = folder.path().join("back.db");
        let saved = ours.maintenance().snapshot().save(&path).await;
        saved.expect("a snapshot");
        let back = Cluster::builder(etcd).restored_from(&path).start().await;
        let back = back.expect("a cluster");
        let there = client_of(back.endpoint(), "root").await;
        after.check(&facts(&there).await, what);

        // The file of the member itself, once it has stopped.
        cluster.member(0).terminate().await.expect("its end");
        let backend = cluster.folder().join("m1/member/snap/db");
        let (_server, ours) = moved_back(&backend, &after, what).await;
        if etcd.version().minor >= 5 {
            // Where nobody remembers the hash that the compaction had, it is counted alike.
            let compacted = after.hashes[0].2;
            let mut hashes = Vec::new();
            for client in [&there, &ours] {
                let endpoint = client.endpoints().next().expect("an endpoint").to_owned();
                let hash = client.maintenance().hash_kv(&endpoint).revision(compacted);
                hashes.push(hash.await.expect("a hash").hash);
            }
            assert_eq!(hashes[0], hashes[1], "{what}");
        }
    }
}

async fn put_large(endpoint: &str) {
    let client = Client::connect(endpoint).await.expect("a client");
    for key in 0..20 {
        let value = vec![b'x'; 10_000 + key];
        client.put(format!("{key}"), value).await.expect("a put");
    }
}

/// The messages of a snapshot, without what they carry.
async fn stream_of(endpoint: &str) -> Vec<(usize, u64, bool, String)> {
    let channel = tonic::transport::Channel::from_shared(endpoint.to_owned())
        .expect("an endpoint")
        .connect_lazy();
    let mut maintenance = MaintenanceClient::new(channel);
    let stream = maintenance.snapshot(SnapshotRequest {}).await;
    let mut stream = stream.expect("a snapshot").into_inner();
    let mut messages = Vec::new();
    while let Some(response) = stream.message().await.expect("a message") {
        messages.push((
            response.blob.len(),
            response.remaining_bytes,
            response.header.is_some(),
            response.version,
        ));
    }
    messages
}

#[tokio::test]
async fn the_messages_of_a_snapshot_are_like_etcds() {
    let server = Server::builder().start().await.expect("a server");
    let ours = stream_of(&server.endpoint()).await;
    assert!(
        ours.iter().all(|(.., version)| version == "3.6.0"),
        "{ours:?}"
    );
    put_large(&server.endpoint()).await;
    let ours = stream_of(&server.endpoint()).await;
    let mut all = vec![("the embedded server".to_owned(), ours)];
    for etcd in &Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(etcd).start().await.expect("a cluster");
        put_large(cluster.endpoint()).await;
        all.push((etcd.to_string(), stream_of(cluster.endpoint()).await));
    }
    for (what, messages) in all {
        let (digest, pieces) = messages.split_last().expect("a digest");
        assert_eq!((digest.0, digest.1), (32, 0), "{what}");
        let mut left: u64 = pieces.iter().map(|(length, ..)| *length as u64).sum();
        assert!(
            left > 200_000 && left.is_multiple_of(4096),
            "{what}: {left}"
        );
        for (length, remaining, has_header, _) in pieces {
            assert_eq!(*length as u64, left.min(32 * 1024), "{what}");
            left -= *length as u64;
            assert_eq!((*remaining, *has_header), (left, false), "{what}");
        }
    }
}

/// Disaster recovery of Kubernetes: the revision is raised, and all before it compacted.
#[tokio::test]
async fn a_cluster_restored_with_a_raised_revision_moves_too() {
    let seed = fastrand::u64(..1 << 60);
    println!("seed {seed}");
    let all = Binary::all().expect("a real etcd");
    let raising = all.iter().filter(|etcd| etcd.version().minor >= 5);
    for etcd in raising {
        let what = &etcd.to_string();
        let server = Server::builder().start().await.expect("a server");
        let ours = fill(&server.endpoint(), seed).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("backup.db");
        let saved = ours.maintenance().snapshot().save(&path).await;
        saved.expect("a snapshot");
        let raised = Cluster::builder(etcd)
            .restored_from(&path)
            .restore_flag("--bump-revision=1000000")
            .restore_flag("--mark-compacted")
            .start()
            .await;
        let raised = raised.expect("a cluster");
        let theirs = client_of(raised.endpoint(), "root").await;
        write(&theirs, seed ^ 1, 50, &LEASES).await;
        let before = facts(&theirs).await;
        assert!(before.hashes[0].0 > 1_000_000, "{what}: {before:?}");
        let saved = theirs.maintenance().snapshot().save(&path).await;
        saved.expect("a snapshot");
        let (_server, ours) = moved_back(&path, &before, what).await;
        for client in [&theirs, &ours] {
            write(client, seed ^ 2, 50, &LEASES).await;
        }
        facts(&theirs).await.check(&facts(&ours).await, what);
    }
}
