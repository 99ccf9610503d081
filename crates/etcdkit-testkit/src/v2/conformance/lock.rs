//! Locks.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use etcdkit::v2::{Client, ErrorKind, Lock};
use futures_util::future::{join, join_all};
use tokio::time::timeout;

use super::room::{Room, SOON, refused};

async fn lock(client: &Client, name: &str) -> Lock {
    let lock = client.lock(name).ttl(20);
    let lock = timeout(SOON, lock.into_future()).await;
    lock.expect("a lock in time").expect("a lock")
}

pub(super) async fn one_at_a_time_has_it(client: &Client) {
    let name = Room::new().name();
    assert_eq!(client.lock_holder(&name).await.expect("a read"), None);
    let held = client
        .lock(&name)
        .ttl(20)
        .value("me")
        .await
        .expect("a lock");
    let holder = client
        .lock_holder(&name)
        .await
        .expect("a read")
        .expect("a holder");
    assert_eq!((holder.index, holder.value.as_str()), (held.index(), "me"));
    let second = client.lock(&name).try_lock().await.expect("an answer");
    assert!(second.is_none());
    let (next, released) = join(lock(client, &name), held.release()).await;
    released.expect("a release");
    assert!(!next.is_lost());
    next.release().await.expect("a release");
    assert_eq!(client.lock_holder(&name).await.expect("a read"), None);
}

pub(super) async fn fencing_indexes_grow(client: &Client) {
    let name = Room::new().name();
    let mut last = 0;
    for _ in 0..3 {
        let held = lock(client, &name).await;
        assert!(held.index() > last);
        last = held.index();
        held.renew().await.expect("a renewal");
        assert!(held.remaining() > Duration::from_secs(10));
        held.release().await.expect("a release");
    }
}

pub(super) async fn waiting_has_an_end(client: &Client) {
    let name = Room::new().name();
    let held = lock(client, &name).await;
    let waiting = client.lock(&name).wait_at_most(Duration::from_millis(300));
    let error = waiting.await.expect_err("somebody else has it");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    held.release().await.expect("a release");
    lock(client, &name)
        .await
        .release()
        .await
        .expect("a release");
}

pub(super) async fn who_gives_up_leaves_the_queue(client: &Client) {
    let name = Room::new().name();
    let held = lock(client, &name).await;
    let waiting = client.lock(&name).into_future();
    assert!(timeout(Duration::from_millis(300), waiting).await.is_err());
    held.release().await.expect("a release");
    // Far sooner than the place of who gave up would expire.
    let next = timeout(Duration::from_secs(15), lock(client, &name)).await;
    next.expect("nobody is before")
        .release()
        .await
        .expect("a release");
}

pub(super) async fn a_lock_that_others_remove_is_lost(client: &Client) {
    let name = Room::new().name();
    let held = lock(client, &name).await;
    let release = client.release_lock(&name, held.index());
    release.await.expect("a release");
    let renewed = held.renew().await;
    renewed.expect_err("it is gone");
    timeout(SOON, held.lost()).await.expect("told in time");
    assert!(held.is_lost());
    let missing = client.release_lock(&name, held.index()).await;
    refused(missing, ErrorKind::KeyNotFound);
}

pub(super) async fn contenders_take_turns(client: &Client) {
    let name = Room::new().name();
    let is_held = AtomicBool::new(false);
    let contenders = (0..6).map(|_| async {
        for _ in 0..2 {
            let held = lock(client, &name).await;
            assert!(!is_held.swap(true, SeqCst), "two hold it");
            tokio::task::yield_now().await;
            is_held.store(false, SeqCst);
            held.release().await.expect("a release");
        }
    });
    join_all(contenders).await;
}
