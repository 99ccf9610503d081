//! What the scenarios share.

#![allow(clippy::future_not_send, reason = "each test is polled by one thread")]

use std::time::Instant;

use etcdkit::{Client, Lease};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    proxy::{Conditions, Proxy},
};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);

/// Waits for a condition, which must come true within a minute.
pub(crate) async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < 60 * SECOND, "not within a minute: {what}");
        tokio::time::sleep(20 * MILLISECOND).await;
    }
}

/// Where the leader is, as soon as there is one that answers.
pub(crate) async fn leader(cluster: &Cluster) -> usize {
    let start = Instant::now();
    loop {
        if let Some(place) = cluster.leader().await {
            return place;
        }
        assert!(start.elapsed() < 60 * SECOND, "no leader within a minute");
    }
}

/// How many streams of renewals have been opened on the first member, and how many have ended.
async fn stream_counts(cluster: &Cluster) -> [u64; 2] {
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

/// Runs a scenario on one member of each etcd that is found, beside each other: they mostly wait.
pub(crate) async fn on_every_etcd(scenario: impl AsyncFn(&mut Cluster, Client)) {
    let etcds = Binary::all().expect("a real etcd");
    let on = async |etcd: &Binary| {
        let mut cluster = Cluster::builder(etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        scenario(&mut cluster, client).await;
        println!("well on {etcd}");
    };
    join_all(etcds.iter().map(on)).await;
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

/// Three members of each release line at hand, with etcd's own election timeout, beside each other.
pub(crate) async fn on_three_members(scenario: impl AsyncFn(&mut Cluster, Client)) {
    let etcds = Binary::all().expect("a real etcd");
    let on = async |etcd: &Binary| {
        let builder = Cluster::builder(etcd).members(3).election_timeout(SECOND);
        let mut cluster = builder.start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoints())
            .await
            .expect("a client");
        scenario(&mut cluster, client).await;
        println!("well on three members of {etcd}");
    };
    join_all(etcds.iter().map(on)).await;
}

/// Watches a lease for some time, in which it must not be lost.
pub(crate) async fn stays_alive(lease: &Lease, time: Duration) {
    if let Ok(lost) = tokio::time::timeout(time, lease.lost()).await {
        panic!("{lost}");
    }
    lease.renew().await.expect("the server has it, too");
}

/// Waits until a lease has been kept alive by a renewal that was sent from now on; it must not be lost.
pub(crate) async fn is_renewed(lease: &Lease) {
    let (start, lost) = (Instant::now(), lease.lost());
    // It lives until its time has passed since the last renewal was sent.
    let renewed = async {
        while Instant::now() + lease.remaining() < start + lease.ttl() {
            tokio::time::sleep(20 * MILLISECOND).await;
        }
    };
    tokio::select! {
        () = renewed => {}
        lost = lost => panic!("{lost}"),
    }
}
