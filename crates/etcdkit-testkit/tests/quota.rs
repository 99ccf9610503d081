//! What a quota refuses, what it lets through and how to get out: one scene, on the embedded server and
//! on every real etcd.

use std::time::Duration;

use etcdkit::{AlarmKind, Client, ErrorKind, KeyRange, LeaseId, Op, Result};
use etcdkit_proto::etcdserverpb::{PutRequest, kv_client::KvClient};
use etcdkit_server::{Server, ServerBuilder};
use etcdkit_testkit::etcd::{Binary, Cluster};
use tonic::transport::Channel;

/// A small quota, in bytes.
const QUOTA: i64 = 4 << 20;

/// How many puts of [`chunk`] certainly reach it. A real etcd learns its size ten times a second.
const MOST_PUTS: usize = 4000;

/// What is put again and again.
fn chunk() -> Vec<u8> {
    vec![b'x'; 100_000]
}

/// A server under the scene.
struct Stage<'a> {
    name: &'a str,
    client: &'a Client,
    endpoint: &'a str,
    /// etcd 3.5 and earlier overlook what transactions inside of transactions put.
    counts_nested: bool,
    /// etcd 3.5 and earlier ask nobody for leave while the alarm is raised.
    guards_when_full: bool,
}

impl Stage<'_> {
    /// Puts until the quota is reached.
    async fn fill(&self) {
        for _ in 0..MOST_PUTS {
            match self.client.put("fill", chunk()).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NoSpace => return,
                Err(error) => panic!("{}: {error}", self.name),
            }
        }
        panic!("{} has no quota", self.name);
    }

    fn refused<T: std::fmt::Debug>(&self, answer: Result<T>, kind: ErrorKind, what: &str) {
        match answer {
            Err(error) if error.kind() == kind => {}
            other => panic!("{}, {what}: {other:?}", self.name),
        }
    }

    fn allowed<T>(&self, answer: Result<T>, what: &str) -> T {
        match answer {
            Ok(answer) => answer,
            Err(error) => panic!("{}, {what}: {error}", self.name),
        }
    }

    async fn alarms(&self) -> Vec<AlarmKind> {
        let alarms = self.client.maintenance().alarms().await;
        let alarms = self.allowed(alarms, "the alarms").alarms;
        alarms.iter().map(|alarm| alarm.kind).collect()
    }

    async fn disarm(&self) {
        let disarmed = self.client.maintenance().disarm_all().await;
        let disarmed = self.allowed(disarmed, "disarming").alarms;
        assert_eq!(disarmed.len(), 1, "{}", self.name);
        assert_eq!(self.alarms().await, [], "{}", self.name);
    }

    /// Makes room, as etcd's documentation tells operators to.
    async fn make_room(&self) {
        let status = self.client.maintenance().status(self.endpoint).await;
        let revision = self.allowed(status, "the status").header.revision;
        let compacted = self.client.compact(revision).physical().await;
        self.allowed(compacted, "a compaction");
        let defragmented = self.client.maintenance().defragment(self.endpoint).await;
        self.allowed(defragmented, "a defragmentation");
    }

    /// The client would not send such a key.
    async fn refuses_an_empty_key(&self, text: &str) {
        let channel = Channel::from_shared(self.endpoint.to_owned()).expect("an endpoint");
        let request = PutRequest {
            value: chunk().into(),
            ..Default::default()
        };
        let answer = KvClient::new(channel.connect_lazy()).put(request).await;
        let status = answer.expect_err("there is no key");
        assert_eq!(status.message(), text, "{}", self.name);
    }

    /// What takes space is refused, down to the smallest request.
    async fn refuses_what_takes_space(&self, lease: LeaseId) {
        let client = self.client;
        let refused = |answer, what| self.refused(answer, ErrorKind::NoSpace, what);
        refused(client.put("small", "v").await.map(drop), "a put");
        let txn = client.txn().then([Op::put("small", "v")]);
        refused(txn.await.map(drop), "a transaction that puts");
        let txn = client.txn().or_else([Op::put("small", "v")]);
        refused(txn.await.map(drop), "a put in the other branch");
        let nested = Op::txn([], [Op::put("small", "v")], []);
        let txn = client.txn().then([nested]).await.map(drop);
        match self.counts_nested {
            true => refused(txn, "a put in a transaction inside"),
            false => self.allowed(txn, "a put in a transaction inside"),
        }
        let grant = client.leases().grant(Duration::from_secs(100)).await;
        refused(grant.map(drop), "a lease");
        let lock = client.lock_service().lock("l", lease).await;
        let lock = lock.expect_err("a lock takes space");
        let text = "etcdserver: mvcc: database space exceeded";
        assert!(lock.message().contains(text), "{}: {lock}", self.name);
    }

    /// What takes none goes on.
    async fn allows_the_rest(&self, lease: LeaseId) {
        let client = self.client;
        let key = self.allowed(client.get("kept").await, "a read");
        assert!(key.is_some(), "{}", self.name);
        self.allowed(client.delete("kept").await, "a delete");
        let txn = client
            .txn()
            .then([Op::get("fill"), Op::delete("another")])
            .await;
        self.allowed(txn, "a transaction that puts nothing");
        let leases = client.leases();
        self.allowed(leases.keep_alive_once(lease).await, "a renewal");
        self.allowed(leases.time_to_live(lease).await, "a look at a lease");
        self.allowed(client.cluster().members().await, "the members");
        self.allowed(client.auth().role("role").add().await, "a role");
    }

    /// Neither does somebody get in before what is wrong is told, nor without leave.
    async fn looks_at_room_first(&self) {
        let client = self.client;
        let root = client.auth().user("root");
        self.allowed(root.add("pw").await, "a user");
        self.allowed(root.grant_role("root").await, "a grant");
        self.allowed(client.auth().enable().await, "authentication");
        let put = client.put("small", "v").await;
        self.refused(put, ErrorKind::NoSpace, "a stranger's put");
        let delete = client.delete("none").await;
        match self.guards_when_full {
            true => self.refused(delete, ErrorKind::UserEmpty, "a stranger's delete"),
            false => drop(self.allowed(delete, "a stranger's delete")),
        }
        let administrator = Client::builder().endpoint(self.endpoint).user("root", "pw");
        let administrator = administrator.connect().await;
        let administrator = self.allowed(administrator, "root's client");
        self.allowed(administrator.auth().disable().await, "no authentication");
    }
}

/// The whole story.
async fn scene(stage: &Stage<'_>) {
    let (name, client) = (stage.name, stage.client);
    let lease = client.leases().grant(Duration::from_secs(1000)).await;
    let lease = stage.allowed(lease, "a lease").id;
    stage.allowed(client.put("kept", "v").lease(lease).await, "a put");
    stage.allowed(client.put("another", "v").await, "a put");

    stage.fill().await;
    assert_eq!(stage.alarms().await, [AlarmKind::NoSpace], "{name}");
    let status = client.maintenance().status(stage.endpoint).await;
    let status = stage.allowed(status, "the status");
    assert!(status.errors[0].contains("NOSPACE"), "{name}: {status:?}");
    if status.db_size_quota != 0 {
        assert_eq!(status.db_size_quota, QUOTA, "{name}");
    }
    // Whether there is room is asked before what is wrong with a request.
    stage
        .refuses_an_empty_key("etcdserver: mvcc: database space exceeded")
        .await;
    stage.refuses_what_takes_space(lease).await;
    stage.allows_the_rest(lease).await;
    stage.looks_at_room_first().await;

    // Disarming alone makes no room.
    stage.disarm().await;
    stage.fill().await;
    assert_eq!(stage.alarms().await, [AlarmKind::NoSpace], "{name}");

    // And room alone does not disarm.
    stage.make_room().await;
    assert_eq!(stage.alarms().await, [AlarmKind::NoSpace], "{name}");
    stage
        .refuses_an_empty_key("etcdserver: key is not provided")
        .await;
    stage.refuses_what_takes_space(lease).await;
    stage.allowed(client.leases().revoke(lease).await, "a revocation");

    stage.disarm().await;
    stage.allowed(client.put("small", "v").await, "a put with room");
    let grant = client.leases().grant(Duration::from_secs(100)).await;
    stage.allowed(grant, "a lease with room");
    let all = client.range(KeyRange::prefix("")).keys_only().await;
    let keys = stage.allowed(all, "the keys");
    let keys: Vec<_> = keys.kvs.iter().map(|kv| kv.key.clone()).collect();
    assert_eq!(
        keys,
        ["fill", "small"],
        "{name}: nothing refused was applied"
    );
}

async fn embedded(name: &str, builder: ServerBuilder) {
    let server = builder.quota_backend_bytes(QUOTA).start().await;
    let server = server.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    scene(&Stage {
        name,
        client: &client,
        endpoint: &server.endpoint(),
        counts_nested: true,
        guards_when_full: true,
    })
    .await;
    server.shutdown().await.expect("an orderly end");
}

#[tokio::test]
async fn the_embedded_server_in_memory() {
    embedded("embedded, in memory", Server::builder()).await;
}

#[tokio::test]
async fn the_embedded_server_with_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let builder = Server::builder().data_dir(directory.path());
    embedded("embedded, with a file", builder).await;
}

/// The alarm is part of the data.
#[tokio::test]
async fn the_alarm_outlives_the_server() {
    let directory = tempfile::tempdir().expect("a directory");
    for start in 0..2 {
        let builder = Server::builder().data_dir(directory.path());
        let server = builder.quota_backend_bytes(QUOTA).start().await;
        let server = server.expect("a server");
        let client = Client::connect(server.endpoint()).await.expect("a client");
        let stage = Stage {
            name: "embedded, started again",
            client: &client,
            endpoint: &server.endpoint(),
            counts_nested: true,
            guards_when_full: true,
        };
        if start == 0 {
            stage.fill().await;
        }
        assert_eq!(stage.alarms().await, [AlarmKind::NoSpace]);
        let put = client.put("small", "v").await;
        stage.refused(put, ErrorKind::NoSpace, "a put");
        server.shutdown().await.expect("an orderly end");
    }
}

#[tokio::test]
async fn every_real_etcd() {
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).flag(format!("--quota-backend-bytes={QUOTA}"));
        let cluster = cluster.start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        let version = etcd.version();
        let since_3_6 = (version.major, version.minor) >= (3, 6);
        scene(&Stage {
            name: &etcd.to_string(),
            client: &client,
            endpoint: cluster.endpoint(),
            counts_nested: since_3_6,
            guards_when_full: since_3_6,
        })
        .await;
    }
}
