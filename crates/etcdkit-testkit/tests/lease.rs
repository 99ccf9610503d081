//! Leases on real etcds: the plain calls, the handle that keeps a lease alive, and what becomes of it
//! when members die, freeze or lose each other.

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, ErrorKind, Lease, LeaseId, LostReason, Outcome};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    proxy::{Conditions, Direction, Proxy},
};
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

/// A single member behind a proxy.
async fn behind_proxy() -> (Cluster, Proxy, Client) {
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
    let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
    let client = Client::connect(proxy.endpoint()).await.expect("a client");
    (cluster, proxy, client)
}

/// Ends connections whose answers are held back, so that they never arrive, and lets others pass.
async fn lose_the_answer(proxy: &Proxy) {
    let before = proxy.connections();
    proxy.cut();
    wait_until("the client connects again", async || {
        proxy.connections() > before
    })
    .await;
    proxy.set_both(Conditions::pass());
}

/// Three members of each release line at hand, with etcd's own election timeout.
async fn on_three_members(scenario: impl AsyncFn(&mut Cluster, Client)) {
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

async fn leader(cluster: &Cluster, client: &Client) -> usize {
    for (place, endpoint) in cluster.endpoints().iter().enumerate() {
        let status = client
            .maintenance()
            .status(endpoint)
            .await
            .expect("a status");
        if status.leader == Some(status.header.member_id) {
            return place;
        }
    }
    panic!("no leader");
}

/// Watches a lease for some time, in which it must not be lost.
async fn stays_alive(lease: &Lease, time: Duration) {
    if let Ok(lost) = tokio::time::timeout(time, lease.lost()).await {
        panic!("{lost}");
    }
    lease.renew().await.expect("the server has it, too");
}

#[tokio::test]
async fn a_grant_whose_answer_is_lost_is_granted_once() {
    let (cluster, proxy, client) = behind_proxy().await;
    let direct = Client::connect(cluster.endpoint()).await.expect("a client");
    for chosen in [0, 4711] {
        proxy.set(Direction::ToClient, Conditions::black_hole());
        let granting = tokio::spawn({
            let client = client.clone();
            async move { client.leases().grant(60 * SECOND).id(chosen).await }
        });
        wait_until("the lease is granted", async || {
            direct.leases().list().await.expect("a list").leases.len() == 1
        })
        .await;
        lose_the_answer(&proxy).await;
        let granted = granting.await.expect("no panic").expect("granted");
        assert_eq!(
            direct.leases().list().await.expect("a list").leases,
            [granted.id]
        );
        assert_eq!(granted.ttl, 60 * SECOND);
        assert!(chosen == 0 || granted.id == LeaseId(chosen));

        proxy.set(Direction::ToClient, Conditions::black_hole());
        let revoking = tokio::spawn({
            let client = client.clone();
            async move { client.leases().revoke(granted.id).await }
        });
        wait_until("the lease is revoked", async || {
            direct
                .leases()
                .list()
                .await
                .expect("a list")
                .leases
                .is_empty()
        })
        .await;
        lose_the_answer(&proxy).await;
        revoking.await.expect("no panic").expect("revoked");
    }
}

#[tokio::test]
async fn an_old_lease_under_the_chosen_id_is_not_taken_for_ours() {
    let (cluster, proxy, client) = behind_proxy().await;
    let direct = Client::connect(cluster.endpoint()).await.expect("a client");
    direct
        .leases()
        .grant(60 * SECOND)
        .id(7)
        .await
        .expect("granted");
    wait_until("the lease is older than a grant can be", async || {
        let left = direct
            .leases()
            .time_to_live(7)
            .await
            .expect("an answer")
            .ttl;
        left.is_some_and(|left| left < 55 * SECOND)
    })
    .await;
    let before = proxy.passed(Direction::ToServer);
    proxy.set(Direction::ToClient, Conditions::black_hole());
    let granting = tokio::spawn({
        let client = client.clone();
        async move { client.leases().grant(60 * SECOND).id(7).await }
    });
    wait_until("the request is under way", async || {
        proxy.passed(Direction::ToServer) > before
    })
    .await;
    lose_the_answer(&proxy).await;
    let error = granting.await.expect("no panic").expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::LeaseExists);
    assert_eq!(error.outcome(), Outcome::NotApplied);
}

#[tokio::test]
async fn a_lease_survives_that_its_server_is_killed_and_restarted() {
    on_every_etcd(async |cluster, client| {
        let lease = client.lease(6 * SECOND).await.expect("a lease");
        client.put("key", "").lease(&lease).await.expect("a put");
        for _ in 0..2 {
            cluster.member(0).kill().expect("killed");
            tokio::time::sleep(SECOND).await;
            cluster.member(0).restart().await.expect("a restart");
            stays_alive(&lease, 3 * SECOND).await;
        }
        stays_alive(&lease, 6 * SECOND).await;
        assert!(client.get("key").await.expect("an answer").is_some());
    })
    .await;
}

#[tokio::test]
async fn a_lease_survives_the_death_of_the_leader() {
    on_three_members(async |cluster, client| {
        let leases = [5, 6, 7].map(|ttl| client.lease(ttl * SECOND).into_future());
        let mut held = Vec::new();
        for lease in leases {
            held.push(lease.await.expect("a lease"));
        }
        tokio::time::sleep(2 * SECOND).await;
        let place = leader(cluster, &client).await;
        cluster.member(place).kill().expect("killed");
        for lease in &held {
            stays_alive(lease, 3 * SECOND).await;
        }
        cluster.member(place).restart().await.expect("a restart");
        for lease in &held {
            stays_alive(lease, SECOND).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_lease_survives_that_members_freeze() {
    on_three_members(async |cluster, client| {
        let lease = client.lease(5 * SECOND).await.expect("a lease");
        stays_alive(&lease, 2 * SECOND).await;
        let first = leader(cluster, &client).await;
        for place in [first, (first + 1) % 3, (first + 2) % 3] {
            cluster.member(place).pause().expect("paused");
            stays_alive(&lease, 5 * SECOND).await;
            cluster.member(place).resume().expect("resumed");
            cluster.member(place).ready().await.expect("it is back");
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_quorum_a_lease_is_lost_before_the_server_can_let_it_run_out() {
    on_three_members(async |cluster, client| {
        let lease = client.lease(4 * SECOND).await.expect("a lease");
        client.put("key", "").lease(&lease).await.expect("a put");
        stays_alive(&lease, 2 * SECOND).await;
        let place = leader(cluster, &client).await;
        for other in [(place + 1) % 3, (place + 2) % 3] {
            cluster.member(other).kill().expect("killed");
        }
        // A leader notices only after an election timeout or two that it has lost its quorum, and etcd
        // 3.4 answers renewals until then.
        let (alone, left) = (Instant::now(), lease.remaining());
        let lost = lease.lost().await;
        assert_eq!(lost.reason(), LostReason::Expired);
        let after = alone.elapsed();
        assert!(
            after >= left,
            "{after:?}, too soon: there were {left:?} left"
        );
        assert!(after < lease.ttl() + 3 * SECOND, "{after:?}");
        assert!(lost.cause().is_some(), "{lost}");
        assert!(lease.is_lost() && lease.remaining().is_zero());

        for other in [(place + 1) % 3, (place + 2) % 3] {
            cluster.member(other).spawn().expect("started");
        }
        wait_until("the server lets the lease run out, later", async || {
            matches!(client.get("key").await, Ok(None))
        })
        .await;
        drop(client.lease(4 * SECOND).await.expect("the client goes on"));
    })
    .await;
}

#[tokio::test]
async fn a_lease_survives_cut_and_frozen_connections() {
    let (_cluster, proxy, client) = behind_proxy().await;
    let lease = client.lease(6 * SECOND).await.expect("a lease");
    for _ in 0..5 {
        proxy.cut();
        stays_alive(&lease, SECOND).await;
        proxy.reset();
        stays_alive(&lease, SECOND).await;
    }
    for _ in 0..2 {
        proxy.freeze();
        stays_alive(&lease, 7 * SECOND).await;
    }
}

#[tokio::test]
async fn a_lease_whose_server_cannot_be_reached_is_lost_in_its_time() {
    let (_cluster, proxy, client) = behind_proxy().await;
    let lease = client.lease(4 * SECOND).await.expect("a lease");
    stays_alive(&lease, 2 * SECOND).await;
    proxy.set_both(Conditions::black_hole());
    let (start, left) = (Instant::now(), lease.remaining());
    let lost = lease.lost().await;
    let after = start.elapsed();
    assert_eq!(lost.reason(), LostReason::Expired);
    assert!(
        after >= left && after < left + SECOND,
        "{after:?}, {left:?} were left"
    );
    // What arrives too late does not bring it back.
    proxy.set_both(Conditions::pass());
    tokio::time::sleep(SECOND).await;
    assert!(lease.is_lost());
}

#[tokio::test]
async fn another_cluster_does_not_renew_a_lease() {
    let (_cluster, proxy, client) = behind_proxy().await;
    let etcd = Binary::newest().expect("a real etcd");
    let other = Cluster::builder(&etcd)
        .members(1)
        .flag("--initial-cluster-token=other");
    let other = other.start().await.expect("a cluster");
    let stranger = Client::connect(other.endpoint()).await.expect("a client");
    let lease = client.lease(6 * SECOND).id(7).await.expect("a lease");
    stranger
        .leases()
        .grant(60 * SECOND)
        .id(7)
        .await
        .expect("the same id");
    proxy.lead_to(other.endpoint());
    proxy.cut();
    assert_eq!(lease.lost().await.reason(), LostReason::OtherCluster);
}

#[tokio::test]
async fn a_client_that_is_closed_keeps_nothing_alive() {
    on_every_etcd(async |cluster, client| {
        let lease = client.lease(60 * SECOND).await.expect("a lease");
        lease.renew().await.expect("a stream");
        client.close().await;
        let lost = lease.lost().await;
        assert_eq!(lost.reason(), LostReason::Closed);
        assert!(lease.remaining() > 50 * SECOND, "nobody has revoked it");
        let error = lease.renew().await.expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Closed);
        wait_until("the stream is closed", async || streams(cluster).await == 0).await;
    })
    .await;
}

#[test]
fn with_its_runtime_ends_the_keeping() {
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let (first, second) = (runtime(), runtime());
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = second
        .block_on(Cluster::builder(&etcd).start())
        .expect("a cluster");
    let (client, lease) = first.block_on(async {
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        let lease = client.lease(60 * SECOND).await.expect("a lease");
        (client, lease)
    });
    drop(first);
    let lost = second.block_on(lease.lost());
    assert_eq!(lost.reason(), LostReason::Closed);
    let another = second
        .block_on(client.lease(SECOND).into_future())
        .expect("a lease");
    second.block_on(stays_alive(&another, 3 * SECOND));
}

#[tokio::test]
async fn five_thousand_leases_share_one_stream_and_none_runs_out() {
    const LEASES: usize = 5000;
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    let mut granting = tokio::task::JoinSet::new();
    let mut leases = Vec::with_capacity(LEASES);
    while leases.len() < LEASES {
        while granting.len() < 64 && granting.len() + leases.len() < LEASES {
            let client = client.clone();
            granting.spawn(async move { client.lease(6 * SECOND).await });
        }
        let lease = granting.join_next().await.expect("some are under way");
        leases.push(lease.expect("no panic").expect("a lease"));
    }
    tokio::time::sleep(18 * SECOND).await;
    assert_eq!(
        leases
            .iter()
            .find_map(Lease::loss)
            .map(|lost| lost.to_string()),
        None
    );
    assert_eq!(
        client.leases().list().await.expect("a list").leases.len(),
        LEASES
    );
    assert_eq!(
        stream_counts(&cluster).await,
        [1, 0],
        "one stream, from first to last"
    );
    drop(leases);
    wait_until("all are revoked", async || {
        client
            .leases()
            .list()
            .await
            .expect("a list")
            .leases
            .is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_standing_lease_puts_its_keys_again() {
    on_every_etcd(async |cluster, client| {
        let fail = Arc::new(AtomicBool::new(false));
        let opening = client.lease(2 * SECOND).id(7).regrant({
            let (client, fail) = (client.clone(), Arc::clone(&fail));
            move |lease| {
                let (client, fail) = (client.clone(), fail.swap(false, Ordering::Relaxed));
                async move {
                    let key = if fail { "" } else { "key" };
                    client.put(key, "here").lease(&lease).await.map(drop)
                }
            }
        });
        let standing = opening.await.expect("a lease");
        let first = standing.lease();
        let is_there = async || {
            let kv = client.get("key").await.expect("an answer");
            kv.is_some_and(|kv| kv.lease == Some(LeaseId(7)) && kv.value == "here")
        };
        assert!(is_there().await);

        // Once revoked by somebody, with a hook that fails at first.
        let again = standing.regranted();
        fail.store(true, Ordering::Relaxed);
        client.leases().revoke(7).await.expect("revoked");
        let second = again.await.expect("granted anew");
        assert_eq!(
            first.loss().map(|loss| loss.reason()),
            Some(LostReason::NotFound)
        );
        assert!(is_there().await && !second.is_lost() && standing.failure().is_none());

        // Once lost to an outage.
        let again = standing.regranted();
        cluster.member(0).pause().expect("paused");
        assert_eq!(second.lost().await.reason(), LostReason::Expired);
        cluster.member(0).resume().expect("resumed");
        drop(again.await.expect("granted anew"));
        assert!(is_there().await);

        let over = standing.regranted();
        drop(standing);
        drop((first, second));
        assert!(over.await.is_none(), "no other will come");
        wait_until("the key is deleted", async || {
            client.get("key").await.expect("an answer").is_none()
        })
        .await;
    })
    .await;
}
