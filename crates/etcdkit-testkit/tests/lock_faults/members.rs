//! One holder and one waiter, and members that freeze or die.

use std::time::Duration;

use etcdkit::ErrorKind;
use etcdkit_testkit::{
    etcd::Binary,
    patience::{in_time, until},
    places::{cluster, leader},
};
use tokio::time::{Instant, sleep_until};

use crate::support::{LONG, SECOND, TTL, connect, on_each, passes_the_fence, queued};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_loses_the_lock_when_the_only_member_freezes_for_longer_than_it_lives() {
    on_each(async |mut cluster| {
        let client = connect(cluster.endpoint()).await;
        let holder = client.lock("l").ttl(TTL).await.expect("a lock");
        let waiter = connect(cluster.endpoint()).await;
        // It lives long enough to be there afterwards.
        let waiting = tokio::spawn(async move { waiter.lock("l").ttl(LONG).await });
        until("the waiter", async || queued(&client, "l").await == 2).await;
        let lost = holder.lost();
        cluster.member(0).pause().expect("a pause");
        // Nothing that was sent later was answered.
        sleep_until(Instant::now() + TTL).await;
        assert!(holder.is_lost(), "it takes itself for the holder");
        in_time("the loss", lost).await;
        tokio::time::sleep(SECOND).await;
        cluster.member(0).resume().expect("a resumption");
        let next = in_time("the next holder", waiting).await.expect("no panic");
        let next = next.expect("a lock");
        assert!(!passes_the_fence(&client, &holder).await);
        let refused = holder.put("written", "").await.expect_err("it is lost");
        assert_eq!(refused.kind(), ErrorKind::NotHeld, "{refused}");
        assert!(passes_the_fence(&client, &next).await);
        assert!(next.unlock().await.expect("an answer"));
        drop(holder);
        until("the queue to be empty", async || {
            queued(&client, "l").await == 0
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_knows_only_a_frozen_member_loses_the_lock_to_one_that_knows_another() {
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = cluster(&etcd, 3).await;
    let leader = leader(&cluster).await;
    let [frozen, other] = [(leader + 1) % 3, (leader + 2) % 3];
    let endpoints = cluster.endpoints();
    let client = connect(&endpoints[frozen]).await;
    let holder = client.lock("l").ttl(TTL).await.expect("a lock");
    let elsewhere = connect(&endpoints[other]).await;
    cluster.member(frozen).pause().expect("a pause");
    let next = in_time("the next holder", elsewhere.lock("l").ttl(LONG)).await;
    let next = next.expect("a lock");
    assert!(holder.is_lost(), "two hold the lock");
    assert!(next.fencing_token() > holder.fencing_token());
    cluster.member(frozen).resume().expect("a resumption");
    cluster.member(frozen).ready().await.expect("it is back");
    assert!(!passes_the_fence(&client, &holder).await);
    assert!(passes_the_fence(&client, &next).await);
    drop((holder, next));
    until("the queue to be empty", async || {
        queued(&elsewhere, "l").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_knows_all_members_keeps_the_lock_when_one_after_the_other_dies() {
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = cluster(&etcd, 3).await;
    let client = etcdkit::Client::connect(cluster.endpoints()).await;
    let client = client.expect("a client");
    // So long that a busy machine has elected another leader before.
    const UNTIL_ELECTED: Duration = Duration::from_secs(12);
    let holder = client.lock("l").ttl(UNTIL_ELECTED).await.expect("a lock");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.lock("l").ttl(UNTIL_ELECTED).await }
    });
    until("the waiter", async || queued(&client, "l").await == 2).await;
    for member in 0..3 {
        cluster.member(member).kill().expect("a kill");
        let left = holder.session().lease().remaining();
        until("a renewal by another member", async || {
            assert!(!holder.is_lost() && !waiting.is_finished());
            holder.session().lease().remaining() > left
        })
        .await;
        cluster.member(member).restart().await.expect("a restart");
    }
    holder.put("written", "").await.expect("it is held");
    assert!(holder.unlock().await.expect("an answer"));
    let next = in_time("the next holder", waiting).await.expect("no panic");
    assert!(next.expect("a lock").unlock().await.expect("an answer"));
    assert_eq!(queued(&client, "l").await, 0);
}
