//! What is held or waited for is lost: by time, by hand, with its session.

use std::time::Duration;

use etcdkit::{Client, ErrorKind, LostReason, Outcome, sync::HoldLostReason};
use etcdkit_server::{Server, faults::Rpc};

use crate::support::{TTL, client_of, keys, soon, start, until_count, until_nothing_is_left};

/// Lets all leases run out that the client cannot renew meanwhile.
fn let_run_out(server: &Server) {
    let faults = server.faults();
    faults.refuse_connections();
    faults.drop_connections();
    server.advance_time(3 * TTL);
    faults.accept_connections();
}

async fn assert_refused(write: impl IntoFuture<Output = etcdkit::Result<etcdkit::PutResponse>>) {
    let error = soon(write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
}

#[tokio::test]
async fn what_has_run_out_is_lost_and_writes_no_more() {
    let (server, client) = start().await;
    let other = client_of(&server).await;
    let session = client.session().ttl(TTL).await.unwrap();
    let lock = session.lock("lock").await.unwrap();
    let own = client.lock("own").ttl(TTL).await.unwrap();
    let read = session.rwlock("read").read().await.unwrap();
    let write = session.rwlock("write").write().await.unwrap();
    let permit = session.semaphore("permit", 2).acquire().await.unwrap();
    lock.put("by", "lock").await.unwrap();

    let_run_out(&server);
    // Finds a connection again: it is repeated.
    client.get("by").await.unwrap();
    for held in [&*lock, &*own, &*read, &*write, &*permit] {
        assert_refused(held.put("by", "a past holder")).await;
    }
    let successor = other
        .lock("lock")
        .ttl(TTL)
        .try_lock()
        .await
        .unwrap()
        .unwrap();
    assert!(successor.fencing_token() > lock.fencing_token());
    successor.put("by", "the next").await.unwrap();
    for held in [&*lock, &*own, &*read, &*write, &*permit] {
        let lost = soon(held.lost()).await;
        assert!(held.is_lost() && held.loss().is_some(), "{lost}");
    }
    assert!(soon(session.lost()).await.reason() == LostReason::NotFound);
    assert!(!lock.unlock().await.unwrap_or(false));
    drop((own, read, write, permit));
    assert_eq!(other.get("by").await.unwrap().unwrap().value, "the next");
    assert!(successor.unlock().await.unwrap());
    other.delete("by").await.unwrap();
    until_nothing_is_left(&other).await;
}

#[tokio::test]
async fn who_hears_nothing_more_gives_up_by_its_own_clock() {
    let (server, client) = start().await;
    // As short as it may be if a machine that stands still for a moment is not to lose it.
    let ttl = Duration::from_secs(5);
    let guard = client.lock("lock").ttl(ttl).await.unwrap();
    let waiting = tokio::spawn(client.lock("lock").ttl(ttl).into_future());
    until_count(&client, "lock/", 2).await;
    assert!(!guard.is_lost());
    let faults = server.faults();
    faults.refuse_connections();
    faults.drop_connections();
    let lost = soon(guard.lost()).await;
    let HoldLostReason::Session(lease) = lost.reason() else {
        panic!("{lost}");
    };
    assert_eq!(lease.reason(), LostReason::Expired);
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost, "{error}");
}

#[tokio::test]
async fn the_end_of_a_session_ends_every_wait_and_every_guard_at_once() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let guards = [
        session.lock("a").await.unwrap(),
        session.lock("b").await.unwrap(),
    ];
    let permit = session.semaphore("c", 1).acquire().await.unwrap();
    let other = client.lock("d").ttl(TTL).await.unwrap();
    let full = client.semaphore("e", 1).ttl(TTL).acquire().await.unwrap();
    let waits = [
        tokio::spawn({
            let lock = session.lock("d").into_future();
            async move { lock.await.map(drop) }
        }),
        tokio::spawn({
            let permit = session.semaphore("e", 1).acquire();
            async move { permit.await.map(drop) }
        }),
    ];
    until_count(&client, "d/", 2).await;
    until_count(&client, "e/", 2).await;

    client.leases().revoke(session.id()).await.unwrap();
    for wait in waits {
        let error = soon(wait).await.unwrap().unwrap_err();
        let kinds = [ErrorKind::SessionLost, ErrorKind::NotHeld];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
    for guard in &guards {
        soon(guard.lost()).await;
    }
    soon(permit.lost()).await;
    // What it asks for now, nobody waits for.
    let error = soon(session.lock("d")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost, "{error}");
    drop((guards, permit, full, other));
    until_nothing_is_left(&client).await;
}

#[tokio::test]
async fn closing_a_session_gives_back_all_that_it_holds() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let lock = session.lock("a").await.unwrap();
    let permit = session.semaphore("b", 1).acquire().await.unwrap();
    session.close().await.unwrap();
    assert!(keys(&client, "").await.is_empty());
    for held in [&*lock, &*permit] {
        let lost = soon(held.lost()).await;
        let HoldLostReason::Session(lease) = lost.reason() else {
            panic!("{lost}");
        };
        assert_eq!(lease.reason(), LostReason::Revoked);
        assert_refused(held.put("k", "v")).await;
    }
}

#[tokio::test]
async fn a_key_that_somebody_deletes_is_lost_while_the_session_lives() {
    let (_server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let guard = session.lock("a").await.unwrap();
    let lost = tokio::spawn(guard.lost());
    client.delete(guard.key()).await.unwrap();
    let lost = soon(lost).await.unwrap();
    assert!(matches!(lost.reason(), HoldLostReason::Deleted), "{lost}");
    assert!(guard.is_lost() && !session.is_lost());
    assert_refused(guard.put("k", "v")).await;
    assert!(!guard.unlock().await.unwrap());
    // The session goes on as before.
    let again = soon(session.lock("a")).await.unwrap();
    again.put("k", "v").await.unwrap();
}

#[tokio::test]
async fn what_was_given_up_says_so_to_those_who_listen() {
    let (_server, client) = start().await;
    let guard = client.lock("a").ttl(TTL).await.unwrap();
    let lost = tokio::spawn(guard.lost());
    let again = guard.lost();
    assert!(guard.unlock().await.unwrap());
    let lost = soon(lost).await.unwrap();
    assert!(matches!(lost.reason(), HoldLostReason::Released), "{lost}");
    soon(again).await;
}

#[tokio::test]
async fn a_program_that_comes_back_with_its_lease_has_what_it_had() {
    let (server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    let lock = session.lock("a").await.unwrap();
    let permit = session.semaphore("b", 2).acquire().await.unwrap();
    let tokens = [lock.fencing_token(), permit.fencing_token()];
    let lease = session.detach();
    std::mem::forget((lock, permit, client));

    let client = client_of(&server).await;
    assert!(client.lock("a").try_lock().await.unwrap().is_none());
    let session = client.session().resume(lease).await.unwrap();
    let lock = soon(session.lock("a")).await.unwrap();
    let permit = soon(session.semaphore("b", 2).acquire()).await.unwrap();
    assert_eq!([lock.fencing_token(), permit.fencing_token()], tokens);
    assert_eq!(keys(&client, "").await.len(), 2);
    lock.put("k", "v").await.unwrap();
    assert!(lock.unlock().await.unwrap());
    assert!(permit.release().await.unwrap());
    session.close().await.unwrap();
    assert_eq!(keys(&client, "").await, ["k"]);
}

/// Waiting with nobody to wait for: every request but the first gets no answer at all.
async fn half_dead(client: &Client, server: &Server) {
    until_count(client, "a/", 2).await;
    server.faults().on(Rpc::KvTxn).hang();
}

#[tokio::test]
async fn a_time_limit_holds_when_no_request_is_answered() {
    let (server, client) = start().await;
    let session = client.session().ttl(TTL).await.unwrap();
    server.faults().on(Rpc::KvTxn).hang();
    let lock = session.lock("a").wait_at_most(Duration::from_millis(200));
    let error = soon(lock).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");

    server.faults().clear();
    let guard = client.lock("a").ttl(TTL).await.unwrap();
    let limit = Duration::from_millis(500);
    let waiting = tokio::spawn(session.lock("a").wait_at_most(limit).into_future());
    half_dead(&client, &server).await;
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    server.faults().clear();
    assert!(guard.unlock().await.unwrap());
    soon(session.close()).await.unwrap();
    until_nothing_is_left(&client).await;
}
