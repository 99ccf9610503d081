//! Handles that keep their leases alive, and the ends that they come to.

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, ErrorKind, KeyRange, Lease, LeaseId, LostReason, Permission};
use etcdkit_testkit::etcd::{Binary, Cluster, Version};

use crate::support::{SECOND, is_renewed, on_every_etcd, streams, streams_opened, wait_until};

#[tokio::test]
async fn a_handle_keeps_its_lease_alive_until_it_is_dropped() {
    on_every_etcd(async |cluster, client| {
        let lease = client.lease(5 * SECOND).await.expect("a lease");
        client.put("key", "").lease(&lease).await.expect("a put");
        let lost = lease.lost();
        let unused = client.leases().grant(SECOND).await.expect("a grant");
        wait_until("a lease that nobody keeps runs out", async || {
            let state = client.leases().time_to_live(unused.id).await;
            state.expect("an answer").ttl.is_none()
        })
        .await;
        tokio::time::sleep(lease.ttl()).await;
        is_renewed(&lease).await;
        assert!(!lease.is_lost() && lease.loss().is_none());
        assert!(client.get("key").await.expect("an answer").is_some());
        wait_until("there is one stream", async || streams(cluster).await == 1).await;

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
        wait_until("the stream is closed", async || streams(cluster).await == 0).await;
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

        let longest = client.lease(Duration::from_secs(9_000_000_000)).await;
        let longest = longest.expect("a lease");
        longest.renew().await.expect("a renewal");
        assert!(longest.remaining() > Duration::from_secs(8_999_999_000));

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
async fn handles_of_one_lease_end_apart() {
    on_every_etcd(async |_, client| {
        let lease = client.lease(5 * SECOND).await.expect("a lease");
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
        tokio::time::sleep(ttl).await;
        is_renewed(&second).await;
        second.renew().await.expect("it is still alive");
    })
    .await;
}

#[tokio::test]
async fn a_lease_revoked_by_somebody_else_is_lost_at_the_next_renewal() {
    on_every_etcd(async |cluster, client| {
        let lease = client.lease(12 * SECOND).await.expect("a lease");
        let other = client.lease(12 * SECOND).await.expect("another lease");
        let stranger = Client::connect(cluster.endpoint()).await.expect("a client");
        let start = Instant::now();
        stranger.leases().revoke(&lease).await.expect("revoked");
        let lost = lease.lost().await;
        assert_eq!(lost.reason(), LostReason::NotFound);
        // Renewed when a third of its time has passed, it is not missed only when all has.
        assert!(start.elapsed() < 9 * SECOND, "{:?}", start.elapsed());
        assert!(lease.is_lost() && lease.remaining().is_zero());
        assert!(!other.is_lost());
    })
    .await;
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
        .block_on(client.lease(5 * SECOND).into_future())
        .expect("a lease");
    second.block_on(is_renewed(&another));
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
            granting.spawn(async move { client.lease(15 * SECOND).await });
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
    wait_until("one stream is open", async || streams(&cluster).await == 1).await;
    // One that the machine was too busy to answer on is given up for another.
    let opened = streams_opened(&cluster).await;
    assert!(opened <= 5, "{opened} streams, and not one for all");
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
        let opening = client.lease(6 * SECOND).id(7).regrant({
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

#[tokio::test]
async fn a_lease_with_keys_that_must_not_be_written_is_lost_alone() {
    on_every_etcd(async |cluster, admin| {
        let status = admin.maintenance().status(cluster.endpoint()).await;
        let version = status.expect("its status").version.parse();
        let version = version.expect("a version");
        let auth = admin.auth();
        auth.user("root").add("secret").await.expect("added");
        auth.user("root").grant_role("root").await.expect("granted");
        auth.user("bob").add("pass").await.expect("added");
        auth.role("mine").add().await.expect("added");
        let mine = Permission::read_write(KeyRange::prefix("mine/"));
        auth.role("mine").grant(mine).await.expect("granted");
        auth.user("bob").grant_role("mine").await.expect("granted");
        auth.enable().await.expect("enabled");
        let as_user = async |name: &str, password: &str| {
            let builder = Client::builder().endpoint(cluster.endpoint());
            builder
                .user(name, password)
                .connect()
                .await
                .expect("a client")
        };
        let (root, bob) = (
            as_user("root", "secret").await,
            as_user("bob", "pass").await,
        );

        let free = bob.lease(9 * SECOND).await.expect("a lease");
        let taken = bob.lease(9 * SECOND).await.expect("a lease");
        bob.put("mine/1", "").lease(&free).await.expect("allowed");
        root.put("other", "")
            .lease(&taken)
            .await
            .expect("root may all");
        if checks_renewals(version) {
            let lost = taken.lost().await;
            assert_eq!(lost.reason(), LostReason::PermissionDenied);
            let error = bob
                .leases()
                .keep_alive_once(&taken)
                .await
                .expect_err("denied");
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        } else {
            is_renewed(&taken).await;
        }
        is_renewed(&free).await;
        is_renewed(&free).await;
    })
    .await;
}

/// Whether a server of this version lets only those renew a lease who may write its keys.
fn checks_renewals(version: Version) -> bool {
    let since = [
        Version::new(3, 4, 42),
        Version::new(3, 5, 28),
        Version::new(3, 6, 9),
    ];
    let of_its_line = since.iter().find(|since| since.minor == version.minor);
    of_its_line.is_none_or(|since| version >= *since)
}
