//! The lock and election services of real servers.

use std::time::{Duration, Instant};

use etcdkit::{
    Client, ErrorKind, LeaseId, Outcome,
    service::{LeaderKey, LeaderResponse, Observe},
};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    etcdctl::Etcdctl,
    fake::{FakeServer, Reply, refusing_endpoint},
    queue::queue_of,
};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// How long something is watched that must not happen.
const A_WHILE: Duration = Duration::from_millis(300);

async fn each_etcd(test: impl AsyncFn(&Binary, &mut Cluster, &Client)) {
    for etcd in Binary::all().expect("a real etcd") {
        let mut cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        test(&etcd, &mut cluster, &client).await;
    }
}

async fn lease(client: &Client) -> LeaseId {
    let grant = client.leases().grant(Duration::from_secs(60)).await;
    grant.expect("a lease").id
}

#[tokio::test]
async fn the_lock_excludes_etcdctl_and_etcdctl_excludes_it() {
    each_etcd(async |etcd, cluster, client| {
        let locks = client.lock_service();
        let ours = lease(client).await;
        let locked = locks.lock("orders", ours).await.expect("the lock");
        let key = format!("orders/{:x}", ours.0);
        assert_eq!(locked.key, key, "{etcd}");
        assert!(client.get(&*key).await.expect("a get").is_some(), "{etcd}");
        let again = locks
            .lock("orders", ours)
            .await
            .expect("it is ours already");
        assert_eq!(again.key, key, "{etcd}");

        let mut other = Etcdctl::start(etcd, cluster.endpoint(), &["lock", "orders"]);
        queue_of(client, "orders", 2).await;
        let early = timeout(A_WHILE, other.line()).await;
        assert!(early.is_err(), "{etcd}: both have it: {early:?}");
        locks.unlock(locked.key).await.expect("a release");
        let theirs = other.line().await;
        assert!(theirs.starts_with("orders/") && theirs != key, "{theirs}");

        let mut waiting = Box::pin(locks.lock("orders", ours).into_future());
        let early = timeout(A_WHILE, &mut waiting).await;
        assert!(early.is_err(), "{etcd}: both have it: {early:?}");
        other.terminate().await;
        let locked = timeout(PATIENCE, waiting).await.expect("in time");
        locks
            .unlock(locked.expect("the lock").key)
            .await
            .expect("a release");
        let again = locks.unlock(key).await;
        again.expect("what is released is released");
    })
    .await;
}

#[tokio::test]
async fn a_wait_has_no_end_but_the_callers() {
    each_etcd(async |etcd, cluster, _| {
        let client = Client::builder()
            .endpoint(cluster.endpoint())
            .request_timeout(Duration::from_secs(2))
            .connect()
            .await
            .expect("a client");
        let locks = client.lock_service();
        let (first, second) = (lease(&client).await, lease(&client).await);
        let held = locks.lock("l", first).await.expect("the lock");

        let late = locks
            .lock("l", second)
            .timeout(Duration::from_millis(2_500));
        let error = late.await.expect_err("it is taken");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Timeout, Outcome::Unknown),
            "{etcd}: {error}"
        );
        queue_of(&client, "l", 1).await;

        let dropped = tokio::spawn(locks.lock("l", second).into_future());
        queue_of(&client, "l", 2).await;
        dropped.abort();
        queue_of(&client, "l", 1).await;

        let waiting = tokio::spawn(locks.lock("l", second).into_future());
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(!waiting.is_finished(), "{etcd}: it waits twice as long");
        client.put("other calls", "go on").await.expect("a put");
        locks.unlock(held.key).await.expect("a release");
        let locked = timeout(PATIENCE, waiting).await.expect("in time");
        locked.expect("a task").expect("the lock");
    })
    .await;
}

#[tokio::test]
async fn a_lock_needs_its_lease() {
    each_etcd(async |etcd, _, client| {
        let locks = client.lock_service();
        let error = locks.lock("l", LeaseId(0xbad)).await;
        let error = error.expect_err("there is no such lease");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::LeaseNotFound, Outcome::NotApplied),
            "{etcd}: {error}"
        );
        let (first, second) = (lease(client).await, lease(client).await);
        locks.lock("l", first).await.expect("the lock");
        let waiting = tokio::spawn(locks.lock("l", second).into_future());
        queue_of(client, "l", 2).await;
        client.leases().revoke(first).await.expect("a revocation");
        let locked = timeout(PATIENCE, waiting).await.expect("in time");
        locked.expect("a task").expect("the lock of whom it left");
    })
    .await;
}

#[tokio::test]
async fn a_member_that_dies_ends_the_wait() {
    each_etcd(async |etcd, cluster, client| {
        let locks = client.lock_service();
        let (first, second) = (lease(client).await, lease(client).await);
        locks.lock("l", first).await.expect("the lock");
        let waiting = tokio::spawn(locks.lock("l", second).into_future());
        queue_of(client, "l", 2).await;
        cluster.member(0).kill().expect("a running member");
        let ended = timeout(PATIENCE, waiting).await.expect("in time");
        let error = ended.expect("a task").expect_err("nobody answers");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Disconnected, Outcome::Unknown),
            "{etcd}: {error}"
        );
    })
    .await;
}

#[tokio::test]
async fn nobody_waits_for_a_lock_where_nobody_listens() {
    let client = Client::builder()
        .endpoint(refusing_endpoint())
        .request_timeout(Duration::from_millis(300))
        .connect_lazy()
        .expect("a client");
    let start = Instant::now();
    let error = client.lock_service().lock("l", LeaseId(1)).await;
    let error = error.expect_err("nobody listens");
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::Connect, Outcome::NotApplied, 0),
        "{error}"
    );
    assert!(start.elapsed() < PATIENCE, "{error}");
}

#[tokio::test]
async fn a_lock_that_may_be_ours_is_not_asked_for_twice() {
    for (reply, kind) in [
        (Reply::Close, ErrorKind::Disconnected),
        (
            Reply::Status(14, "etcdserver: leader changed"),
            ErrorKind::LeaderChanged,
        ),
    ] {
        let server = FakeServer::start(move |_, _| reply.clone()).await;
        let server = server.expect("a port");
        let client = Client::connect(server.endpoint()).await.expect("a client");
        let error = client.lock_service().lock("l", LeaseId(1)).await;
        let error = error.expect_err("no lock");
        assert_eq!(
            (error.kind(), error.outcome()),
            (kind, Outcome::Unknown),
            "{error}"
        );
        assert_eq!(server.counts().requests, 1, "{error}");
    }
}

/// The next leader that an observer is told of.
async fn next(observe: &mut Observe) -> LeaderResponse {
    let next = timeout(PATIENCE, observe.try_next()).await;
    let next = next.expect("in time").expect("a leader");
    next.expect("the stream goes on")
}

#[tokio::test]
async fn an_election_is_won_proclaimed_observed_and_resigned() {
    each_etcd(async |etcd, _, client| {
        let elections = client.election_service();
        let error = elections.leader("e").await.expect_err("nobody stands");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::ElectionNoLeader, Outcome::NotApplied),
            "{etcd}: {error}"
        );
        let mut observe = elections.observe("e").await.expect("a stream");
        let (first, second) = (lease(client).await, lease(client).await);
        let won = elections.campaign("e", first, "a").await.expect("a win");
        let leader = won.leader;
        assert_eq!(leader.name, "e", "{etcd}");
        assert_eq!(leader.key, format!("e/{:x}", first.0), "{etcd}");
        assert_eq!(leader.lease, first, "{etcd}");
        let kv = elections.leader("e").await.expect("a leader").kv;
        assert_eq!(
            (kv.key, kv.value, kv.create_revision),
            (leader.key.clone(), "a".into(), leader.revision),
            "{etcd}"
        );
        assert_eq!(next(&mut observe).await.kv.value, "a", "{etcd}");

        let campaign = tokio::spawn(elections.campaign("e", second, "b").into_future());
        queue_of(client, "e", 2).await;
        assert!(!campaign.is_finished(), "{etcd}");
        let proclaimed = elections.proclaim(&leader, "a2").await;
        let revision = proclaimed.expect("it leads").revision;
        let seen = next(&mut observe).await;
        assert_eq!(
            (seen.kv.value, seen.kv.mod_revision),
            ("a2".into(), revision),
            "{etcd}"
        );

        elections.resign(&leader).await.expect("an end");
        let won = timeout(PATIENCE, campaign).await.expect("in time");
        let next_leader = won.expect("a task").expect("a win").leader;
        assert_eq!(next_leader.lease, second, "{etcd}");
        assert_eq!(next(&mut observe).await.kv.value, "b", "{etcd}");
        let error = elections.proclaim(&leader, "a3").await;
        let error = error.expect_err("it has resigned");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::ElectionNotLeader, Outcome::NotApplied),
            "{etcd}: {error}"
        );
        elections
            .resign(&leader)
            .await
            .expect("it has done so before");
        let kv = elections.leader("e").await.expect("a leader").kv;
        assert_eq!(
            kv.value, "b",
            "{etcd}: another's resignation changes nothing"
        );

        let error = elections.proclaim(&LeaderKey::default(), "x").await;
        let error = error.expect_err("no leader's key");
        assert_eq!(error.outcome(), Outcome::NotApplied, "{etcd}: {error}");
    })
    .await;
}

#[tokio::test]
async fn an_observer_learns_that_its_member_has_died() {
    each_etcd(async |etcd, cluster, client| {
        let mut observe = client.election_service().observe("e").await;
        let observe = observe.as_mut().expect("a stream");
        let nothing = timeout(A_WHILE, observe.try_next()).await;
        assert!(nothing.is_err(), "{etcd}: nobody stands: {nothing:?}");
        cluster.member(0).kill().expect("a running member");
        let ended = timeout(PATIENCE, observe.try_next()).await;
        let error = ended.expect("in time").expect_err("it has died");
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{etcd}: {error}");
        assert_eq!(observe.try_next().await.expect("the end"), None);
    })
    .await;
}

#[tokio::test]
async fn names_and_keys_are_of_the_clients_namespace() {
    each_etcd(async |etcd, _, client| {
        let inside = client.namespaced("app/");
        let id = lease(client).await;
        let locked = inside.lock_service().lock("l", id).await;
        let key = locked.expect("the lock").key;
        assert_eq!(key, format!("l/{:x}", id.0), "{etcd}");
        assert!(inside.get(&key).await.expect("a get").is_some(), "{etcd}");
        queue_of(client, "app/l", 1).await;
        inside.lock_service().unlock(key).await.expect("a release");
        queue_of(client, "app/l", 0).await;

        let elections = inside.election_service();
        let mut observe = elections.observe("e").await.expect("a stream");
        let leader = elections
            .campaign("e", id, "a")
            .await
            .expect("a win")
            .leader;
        assert_eq!(leader.name, "e", "{etcd}");
        assert_eq!(leader.key, format!("e/{:x}", id.0), "{etcd}");
        assert_eq!(next(&mut observe).await.kv.key, leader.key, "{etcd}");
        elections.proclaim(&leader, "a2").await.expect("it leads");
        let kv = elections.leader("e").await.expect("a leader").kv;
        assert_eq!((kv.key, kv.value), (leader.key.clone(), "a2".into()));
        queue_of(client, "app/e", 1).await;
        elections.resign(&leader).await.expect("an end");
        queue_of(client, "app/e", 0).await;
    })
    .await;
}
