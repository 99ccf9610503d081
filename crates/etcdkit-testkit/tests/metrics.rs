//! `/metrics` of the embedded server beside that of real etcd.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use etcdkit::{Client, Compare, KeyRange, Op};
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// A page of metrics, taken apart.
struct Page {
    /// From names to types.
    types: BTreeMap<String, String>,
    /// From names with labels to values.
    samples: BTreeMap<String, f64>,
}

impl Page {
    async fn of(endpoint: &str) -> Self {
        let address = endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let (head, page) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let lower = head.to_ascii_lowercase();
        assert!(
            lower.contains("content-type: text/plain; version=0.0.4"),
            "{head}"
        );
        let mut types = BTreeMap::new();
        let mut samples = BTreeMap::new();
        for line in page.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').expect("a name and a type");
                let before = types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} is told twice");
            } else if !line.starts_with('#') {
                let (sample, value) = line.rsplit_once(' ').expect("a sample and a value");
                let value = value.parse().expect("a number");
                samples.insert(sample.to_owned(), value);
            }
        }
        Self { types, samples }
    }

    fn value(&self, sample: &str) -> f64 {
        self.samples.get(sample).copied().unwrap_or_default()
    }

    /// The names of the labels of each sample.
    fn labels(&self) -> BTreeMap<&str, BTreeSet<Vec<&str>>> {
        let mut all = BTreeMap::<_, BTreeSet<_>>::new();
        for sample in self.samples.keys() {
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let labels = labels
                .split(',')
                .filter_map(|label| Some(label.split_once('=')?.0));
            all.entry(name).or_default().insert(labels.collect());
        }
        all
    }
}

/// What these samples gained while a program did a little of everything.
const COUNTED: [&str; 21] = [
    "etcd_mvcc_put_total",
    "etcd_mvcc_delete_total",
    "etcd_mvcc_txn_total",
    "etcd_debugging_mvcc_keys_total",
    "etcd_debugging_mvcc_current_revision",
    "etcd_debugging_mvcc_compact_revision",
    "etcd_debugging_mvcc_watch_stream_total",
    "etcd_debugging_mvcc_watcher_total",
    "etcd_debugging_mvcc_events_total",
    "etcd_debugging_mvcc_slow_watcher_total",
    "etcd_debugging_lease_granted_total",
    "etcd_debugging_lease_renewed_total",
    "etcd_debugging_lease_revoked_total",
    "etcd_server_proposals_pending",
    "etcd_server_proposals_failed_total",
    r#"grpc_server_started_total{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}"#,
    r#"grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}"#,
    r#"grpc_server_handled_total{grpc_code="OutOfRange",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"}"#,
    r#"grpc_server_started_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}"#,
    r#"grpc_server_handled_total{grpc_code="Canceled",grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}"#,
    r#"grpc_server_handled_total{grpc_code="OK",grpc_method="LeaseGrant",grpc_service="etcdserverpb.Lease",grpc_type="unary"}"#,
];

async fn counted(endpoint: &str) -> BTreeMap<&'static str, f64> {
    let before = Page::of(endpoint).await;
    let client = Client::connect(endpoint).await.expect("a client");
    let mut watch = client.watch(KeyRange::prefix("k")).await.expect("a watch");
    for key in ["k1", "k2", "k3", "other"] {
        client.put(key, "v").await.expect("a put");
    }
    let txn = client.txn().when([Compare::exists("k1")]);
    let ops = [Op::put("k4", "v"), Op::delete("k1"), Op::get("k2")];
    txn.then(ops).await.expect("a transaction");
    client.delete("k2").await.expect("a delete");
    let mut events = 0;
    while events < 6 {
        let update = timeout(PATIENCE, watch.try_next()).await.expect("an event");
        events += update.expect("no error").expect("no end").events().len();
    }
    client.compact(3).await.expect("a compaction");
    client.range("k3").revision(2).await.expect_err("compacted");
    let lease = client.leases().grant(Duration::from_secs(60)).await;
    let lease = lease.expect("a lease").id;
    client
        .leases()
        .keep_alive_once(lease)
        .await
        .expect("a renewal");
    client.leases().revoke(lease).await.expect("a revocation");
    client.put("k3", "v").await.expect("a put");
    let after = Page::of(endpoint).await;
    let gained = |sample: &'static str| (sample, after.value(sample) - before.value(sample));
    COUNTED.into_iter().map(gained).collect()
}

#[tokio::test]
async fn names_types_and_labels_are_etcds_and_the_numbers_are_true() {
    let server = Server::builder().start().await.expect("a server");
    let embedded_counts = counted(&server.endpoint()).await;
    let embedded = Page::of(&server.endpoint()).await;
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        assert_eq!(counted(cluster.endpoint()).await, embedded_counts, "{etcd}");
        let real = Page::of(cluster.endpoint()).await;
        for (name, kind) in &embedded.types {
            assert_eq!(real.types.get(name), Some(kind), "{name}, {etcd}");
        }
        let labels = real.labels();
        for (name, used) in embedded.labels() {
            assert_eq!(labels.get(name), Some(&used), "{name}, {etcd}");
        }
        // What each started with is told, also before the first call.
        for rpc in etcdkit_server::faults::Rpc::ALL {
            let sample = format!(
                "grpc_server_started_total{{grpc_method=\"{}\",grpc_service=\"{}\"",
                rpc.method(),
                rpc.service()
            );
            let told = |page: &Page| page.samples.keys().any(|name| name.starts_with(&sample));
            assert!(told(&embedded), "{sample}");
        }
    }
    assert_eq!(embedded.value("etcd_server_has_leader"), 1.0);
    assert_eq!(embedded.value("etcd_server_is_leader"), 1.0);
    assert_eq!(embedded.value("etcd_server_leader_changes_seen_total"), 1.0);
    assert_eq!(
        embedded.value("etcd_server_quota_backend_bytes"),
        2_147_483_648.0
    );
}

#[tokio::test]
async fn faults_and_expired_leases_are_seen() {
    let server = Server::builder().start().await.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    let grant = client.leases().grant(Duration::from_secs(10)).await;
    grant.expect("a lease");
    server.advance_time(Duration::from_secs(11));
    server.faults().lose_leader();
    let page = Page::of(&server.endpoint()).await;
    assert_eq!(page.value("etcd_debugging_server_lease_expired_total"), 1.0);
    assert_eq!(page.value("etcd_debugging_lease_revoked_total"), 1.0);
    assert_eq!(page.value("etcd_server_has_leader"), 0.0);
    server.faults().regain_leader();
    let page = Page::of(&server.endpoint()).await;
    assert_eq!(page.value("etcd_server_has_leader"), 1.0);
    assert_eq!(page.value("etcd_server_leader_changes_seen_total"), 2.0);
}

#[tokio::test]
async fn commits_of_a_durable_server_are_timed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::builder().data_dir(folder.path()).start().await;
    let server = server.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    client.put("k", "v").await.expect("a put");
    let page = Page::of(&server.endpoint()).await;
    let name = "etcd_disk_backend_commit_duration_seconds";
    let count = page.value(&format!("{name}_count"));
    assert!(count >= 1.0);
    assert_eq!(page.value(&format!("{name}_bucket{{le=\"+Inf\"}}")), count);
    assert!(page.value(&format!("{name}_sum")) > 0.0);
    server.shutdown().await.expect("a good end");
}

/// It reads the memory of the server from its metrics.
#[tokio::test]
async fn etcdctl_checks_how_much_data_the_server_holds() {
    for etcd in Binary::all().expect("a real etcd") {
        let server = Server::builder().start().await.expect("a server");
        let check = Command::new(etcd.path().with_file_name("etcdctl"))
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &server.endpoint(), "check", "datascale"])
            .args(["--load", "s", "--auto-compact"])
            .output();
        let check = check.await.expect("etcdctl runs");
        let said = String::from_utf8_lossy(&check.stdout);
        assert!(said.contains("PASS"), "{etcd}: {said}{check:?}");
    }
}
