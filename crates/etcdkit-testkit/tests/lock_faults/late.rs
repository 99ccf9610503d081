//! Requests that are carried out when nobody wants them any more.
//!
//! A request whose answer did not come may be under way still: in the buffers of a network, or in those of
//! a member that is slow to pass it on. It is acted here by a client of the test's, which puts the key as
//! the request would, after everything that the other client does about it.

use std::future::IntoFuture;

use etcdkit::{Client, Compare, ErrorKind, LeaseId, Op};
use etcdkit_server::{
    Server,
    faults::{Faults, Rpc},
};
use etcdkit_testkit::patience::{in_time, until};

use crate::support::{LONG, MS, SECOND, queued};

async fn start() -> (Server, Faults, Client) {
    let server = Server::builder().without_listener().start().await;
    let server = server.expect("a server");
    let client = connect(&server).await;
    let faults = server.faults();
    (server, faults, client)
}

async fn connect(server: &Server) -> Client {
    let builder = Client::builder().connector(server.connector());
    let builder = builder.request_timeout(2 * SECOND);
    builder.connect().await.expect("a client")
}

/// Carries out the request of this lease to queue for a lock: what is there already is left alone.
async fn arrives(direct: &Client, name: &str, lease: LeaseId) -> bool {
    let key = format!("{name}/{:x}", lease.0);
    let put = Op::put(&key, "").lease(lease);
    let txn = direct.txn().when([Compare::missing(&key)]).then([put]);
    txn.await.expect("an answer").succeeded
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_lands_after_its_wait_was_given_up_leaves_no_key() {
    let (server, faults, direct) = start().await;
    let client = connect(&server).await;
    let session = client.session().ttl(LONG).await.expect("a session");
    for round in 0..3 {
        let name = format!("l{round}");
        // All that it says is lost on the way, until it gives up.
        let lost = faults.on(Rpc::KvTxn).hang();
        let wait = session.lock(&name).wait_at_most(200 * MS);
        let error = wait.await.expect_err("no answer comes");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        lost.remove();
        assert!(arrives(&direct, &name, session.id()).await);
        let next = in_time("somebody else", direct.lock(&name).ttl(LONG)).await;
        let next = next.expect("a lock");
        assert_eq!(queued(&direct, &name).await, 1);
        assert!(next.unlock().await.expect("an answer"));
        until("the queue to be empty", async || {
            queued(&direct, &name).await == 0
        })
        .await;
    }
    assert!(!session.is_lost());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_lands_after_the_lock_was_released_leaves_no_key() {
    let (server, faults, direct) = start().await;
    let client = connect(&server).await;
    let session = client.session().ttl(LONG).await.expect("a session");
    // The first attempt ends without an answer, and the second one does all.
    let lost = faults.on(Rpc::KvTxn).nth(1).disconnect();
    let lock = in_time("the lock", session.lock("l"))
        .await
        .expect("a lock");
    assert_eq!(lost.hits(), 1);
    assert!(!arrives(&direct, "l", session.id()).await, "it is held");
    assert!(lock.unlock().await.expect("an answer"));
    assert!(arrives(&direct, "l", session.id()).await);
    until("the queue to be empty", async || {
        queued(&direct, "l").await == 0
    })
    .await;
    let next = in_time("somebody else", direct.lock("l").ttl(LONG)).await;
    assert!(next.expect("a lock").unlock().await.expect("an answer"));
    assert!(!session.is_lost());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_lands_before_the_session_asks_again_is_its_place() {
    let (server, faults, direct) = start().await;
    let client = connect(&server).await;
    let session = client.session().ttl(LONG).await.expect("a session");
    for round in 0..20 {
        let lost = faults.on(Rpc::KvTxn).nth(1).disconnect();
        let mut given_up = Box::pin(session.lock("l").into_future());
        tokio::select! {
            _ = &mut given_up => {}
            () = lost.hit(1) => {
                let _ = tokio::time::timeout(round * MS, given_up).await;
            }
        }
        // While the session queues again, or just before.
        let (_, lock) = tokio::join!(
            arrives(&direct, "l", session.id()),
            in_time("the lock", session.lock("l"))
        );
        let lock = lock.expect("a lock");
        lock.put("written", "").await.expect("it is held");
        // Nobody takes away what is held.
        tokio::time::sleep(20 * MS).await;
        lock.put("written", "").await.expect("it is held");
        assert!(lock.unlock().await.expect("an answer"), "round {round}");
        until("the queue to be empty", async || {
            queued(&direct, "l").await == 0
        })
        .await;
    }
}
