//! The plain calls, also when their answers are lost.

use std::time::Duration;

use etcdkit::{Client, ErrorKind, LeaseId, Outcome};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    proxy::{Conditions, Direction},
};

use crate::support::{
    SECOND, behind_proxy, lose_the_answer, on_every_etcd, streams_opened, wait_until,
};

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
        // One for all, unless there is a pause between two rounds that it does not outlast.
        let opened = streams_opened(cluster).await - opened;
        assert!((1..=3).contains(&opened), "{opened} streams");
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
