//! Leases on real etcds: the plain calls, the handle that keeps a lease alive, and what becomes of it
//! when members die, freeze or lose each other.

use std::time::{Duration, Instant};

use etcdkit::{Client, ErrorKind, LeaseId, LostReason, Outcome};
use etcdkit_testkit::etcd::{Binary, Cluster};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Waits for a condition, which must come true within half a minute.
async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
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

async fn streams_opened(cluster: &Cluster) -> u64 {
    stream_counts(cluster).await[0]
}

/// How many streams of renewals are open.
async fn streams(cluster: &Cluster) -> u64 {
    let [opened, ended] = stream_counts(cluster).await;
    opened - ended
}

/// Runs a scenario on one member of each etcd that is found.
async fn on_every_etcd(scenario: impl AsyncFn(&mut Cluster, Client)) {
    for etcd in Binary::all().expect("a real etcd") {
        println!("on {etcd}");
        let mut cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        scenario(&mut cluster, client).await;
    }
}

#[tokio::test]
async fn a_lease_is_granted_asked_about_listed_and_revoked() {
    on_every_etcd(async |_, client| {
        let leases = client.leases();
        let first = leases.grant(100 * SECOND).await.expect("a grant");
        assert!(first.id.0 > 0 && first.header.revision > 0);
        assert_eq!(first.ttl, 100 * SECOND);
        let second = leases.grant(50 * SECOND).id(7).await.expect("a grant");
        assert_eq!(second.id, LeaseId(7));

        for key in ["a", "b"] {
            client.put(key, "").lease(first.id).await.expect("a put");
        }
        let state = leases.time_to_live(first.id).await.expect("an answer");
        assert!(state.keys.is_empty(), "not asked for");
        assert_eq!((state.id, state.granted_ttl), (first.id, first.ttl));
        let left = state.ttl.expect("it exists");
        assert!(
            left <= first.ttl && left > first.ttl - 10 * SECOND,
            "{left:?}"
        );
        let mut keys = leases
            .time_to_live(first.id)
            .keys()
            .await
            .expect("an answer")
            .keys;
        keys.sort();
        assert_eq!(keys, ["a", "b"]);

        let listed = leases.list().await.expect("a list").leases;
        assert_eq!(
            listed,
            [second.id, first.id],
            "what runs out first comes first"
        );

        let before = client
            .get("a")
            .await
            .expect("an answer")
            .expect("there")
            .mod_revision;
        let revoked = leases.revoke(first.id).await.expect("revoked");
        assert!(revoked.header.revision > before);
        assert_eq!(client.range(..).await.expect("an answer").count, 0);
        assert_eq!(leases.list().await.expect("a list").leases, [second.id]);
        let state = leases
            .time_to_live(first.id)
            .keys()
            .await
            .expect("no error");
        assert_eq!((state.ttl, state.granted_ttl), (None, Duration::ZERO));
    })
    .await;
}

#[tokio::test]
async fn wrong_requests_about_leases_are_refused() {
    on_every_etcd(async |_, client| {
        let leases = client.leases();
        let error = leases.grant(Duration::ZERO).await.expect_err("no time");
        assert_eq!(
            (error.kind(), error.attempts()),
            (ErrorKind::InvalidRequest, 0)
        );
        let error = leases
            .grant(Duration::from_secs(9_000_000_001))
            .await
            .expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::LeaseTtlTooLarge);
        leases
            .grant(Duration::from_secs(9_000_000_000))
            .await
            .expect("the longest");

        let id = leases.grant(60 * SECOND).await.expect("a grant").id;
        let error = leases.grant(60 * SECOND).id(id).await.expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::LeaseExists);
        assert_eq!(error.outcome(), Outcome::NotApplied);

        leases.revoke(id).await.expect("revoked");
        let error = leases.revoke(id).await.expect_err("gone");
        assert_eq!(error.kind(), ErrorKind::LeaseNotFound);
        let error = client.put("key", "").lease(id).await.expect_err("gone");
        assert_eq!(error.kind(), ErrorKind::LeaseNotFound);
    })
    .await;
}

#[tokio::test]
async fn the_time_to_live_is_rounded_up_and_what_the_server_grants_counts() {
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd)
        .election_timeout(2 * SECOND)
        .start()
        .await
        .expect("a cluster");
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    let granted = client
        .leases()
        .grant(Duration::from_millis(5001))
        .await
        .expect("a grant");
    assert_eq!(granted.ttl, 6 * SECOND);
    let granted = client
        .leases()
        .grant(Duration::from_millis(1))
        .await
        .expect("a grant");
    assert_eq!(granted.ttl, 3 * SECOND, "the least that this server grants");
}

#[tokio::test]
async fn a_namespace_shows_only_its_own_keys_of_a_lease() {
    on_every_etcd(async |_, client| {
        let app = client.namespaced("app/");
        let id = app.leases().grant(60 * SECOND).await.expect("a grant").id;
        app.put("in", "").lease(id).await.expect("a put");
        client.put("out", "").lease(id).await.expect("a put");
        let state = app
            .leases()
            .time_to_live(id)
            .keys()
            .await
            .expect("an answer");
        assert_eq!(state.keys, ["in"]);
    })
    .await;
}

#[tokio::test]
async fn a_handle_keeps_its_lease_alive_until_it_is_dropped() {
    on_every_etcd(async |cluster, client| {
        let lease = client.lease(SECOND).await.expect("a lease");
        client.put("key", "").lease(&lease).await.expect("a put");
        let (lost, short) = (lease.lost(), lease.ttl());
        assert!(short <= 2 * SECOND, "{short:?}");
        let unused = client.leases().grant(SECOND).await.expect("a grant");
        wait_until("a lease that nobody keeps runs out", async || {
            let state = client.leases().time_to_live(unused.id).await;
            state.expect("an answer").ttl.is_none()
        })
        .await;
        tokio::time::sleep(3 * short).await;
        assert!(!lease.is_lost() && lease.loss().is_none());
        assert!(lease.remaining() > short / 2, "{:?}", lease.remaining());
        assert!(client.get("key").await.expect("an answer").is_some());
        assert_eq!(streams(cluster).await, 1);

        let id = lease.id();
        let clone = lease.clone();
        drop(lease);
        assert!(!clone.is_lost(), "there is another handle");
        drop(clone);
        let lost = lost.await;
        assert_eq!((lost.id(), lost.reason()), (id, LostReason::Revoked));
        wait_until("the key is deleted", async || {
            client.get("key").await.expect("an answer").is_none()
        })
        .await;
        let before = Instant::now();
        wait_until("the stream is closed", async || streams(cluster).await == 0).await;
        assert!(before.elapsed() < 10 * SECOND);
    })
    .await;
}

#[tokio::test]
async fn a_lease_can_be_revoked_renewed_and_left() {
    on_every_etcd(async |_, client| {
        let lease = client.lease(30 * SECOND).id(0x77).await.expect("a lease");
        assert_eq!(lease.id(), LeaseId(0x77));
        let renewed = lease.renew().await.expect("a renewal");
        assert_eq!((renewed.id, renewed.ttl), (lease.id(), 30 * SECOND));
        assert!(renewed.header.cluster_id != 0);

        let (lost, clone) = (lease.lost(), lease.clone());
        lease.revoke().await.expect("revoked");
        assert_eq!(lost.await.reason(), LostReason::Revoked);
        assert!(clone.is_lost() && clone.remaining().is_zero());
        let error = clone.renew().await.expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::LeaseNotFound);
        let error = clone.revoke().await.expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::LeaseNotFound);

        let lease = client.lease(30 * SECOND).await.expect("a lease");
        let lost = lease.lost();
        let id = lease.detach();
        assert_eq!(lost.await.reason(), LostReason::Detached);
        let state = client.leases().time_to_live(id).await.expect("an answer");
        assert!(state.ttl.is_some(), "it was not revoked");

        let taken_up = client.leases().keep_alive(id).await.expect("it exists");
        assert_eq!((taken_up.id(), taken_up.ttl()), (id, 30 * SECOND));
        drop(taken_up);
        let state = client.leases().time_to_live(id).await.expect("an answer");
        assert!(state.ttl.is_some(), "nor now");
    })
    .await;
}

#[tokio::test]
async fn one_renewal_is_asked_for_by_many() {
    on_every_etcd(async |cluster, client| {
        let id = client
            .leases()
            .grant(30 * SECOND)
            .await
            .expect("a grant")
            .id;
        let opened = streams_opened(cluster).await;
        for _ in 0..3 {
            let many = (0..50).map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.leases().keep_alive_once(id).await })
            });
            for renewed in many.collect::<Vec<_>>() {
                let renewed = renewed.await.expect("no panic").expect("a renewal");
                assert_eq!((renewed.id, renewed.ttl), (id, 30 * SECOND));
            }
        }
        assert_eq!(
            streams_opened(cluster).await - opened,
            1,
            "one stream for all"
        );
        let error = client
            .leases()
            .keep_alive_once(99)
            .await
            .expect_err("never granted");
        assert_eq!(error.kind(), ErrorKind::LeaseNotFound);
        let error = client
            .leases()
            .keep_alive(99)
            .await
            .expect_err("never granted");
        assert_eq!(error.kind(), ErrorKind::LeaseNotFound);
    })
    .await;
}

#[tokio::test]
async fn handles_of_one_lease_end_apart() {
    on_every_etcd(async |_, client| {
        let lease = client.lease(SECOND).await.expect("a lease");
        let first = client
            .leases()
            .keep_alive(lease.id())
            .await
            .expect("a handle");
        let second = client
            .leases()
            .keep_alive(lease.id())
            .await
            .expect("a handle");
        let lost = first.lost();
        drop(first);
        assert_eq!(lost.await.reason(), LostReason::Detached);
        let ttl = lease.ttl();
        lease.detach();
        tokio::time::sleep(2 * ttl).await;
        assert!(!second.is_lost(), "{:?}", second.loss());
        second.renew().await.expect("it is still alive");
    })
    .await;
}

#[tokio::test]
async fn a_lease_revoked_by_somebody_else_is_lost_at_the_next_renewal() {
    on_every_etcd(async |cluster, client| {
        let lease = client.lease(3 * SECOND).await.expect("a lease");
        let other = client.lease(3 * SECOND).await.expect("another lease");
        let stranger = Client::connect(cluster.endpoint()).await.expect("a client");
        let start = Instant::now();
        stranger.leases().revoke(&lease).await.expect("revoked");
        let lost = lease.lost().await;
        assert_eq!(lost.reason(), LostReason::NotFound);
        assert!(
            start.elapsed() < 1500 * MILLISECOND,
            "{:?}",
            start.elapsed()
        );
        assert!(lease.is_lost() && lease.remaining().is_zero());
        assert!(!other.is_lost());
    })
    .await;
}
