//! What becomes of leases when members die, freeze or lose each other, and when connections break.

use std::{
    future::IntoFuture,
    time::{Duration, Instant},
};

use etcdkit::{Client, LostReason};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    proxy::Conditions,
};

use crate::support::{
    SECOND, behind_proxy, is_renewed, leader, on_every_etcd, on_three_members, stays_alive,
    wait_until,
};

#[tokio::test]
async fn a_lease_survives_that_its_server_is_killed_and_restarted() {
    on_every_etcd(async |cluster, client| {
        // Longer than a restart takes on a busy machine.
        let lease = client.lease(10 * SECOND).await.expect("a lease");
        client.put("key", "").lease(&lease).await.expect("a put");
        for _ in 0..2 {
            cluster.member(0).kill().expect("killed");
            tokio::time::sleep(SECOND).await;
            cluster.member(0).restart().await.expect("a restart");
            is_renewed(&lease).await;
        }
        is_renewed(&lease).await;
        assert!(client.get("key").await.expect("an answer").is_some());
    })
    .await;
}

#[tokio::test]
async fn a_lease_survives_the_death_of_the_leader() {
    on_three_members(async |cluster, client| {
        let leases = [10, 12, 15].map(|ttl| client.lease(ttl * SECOND).into_future());
        let mut held = Vec::new();
        for lease in leases {
            held.push(lease.await.expect("a lease"));
        }
        tokio::time::sleep(2 * SECOND).await;
        let place = leader(cluster).await;
        cluster.member(place).kill().expect("killed");
        for lease in &held {
            is_renewed(lease).await;
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
        // Longer than an election takes, and the next where nobody wins, on a busy machine.
        const TTL: Duration = Duration::from_secs(12);
        let mut lease = client.lease(TTL).await.expect("a lease");
        stays_alive(&lease, 2 * SECOND).await;
        let first = leader(cluster).await;
        for place in [first, (first + 1) % 3, (first + 2) % 3] {
            cluster.member(place).pause().expect("paused");
            is_renewed(&lease).await;
            cluster.member(place).resume().expect("resumed");
            cluster.member(place).ready().await.expect("it is back");
            // Before 3.5.28 a leader that froze may take itself for the leader when it goes on, and
            // revoke what seems to it to have run out (etcd pull request 21421). Then the client must
            // say so.
            if let Ok(lost) = tokio::time::timeout(3 * SECOND, lease.lost()).await {
                assert_eq!(lost.reason(), LostReason::NotFound, "{lost}");
                let left = client.leases().time_to_live(lease.id()).await;
                assert_eq!(left.expect("an answer").ttl, None, "the server has it");
                lease = client.lease(TTL).await.expect("a lease");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_quorum_a_lease_is_lost_before_the_server_can_let_it_run_out() {
    on_three_members(async |cluster, client| {
        let lease = client.lease(6 * SECOND).await.expect("a lease");
        client.put("key", "").lease(&lease).await.expect("a put");
        is_renewed(&lease).await;
        let place = leader(cluster).await;
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
        assert!(after < lease.ttl() + 10 * SECOND, "{after:?}");
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
    let lease = client.lease(10 * SECOND).await.expect("a lease");
    for _ in 0..5 {
        proxy.cut();
        stays_alive(&lease, SECOND).await;
        proxy.reset();
        stays_alive(&lease, SECOND).await;
    }
    for _ in 0..2 {
        proxy.freeze();
        is_renewed(&lease).await;
    }
}

#[tokio::test]
async fn a_lease_whose_server_cannot_be_reached_is_lost_in_its_time() {
    let (_cluster, proxy, client) = behind_proxy().await;
    let lease = client.lease(6 * SECOND).await.expect("a lease");
    is_renewed(&lease).await;
    proxy.set_both(Conditions::black_hole());
    let (start, left) = (Instant::now(), lease.remaining());
    let lost = lease.lost().await;
    let after = start.elapsed();
    assert_eq!(lost.reason(), LostReason::Expired);
    // As punctual as the machine, which may be busy.
    assert!(
        after >= left && after < left + 10 * SECOND,
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
    let lease = client.lease(12 * SECOND).id(7).await.expect("a lease");
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
