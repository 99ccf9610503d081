//! Locks and leaders that the server keeps, as etcd 0.2 and 0.3 do.

use std::time::Duration;

use etcdkit::v2::{Client, ErrorKind, LockLostReason};
use etcdkit_server::Server;
use etcdkit_testkit::patience::until;

use super::{LONG, SECOND, TTL, connect};

async fn server() -> (Server, Client) {
    let server = Server::builder().enable_v2(true).v2_modules(true).start();
    let server = server.await.expect("a server");
    let client = connect(server.endpoint()).await;
    (server, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_keeps_the_queue() {
    let (_server, client) = server().await;
    assert_eq!(
        client
            .lock("l")
            .via_modules()
            .holder()
            .await
            .expect("a read"),
        None
    );
    let lock = client.lock("l").via_modules().ttl(TTL).value("a").await;
    let lock = lock.expect("a lock");
    assert!(lock.index() > 0 && lock.key().is_none());
    let holder = client
        .lock("l")
        .via_modules()
        .holder()
        .await
        .expect("a read");
    let holder = holder.expect("a holder");
    assert_eq!((holder.index, holder.value.as_str()), (lock.index(), "a"));

    let busy = client.lock("l").via_modules().ttl(TTL);
    assert!(busy.try_lock().await.expect("no error").is_none());
    let busy = client.lock("l").via_modules().ttl(TTL);
    let busy = busy.wait_at_most(Duration::from_millis(100)).await;
    assert_eq!(busy.unwrap_err().kind(), ErrorKind::Timeout);

    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.lock("l").via_modules().ttl(TTL).value("b").await }
    });
    // It is kept, and waited for, for longer than it lives.
    tokio::time::sleep(Duration::from_secs(TTL) + SECOND).await;
    assert!(!lock.is_lost() && !waiting.is_finished());
    let first = lock.index();
    lock.release().await.expect("a release");
    let lock = waiting.await.expect("no panic").expect("a lock");
    assert!(lock.index() > first);

    client
        .lock("l")
        .via_modules()
        .release(lock.index())
        .await
        .expect("a release");
    assert_eq!(lock.lost().await.reason(), LockLostReason::Gone);
    until("the lock to be free", async || {
        let holder = client.lock("l").via_modules().holder().await;
        holder.expect("a read").is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gives_up_leaves_the_queue_of_the_server() {
    let (_server, client) = server().await;
    let lock = client
        .lock("l")
        .via_modules()
        .ttl(LONG)
        .await
        .expect("a lock");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.lock("l").via_modules().ttl(LONG).await }
    });
    let queued = async || {
        let found = client.get("/_etcd/mod/lock/l").await.expect("a read");
        found.nodes().len()
    };
    until("a place", async || queued().await == 2).await;
    waiting.abort();
    until("the waiter to leave", async || queued().await == 1).await;
    drop(lock);
    until("the holder to leave", async || queued().await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_keeps_the_leader() {
    let (_server, client) = server().await;
    let leader = || client.leader("l").via_modules();
    assert_eq!(leader().get().await.expect("a read"), None);
    leader().set("a").ttl(LONG).await.expect("a leader");
    leader().set("a").ttl(LONG).await.expect("a leader");
    let told = leader().get().await.expect("a read").expect("a leader");
    assert_eq!(told.value, "a");

    let waiting = tokio::spawn({
        let client = client.clone();
        async move {
            client
                .leader("l")
                .via_modules()
                .campaign("b")
                .ttl(LONG)
                .await
        }
    });
    leader().delete("a").await.expect("a deletion");
    let leadership = waiting.await.expect("no panic").expect("a leadership");
    let told = leader().get().await.expect("a read").expect("a leader");
    assert_eq!(told.value, "b");
    leadership.resign().await.expect("a resignation");
    assert_eq!(leader().get().await.expect("a read"), None);
    let error = leader().observe().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn servers_without_modules_say_so() {
    let server = Server::builder().enable_v2(true).start();
    let server = server.await.expect("a server");
    let client = connect(server.endpoint()).await;
    let error = client.lock("l").via_modules().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotServed);
    let error = client.leader("l").via_modules().get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotServed);
}
