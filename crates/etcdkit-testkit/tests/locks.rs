//! Locks as programs use them, on the embedded server and on every real etcd that is found, of one member
//! and of three.

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use etcdkit::{
    Client, Compare, ErrorKind, KeyValue, Op, Result,
    sync::{LockGuard, Session},
};
use etcdkit_testkit::{
    patience::{in_time, until},
    places::{at_once, calm_cluster, everywhere, versions},
    queue::queue_of,
};
use tokio::{task::JoinHandle, time::timeout};

/// How long something is watched that must not happen.
const A_WHILE: Duration = Duration::from_millis(200);
const TTL: Duration = Duration::from_secs(10);

async fn connect(endpoints: &[String]) -> Client {
    Client::connect(endpoints).await.expect("a client")
}

async fn soon<F: IntoFuture>(future: F) -> F::Output {
    in_time("what must come", future).await
}

async fn session(client: &Client) -> Session {
    client.session().ttl(TTL).await.expect("a session")
}

fn waits(session: &Session, name: &'static str) -> JoinHandle<Result<LockGuard>> {
    let session = session.clone();
    tokio::spawn(async move { session.lock(name).await })
}

fn number(kv: &KeyValue) -> i64 {
    let text = kv.value_str().expect("text");
    text.parse().expect("a number")
}

/// Five clients take turns, each of them several times, and count up what only a holder may.
async fn five_exclude_each_other(endpoints: &[String]) {
    const ROUNDS: i64 = 4;
    let inside = Arc::new(AtomicUsize::new(0));
    let newest = Arc::new(AtomicI64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let client = connect(endpoints).await;
        let (inside, newest) = (Arc::clone(&inside), Arc::clone(&newest));
        tasks.push(tokio::spawn(async move {
            for _ in 0..ROUNDS {
                let guard = client.lock("l").ttl(TTL).await.expect("the lock");
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                let token = guard.fencing_token();
                assert!(
                    newest.swap(token, Ordering::SeqCst) < token,
                    "the token fell"
                );
                let count = client.get("count").await.expect("a count");
                let count = count.map_or(0, |kv| number(&kv));
                guard
                    .put("count", (count + 1).to_string())
                    .await
                    .expect("a put");
                inside.fetch_sub(1, Ordering::SeqCst);
                assert!(guard.unlock().await.expect("unlocked"));
            }
        }));
    }
    for task in tasks {
        soon(task).await.expect("no panic");
    }
    let client = connect(endpoints).await;
    let count = client
        .get("count")
        .await
        .expect("a count")
        .expect("a count");
    assert_eq!(count.value, (5 * ROUNDS).to_string());
    queue_of(&client, "l", 0).await;
    // The sessions of their own are gone, too.
    until("the leases to end", async || {
        let leases = client.leases().list().await.expect("a list").leases;
        leases.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_exclude_each_other_on_one_member() {
    everywhere(async |place| {
        five_exclude_each_other(&[place.endpoint().to_owned()]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_exclude_each_other_on_three_members() {
    at_once(versions(), async |etcd| {
        let cluster = calm_cluster(&etcd).await;
        five_exclude_each_other(&cluster.endpoints()).await;
    })
    .await;
}

#[tokio::test]
async fn a_try_gets_what_is_free_and_nothing_else() {
    everywhere(async |place| {
        let client = place.client().await;
        let (holder, other) = (session(&client).await, session(&client).await);
        let guard = holder.lock("l").try_lock().await.expect("an answer");
        let guard = guard.expect("it is free");
        assert!(
            other
                .lock("l")
                .try_lock()
                .await
                .expect("an answer")
                .is_none()
        );
        // One that waits is in the way, too.
        let waiter = session(&client).await;
        let waiting = waits(&waiter, "l");
        queue_of(&client, "l", 2).await;
        assert!(
            other
                .lock("l")
                .try_lock()
                .await
                .expect("an answer")
                .is_none()
        );
        assert!(guard.unlock().await.expect("unlocked"));
        let guard = soon(waiting).await.expect("no panic").expect("the lock");
        assert!(
            other
                .lock("l")
                .try_lock()
                .await
                .expect("an answer")
                .is_none()
        );
        drop(guard);
        queue_of(&client, "l", 0).await;
        assert!(
            other
                .lock("l")
                .try_lock()
                .await
                .expect("an answer")
                .is_some()
        );
    })
    .await;
}

#[tokio::test]
async fn who_waits_waits_for_the_holder_and_not_only_for_who_came_before() {
    everywhere(async |place| {
        let client = place.client().await;
        let [first, second, third] = [
            session(&client).await,
            session(&client).await,
            session(&client).await,
        ];
        let guard = first.lock("l").await.expect("the lock");
        let between = waits(&second, "l");
        queue_of(&client, "l", 2).await;
        let mut last = waits(&third, "l");
        queue_of(&client, "l", 3).await;
        between.abort();
        queue_of(&client, "l", 2).await;
        assert!(timeout(A_WHILE, &mut last).await.is_err(), "two hold it");
        assert!(guard.unlock().await.expect("unlocked"));
        let last = soon(last).await.expect("no panic");
        assert!(last.expect("the lock").unlock().await.expect("unlocked"));
    })
    .await;
}

#[tokio::test]
async fn a_session_that_has_ended_holds_nothing_and_gets_nothing() {
    everywhere(async |place| {
        let client = place.client().await;
        let (ended, other) = (session(&client).await, session(&client).await);
        let guard = ended.lock("l").await.expect("the lock");
        let waiting = waits(&other, "l");
        queue_of(&client, "l", 2).await;
        // By somebody else, so that the session does not know.
        client.leases().revoke(ended.id()).await.expect("revoked");
        let next = soon(waiting).await.expect("no panic").expect("the lock");
        assert!(next.fencing_token() > guard.fencing_token());
        let refused = guard
            .put("k", "v")
            .await
            .expect_err("a write of a past holder");
        assert_eq!(refused.kind(), ErrorKind::NotHeld);
        assert_eq!(client.get("k").await.expect("an answer"), None);
        next.put("k", "v").await.expect("a write of the holder");
        assert!(!guard.unlock().await.expect("an answer"));
        let error = ended.lock("m").await.expect_err("its lease is gone");
        assert_eq!(error.kind(), ErrorKind::SessionLost);
    })
    .await;
}

#[tokio::test]
async fn a_session_takes_up_its_locks_after_a_restart() {
    everywhere(async |place| {
        let client = place.client().await;
        let before = session(&client).await;
        let guard = before.lock("l").value("old").await.expect("the lock");
        let token = guard.fencing_token();
        let lease = before.detach();
        assert!(guard.is_lost());
        drop(guard);
        let client = place.client().await;
        let after = client.session().resume(lease).await.expect("a session");
        let guard = after.lock("l").value("new").await.expect("the lock");
        assert_eq!(guard.fencing_token(), token);
        let holder = client.lock("l").holder().await.expect("an answer");
        assert_eq!(holder.expect("a holder").value, "new");
        assert!(guard.unlock().await.expect("unlocked"));
    })
    .await;
}

#[tokio::test]
async fn a_wait_survives_compactions() {
    everywhere(async |place| {
        let client = place.client().await;
        let (holder, waiter) = (session(&client).await, session(&client).await);
        let guard = holder.lock("l").await.expect("the lock");
        let lost = tokio::spawn(guard.lost());
        let waiting = waits(&waiter, "l");
        queue_of(&client, "l", 2).await;
        for _ in 0..5 {
            let written = client.put("k", "v").await.expect("a put");
            let compaction = client.compact(written.header.revision).physical();
            compaction.await.expect("compacted");
        }
        assert!(!lost.is_finished());
        assert!(guard.unlock().await.expect("unlocked"));
        let next = soon(waiting).await.expect("no panic").expect("the lock");
        assert!(next.unlock().await.expect("unlocked"));
        soon(lost).await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn conditions_of_ones_own_are_told_from_a_lost_lock() {
    everywhere(async |place| {
        let client = place.client().await.namespaced("app/");
        let guard = client.lock("l").ttl(TTL).await.expect("the lock");
        let create = || {
            let create = guard.txn().when([Compare::missing("k")]);
            create.then([Op::put("k", "v")]).or_else([Op::get("k")])
        };
        assert!(create().await.expect("an answer").succeeded);
        let second = create().await.expect("an answer");
        assert!(!second.succeeded && second.header.revision > 0);
        let replaced = guard.put("k", "w").prev_kv().await.expect("a put");
        assert_eq!(replaced.prev_kv.expect("a pair").value, "v");
        assert_eq!(guard.delete("k").await.expect("deleted").deleted, 1);
        guard.txn().await.expect("it is held");
        client.delete(guard.key()).await.expect("deleted");
        for refused in [create().await, guard.txn().await] {
            assert_eq!(refused.expect_err("not held").kind(), ErrorKind::NotHeld);
        }
        assert_eq!(client.get("k").await.expect("an answer"), None);
    })
    .await;
}
