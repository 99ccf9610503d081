//! The same client from variables, a URL, YAML and a builder, and what calls make of its settings, on
//! real etcd and on fakes.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use etcdkit::{CallOptions, Client, ClientBuilder, ErrorKind, KeyRange, Outcome, RetryPolicy, Tls};
use etcdkit_testkit::{
    certificates::Authority,
    etcd::{Binary, Cluster, Version},
    fake::{FakeServer, Reply, SilentEndpoint},
};

/// What a loaded machine may add to a deadline.
const GRACE: Duration = Duration::from_secs(5);

async fn one_member() -> Cluster {
    let etcd = Binary::newest().expect("a real etcd");
    Cluster::builder(&etcd).start().await.expect("a cluster")
}

#[tokio::test]
async fn one_cluster_by_every_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let authority = Authority::new("ca");
    let ca = authority.write(folder);
    let (certificate, key) = authority.server(&["127.0.0.1"]).write(folder, "server");
    let (client_certificate, client_key) = authority.client("app").write(folder, "client");
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd)
        .tls(certificate, key)
        .client_ca(&ca)
        .start()
        .await
        .expect("a cluster");
    let endpoint = cluster.endpoint();
    let address = endpoint.strip_prefix("https://").expect("TLS");
    let (ca, cert, key) = (
        ca.display().to_string(),
        client_certificate.display().to_string(),
        client_key.display().to_string(),
    );

    let built = Client::builder()
        .endpoint(endpoint)
        .tls(Tls::new().ca_file(&ca).identity_files(&cert, &key))
        .namespace("app/")
        .connect()
        .await
        .expect("by the builder");
    built.put("k", "built").await.expect("a put");

    let url = format!("etcds://{address}/app/?cacert={ca}&cert={cert}&key={key}&timeout=4s");
    let by_url = ClientBuilder::from_url(&url).expect("a URL");
    let by_url = by_url.connect().await.expect("by a URL");
    let kv = by_url.get("k").await.expect("a get").expect("the key");
    assert_eq!(kv.value, "built");

    let yaml = format!(
        "endpoints:\n  - {address}\ntrusted-ca-file: {ca}\ncert-file: {cert}\nkey-file: {key}\n\
         dial-timeout: 3000000000\nnamespace: app/\n"
    );
    let file = folder.join("etcd.yaml");
    std::fs::write(&file, yaml).expect("a file");
    let by_yaml = ClientBuilder::from_yaml_file(&file).expect("YAML");
    let by_yaml = by_yaml.connect().await.expect("by YAML");
    by_yaml.put("k", "yaml").await.expect("a put");

    // The environment of this process is shared by all tests, so another one reads it.
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this)
        .args(["--ignored", "--exact", "reads_its_environment"])
        .env("ETCDCTL_ENDPOINTS", endpoint)
        .env("ETCDCTL_CACERT", &ca)
        .env("ETCDCTL_CERT", &cert)
        .env("ETCDCTL_KEY", &key)
        .env("ETCDCTL_KEEPALIVE_TIME", "2s")
        .env("ETCDCTL_API", "3")
        .output()
        .expect("this program runs");
    assert!(output.status.success(), "{output:?}");
    let kv = built.get("k").await.expect("a get").expect("the key");
    assert_eq!(kv.value, "environment");
}

#[tokio::test]
#[ignore = "run by one_cluster_by_every_source with an environment of its own"]
async fn reads_its_environment() {
    let client = Client::from_env().expect("variables");
    let kv = client.get("app/k").await.expect("a get").expect("the key");
    assert_eq!(kv.value, "yaml");
    client.put("app/k", "environment").await.expect("a put");
}

#[tokio::test]
async fn a_deadline_replaces_the_clients_timeout() {
    let silent = SilentEndpoint::start().await.expect("a port");
    let client = Client::builder()
        .endpoint(silent.endpoint())
        .request_timeout(Duration::from_secs(30))
        .connect_lazy()
        .expect("a client");
    let start = Instant::now();
    let soon = start + Duration::from_millis(300);
    let error = client.get("k").deadline(soon).await.expect_err("too late");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    let error = client
        .put("k", "v")
        .timeout(Duration::from_secs(20))
        .deadline(soon)
        .await
        .expect_err("too late");
    assert_eq!(
        (error.kind(), error.attempts(), error.outcome()),
        (ErrorKind::Timeout, 0, Outcome::NotApplied)
    );
    let error = client
        .get("k")
        .timeout(Duration::from_millis(100))
        .deadline(start + Duration::from_secs(20));
    error.await.expect_err("the earlier one holds");
    assert!(
        start.elapsed() < Duration::from_millis(400) + GRACE,
        "{:?}",
        start.elapsed()
    );

    // And lengthens it.
    let cluster = one_member().await;
    let hasty = Client::builder()
        .endpoint(cluster.endpoint())
        .request_timeout(Duration::from_nanos(1))
        .connect_lazy()
        .expect("a client");
    hasty.get("k").await.expect_err("no time");
    let deadline = Instant::now() + Duration::from_secs(20);
    hasty
        .get("k")
        .deadline(deadline)
        .await
        .expect("time enough");
}

#[tokio::test]
async fn requests_are_sent_as_often_as_the_policy_says() {
    let leaderless = |_: &str, _| Reply::Status(14, "etcdserver: no leader");
    let server = FakeServer::start(leaderless).await.expect("a port");
    let client = Client::builder()
        .endpoint(server.endpoint())
        .retry(RetryPolicy::default().max_attempts(3))
        .connect()
        .await
        .expect("a client");
    let error = client.put("k", "v").await.expect_err("no leader");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::NoLeader, 3));
    assert_eq!(server.counts().requests, 3);
    let error = client.get("k").retry(RetryPolicy::never()).await;
    let error = error.expect_err("no leader");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::NoLeader, 1));
    assert_eq!(server.counts().requests, 4);

    let quick = RetryPolicy::default()
        .max_attempts(1_000)
        .pauses(Duration::from_millis(1), Duration::from_millis(1))
        .without_budget();
    // The budget pays for a hundred retries, and for ten a second then.
    let start = Instant::now();
    let get = client.get("k").timeout(Duration::from_secs(60));
    let get = get.retry(quick);
    let error = get.await.expect_err("no leader");
    assert_eq!(error.attempts(), 1_000, "{error}");
    assert!(start.elapsed() < Duration::from_secs(60), "{error}");
}

#[tokio::test]
async fn a_read_that_may_be_sent_once_waits_for_the_member_that_has_it() {
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = Cluster::builder(&etcd).members(3).start().await;
    let cluster = cluster.as_mut().expect("a cluster");
    let client = Client::connect(cluster.endpoints())
        .await
        .expect("a client");
    client.put("k", "v").await.expect("a put");
    // Not the leader, or the others would elect another one, and say so to whoever reads meanwhile.
    let endpoint = cluster.endpoints().swap_remove(0);
    let status = client.maintenance().status(endpoint).await;
    let status = status.expect("a status");
    let silent = usize::from(status.leader == Some(status.header.member_id));
    cluster.member(silent).pause().expect("a running member");
    let hasty = || client.get("k").timeout(Duration::from_secs(2));
    // Whom a read asks is chance; one of three is silent.
    let mut met = None;
    for _ in 0..50 {
        met = hasty().retry(RetryPolicy::never()).await.err();
        if met.is_some() {
            break;
        }
    }
    let met = met.expect("no read has met the silent member");
    // The ping that goes unanswered may end the connection just before.
    assert!(
        matches!(met.kind(), ErrorKind::Timeout | ErrorKind::Disconnected),
        "{met}"
    );
    assert_eq!(met.attempts(), 1, "{met}");
    for _ in 0..6 {
        let get = client.get("k").timeout(Duration::from_secs(10));
        get.await.expect("a read that may move never fails");
    }
    cluster.member(silent).resume().expect("a paused member");
}

#[tokio::test]
async fn reads_are_serializable_by_default_where_that_is_asked_for() {
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = Cluster::builder(&etcd).members(3).start().await;
    let cluster = cluster.as_mut().expect("a cluster");
    let writer = Client::connect(cluster.endpoints())
        .await
        .expect("a client");
    writer.put("k", "v").await.expect("a put");
    let client = Client::builder()
        .endpoint(cluster.endpoint())
        .request_timeout(Duration::from_secs(3))
        .serializable_by_default()
        .connect()
        .await
        .expect("a client");
    // The one that is asked may still be about to apply what the others agreed on.
    let applied = async {
        while client.get("k").await.expect("a get").is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), applied)
        .await
        .expect("the member has the key");
    for member in [1, 2] {
        cluster.member(member).kill().expect("a running member");
    }
    let kv = client.get("k").await.expect("a local read");
    assert_eq!(kv.expect("the key").value, "v");
    assert_eq!(client.range(..).await.expect("a local read").count, 1);
    let mut scan = client.scan(KeyRange::all());
    let first = scan.try_next().await.expect("a local read");
    assert!(first.is_some());
    client.get("k").linearizable().await.expect_err("no quorum");
    client
        .range(..)
        .linearizable()
        .await
        .expect_err("no quorum");
    writer
        .get("k")
        .timeout(Duration::from_secs(1))
        .await
        .expect_err("no quorum");
}

#[tokio::test]
async fn servers_that_are_too_old_are_refused() {
    for etcd in Binary::all().expect("real etcds") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let builder = || Client::builder().endpoint(cluster.endpoint());
        let client = builder().require_server(3, 4).connect().await;
        client.expect("new enough");
        let required = builder().require_server(3, 5).connect().await;
        if etcd.version() >= Version::new(3, 5, 0) {
            required.expect("new enough");
        } else {
            let error = required.expect_err("too old");
            assert_eq!(error.kind(), ErrorKind::OldCluster, "{error}");
            assert!(error.to_string().contains("older than 3.5"), "{error}");
        }
        let error = builder().require_server(4, 0).connect().await;
        assert_eq!(error.expect_err("too old").kind(), ErrorKind::OldCluster);
    }
}
