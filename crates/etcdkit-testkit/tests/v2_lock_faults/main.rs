//! Locks and leaders of the v2 API under faults, on the embedded server and on real etcd: never two
//! holders, first come first served, and nothing left behind.

mod contenders;
mod leaders;
mod modules;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use etcdkit::v2::{Client, ErrorKind, LockLostReason};
use etcdkit_testkit::{
    patience::{in_time, until},
    places::at_once,
    proxy::{Direction, Proxy},
    v2::servers::{binaries, cluster, singles},
};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// How many seconds what nobody renews stays: enough for a holder that stands still for a second or two.
const TTL: u64 = 5;

/// For what must not run out.
const LONG: u64 = 60;

async fn connect(endpoint: impl Into<String>) -> Client {
    Client::connect(endpoint.into()).await.expect("a client")
}

/// How many hold a lock or wait for it.
async fn queued(client: &Client, name: &str) -> usize {
    let found = client.get(format!("/_locks/{name}")).quorum().await;
    found.expect("a read").nodes().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_never_two_when_connections_break_and_programs_crash() {
    at_once(singles().await, async |server| {
        let proxy = Proxy::start(server.endpoint()).await.expect("a proxy");
        let seed = proxy.seed();
        let endpoints = vec![proxy.endpoint()];
        let contending = tokio::spawn(contenders::contend(endpoints, "fair", 2, seed));
        let mut random = fastrand::Rng::with_seed(seed);
        let mut round = 0;
        while !contending.is_finished() {
            sleep(random.u32(50..400) * MS).await;
            round += 1;
            match round % 4 {
                0 => proxy.cut(),
                1 => proxy.reset(),
                2 => proxy.cut_after(Direction::ToClient, random.u64(0..400)),
                _ => proxy.cut_after(Direction::ToServer, random.u64(0..400)),
            }
        }
        let report = contending.await.expect("the contenders");
        println!("{server}: {report}");
        let client = connect(server.endpoint()).await;
        until("the queue to be empty", async || {
            queued(&client, "fair").await == 0
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_never_two_when_members_are_killed_and_paused() {
    at_once(binaries(), async |etcd| {
        let mut cluster = cluster(&etcd, 3).await;
        let seed = fastrand::u64(..);
        let endpoints = cluster.endpoints();
        let contending = tokio::spawn(contenders::contend(endpoints, "fair", 3, seed));
        let mut random = fastrand::Rng::with_seed(seed);
        while !contending.is_finished() {
            let member = cluster.member(random.usize(0..3));
            if random.bool() {
                member.kill().expect("a kill");
                sleep(random.u32(500..2_500) * MS).await;
                member.restart().await.expect("a restart");
            } else {
                member.pause().expect("a pause");
                sleep(random.u32(500..4_000) * MS).await;
                member.resume().expect("a resumption");
            }
            sleep(random.u32(500..3_000) * MS).await;
        }
        println!("{etcd}: {}", contending.await.expect("the contenders"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gives_up_leaves_the_queue() {
    at_once(singles().await, async |server| {
        let client = connect(server.endpoint()).await;
        let holder = client.lock("l").ttl(LONG).await.expect("a lock");
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.lock("l").ttl(LONG).await })
            })
            .collect();
        until("all to wait", async || queued(&client, "l").await == 6).await;
        for waiter in waiting {
            waiter.abort();
        }
        until("all to leave", async || queued(&client, "l").await == 1).await;

        let short = client.lock("l").ttl(LONG).wait_at_most(100 * MS).await;
        assert_eq!(short.unwrap_err().kind(), ErrorKind::Timeout, "{server}");
        until("it to leave", async || queued(&client, "l").await == 1).await;
        assert!(
            client
                .lock("l")
                .try_lock()
                .await
                .expect("no error")
                .is_none()
        );
        until("it to leave", async || queued(&client, "l").await == 1).await;

        drop(holder);
        until("the holder to leave", async || {
            queued(&client, "l").await == 0
        })
        .await;
        let lock = client.lock("l").try_lock().await.expect("no error");
        lock.expect("it is free")
            .release()
            .await
            .expect("a release");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_whose_answer_was_lost_is_found_again() {
    at_once(singles().await, async |server| {
        let direct = connect(server.endpoint()).await;
        let proxy = Proxy::start(server.endpoint()).await.expect("a proxy");
        for bytes in [0, 20, 150, 400] {
            let name = format!("l{bytes}");
            let client = connect(proxy.endpoint()).await;
            // A locked place, so that the cut comes before the wait.
            let first = direct.lock(&name).await.expect("a lock");
            proxy.cut_after(Direction::ToClient, bytes);
            let waiting = tokio::spawn({
                let (client, name) = (client.clone(), name.clone());
                async move { client.lock(name).await }
            });
            until("the place", async || {
                !proxy.is_cut_pending(Direction::ToClient) && queued(&direct, &name).await == 2
            })
            .await;
            first.release().await.expect("a release");
            let lock = in_time("the lock", waiting).await.expect("no panic");
            let lock = lock.expect("a lock");
            lock.release().await.expect("a release");
            assert_eq!(queued(&direct, &name).await, 0, "{server}");
        }
    })
    .await;
}

/// A member that was cut off may carry out a renewal after later ones, and with the end that it reckoned
/// when it read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_is_carried_out_late_changes_nothing() {
    at_once(singles().await, async |server| {
        let direct = connect(server.endpoint()).await;
        let follows = Arc::new(Mutex::new(Vec::<u64>::new()));
        let told = Arc::clone(&follows);
        let client = Client::builder()
            .endpoints([server.endpoint()])
            .on_exchange(move |exchange| {
                let text = exchange.to_string();
                let Some((_, rest)) = text.split_once("prevIndex=") else {
                    return;
                };
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if text.contains("refresh=true") {
                    let index = digits.parse().expect("an index");
                    told.lock().expect("no panic").push(index);
                }
            });
        let client = client.connect().await.expect("a client");
        let lock = client.lock("l").ttl(LONG).await.expect("a lock");
        let key = lock.key().expect("a key").to_owned();
        lock.renew().await.expect("a renewal");
        lock.renew().await.expect("a renewal");
        let first = follows.lock().expect("no panic")[0];
        let late = direct.refresh(&key, 1).prev_index(first).await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::CompareFailed);

        // One whose answer was lost does not keep others away.
        let now = *follows.lock().expect("no panic").last().expect("two");
        let found = direct.get(&key).quorum().await.expect("a read");
        let current = found.node.expect("a key").modified_index;
        assert!(
            first < now && now < current,
            "{server}: {first} {now} {current}"
        );
        let lost = direct.refresh(&key, 60).prev_index(current).await;
        lost.expect("a renewal");
        lock.renew().await.expect("a renewal");
        assert!(!lock.is_lost(), "{server}");

        direct.set(&key, "mine").await.expect("a write");
        let error = lock.renew().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CompareFailed, "{server}");
        assert_eq!(lock.lost().await.reason(), LockLostReason::Overwritten);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_cut_off_knows_before_somebody_else_gets_the_lock() {
    at_once(singles().await, async |server| {
        let direct = connect(server.endpoint()).await;
        let proxy = Proxy::start(server.endpoint()).await.expect("a proxy");
        let client = connect(proxy.endpoint()).await;
        let holder = client.lock("l").ttl(TTL).await.expect("a lock");
        let lost = holder.lost();
        proxy.refuse().await.expect("a refusal");
        proxy.cut();
        let next = in_time("the next holder", direct.lock("l").ttl(LONG)).await;
        let next = next.expect("a lock");
        assert!(holder.is_lost(), "{server}: two hold the lock");
        let lost = in_time("the loss", lost).await;
        assert_eq!(lost.reason(), LockLostReason::Expired, "{server}");
        assert!(lost.cause().is_some(), "{lost}");
        assert!(next.index() > holder.index());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_somebody_takes_away_is_lost() {
    at_once(singles().await, async |server| {
        let client = connect(server.endpoint()).await;
        // It asks after its place at each renewal.
        let lock = client.lock("l").ttl(TTL).await.expect("a lock");
        client
            .release_lock("l", lock.index())
            .await
            .expect("a release");
        assert_eq!(lock.lost().await.reason(), LockLostReason::Gone, "{server}");
        assert_eq!(lock.remaining(), Duration::ZERO);

        let lock = client.lock("l").ttl(LONG).await.expect("a lock");
        let key = lock.key().expect("a key").to_owned();
        client
            .set(&key, "mine now")
            .ttl(LONG)
            .await
            .expect("a write");
        let error = lock.renew().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CompareFailed, "{server}");
        assert_eq!(
            lost_now(&lock).await,
            LockLostReason::Overwritten,
            "{server}"
        );
        // Nobody removes what is not theirs.
        drop(lock);
        assert_eq!(
            client.get(&key).value().await.expect("a read").as_deref(),
            Some("mine now")
        );
    })
    .await;
}

async fn lost_now(lock: &etcdkit::v2::Lock) -> LockLostReason {
    assert!(lock.is_lost());
    lock.lost().await.reason()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_kept_for_longer_than_it_lives() {
    at_once(singles().await, async |server| {
        let client = connect(server.endpoint()).await;
        let lock = client
            .lock("l")
            .ttl(TTL)
            .value("host-7")
            .await
            .expect("a lock");
        let watching = client.watch("/_locks/l").recursive();
        let mut watch = watching.stream().await.expect("a watch");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(TTL) + SECOND {
            assert!(!lock.is_lost(), "{server}");
            sleep(50 * MS).await;
        }
        let holder = client
            .lock_holder("l")
            .await
            .expect("a read")
            .expect("a holder");
        assert_eq!(
            (holder.index, holder.value.as_str()),
            (lock.index(), "host-7")
        );
        let released = lock.index();
        lock.release().await.expect("a release");
        // Renewals wake nobody.
        let first = watch
            .next_change()
            .await
            .expect("no end")
            .expect("a change");
        assert!(first.action.is_removal(), "{server}: {first:?}");
        assert_eq!(first.node.created_index, released, "{server}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_are_renewed_and_released_by_name() {
    at_once(singles().await, async |server| {
        let client = connect(server.endpoint()).await;
        let lock = client
            .lock("n/ested")
            .ttl(TTL)
            .value("a")
            .await
            .expect("a lock");
        let index = lock.detach().await.expect("a renewal");
        client
            .renew_lock("n/ested", index, LONG)
            .await
            .expect("a renewal");
        client
            .renew_lock("n/ested", "a", LONG)
            .await
            .expect("a renewal");
        sleep(Duration::from_secs(TTL) + SECOND).await;
        let holder = client.lock_holder("n/ested").await.expect("a read");
        assert_eq!(holder.expect("a holder").index, index, "{server}");
        client
            .release_lock("n/ested", "a")
            .await
            .expect("a release");
        assert_eq!(client.lock_holder("n/ested").await.expect("a read"), None);
        for gone in [
            client.renew_lock("n/ested", index, LONG).await,
            client.release_lock("n/ested", index).await,
            client.release_lock("never", "a").await,
        ] {
            assert_eq!(gone.unwrap_err().kind(), ErrorKind::KeyNotFound, "{server}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_it_is_sent() {
    let client = Client::builder().endpoint("http://127.0.0.1:1");
    let client = client.connect_lazy().expect("a client");
    for lock in [
        client.lock(""),
        client.lock("../a"),
        client.lock("a").ttl(1),
        client.lock("a").ttl(-1),
        client.lock("a").value("x".repeat(2_000)),
    ] {
        let error = lock.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert_eq!(error.attempts(), 0);
    }
}
