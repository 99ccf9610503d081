//! The queue behind locks, on the embedded server: what it costs, and what it leaves behind.

#![allow(clippy::unwrap_used)]

use std::{error::Error as _, time::Duration};

use etcdkit::{
    Client, Compare, ErrorKind, KeyRange, Op,
    sync::{HoldLostReason, LockGuard, Session},
};
use etcdkit_server::{
    Server,
    faults::{EtcdError, Rpc},
};
use tokio::time::{sleep, timeout};

/// Longer than anything takes unless it never comes, and shorter than a session lives.
const SOON: Duration = Duration::from_secs(45);

async fn cluster() -> (Server, Client) {
    let server = Server::builder().start().await.unwrap();
    let client = Client::connect(server.endpoint()).await.unwrap();
    (server, client)
}

/// The keys of a queue, in the order they came.
async fn queue(client: &Client, name: &str) -> Vec<String> {
    let keys = KeyRange::prefix(format!("{name}/"));
    let answer = client.range(keys).await.unwrap();
    let mut kvs = answer.kvs;
    kvs.sort_by_key(|kv| kv.create_revision);
    let keys = kvs.iter().map(|kv| kv.key_str().unwrap().to_owned());
    keys.collect()
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(SOON, waiting).await.is_ok(), "never: {what}");
}

async fn queued(client: &Client, name: &str, many: usize) {
    let what = format!("{many} keys in the queue {name}");
    eventually(&what, async || queue(client, name).await.len() == many).await;
}

/// A task that waits for a lock.
fn waiter(
    session: &Session,
    name: &'static str,
) -> tokio::task::JoinHandle<etcdkit::Result<LockGuard>> {
    let session = session.clone();
    tokio::spawn(async move { session.lock(name).await })
}

#[tokio::test]
async fn a_free_lock_takes_one_round_trip_and_its_release_another() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let before = server.faults().calls(Rpc::KvTxn);
    let guard = session.lock("l").await.unwrap();
    assert_eq!(server.faults().calls(Rpc::KvTxn), before + 1);
    assert!(guard.unlock().await.unwrap());
    assert_eq!(server.faults().calls(Rpc::KvTxn), before + 2);
    assert_eq!(server.faults().calls(Rpc::KvRange), 0);
    assert_eq!(server.faults().calls(Rpc::Watch), 0);
}

#[tokio::test]
async fn the_key_is_the_name_and_the_lease_as_etcds_go_client_has_it() {
    let (_server, client) = cluster().await;
    let lease = client
        .leases()
        .grant(Duration::from_secs(60))
        .id(0xabc)
        .await
        .unwrap();
    let session = client.session().resume(lease.id).await.unwrap();
    let guard = session.lock("l").value("host-7").await.unwrap();
    assert_eq!(guard.key(), "l/abc");
    let kv = client.get("l/abc").await.unwrap().unwrap();
    assert_eq!((kv.lease, &kv.value[..]), (Some(lease.id), &b"host-7"[..]));
    let holder = client.lock("l").holder().await.unwrap().unwrap();
    assert_eq!(holder.value, "host-7");
    assert_eq!(holder.fencing_token, guard.fencing_token());
    assert!(guard.unlock().await.unwrap());
    assert_eq!(client.lock("l").holder().await.unwrap(), None);
}

#[tokio::test]
async fn waiters_are_served_in_the_order_they_came() {
    let (_server, client) = cluster().await;
    let first = client.lock("l").await.unwrap();
    let mut waiting = Vec::new();
    for place in 0..5 {
        let own = client.clone();
        waiting.push(tokio::spawn(async move { own.lock("l").await }));
        queued(&client, "l", place + 2).await;
    }
    let mut token = first.fencing_token();
    assert!(first.unlock().await.unwrap());
    for waiter in waiting {
        let guard = timeout(SOON, waiter).await.unwrap().unwrap().unwrap();
        assert!(guard.fencing_token() > token);
        token = guard.fencing_token();
        drop(guard);
    }
    queued(&client, "l", 0).await;
}

#[tokio::test]
async fn a_wait_that_is_dropped_leaves_no_key() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let other = client.session().await.unwrap();
    let guard = session.lock("l").await.unwrap();
    let waiter = waiter(&other, "l");
    queued(&client, "l", 2).await;
    waiter.abort();
    queued(&client, "l", 1).await;
    assert!(guard.unlock().await.unwrap());
    assert!(!other.is_lost());
}

#[tokio::test]
async fn a_wait_that_takes_too_long_says_what_was_in_the_way_and_leaves_no_key() {
    let (_server, client) = cluster().await;
    let guard = client.lock("l").await.unwrap();
    let soon = client.lock("l").wait_at_most(Duration::from_millis(100));
    let error = soon.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.operation(), Some("lock"));
    let key = std::str::from_utf8(guard.key()).unwrap();
    assert!(error.message().contains(key), "{error}");
    assert_eq!(queue(&client, "l").await, [key]);
}

#[tokio::test]
async fn a_try_that_fails_has_not_been_in_the_queue() {
    let (_server, client) = cluster().await;
    let guard = client.lock("l").await.unwrap();
    let revision = client.range("l").await.unwrap().header.revision;
    assert!(client.lock("l").try_lock().await.unwrap().is_none());
    assert_eq!(client.range("l").await.unwrap().header.revision, revision);
    drop(guard);
    queued(&client, "l", 0).await;
    let guard = client.lock("l").try_lock().await.unwrap();
    assert!(guard.is_some());
}

#[tokio::test]
async fn a_try_that_nobody_answers_is_an_error_and_not_a_wait() {
    let server = Server::builder().start().await.unwrap();
    let client = Client::builder()
        .endpoint(server.endpoint())
        .request_timeout(Duration::from_secs(2));
    let client = client.connect().await.unwrap();
    let session = client.session().await.unwrap();
    let silence = server.faults().on(Rpc::KvTxn).hang();
    let tried = timeout(SOON, session.lock("a").try_lock()).await;
    let error = tried.expect("an end").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    silence.remove();
    assert!(session.lock("a").try_lock().await.unwrap().is_some());
}

#[tokio::test]
async fn a_dropped_guard_releases_the_lock_also_outside_of_a_runtime() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let guard = session.lock("l").await.unwrap();
    std::thread::spawn(move || drop(guard)).join().unwrap();
    queued(&client, "l", 0).await;
}

#[tokio::test]
async fn one_session_shares_a_lock_until_the_last_guard_goes() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let first = session.lock("l").await.unwrap();
    let second = session.lock("l").await.unwrap();
    let third = session.lock("l").try_lock().await.unwrap().unwrap();
    assert_eq!(first.fencing_token(), third.fencing_token());
    drop(third);
    assert!(first.unlock().await.unwrap());
    assert_eq!(queue(&client, "l").await.len(), 1);
    second.put("k", "v").await.unwrap();
    assert!(second.unlock().await.unwrap());
    assert!(queue(&client, "l").await.is_empty());
}

#[tokio::test]
async fn tasks_of_one_session_that_wait_together_share_the_lock() {
    let (_server, client) = cluster().await;
    let guard = client.lock("l").await.unwrap();
    let session = client.session().await.unwrap();
    let waiters = [
        waiter(&session, "l"),
        waiter(&session, "l"),
        waiter(&session, "l"),
    ];
    queued(&client, "l", 2).await;
    assert!(session.lock("l").try_lock().await.unwrap().is_none());
    drop(guard);
    let mut guards = Vec::new();
    for waiter in waiters {
        guards.push(timeout(SOON, waiter).await.unwrap().unwrap().unwrap());
    }
    assert!(guards.iter().all(|guard| guard.key() == guards[0].key()));
    drop(guards);
    queued(&client, "l", 0).await;
}

#[tokio::test]
async fn a_lock_that_is_dropped_and_asked_for_again_is_another_one() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let mut token = 0;
    for _ in 0..20 {
        let guard = session.lock("l").await.unwrap();
        assert!(guard.fencing_token() > token);
        token = guard.fencing_token();
        guard.put("k", "v").await.unwrap();
    }
    queued(&client, "l", 0).await;
}

#[tokio::test]
async fn the_loss_of_a_session_ends_its_waits_and_its_guards_at_once() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let other = client.lock("l").await.unwrap();
    let guard = session.lock("mine").await.unwrap();
    let lost = tokio::spawn(guard.lost());
    let waiter = waiter(&session, "l");
    queued(&client, "l", 2).await;
    session.close().await.unwrap();
    let error = timeout(SOON, waiter).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    assert!(error.source().is_some());
    let lost = timeout(SOON, lost).await.unwrap().unwrap();
    assert!(
        matches!(lost.reason(), HoldLostReason::Session(_)),
        "{lost}"
    );
    assert!(guard.is_lost());
    let refused = guard.put("k", "v").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotHeld);
    assert!(!guard.unlock().await.unwrap());
    assert_eq!(queue(&client, "l").await.len(), 1);
    drop(other);
}

#[tokio::test]
async fn who_is_thrown_out_of_the_queue_never_holds() {
    let (_server, client) = cluster().await;
    let guard = client.lock("l").await.unwrap();
    let session = client.session().await.unwrap();
    let waiter = waiter(&session, "l");
    queued(&client, "l", 2).await;
    let own = format!("l/{:x}", session.id().0);
    // In one revision, so that nothing is in the way of the key that is gone.
    let both = [Op::delete(guard.key()), Op::delete(own.as_str())];
    client.txn().then(both).await.unwrap();
    let error = timeout(SOON, waiter).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotHeld);
    assert!(!session.is_lost());
}

#[tokio::test]
async fn a_lock_that_is_broken_is_lost_and_can_be_had_again_by_the_same_session() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let guard = session.lock("l").await.unwrap();
    let lost = tokio::spawn(guard.lost());
    client.delete(guard.key()).await.unwrap();
    let lost = timeout(SOON, lost).await.unwrap().unwrap();
    assert!(matches!(lost.reason(), HoldLostReason::Deleted), "{lost}");
    let again = timeout(SOON, session.lock("l")).await.unwrap().unwrap();
    assert!(again.fencing_token() > guard.fencing_token());
    assert!(!guard.unlock().await.unwrap());
    assert!(again.unlock().await.unwrap());
}

#[tokio::test]
async fn an_entry_whose_answer_is_lost_is_found_again() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let faults = server.faults();
    let _lost = faults.on(Rpc::KvTxn).nth(1).once_applied().disconnect();
    let guard = timeout(SOON, session.lock("l")).await.unwrap().unwrap();
    assert!(guard.unlock().await.unwrap());
    assert!(queue(&client, "l").await.is_empty());
}

#[tokio::test]
async fn an_entry_that_is_refused_for_good_is_an_error() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let faults = server.faults();
    let _refusal = faults.on(Rpc::KvTxn).fail(EtcdError::PermissionDenied);
    let error = timeout(SOON, session.lock("l")).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

/// What an entry that was thought lost does when it arrives after all.
async fn lands_late(client: &Client, session: &Session, name: &str) {
    let key = format!("{name}/{:x}", session.id().0);
    let put = Op::put(&key, "").lease(session.id());
    let landing = client.txn().when([Compare::missing(&key)]).then([put]);
    assert!(landing.await.unwrap().succeeded);
}

#[tokio::test]
async fn an_entry_that_lands_after_the_release_is_swept_up() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    // "request timed out": nobody knows whether it will be applied.
    let faults = server.faults();
    let _lost = faults.on(Rpc::KvTxn).nth(1).fail(EtcdError::ServerTimeout);
    let guard = timeout(SOON, session.lock("l")).await.unwrap().unwrap();
    assert!(guard.unlock().await.unwrap());
    lands_late(&client, &session, "l").await;
    queued(&client, "l", 0).await;
}

#[tokio::test]
async fn an_entry_that_lands_after_the_wait_was_dropped_is_swept_up() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let faults = server.faults();
    let stuck = faults.on(Rpc::KvTxn).nth(1).hang();
    let waiter = waiter(&session, "l");
    timeout(SOON, stuck.hit(1)).await.unwrap();
    waiter.abort();
    assert!(waiter.await.unwrap_err().is_cancelled());
    // Others of the session get the lock, and nothing is swept away from under them.
    let guard = timeout(SOON, session.lock("l")).await.unwrap().unwrap();
    let lost = tokio::spawn(guard.lost());
    sleep(Duration::from_millis(50)).await;
    assert!(!lost.is_finished());
    assert!(guard.unlock().await.unwrap());
    lands_late(&client, &session, "l").await;
    queued(&client, "l", 0).await;
}

#[tokio::test]
async fn a_lock_that_is_asked_for_while_it_is_swept_up_is_a_new_one() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let faults = server.faults();
    let _lost = faults.on(Rpc::KvTxn).nth(1).fail(EtcdError::ServerTimeout);
    let guard = timeout(SOON, session.lock("l")).await.unwrap().unwrap();
    assert!(guard.unlock().await.unwrap());
    lands_late(&client, &session, "l").await;
    for _ in 0..10 {
        let guard = timeout(SOON, session.lock("l")).await.unwrap().unwrap();
        guard.put("k", "v").await.unwrap();
        assert!(guard.unlock().await.unwrap());
    }
    queued(&client, "l", 0).await;
}

#[tokio::test]
async fn a_release_that_fails_goes_on_in_the_background() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let guard = session.lock("l").await.unwrap();
    let faults = server.faults();
    let _lost = faults.on(Rpc::KvTxn).nth(1).fail(EtcdError::ServerTimeout);
    let error = guard.unlock().await.unwrap_err();
    assert_eq!(error.operation(), Some("unlock"));
    queued(&client, "l", 0).await;
}

#[tokio::test]
async fn an_unlock_that_is_dropped_goes_on_in_the_background() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let guard = session.lock("l").await.unwrap();
    let faults = server.faults();
    let stuck = faults.on(Rpc::KvTxn).nth(1).hang();
    let unlocking = tokio::spawn(guard.unlock());
    timeout(SOON, stuck.hit(1)).await.unwrap();
    unlocking.abort();
    queued(&client, "l", 0).await;
}

#[tokio::test]
async fn the_time_to_wait_covers_the_opening_of_a_session() {
    let (server, client) = cluster().await;
    let faults = server.faults();
    let _stuck = faults.on(Rpc::LeaseGrant).hang();
    let lock = client.lock("l").wait_at_most(Duration::from_millis(100));
    let error = timeout(SOON, lock).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_session_that_exists_has_its_own_time_to_live() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let lock = session.lock("l").ttl(Duration::from_secs(5));
    assert_eq!(lock.await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!(session.ttl(), Duration::from_secs(60));
}

#[tokio::test]
async fn a_detached_session_gives_up_what_it_waits_for_and_leaves_what_it_holds() {
    let (_server, client) = cluster().await;
    let other = client.lock("l").await.unwrap();
    let session = client.session().await.unwrap();
    let guard = session.lock("mine").await.unwrap();
    let waiter = waiter(&session, "l");
    queued(&client, "l", 2).await;
    let lease = session.detach();
    let error = timeout(SOON, waiter).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    queued(&client, "l", 1).await;
    drop(guard);
    let session = client.session().resume(lease).await.unwrap();
    let guard = session.lock("mine").try_lock().await.unwrap().unwrap();
    assert!(guard.unlock().await.unwrap());
    drop(other);
}

#[tokio::test]
async fn time_beyond_the_ttl_ends_a_session_whose_renewals_do_not_arrive() {
    let (server, client) = cluster().await;
    let ttl = Duration::from_secs(10);
    let session = client.session().ttl(ttl).await.unwrap();
    let guard = session.lock("l").await.unwrap();
    let other = Client::connect(server.endpoint()).await.unwrap();
    let next = tokio::spawn(async move { other.lock("l").await.unwrap() });
    queued(&client, "l", 2).await;
    server.advance_time(2 * ttl);
    let next = timeout(SOON, next).await.unwrap().unwrap();
    let refused = guard.put("k", "v").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotHeld);
    next.put("k", "v").await.unwrap();
    assert!(!guard.unlock().await.unwrap());
}

#[tokio::test]
async fn a_release_wakes_the_next_one_only() {
    let (server, client) = cluster().await;
    let first = client.lock("l").await.unwrap();
    let mut waiting = Vec::new();
    for place in 0..8 {
        let session = client.session().await.unwrap();
        waiting.push(waiter(&session, "l"));
        queued(&client, "l", place + 2).await;
    }
    // They all watch: the own key and the one before.
    eventually("all watches", async || {
        server.faults().calls(Rpc::Watch) > 0
    })
    .await;
    sleep(Duration::from_millis(100)).await;
    let before = server.faults().calls(Rpc::KvTxn);
    assert!(first.unlock().await.unwrap());
    let next = waiting.remove(0);
    let next = timeout(SOON, next).await.unwrap().unwrap().unwrap();
    sleep(Duration::from_millis(100)).await;
    // The release, and the look of the one that it woke.
    assert_eq!(server.faults().calls(Rpc::KvTxn), before + 2);
    drop(next);
}

#[tokio::test]
async fn who_holds_is_what_the_cluster_agrees_on_whatever_the_client_reads_otherwise() {
    let (server, client) = cluster().await;
    let guard = client.lock("l").await.unwrap();
    let client = Client::builder()
        .endpoint(server.endpoint())
        .request_timeout(Duration::from_secs(2))
        .serializable_by_default()
        .connect()
        .await
        .unwrap();
    assert!(client.lock("l").holder().await.unwrap().is_some());
    // One member alone would answer still, and may be wrong.
    server.faults().lose_leader();
    client.get("l").await.unwrap();
    client.lock("l").holder().await.unwrap_err();
    server.faults().regain_leader();
    drop(guard);
}
