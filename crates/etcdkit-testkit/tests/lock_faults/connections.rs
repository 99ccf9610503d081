//! One holder and one waiter, and connections that break between them and the only member.

use std::time::Instant;

use etcdkit::{ErrorKind, KeyRange, sync::HoldLostReason};
use etcdkit_testkit::{
    patience::{in_time, until},
    proxy::{Conditions, Direction, Proxy},
};
use futures_util::FutureExt;

use crate::support::{
    LONG, MS, SECOND, TTL, age, connect, on_each, passes, passes_the_fence, queued,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_cut_off_knows_before_somebody_else_gets_the_lock() {
    on_each(async |cluster| {
        let direct = connect(cluster.endpoint()).await;
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let client = connect(proxy.endpoint()).await;
        let holder = client.lock("l").ttl(TTL).await.expect("a lock");
        let lost = tokio::spawn(holder.lost());
        assert!(passes_the_fence(&direct, &holder).await);

        let fence = holder.fence();
        proxy.set_both(Conditions::black_hole());
        // Sent while it still holds the lock, and carried out when it does not any more.
        let late = tokio::spawn(async move {
            let answer = holder.put("late", "").timeout(SECOND / 2).await;
            (holder, answer)
        });
        let (holder, answer) = late.await.expect("no panic");
        assert!(answer.is_err(), "{answer:?}");
        let next = in_time("the next holder", direct.lock("l").ttl(LONG)).await;
        let next = next.expect("a lock");
        assert!(holder.is_lost(), "two hold the lock");
        let told = holder.lost().now_or_never().expect("told too late");
        assert!(
            matches!(told.reason(), HoldLostReason::Session(_)),
            "{told}"
        );
        // Whoever has waited since before is told the same.
        let lost = in_time("the loss", lost).await.expect("no panic");
        assert_eq!(lost.to_string(), told.to_string());
        assert!(next.fencing_token() > holder.fencing_token());

        proxy.set_both(Conditions::pass());
        // What was held back has arrived before what is sent now.
        client.get("late").await.expect("an answer");
        assert!(!passes(&client, fence).await);
        let refused = holder.put("late", "").await.expect_err("it is not held");
        assert_eq!(refused.kind(), ErrorKind::NotHeld, "{refused}");
        assert_eq!(refused.outcome(), etcdkit::Outcome::NotApplied);
        assert_eq!(direct.get("late").await.expect("an answer"), None);
        assert!(passes_the_fence(&direct, &next).await);
        assert!(next.unlock().await.expect("an answer"));
        assert!(!holder.unlock().await.unwrap_or(false));
        until("the queue to be empty", async || {
            queued(&direct, "l").await == 0
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_gets_the_lock_that_was_released_and_compacted_while_it_was_cut_off() {
    on_each(async |cluster| {
        let direct = connect(cluster.endpoint()).await;
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let client = connect(proxy.endpoint()).await;
        let first = direct.lock("l").ttl(LONG).await.expect("a lock");
        let waiting = tokio::spawn(async move { client.lock("l").ttl(LONG).await });
        until("the waiter", async || queued(&direct, "l").await == 2).await;
        proxy.refuse().await.expect("a refusal");
        proxy.cut();
        age(&direct).await;
        assert!(first.unlock().await.expect("an answer"));
        let revision = age(&direct).await;
        direct.compact(revision).await.expect("a compaction");
        proxy.accept().await.expect("a listener");
        let lock = in_time("the lock", waiting).await.expect("no panic");
        let lock = lock.expect("a lock");
        assert!(passes_the_fence(&direct, &lock).await);
        assert!(lock.unlock().await.expect("an answer"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_whose_key_was_deleted_while_it_was_cut_off_never_holds() {
    on_each(async |cluster| {
        let direct = connect(cluster.endpoint()).await;
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let client = connect(proxy.endpoint()).await;
        let first = direct.lock("l").ttl(LONG).await.expect("a lock");
        let waiting = tokio::spawn(async move { client.lock("l").ttl(LONG).await });
        until("the waiter", async || queued(&direct, "l").await == 2).await;
        proxy.refuse().await.expect("a refusal");
        proxy.cut();
        let keys = direct
            .range(KeyRange::prefix("l/"))
            .await
            .expect("keys")
            .kvs;
        for kv in keys.iter().filter(|kv| kv.key != first.key()) {
            direct.delete(&kv.key).await.expect("a deletion");
        }
        assert!(first.unlock().await.expect("an answer"));
        let revision = age(&direct).await;
        direct.compact(revision).await.expect("a compaction");
        proxy.accept().await.expect("a listener");
        let refused = in_time("a refusal", waiting).await.expect("no panic");
        let refused = refused.expect_err("the key is gone");
        assert_eq!(refused.kind(), ErrorKind::NotHeld, "{refused}");
        assert_eq!(queued(&direct, "l").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_a_session_ends_its_waits() {
    on_each(async |cluster| {
        let direct = connect(cluster.endpoint()).await;
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let client = connect(proxy.endpoint()).await;
        let first = direct.lock("l").ttl(LONG).await.expect("a lock");
        let session = client.session().ttl(TTL).await.expect("a session");
        let waiting = session.lock("l");
        let waiting = tokio::spawn(async move { waiting.await });
        until("the waiter", async || queued(&direct, "l").await == 2).await;
        proxy.set_both(Conditions::black_hole());
        let ended = in_time("the end of the wait", waiting).await;
        let error = ended.expect("no panic").expect_err("the session is lost");
        assert_eq!(error.kind(), ErrorKind::SessionLost, "{error}");
        assert!(session.is_lost());
        until("its key to go", async || queued(&direct, "l").await == 1).await;
        assert!(first.unlock().await.expect("an answer"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_at_any_byte_leaves_nothing_behind() {
    on_each(async |cluster| {
        let direct = connect(cluster.endpoint()).await;
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let client = connect(proxy.endpoint()).await;
        let session = client.session().ttl(LONG).await.expect("a session");
        for (round, bytes) in (0..360).step_by(15).enumerate() {
            let name = format!("l{bytes}");
            let direction = match round % 2 {
                0 => Direction::ToClient,
                _ => Direction::ToServer,
            };
            proxy.cut_after(direction, bytes);
            // Whether it comes of it or not, others get the lock once it is let go.
            let lock = session.lock(&name).wait_at_most(5 * SECOND).await;
            drop(lock);
            let next = in_time("the next holder", direct.lock(&name).ttl(LONG)).await;
            let next = next.expect("a lock");
            assert_eq!(queued(&direct, &name).await, 1, "after {bytes} bytes");
            assert!(next.unlock().await.expect("an answer"));
            assert_eq!(queued(&direct, &name).await, 0, "after {bytes} bytes");
        }
        assert!(!session.is_lost());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_kept_over_slow_connections_for_longer_than_it_lives() {
    on_each(async |cluster| {
        let direct = connect(cluster.endpoint()).await;
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        proxy.set_both(Conditions::pass().delay(80 * MS, 70 * MS));
        let client = connect(proxy.endpoint()).await;
        // So long that what is slow is the connections, and not the machine.
        let ttl = 8 * SECOND;
        let lock = client.lock("l").ttl(ttl).await.expect("a lock");
        let start = Instant::now();
        while start.elapsed() < ttl + SECOND {
            assert!(!lock.is_lost());
            lock.put("written", "").await.expect("it is held");
        }
        let other = direct.lock("l").ttl(LONG).try_lock().await;
        assert!(other.expect("an answer").is_none());
        assert!(lock.unlock().await.expect("an answer"));
    })
    .await;
}
