//! Locks: order, traces, layout.

use std::time::Duration;

use etcdkit::{Client, Compare, ErrorKind, KeyRange, Op, Outcome};
use etcdkit_server::faults::Rpc;

use crate::support::{
    TTL, assert_waits, client_of, hex, keys, soon, start, until_count, until_nothing_is_left,
};

#[tokio::test]
async fn a_lock_is_one_key_on_its_lease_named_as_etcds_go_client_does() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let guard = session.lock("orders").await.unwrap();
    let key = format!("orders/{}", hex(session.id()));
    assert_eq!(keys(&client, "").await, [key.as_str()]);
    assert_eq!(guard.key(), key.as_bytes());

    let kv = client.get(&key).await.unwrap().unwrap();
    assert_eq!((kv.lease, &kv.value[..]), (Some(session.id()), &b""[..]));
    assert_eq!(guard.fencing_token(), kv.create_revision);

    // Any transaction can carry the proof.
    let fenced = client.txn().when([guard.fence()]).await.unwrap();
    assert!(fenced.succeeded);
    assert!(guard.unlock().await.unwrap());
    session.close().await.unwrap();
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn whoever_has_the_oldest_key_is_waited_for_whoever_it_is() {
    let (_server, client) = start().await;
    // As a program of another language would do it.
    let lease = client.leases().grant(TTL).await.unwrap();
    let foreign = format!("orders/{}", hex(lease.id));
    client
        .put(&foreign, "theirs")
        .lease(lease.id)
        .await
        .unwrap();

    let holder = client.lock("orders").holder().await.unwrap().unwrap();
    assert_eq!(holder.key, foreign);
    assert_eq!(
        (holder.lease, &holder.value[..]),
        (Some(lease.id), &b"theirs"[..])
    );
    assert!(client.lock("orders").try_lock().await.unwrap().is_none());
    let mut waiting = tokio::spawn(client.lock("orders").into_future());
    until_count(&client, "orders/", 2).await;
    assert_waits(&mut waiting).await;
    client.leases().revoke(lease.id).await.unwrap();
    let guard = soon(waiting).await.unwrap().unwrap();
    assert!(guard.fencing_token() > holder.fencing_token);
    assert!(guard.unlock().await.unwrap());
    assert_eq!(client.lock("orders").holder().await.unwrap(), None);
}

#[tokio::test]
async fn a_lock_is_had_in_the_order_of_asking_and_each_release_wakes_one() {
    const WAITERS: usize = 16;
    let (server, client) = start().await;
    let first = client.lock("orders").ttl(TTL).await.unwrap();
    let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for number in 0..WAITERS {
        let (lock, told) = (client.lock("orders").ttl(TTL), told.clone());
        tasks.push(tokio::spawn(async move {
            let guard = lock.await.unwrap();
            told.send((number, guard.fencing_token())).unwrap();
            assert!(guard.unlock().await.unwrap());
        }));
        until_count(&client, "orders/", number + 2).await;
    }
    assert!(order.try_recv().is_err(), "one is in while another holds");

    let txns = server.faults().calls(Rpc::KvTxn);
    assert!(first.unlock().await.unwrap());
    for task in tasks {
        soon(task).await.unwrap();
    }
    let mut newest = 0;
    for number in 0..WAITERS {
        let (who, token) = order.try_recv().unwrap();
        assert_eq!(who, number);
        assert!(token > newest, "{token} after {newest}");
        newest = token;
    }
    // A check of the one that is woken, and its release; sixteen at once would make it 153.
    let spent = server.faults().calls(Rpc::KvTxn) - txns;
    assert!(spent <= 2 * WAITERS as u64 + 1, "{spent} transactions");
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn by_one_session_a_lock_is_had_again_at_once_until_its_last_guard_goes() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let first = session.lock("orders").await.unwrap();
    let second = soon(session.lock("orders")).await.unwrap();
    let third = soon(session.clone().lock("orders").try_lock())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.fencing_token(), second.fencing_token());
    assert_eq!(first.fencing_token(), third.fencing_token());

    let mut other = tokio::spawn(client.lock("orders").ttl(TTL).into_future());
    until_count(&client, "orders/", 2).await;
    assert!(first.unlock().await.unwrap());
    drop(third);
    assert_waits(&mut other).await;
    second.put("paid", "yes").await.unwrap();
    assert!(second.unlock().await.unwrap());
    soon(other).await.unwrap().unwrap().unlock().await.unwrap();

    // Given up and had again by the same session, without waiting for others or meeting itself.
    for _ in 0..20 {
        drop(session.lock("orders").await.unwrap());
    }
    let guard = soon(session.lock("orders")).await.unwrap();
    assert!(client.lock("orders").try_lock().await.unwrap().is_none());
    drop(guard);
    session.close().await.unwrap();
    until_count(&client, "orders/", 0).await;
}

#[tokio::test]
async fn two_locks_of_one_client_exclude_each_other() {
    let (_server, client) = start().await;
    let guard = client.lock("orders").ttl(TTL).await.unwrap();
    assert!(client.lock("orders").try_lock().await.unwrap().is_none());
    let other = client.lock("invoices").try_lock().await.unwrap();
    assert!(other.is_some(), "another name is another lock");
    drop(guard);
    let again = soon(client.lock("orders").ttl(TTL)).await.unwrap();
    assert!(again.unlock().await.unwrap());
}

#[tokio::test]
async fn a_try_that_fails_leaves_no_trace() {
    let (_server, client) = start().await;
    let guard = client.lock("orders").ttl(TTL).await.unwrap();
    let mut watch = client.watch(KeyRange::prefix("orders/")).await.unwrap();
    for _ in 0..5 {
        assert!(client.lock("orders").try_lock().await.unwrap().is_none());
    }
    let token = guard.fencing_token();
    assert!(guard.unlock().await.unwrap());
    let events = soon(watch.try_next()).await.unwrap().unwrap().into_events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].is_delete() && events[0].revision() > token);
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn who_has_waited_for_too_long_is_told_whose_key_is_in_the_way_and_leaves_none() {
    let (_server, client) = start().await;
    let guard = client.lock("orders").ttl(TTL).await.unwrap();
    let holder = keys(&client, "orders/").await.remove(0);
    let waited = client
        .lock("orders")
        .wait_at_most(Duration::from_millis(100));
    let error = soon(waited).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.to_string().contains(&holder), "{error}");
    until_count(&client, "orders/", 1).await;

    // By a session that lives on, too.
    let session = client.session().ttl(TTL).await.unwrap();
    let waited = session
        .lock("orders")
        .wait_at_most(Duration::from_millis(100));
    assert_eq!(soon(waited).await.unwrap_err().kind(), ErrorKind::Timeout);
    until_count(&client, "orders/", 1).await;
    drop(guard);
    assert!(
        soon(session.lock("orders"))
            .await
            .unwrap()
            .unlock()
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_wait_that_is_dropped_leaves_no_key() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let guard = client.lock("orders").ttl(TTL).await.unwrap();
    for by_session in [false, true] {
        let lock = if by_session {
            session.lock("orders").into_future()
        } else {
            client.lock("orders").ttl(TTL).into_future()
        };
        let waiting = tokio::spawn(lock);
        until_count(&client, "orders/", 2).await;
        waiting.abort();
        until_count(&client, "orders/", 1).await;
    }
    assert!(guard.unlock().await.unwrap());
    session.close().await.unwrap();
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn a_wait_that_is_given_up_while_its_lease_is_granted_leaves_no_lease() {
    let (server, client) = start().await;
    let faults = server.faults();
    let late = Duration::from_secs(3);
    faults.on(Rpc::LeaseGrant).nth(1).once_applied().delay(late);
    let waited = client.lock("orders").ttl(TTL).wait_at_most(late / 6);
    let error = soon(waited).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(client.leases().list().await.unwrap().leases.len(), 1);
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn a_waiter_that_is_dropped_does_not_let_the_next_one_in_or_forget_it() {
    let (_server, client) = start().await;
    let guard = client.lock("orders").ttl(TTL).await.unwrap();
    let middle = tokio::spawn(client.lock("orders").ttl(TTL).into_future());
    until_count(&client, "orders/", 2).await;
    let mut last = tokio::spawn(client.lock("orders").ttl(TTL).into_future());
    until_count(&client, "orders/", 3).await;
    middle.abort();
    until_count(&client, "orders/", 2).await;
    assert_waits(&mut last).await;
    assert!(guard.unlock().await.unwrap());
    drop(soon(last).await.unwrap().unwrap());
}

#[tokio::test]
async fn unlocking_says_whether_it_was_still_ours() {
    let (_server, client) = start().await;
    let guard = client.lock("orders").ttl(TTL).await.unwrap();
    client.delete(guard.key()).await.unwrap();
    assert!(!guard.unlock().await.unwrap());

    // Another key of the same name is not ours to delete.
    let guard = client.lock("orders").ttl(TTL).await.unwrap();
    let key = guard.key().clone();
    let replace = [Op::delete(&key)];
    client.txn().then(replace).await.unwrap();
    client.put(&key, "somebody else").await.unwrap();
    assert!(!guard.unlock().await.unwrap());
    assert!(client.get(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_waiter_whose_key_was_deleted_never_holds() {
    let (_server, client) = start().await;
    let guard = client.lock("orders").ttl(TTL).await.unwrap();
    let waiting = tokio::spawn(client.lock("orders").ttl(TTL).into_future());
    until_count(&client, "orders/", 2).await;
    let own = keys(&client, "orders/").await.remove(1);
    // Both at once: the waiter learns that its turn has come, and that it has none.
    let both = [Op::delete(&own), Op::delete(guard.key())];
    client.txn().then(both).await.unwrap();
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
    assert!(!guard.unlock().await.unwrap());
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn waits_go_on_through_compactions_and_broken_connections() {
    let (server, client) = start().await;
    let other = client_of(&server).await;
    let guard = other.lock("orders").ttl(TTL).await.unwrap();
    let waiting = tokio::spawn(client.lock("orders").ttl(TTL).into_future());
    until_count(&other, "orders/", 2).await;

    let faults = server.faults();
    faults.drop_connections();
    // Found out by a read, which is repeated.
    other.get("else").await.unwrap();
    for n in 0..10 {
        other.put("else", n.to_string()).await.unwrap();
    }
    faults.compact();
    // Released while the waiter hears nothing, and the revision compacted before it does.
    faults.stall_streams(Rpc::Watch);
    assert!(guard.unlock().await.unwrap());
    other.put("else", "more").await.unwrap();
    faults.compact();
    faults.resume_streams();
    faults.drop_connections();
    let guard = soon(waiting).await.unwrap().unwrap();
    guard.put("paid", "yes").await.unwrap();
    assert!(guard.unlock().await.unwrap());
}

#[tokio::test]
async fn a_request_whose_answer_is_lost_is_not_made_twice() {
    let (server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let faults = server.faults();
    let lost = faults.on(Rpc::KvTxn).nth(1).once_applied().disconnect();
    let guard = soon(session.lock("orders")).await.unwrap();
    assert_eq!(lost.hits(), 1);
    assert_eq!(keys(&client, "orders/").await.len(), 1);
    let kv = client.get(guard.key()).await.unwrap().unwrap();
    assert_eq!(guard.fencing_token(), kv.create_revision);
    assert!(guard.unlock().await.unwrap());
    session.close().await.unwrap();
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn an_uncontended_lock_of_a_session_is_one_request_and_its_release_another() {
    let (server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let faults = server.faults();
    let calls =
        || [Rpc::KvTxn, Rpc::KvRange, Rpc::KvPut, Rpc::LeaseGrant].map(|rpc| faults.calls(rpc));
    let before = calls();
    let guard = session.lock("orders").await.unwrap();
    let locked = calls();
    assert_eq!(locked[0], before[0] + 1);
    assert!(guard.unlock().await.unwrap());
    let unlocked = calls();
    assert_eq!(unlocked[0], before[0] + 2);
    assert_eq!(unlocked[1..], before[1..]);
    assert_eq!(faults.calls(Rpc::Watch), 0);
}

#[tokio::test]
async fn a_namespace_has_locks_of_its_own() {
    let (_server, client) = start().await;
    let app = client.namespaced("app/");
    let outside = client.lock("orders").ttl(TTL).await.unwrap();
    let inside = soon(app.lock("orders").ttl(TTL)).await.unwrap();
    until_count(&client, "app/orders/", 1).await;
    assert!(inside.key().starts_with(b"orders/"));
    assert!(app.lock("orders").try_lock().await.unwrap().is_none());
    inside.put("paid", "yes").await.unwrap();
    assert!(client.get("app/paid").await.unwrap().is_some());
    let waiting = tokio::spawn(app.lock("orders").ttl(TTL).into_future());
    until_count(&client, "app/orders/", 2).await;
    assert!(inside.unlock().await.unwrap());
    assert!(
        soon(waiting)
            .await
            .unwrap()
            .unwrap()
            .unlock()
            .await
            .unwrap()
    );
    assert!(outside.unlock().await.unwrap());
}

#[tokio::test]
async fn fenced_writes_answer_as_others_do_and_keep_conditions_apart() {
    let (_server, client) = start().await;
    let guard = client.lock("orders").ttl(TTL).await.unwrap();
    guard.put("paid", "no").await.unwrap();
    let put = guard.put("paid", "yes").prev_kv().await.unwrap();
    assert_eq!(put.prev_kv.unwrap().value, "no");

    // The program's own condition is no matter of the lock.
    let done = guard
        .txn()
        .when([Compare::value("paid").eq("no")])
        .then([Op::put("paid", "twice")])
        .or_else([Op::get("paid")])
        .await
        .unwrap();
    assert!(!done.succeeded);
    assert_eq!(done.responses.len(), 1);
    let done = guard
        .txn()
        .when([Compare::value("paid").eq("yes")])
        .then([Op::put("paid", "shipped"), Op::get("paid")])
        .await
        .unwrap();
    assert!(done.succeeded);
    assert_eq!(done.responses.len(), 2);
    assert_eq!(guard.delete("paid").await.unwrap().deleted, 1);

    client.delete(guard.key()).await.unwrap();
    let revision = client
        .get("x")
        .await
        .map(|_| ())
        .and(client.range("x").await)
        .unwrap();
    for error in [
        guard.put("paid", "late").await.unwrap_err(),
        guard.delete("paid").await.unwrap_err(),
        guard
            .txn()
            .then([Op::put("paid", "late")])
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotHeld);
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
    let now = client.range("x").await.unwrap();
    assert_eq!(
        now.header.revision, revision.header.revision,
        "something was written"
    );
}

/// What a program does with a lock must be possible on any of a runtime's threads.
#[test]
fn guards_and_waits_can_be_sent_to_other_threads() {
    fn sends<T: Send>(_: &T) {}
    fn shares<T: Send + Sync + 'static>() {}
    shares::<etcdkit::sync::LockGuard>();
    shares::<etcdkit::sync::ReadGuard>();
    shares::<etcdkit::sync::WriteGuard>();
    shares::<etcdkit::sync::Permit>();
    shares::<etcdkit::sync::Session>();
    fn waits(client: &Client) {
        sends(&client.lock("a").into_future());
        sends(&client.lock("a").try_lock().into_future());
        sends(&client.rwlock("a").write());
        sends(&client.semaphore("a", 1).try_acquire());
    }
    let _ = waits;
}
