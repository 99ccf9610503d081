//! The client for programs without `async`.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use etcdkit::{
    Compare, ErrorKind, KeyRange, Op,
    blocking::{Client, Iterate, Wait},
};
use etcdkit_server::Server;
use tokio::runtime::{self, Runtime};

/// An embedded server on threads of its own.
struct Running {
    endpoint: String,
    _server: Server,
    _runtime: Runtime,
    /// All clients of the process share one background thread, so tests that look at it take turns.
    _turn: MutexGuard<'static, ()>,
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn server() -> Running {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::builder().start()).unwrap();
    Running {
        endpoint: server.endpoint(),
        _server: server,
        _runtime: runtime,
        _turn: turn,
    }
}

/// Looks until there are so many keys with this prefix.
fn until_count(client: &Client, prefix: &str, count: i64) {
    let started = Instant::now();
    let look = || client.range(KeyRange::prefix(prefix)).count_only().wait();
    while look().unwrap().count != count {
        assert!(started.elapsed() < LONG, "{prefix}");
        thread::yield_now();
    }
}

#[test]
fn every_operation_can_be_waited_for() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    let put = client.put("a", "1").wait().unwrap();
    let replaced = client.put("a", "2").prev_kv().wait().unwrap();
    assert_eq!(replaced.prev_kv.unwrap().value, "1");
    let old = client.get("a").revision(put.header.revision).wait();
    assert_eq!(old.unwrap().unwrap().value, "1");
    let txn = client
        .txn()
        .when([Compare::exists("a")])
        .then([Op::put("b", "1"), Op::put("c", "1")])
        .wait();
    assert!(txn.unwrap().succeeded);
    assert_eq!(client.range(..).wait().unwrap().kvs.len(), 3);
    let deleted = client.delete(KeyRange::prefix("a")).wait().unwrap();
    assert_eq!(deleted.deleted, 1);

    let error = client.put("", "v").wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::EmptyKey);
    let inside = client.namespaced("app/");
    inside.put("k", "v").wait().unwrap();
    assert!(client.get("app/k").wait().unwrap().is_some());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let error = etcdkit::Client::builder().connect_blocking().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let error = Client::connect("http://127.0.0.1:1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[test]
fn scans_are_iterators() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    for first in (0..3_000).step_by(100) {
        let ops = (first..first + 100).map(|n| Op::put(format!("{n:05}"), [b'x'; 200]));
        client.txn().then(ops).wait().unwrap();
    }
    let mut scan = client.scan(..).page_bytes(10_000);
    let pairs = scan.iter().collect::<etcdkit::Result<Vec<_>>>().unwrap();
    assert_eq!(pairs.len(), 3_000);
    assert!(pairs.is_sorted_by_key(|kv| kv.key.clone()));
    assert!(scan.iter().next().is_none());
}

#[test]
fn watches_are_iterators_and_can_be_given_up_for_a_while() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    let mut watch = client.watch("k").wait().unwrap();
    let started = Instant::now();
    let none = watch.try_next().wait_for(Duration::from_millis(50));
    assert!(none.is_none() && started.elapsed() >= Duration::from_millis(50));

    let writer = thread::spawn({
        let client = client.clone();
        move || {
            for value in ["1", "2", "3"] {
                client.put("k", value).wait().unwrap();
            }
        }
    });
    let mut values = Vec::new();
    for update in watch.iter() {
        let events = update.unwrap().into_events().into_iter();
        values.extend(events.map(|event| event.kv().value.clone()));
        if values.len() == 3 {
            break;
        }
    }
    assert_eq!(values, ["1", "2", "3"]);
    writer.join().unwrap();
    watch.cancel().wait();
}

#[test]
fn many_threads_share_a_client() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    thread::scope(|scope| {
        for thread in 0..16 {
            let client = client.clone();
            scope.spawn(move || {
                for n in 0..50 {
                    client.put(format!("{thread}/{n}"), "v").wait().unwrap();
                }
            });
        }
    });
    let count = client.range(..).count_only().wait().unwrap().count;
    assert_eq!(count, 800);
}

#[test]
fn waiting_works_on_the_threads_of_a_runtime() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    // More than tokio lets a task do before it has to yield, and without timers or sockets.
    runtime.block_on(async {
        for _ in 0..300 {
            client.put("k", "v").wait().unwrap();
        }
        let mut scan = client.scan(..);
        assert_eq!(scan.iter().count(), 1);
        let other = Client::connect(&server.endpoint).unwrap();
        tokio::task::spawn_blocking(move || other.get("k").wait().unwrap().unwrap())
            .await
            .unwrap();
    });
}

#[test]
fn waiting_for_a_server_on_the_same_thread_ends_in_a_timeout() {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::builder().start().await.unwrap();
        let client = etcdkit::Client::builder()
            .endpoint(server.endpoint())
            .connect_lazy()
            .unwrap();
        let client = Client::new(client).unwrap();
        let call = client.put("k", "v").timeout(Duration::from_millis(300));
        let error = call.wait().unwrap_err();
        let kinds = [ErrorKind::Timeout, ErrorKind::Connect];
        assert!(kinds.contains(&error.kind()), "{error}");
    });
}

#[test]
fn waiting_on_the_background_thread_does_not_stop_it() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    let task = {
        let client = client.clone();
        async move { tokio::spawn(async move { client.put("k", "v").wait() }).await }
    };
    task.wait().unwrap().unwrap();
    assert!(client.get("k").wait().unwrap().is_some());
}

#[test]
fn a_watch_goes_on_without_its_client() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    let mut watch = client.watch("k").wait().unwrap();
    drop(client);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let other = etcdkit::Client::connect(&server.endpoint).await.unwrap();
        other.put("k", "v").await.unwrap();
    });
    let update = watch.try_next().wait().unwrap().unwrap();
    assert_eq!(update.events()[0].kv().value, "v");
}

#[test]
fn leases_live_on_in_the_background() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    let lease = client.lease(Duration::from_secs(4)).wait().unwrap();
    client.put("k", "v").lease(&lease).wait().unwrap();
    let reader = client.clone();
    let granted = lease.ttl();
    // Without renewals it would be lost by then.
    let lost = lease.lost().wait_for(granted + Duration::from_secs(1));
    assert!(lost.is_none(), "{lost:?}");
    assert!(reader.get("k").wait().unwrap().is_some());
    lease.revoke().wait().unwrap();
    assert!(reader.get("k").wait().unwrap().is_none());
}

#[test]
fn a_lease_that_is_dropped_last_is_still_revoked() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    let lease = client.lease(Duration::from_secs(60)).wait().unwrap();
    let id = lease.id();
    drop((client, lease));
    let other = Client::connect(&server.endpoint).unwrap();
    let started = Instant::now();
    while other
        .leases()
        .time_to_live(id)
        .wait()
        .unwrap()
        .ttl
        .is_some()
    {
        assert!(started.elapsed() < LONG, "it lives");
    }
}

#[test]
fn locks_are_held_and_waited_for() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    let guard = client.lock("orders").ttl(LONG).wait().unwrap();
    guard.put("orders/1", "paid").wait().unwrap();
    let fenced = guard.txn().then([Op::put("orders/1", "shipped")]).wait();
    assert!(fenced.unwrap().succeeded);
    assert_eq!(guard.delete("orders/1").wait().unwrap().deleted, 1);
    assert!(client.lock("orders").try_lock().wait().unwrap().is_none());
    let holder = client.lock("orders").holder().wait().unwrap().unwrap();
    assert_eq!(holder.fencing_token, guard.fencing_token());
    let error = client
        .lock("orders")
        .wait_at_most(SHORT)
        .wait()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(guard.lost().wait_for(SHORT).is_none());

    let waiting = thread::spawn({
        let client = client.clone();
        move || {
            client
                .lock("orders")
                .ttl(LONG)
                .wait()
                .unwrap()
                .unlock()
                .wait()
        }
    });
    until_count(&client, "orders/", 2);
    assert!(guard.unlock().wait().unwrap());
    assert!(waiting.join().unwrap().unwrap());

    // Waiting that is given up leaves no key, and a guard that is dropped holds nothing.
    let guard = client.lock("orders").ttl(LONG).wait().unwrap();
    assert!(client.lock("orders").ttl(LONG).wait_for(SHORT).is_none());
    until_count(&client, "orders/", 1);
    drop(guard);
    until_count(&client, "orders/", 0);
}

#[test]
fn many_threads_take_turns() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    client.put("counter", "0").wait().unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let guard = client.lock("turn").ttl(LONG).wait().unwrap();
                    let counter = client.get("counter").wait().unwrap().unwrap();
                    let count: u32 = counter.value_str().unwrap().parse().unwrap();
                    guard
                        .put("counter", (count + 1).to_string())
                        .wait()
                        .unwrap();
                    assert!(guard.unlock().wait().unwrap());
                }
            });
        }
    });
    assert_eq!(client.get("counter").wait().unwrap().unwrap().value, "40");
}

#[test]
fn sessions_locks_of_readers_and_permits_are_there_as_well() {
    let server = server();
    let client = Client::connect(&server.endpoint).unwrap();
    let session = client.session().ttl(LONG).wait().unwrap();
    let lock = session.lock("a").wait().unwrap();
    let again = session.lock("a").wait().unwrap();
    assert_eq!(lock.fencing_token(), again.fencing_token());

    let index = client.rwlock("index").ttl(LONG);
    let readers = [index.read().wait().unwrap(), index.read().wait().unwrap()];
    assert!(index.try_write().wait().unwrap().is_none());
    drop(readers);
    let writer = index.write().wait().unwrap();
    assert!(index.try_read().wait().unwrap().is_none());
    assert!(writer.unlock().wait().unwrap());

    let printers = session.semaphore("printers", 2);
    let first = printers.acquire().wait().unwrap();
    let second = printers.try_acquire().wait().unwrap().unwrap();
    assert!(printers.acquire().wait_for(SHORT).is_none());
    assert_eq!(printers.available().wait().unwrap(), 0);
    assert!(first.release().wait().unwrap());

    session.close().wait().unwrap();
    for lost in [lock.lost(), second.lost()] {
        lost.wait();
    }
    until_count(&client, "", 0);
}

/// Whatever is a stream is an iterator.
#[test]
fn all_streams_iterate() {
    fn iterates<S: Iterate>() {}
    iterates::<etcdkit::Scan>();
    iterates::<etcdkit::Watch>();
    iterates::<etcdkit::WatchEvents>();
    iterates::<etcdkit::ListWatch>();
    iterates::<etcdkit::Snapshot>();
}

/// How many threads run for blocking clients.
#[cfg(target_os = "linux")]
fn background_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "etcdkit").count()
}

#[cfg(target_os = "linux")]
#[test]
fn the_thread_ends_with_the_last_client() {
    let server = server();
    let first = Client::connect(&server.endpoint).unwrap();
    let second = Client::connect(&server.endpoint).unwrap();
    let third = second.clone();
    first.put("k", "v").wait().unwrap();
    assert!(background_threads() >= 1);
    drop((first, second));
    third.put("k", "v").wait().unwrap();
    assert!(background_threads() >= 1);
    drop(third);
    let started = Instant::now();
    while background_threads() > 0 {
        assert!(started.elapsed() < LONG, "it goes on");
        thread::yield_now();
    }
    // And there is another one for the next.
    let client = Client::connect(&server.endpoint).unwrap();
    assert!(client.get("k").wait().unwrap().is_some());
}
