//! Locks and their kin in the corners: odd arguments, what an earlier run has left behind, answers that are
//! lost again and again, sessions that end behind one's back.

#![allow(clippy::unwrap_used)]

use std::{collections::HashSet, error::Error as _, future::IntoFuture, time::Duration};

use etcdkit::{
    Client, ErrorKind, KeyRange, LeaseId, LeaseLost, Outcome,
    sync::{HoldLostReason, RwLockHolders, Session},
};
use etcdkit_proto::etcdserverpb::{ResponseHeader, TxnResponse};
use etcdkit_server::{
    Server,
    faults::{EtcdError, Rpc},
};
use etcdkit_testkit::{
    patience::{in_time, until},
    relay::Relay,
};
use tokio::{
    runtime::{Handle, Runtime},
    time::timeout,
};

/// Long enough to have waited, where waiting is expected.
const BRIEFLY: Duration = Duration::from_millis(50);

async fn cluster() -> (Server, Client) {
    let server = Server::builder().without_listener().start().await.unwrap();
    let client = client_of(&server).await;
    (server, client)
}

async fn client_of(server: &Server) -> Client {
    let client = Client::builder().connector(server.connector());
    client.connect().await.unwrap()
}

async fn soon<T>(what: impl IntoFuture<Output = T>) -> T {
    in_time("what must come", Box::pin(what.into_future())).await
}

async fn count(client: &Client, prefix: &str) -> i64 {
    let keys = client.range(KeyRange::prefix(prefix)).count_only();
    keys.await.unwrap().count
}

/// Ends a program, which leaves its lease and its keys behind, and starts it again.
async fn restarted(session: Session) -> Session {
    let client = session.client().clone();
    let lease = session.detach();
    client.session().resume(lease).await.unwrap()
}

fn hex(lease: LeaseId) -> String {
    format!("{:x}", lease.0)
}

#[tokio::test]
async fn times_to_live_that_no_lease_can_have_are_refused() {
    let (_server, client) = cluster().await;
    let endless = client.lock("l").ttl(Duration::MAX).await.unwrap_err();
    assert_eq!(endless.kind(), ErrorKind::LeaseTtlTooLarge, "{endless}");
    let none = client.lock("l").ttl(Duration::ZERO).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidRequest, "{none}");
}

#[tokio::test]
async fn waits_may_be_limited_to_nothing_and_to_eternity() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let long = session.lock("l").wait_at_most(Duration::MAX);
    let guard = soon(long).await.unwrap();
    let other = client.session().await.unwrap();
    let nothing = other.lock("l").wait_at_most(Duration::ZERO);
    let error = soon(nothing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    until("one key", async || count(&client, "l/").await == 1).await;
    drop(guard);
    drop(soon(other.lock("l")).await.unwrap());
}

#[tokio::test]
async fn any_bytes_are_a_name() {
    let (_server, client) = cluster().await;
    let names: [&[u8]; 6] = [b"", b"/", b"a/", b"a//b", b"\0", b"\xff\xfe\xff"];
    for name in names {
        let guard = soon(client.lock(name)).await.unwrap();
        assert!(guard.key().starts_with(&[name, b"/"].concat()));
        assert!(client.lock(name).try_lock().await.unwrap().is_none());
        let holder = client.lock(name).holder().await.unwrap().unwrap();
        assert_eq!(holder.key, guard.key());
        guard.put("written", name).await.unwrap();
        assert!(guard.unlock().await.unwrap());
    }
}

#[tokio::test]
async fn when_two_guards_of_a_hold_are_unlocked_at_once_it_is_released_when_they_have_been() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let (one, other) = (
        session.lock("l").await.unwrap(),
        session.lock("l").await.unwrap(),
    );
    // So that nothing that goes on in the background is done by the time it is looked at.
    let slow = server.faults().on(Rpc::KvTxn).delay(BRIEFLY);
    let (one, other) = tokio::join!(one.unlock(), other.unlock());
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert_eq!(count(&client, "l/").await, 0);
    slow.remove();
}

#[tokio::test]
async fn who_comes_back_with_its_lease_has_its_permits_again_and_does_not_wait_for_itself() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let first = session.semaphore("s", 1).acquire().await.unwrap();
    assert!(first.release().await.unwrap());
    let second = session.semaphore("s", 1).acquire().await.unwrap();
    let (key, token) = (second.key().clone(), second.fencing_token());
    let session = restarted(session).await;
    drop(second);

    let again = soon(session.semaphore("s", 1).acquire()).await.unwrap();
    assert_eq!((again.key(), again.fencing_token()), (&key, token));
    let another = session.semaphore("s", 1).wait_at_most(BRIEFLY).acquire();
    assert_eq!(soon(another).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(again.release().await.unwrap());
    drop(soon(session.semaphore("s", 1).acquire()).await.unwrap());
}

#[tokio::test]
async fn permits_of_an_earlier_run_are_had_once_each() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let mut permits = Vec::new();
    for _ in 0..3 {
        permits.push(session.semaphore("s", 4).acquire().await.unwrap());
    }
    assert!(permits.remove(0).release().await.unwrap());
    let session = restarted(session).await;
    drop(permits);

    let semaphore = session.semaphore("s", 4);
    let again = soon(async {
        tokio::try_join!(
            semaphore.acquire(),
            semaphore.acquire(),
            semaphore.acquire(),
            semaphore.acquire()
        )
    });
    let (a, b, c, d) = again.await.unwrap();
    let keys = HashSet::from([&a, &b, &c, &d].map(|permit| permit.key().clone()));
    assert_eq!(keys.len(), 4, "{keys:?}");
    assert_eq!(count(&client, "s/").await, 4);
    assert!(semaphore.try_acquire().await.unwrap().is_none());
}

#[tokio::test]
async fn a_permit_of_an_earlier_run_is_not_forgotten_when_taking_it_up_fails() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let permit = session.semaphore("s", 1).acquire().await.unwrap();
    let session = restarted(session).await;
    drop(permit);

    let refused = server.faults().on(Rpc::KvTxn);
    let refused = refused.fail(EtcdError::PermissionDenied);
    let denied = soon(session.semaphore("s", 1).acquire()).await;
    assert_eq!(denied.unwrap_err().kind(), ErrorKind::PermissionDenied);
    refused.remove();
    // It would wait for itself.
    drop(soon(session.semaphore("s", 1).acquire()).await.unwrap());
}

#[tokio::test]
async fn who_reads_since_before_a_restart_is_not_left_waiting_for_itself_to_write() {
    let (_server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let reading = session.rwlock("rw").read().await.unwrap();
    let session = restarted(session).await;
    drop(reading);

    let error = soon(session.rwlock("rw").write()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    let reading = soon(session.rwlock("rw").read()).await.unwrap();
    assert!(reading.unlock().await.unwrap());
    drop(soon(session.rwlock("rw").write()).await.unwrap());
}

#[tokio::test]
async fn a_session_whose_requests_are_never_answered_does_not_grow_with_each() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let unanswered = server.faults().on(Rpc::KvTxn).hang();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let wait = || session.lock("l").wait_at_most(Duration::from_millis(1));
    soon(wait()).await.unwrap_err();
    let before = tasks();
    for _ in 0..40 {
        soon(wait()).await.unwrap_err();
    }
    assert!(unanswered.hits() > 0);
    unanswered.remove();
    drop(soon(session.lock("l")).await.unwrap());
    until("no more tasks", async || tasks() < before + 20).await;
}

#[tokio::test]
async fn what_is_swept_up_in_vain_does_not_stand_in_the_way_of_the_session() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let unanswered = server.faults().on(Rpc::KvTxn).hang();
    let wait = session.lock("l").wait_at_most(Duration::from_millis(1));
    soon(wait).await.unwrap_err();
    unanswered.remove();

    let forbidden = server.faults().on(Rpc::KvRange);
    let forbidden = forbidden.fail(EtcdError::PermissionDenied);
    // The request without an answer is carried out after all.
    let key = format!("l/{}", hex(session.id()));
    client.put(&key, "").lease(session.id()).await.unwrap();
    soon(forbidden.hit(1)).await;
    let guard = soon(session.lock("l")).await.unwrap();
    assert_eq!(guard.key(), &key);
}

#[tokio::test]
async fn a_lease_that_is_revoked_behind_ones_back_is_the_reason_of_what_fails() {
    let (server, client) = cluster().await;
    let elsewhere = client_of(&server).await;

    let session = client.session().await.unwrap();
    elsewhere.leases().revoke(session.id()).await.unwrap();
    let error = soon(session.lock("l")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    assert!(session.is_lost());
    let source = error.source().unwrap();
    assert!(source.is::<LeaseLost>(), "{source:?}");

    let session = client.session().await.unwrap();
    let guard = session.lock("l").await.unwrap();
    elsewhere.leases().revoke(session.id()).await.unwrap();
    let error = soon(guard.put("k", "v")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotHeld);
    let lost = guard.loss().unwrap();
    assert!(
        matches!(lost.reason(), HoldLostReason::Session(_)),
        "{lost}"
    );
}

#[tokio::test]
async fn who_must_not_is_told_and_does_not_wait() {
    let (server, client) = cluster().await;
    let session = client.session().await.unwrap();
    let holder = client.lock("l").await.unwrap();
    for rpc in [Rpc::KvTxn, Rpc::Watch] {
        let forbidden = server.faults().on(rpc).fail(EtcdError::PermissionDenied);
        let error = soon(session.lock("l")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{rpc:?}");
        forbidden.remove();
    }
    drop(holder);
    drop(soon(session.lock("l")).await.unwrap());
}

/// A server, a client of it, and another whose next transaction is done, but answered as if it had asked
/// for nothing.
async fn answered_with_nonsense() -> (Server, Client, Relay, Client) {
    let server = Server::builder().start().await.unwrap();
    let direct = Client::connect(server.endpoint()).await.unwrap();
    let relay = Relay::start(&server.endpoint()).await.unwrap();
    let client = Client::connect(relay.endpoint()).await.unwrap();
    let nonsense = TxnResponse {
        header: Some(ResponseHeader {
            revision: 1,
            ..Default::default()
        }),
        succeeded: true,
        responses: Vec::new(),
    };
    relay.answer_once("/etcdserverpb.KV/Txn", &nonsense);
    (server, direct, relay, client)
}

#[tokio::test]
async fn what_an_entry_has_left_that_was_answered_with_nonsense_is_swept_up() {
    let (_server, direct, relay, client) = answered_with_nonsense().await;
    let session = client.session().await.unwrap();
    let error = soon(session.lock("l")).await.unwrap_err();
    assert!(relay.has_answered());
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    until("its key to go", async || count(&direct, "l/").await == 0).await;
    // It was put, and it was deleted.
    let now = direct.range("l").await.unwrap().header.revision;
    assert_eq!(now, 3);
    assert!(!session.is_lost());
    let guard = soon(session.lock("l")).await.unwrap();
    assert!(guard.unlock().await.unwrap());
}

#[tokio::test]
async fn readers_and_writers_are_not_nobody_where_the_answer_is_nonsense() {
    let (_server, direct, relay, client) = answered_with_nonsense().await;
    let reading = direct.rwlock("rw").read().await.unwrap();
    let error = client.rwlock("rw").holders().await.unwrap_err();
    assert!(relay.has_answered());
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    let holders = client.rwlock("rw").holders().await.unwrap();
    let RwLockHolders::Readers(readers) = holders else {
        panic!("{holders:?}");
    };
    assert_eq!(readers.len(), 1);
    assert_eq!(&readers[0].key, reading.key());
}

#[tokio::test]
async fn a_client_that_is_closed_ends_its_waits() {
    let (server, client) = cluster().await;
    let elsewhere = client_of(&server).await;
    let _holder = elsewhere.lock("l").await.unwrap();
    let session = client.session().await.unwrap();
    let waiting = tokio::spawn(session.lock("l").into_future());
    until("it waits", async || count(&elsewhere, "l/").await == 2).await;
    client.close().await;
    soon(waiting).await.unwrap().unwrap_err();
}

#[test]
fn guards_outlive_the_runtime_they_were_made_on() {
    let elsewhere = Runtime::new().unwrap();
    let server = elsewhere.block_on(Server::builder().start()).unwrap();
    let runtime = Runtime::new().unwrap();
    let held = runtime.block_on(async {
        let client = Client::connect(server.endpoint()).await.unwrap();
        let session = client.session().await.unwrap();
        let shared = [
            session.lock("l").await.unwrap(),
            session.lock("l").await.unwrap(),
        ];
        let permit = session.semaphore("s", 2).acquire().await.unwrap();
        let leadership = client.election("e").campaign("me").await.unwrap();
        let mut waiting = Box::pin(client.lock("l").into_future());
        assert!(timeout(BRIEFLY, &mut waiting).await.is_err());
        (session, shared, permit, leadership, waiting)
    });
    drop(runtime);
    drop(held);
}
