//! What the scenarios share.

use std::time::Instant;

use etcdkit::{Client, Lease};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    proxy::{Conditions, Proxy},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);

/// Waits for a condition, which must come true within half a minute.
pub(crate) async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < 30 * SECOND,
            "not within half a minute: {what}"
        );
        tokio::time::sleep(20 * MILLISECOND).await;
    }
}

/// How many streams of renewals have been opened on the first member, and how many have ended.
pub(crate) async fn stream_counts(cluster: &Cluster) -> [u64; 2] {
    let address = cluster.endpoint().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = b"GET /metrics HTTP/1.0\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer");
    ["grpc_server_started_total", "grpc_server_handled_total"].map(|counter| {
        let of_renewals = text.lines().filter(|line| {
            line.starts_with(counter) && line.contains(r#"grpc_method="LeaseKeepAlive""#)
        });
        let numbers = of_renewals.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        numbers.sum()
    })
}

pub(crate) async fn streams_opened(cluster: &Cluster) -> u64 {
    stream_counts(cluster).await[0]
}

/// How many streams of renewals are open.
pub(crate) async fn streams(cluster: &Cluster) -> u64 {
    let [opened, ended] = stream_counts(cluster).await;
    opened - ended
}

/// Runs a scenario on one member of each etcd that is found.
pub(crate) async fn on_every_etcd(scenario: impl AsyncFn(&mut Cluster, Client)) {
    for etcd in Binary::all().expect("a real etcd") {
        println!("on {etcd}");
        let mut cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        scenario(&mut cluster, client).await;
    }
}

/// A single member behind a proxy.
pub(crate) async fn behind_proxy() -> (Cluster, Proxy, Client) {
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
    let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
    let client = Client::connect(proxy.endpoint()).await.expect("a client");
    (cluster, proxy, client)
}

/// Ends connections whose answers are held back, so that they never arrive, and lets others pass.
pub(crate) async fn lose_the_answer(proxy: &Proxy) {
    let before = proxy.connections();
    proxy.cut();
    wait_until("the client connects again", async || {
        proxy.connections() > before
    })
    .await;
    proxy.set_both(Conditions::pass());
}

/// Three members of each release line at hand, with etcd's own election timeout.
pub(crate) async fn on_three_members(scenario: impl AsyncFn(&mut Cluster, Client)) {
    for etcd in Binary::all().expect("a real etcd") {
        println!("on three members of {etcd}");
        let builder = Cluster::builder(&etcd).members(3).election_timeout(SECOND);
        let mut cluster = builder.start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoints())
            .await
            .expect("a client");
        scenario(&mut cluster, client).await;
    }
}

/// Watches a lease for some time, in which it must not be lost.
pub(crate) async fn stays_alive(lease: &Lease, time: Duration) {
    if let Ok(lost) = tokio::time::timeout(time, lease.lost()).await {
        panic!("{lost}");
    }
    lease.renew().await.expect("the server has it, too");
}
