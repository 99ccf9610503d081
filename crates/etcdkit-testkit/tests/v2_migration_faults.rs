//! From v2 to v3 while connections break, answers are lost, servers restart and the migration itself is
//! killed: in the end v3 holds what v2 holds, nobody else's keys are touched, and nothing is left behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use etcdkit::{
    KeyRange, LeaseId,
    v2::{
        self, Migration,
        migrate::{MigrationError, Progress, Reason, Report},
    },
};
use etcdkit_server::{
    Server,
    faults::{Alarm, Code, Rpc},
};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    proxy::{Direction, Proxy},
    v2::servers::{binaries, cluster},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

const MS: Duration = Duration::from_millis(1);

/// Nothing that certainly comes takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A key that both sides have, each with a value of its own.
const THEIRS: &str = "/k/theirs";

/// Both sides, reached without any fault, and what somebody else keeps in v3.
struct Sides {
    v2: v2::Client,
    v3: etcdkit::Client,
    /// A lease of somebody else that has no keys yet.
    lease: LeaseId,
}

impl Sides {
    async fn between(v2: v2::Client, v3: etcdkit::Client) -> Self {
        v3.put(THEIRS, "theirs").await.expect("written");
        let lease = v3.leases().grant(Duration::from_secs(3000)).await;
        let lease = lease.expect("a lease").id;
        Self { v2, v3, lease }
    }

    async fn embedded() -> (Self, Server, Server) {
        let old = Server::builder().enable_v2(true).start().await;
        let old = old.expect("a server");
        let new = Server::builder().start().await.expect("a server");
        let v2 = v2::Client::connect(old.endpoint()).await.expect("v2");
        let v3 = etcdkit::Client::connect(new.endpoint()).await.expect("v3");
        (Self::between(v2, v3).await, old, new)
    }

    fn migration(&self) -> Migration {
        Migration::new(&self.v2, &self.v3)
    }

    async fn set(&self, key: &str, value: &str) {
        self.v2.set(key, value).await.expect("written");
    }

    /// So many keys, some of which expire one day, at many different times.
    async fn fill(&self, keys: usize) {
        self.set(THEIRS, "v2").await;
        for number in 0..keys {
            let set = self.v2.set(format!("/k/{number:03}"), "first");
            let ttl = 1000 + i32::try_from(number).expect("small");
            let set = if number % 4 == 0 { set.ttl(ttl) } else { set };
            set.await.expect("written");
        }
    }

    /// What v2 has: values, and whether they expire.
    async fn source(&self) -> BTreeMap<String, (String, bool)> {
        let found = self.v2.get("/").recursive().quorum().await;
        let mut node = found.expect("a tree").node.expect("the root");
        let mut all = BTreeMap::new();
        let mut open = std::mem::take(&mut node.nodes);
        while let Some(mut node) = open.pop() {
            open.append(&mut node.nodes);
            if !node.is_dir && node.key != THEIRS {
                let expires = node.ttl.is_some();
                all.insert(node.key, (node.value.unwrap_or_default(), expires));
            }
        }
        all
    }

    /// What v3 has below these prefixes, in the same form.
    async fn target(&self, is_copy: impl Fn(&str) -> bool) -> BTreeMap<String, (String, bool)> {
        let page = self.v3.range(KeyRange::all()).await.expect("a range");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = page
            .kvs
            .iter()
            .map(|kv| (text(&kv.key), (text(&kv.value), kv.lease.is_some())));
        all.filter(|(key, _)| is_copy(key)).collect()
    }

    /// Migrates without faults until all is done, then judges what is there and forgets the notes.
    async fn finish(&self, by: &Migration) -> Report {
        let report = by.clone().await.expect("nothing hinders it any more");
        assert!(report.verified, "{report:?}");
        self.judge(by, &report).await;
        report
    }

    async fn judge(&self, by: &Migration, report: &Report) {
        let notes = |key: &str| key.starts_with("_etcdkit/");
        let others = |key: &str| key == THEIRS || key.contains("/bystander/");
        let copies = self.target(|key| !notes(key) && !others(key)).await;
        let source = self.source().await;
        assert_eq!(copies, source);

        let conflicts: Vec<_> = report
            .conflicts
            .iter()
            .map(|conflict| (conflict.source.as_str(), &conflict.reason))
            .collect();
        assert_eq!(conflicts, [(THEIRS, &Reason::Differs)]);
        let kv = self.v3.get(THEIRS).await.expect("a read");
        assert_eq!(kv.expect("a key").value, "theirs");

        let mut used = BTreeSet::new();
        for (key, _) in copies.iter().filter(|(_, (_, expires))| *expires) {
            let kv = self.v3.get(key.as_str()).await.expect("a read");
            used.extend(kv.and_then(|kv| kv.lease));
        }
        used.insert(self.lease);
        let leases = self.v3.leases().list().await.expect("the leases").leases;
        assert_eq!(leases.into_iter().collect::<BTreeSet<_>>(), used);

        by.forget().await.expect("forgotten");
        assert_eq!(self.target(notes).await, BTreeMap::new(), "notes are left");
    }
}

/// Programs that write to v2, and one that writes to v3 where the copies go.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    bystander: JoinHandle<BTreeMap<String, String>>,
}

impl Writers {
    fn start(sides: &Sides, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..3)
            .map(|writer| {
                let (v2, stop) = (sides.v2.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut random = fastrand::Rng::with_seed(seed.wrapping_add(writer));
                    while !stop.load(Ordering::Relaxed) {
                        let key = format!("/k/w{writer}/{}", random.u32(0..40));
                        let value = format!("{}", random.u32(..));
                        // A write that fails is done or not: what counts is what v2 has in the end.
                        match random.u32(0..4) {
                            0 => drop(v2.delete(key).await),
                            1 => drop(v2.set(key, value).ttl(random.i32(600..700)).await),
                            _ => drop(v2.set(key, value).await),
                        }
                        sleep(random.u32(1..5) * MS).await;
                    }
                })
            })
            .collect();
        let (v3, stopped) = (sides.v3.clone(), Arc::clone(&stop));
        let bystander = tokio::spawn(async move {
            let mut written = BTreeMap::new();
            let mut random = fastrand::Rng::with_seed(seed.wrapping_sub(1));
            while !stopped.load(Ordering::Relaxed) {
                let key = format!("/k/bystander/{}", random.u32(0..40));
                let value = format!("{}", random.u32(..));
                // Puts are repeated by hand, so that the last one of each key is known.
                while v3.put(key.as_str(), value.as_str()).await.is_err() {
                    sleep(5 * MS).await;
                }
                written.insert(key, value);
                sleep(5 * MS).await;
            }
            written
        });
        Self {
            stop,
            tasks,
            bystander,
        }
    }

    /// Stops them all; what the one who writes to v3 has written must be there.
    async fn stop(self, sides: &Sides) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("it ends");
        }
        let written = self.bystander.await.expect("it ends");
        let found = sides.target(|key| key.contains("/bystander/")).await;
        let found: BTreeMap<_, _> = found.into_iter().map(|(k, (v, _))| (k, v)).collect();
        assert_eq!(found, written, "somebody else's keys were changed");
    }
}

/// Migrates again and again while something goes on. How many runs came to their end, and how many did
/// not.
async fn run_while(by: &Migration, goes_on: impl Fn() -> bool) -> (usize, usize) {
    let (mut ended, mut failed) = (0, 0);
    while goes_on() {
        match by.clone().max_passes(3).await {
            Ok(_) => ended += 1,
            Err(error) => {
                failed += 1;
                println!("a run failed: {error}");
                sleep(10 * MS).await;
            }
        }
    }
    (ended, failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_whose_connections_break_is_copied_in_the_end() {
    let (sides, old, _new) = Sides::embedded().await;
    sides.fill(200).await;
    let proxy = Proxy::start(&old.endpoint()).await.expect("a proxy");
    let seed = proxy.seed();
    println!("seed {seed}");
    let v2 = v2::Client::connect(proxy.endpoint()).await.expect("v2");
    let by = Migration::new(&v2, &sides.v3);
    let writers = Writers::start(&sides, seed);
    let breaking = tokio::spawn(async move {
        let mut random = fastrand::Rng::with_seed(seed);
        for round in 0..60 {
            match round % 4 {
                0 => proxy.cut(),
                1 => proxy.reset(),
                // A listing is some 20 kB.
                2 => proxy.cut_after(Direction::ToClient, random.u64(0..20_000)),
                _ => proxy.cut_after(Direction::ToServer, random.u64(0..400)),
            }
            sleep(random.u32(1..100) * MS).await;
        }
        proxy
    });
    let (ended, failed) = run_while(&by, || !breaking.is_finished()).await;
    println!("{ended} runs ended, {failed} failed");
    let _proxy = breaking.await.expect("it ends");
    writers.stop(&sides).await;
    sides.finish(&by).await;
}

#[tokio::test]
async fn a_listing_that_is_cut_short_removes_nothing() {
    let (sides, old, _new) = Sides::embedded().await;
    sides.fill(100).await;
    let proxy = Proxy::start(&old.endpoint()).await.expect("a proxy");
    let v2 = v2::Client::builder()
        .endpoints([proxy.endpoint()])
        .retry(etcdkit::RetryPolicy::never())
        .connect();
    let v2 = v2.await.expect("v2");
    let by = Migration::new(&v2, &sides.v3);
    by.clone().await.expect("copied");
    let is_copy = |key: &str| key.starts_with("/k/");
    let before = sides.target(is_copy).await;
    assert_eq!(before.len(), 101);
    let whole = proxy.passed(Direction::ToClient);
    by.clone().await.expect("nothing to do");
    let listing = proxy.passed(Direction::ToClient) - whole;
    assert!(listing > 5_000, "{listing}");
    // Times to live get shorter, and with them the answer.
    for part in [0, 1, 300, listing / 2, listing - 200] {
        proxy.cut_after(Direction::ToClient, part);
        let cut = by.clone().await.expect_err("a part of the keys");
        println!("after {part} bytes: {cut}");
        assert_eq!(sides.target(is_copy).await, before, "after {part} bytes");
    }
    sides.finish(&by).await;
}

/// An address can come to lead to other servers at any time.
#[tokio::test]
async fn another_cluster_in_the_middle_removes_nothing() {
    let (sides, old, _new) = Sides::embedded().await;
    sides.fill(100).await;
    let other = Server::builder().enable_v2(true).start().await;
    let other = other.expect("a server");
    let proxy = Proxy::start(&old.endpoint()).await.expect("a proxy");
    let v2 = v2::Client::connect(proxy.endpoint()).await.expect("v2");
    let elsewhere = other.endpoint();
    let by = Migration::new(&v2, &sides.v3).on_progress(move |_| {
        proxy.lead_to(&elsewhere);
        proxy.cut();
    });
    let error = by.await.expect_err("another cluster");
    assert!(
        matches!(error, MigrationError::OtherMigration { .. }),
        "{error}"
    );
    let report = sides.finish(&sides.migration()).await;
    assert_eq!((report.unchanged, report.created), (100, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_loses_answers_and_restarts_has_everything_in_the_end() {
    let (sides, _old, new) = Sides::embedded().await;
    sides.fill(200).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let writers = Writers::start(&sides, seed);
    let faults = new.faults();
    let writes = [Rpc::KvTxn, Rpc::LeaseGrant, Rpc::LeaseRevoke];
    let all = [
        Rpc::KvTxn,
        Rpc::KvRange,
        Rpc::LeaseGrant,
        Rpc::LeaseTimeToLive,
    ];
    let lost = faults.on(writes).randomly(0.1, seed).once_applied();
    let lost = lost.disconnect();
    let failed = faults.on(writes).randomly(0.05, seed ^ 1).once_applied();
    let failed = failed.fail((Code::Unavailable, "lost on the way"));
    let refused = faults.on(all).randomly(0.05, seed ^ 2);
    let refused = refused.fail((Code::Unavailable, "not now"));
    let breaking = tokio::spawn({
        let faults = faults.clone();
        async move {
            let mut random = fastrand::Rng::with_seed(seed);
            for round in 0..40 {
                match round % 4 {
                    0 => faults.restart(),
                    1 => faults.raise_alarm(Alarm::NoSpace),
                    2 => faults.drop_connections(),
                    _ => {}
                }
                sleep(random.u32(1..150) * MS).await;
                faults.clear_alarm(Alarm::NoSpace);
            }
        }
    });
    let by = sides.migration();
    let (ended, failures) = run_while(&by, || !breaking.is_finished()).await;
    breaking.await.expect("it ends");
    let hits = [&lost, &failed, &refused].map(|fault| fault.hits());
    println!("{ended} runs ended, {failures} failed; faults {hits:?}");
    assert!(hits.iter().all(|hits| *hits > 0), "{hits:?}");
    faults.clear();
    writers.stop(&sides).await;
    sides.finish(&by).await;
}

/// Each write in turn is carried out without an answer; the source goes on before the next run.
#[tokio::test]
async fn each_write_whose_answer_is_lost_is_found_by_the_next_run() {
    for rpc in [Rpc::KvTxn, Rpc::LeaseGrant] {
        let mut lost = 0;
        for call in 1.. {
            let (sides, _old, new) = Sides::embedded().await;
            sides.set(THEIRS, "v2").await;
            for number in 0..70 {
                sides.set(&format!("/k/{number:03}"), "first").await;
            }
            for (key, ttl) in [("/k/004", 1000), ("/k/005", 1100), ("/k/068", 1200)] {
                let set = sides.v2.set(key, "expires").ttl(ttl);
                set.await.expect("written");
            }
            let fault = new.faults().on(rpc).nth(call).once_applied();
            let fault = fault.fail((Code::Unavailable, "lost on the way"));
            let first = sides.migration().await;
            if fault.hits() == 0 {
                break;
            }
            lost += 1;
            if let Err(error) = first {
                println!("{rpc} {call}: {error}");
            }
            sides.set("/k/001", "second").await;
            sides.set("/k/004", "for ever").await;
            sides.v2.delete("/k/002").await.expect("removed");
            sides.v2.delete("/k/069").await.expect("removed");
            let report = sides.finish(&sides.migration()).await;
            assert_eq!((report.keys, report.equal), (69, 0), "{rpc} {call}");
        }
        println!("{rpc}: {lost} lost");
        assert!(lost > 1, "{rpc}");
    }
}

#[tokio::test]
async fn a_target_without_space_says_so_and_is_filled_when_it_has_some() {
    let (sides, _old, new) = Sides::embedded().await;
    sides.fill(200).await;
    let faults = new.faults();
    let full = sides.migration().on_progress({
        let faults = faults.clone();
        move |progress: &Progress| {
            if progress.done > 100 {
                faults.raise_alarm(Alarm::NoSpace);
            }
        }
    });
    let error = full.await.expect_err("no space");
    assert!(error.to_string().contains("space"), "{error}");
    faults.clear_alarm(Alarm::NoSpace);
    let report = sides.finish(&sides.migration()).await;
    assert!(report.created < 200, "it began anew");
}

/// Polls a future so often and then drops it, wherever it is. What it came to, if it ended before.
async fn killed_after<T>(polls: u64, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| match left.checked_sub(1) {
        None => Poll::Ready(None),
        Some(less) => {
            left = less;
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_killed_anywhere_goes_on_where_it_was() {
    let (sides, _old, _new) = Sides::embedded().await;
    sides.fill(200).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let writers = Writers::start(&sides, seed);
    let mut killed = 0;
    for _ in 0..150 {
        let polls = random.u64(1..300);
        let run = sides.migration().max_passes(3).into_future();
        match killed_after(polls, run).await {
            None => killed += 1,
            Some(ended) => drop(ended.expect("copied")),
        }
    }
    println!("{killed} of 150 runs were killed");
    assert!(killed > 50, "{killed}");
    writers.stop(&sides).await;
    sides.finish(&sides.migration()).await;
}

/// The last transaction of a run that was killed can arrive when the next one has begun. Here a whole
/// run is made in the middle of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_run_writes_late_is_known_for_a_copy() {
    let (sides, _old, _new) = Sides::embedded().await;
    sides.fill(200).await;
    sides.migration().await.expect("copied");
    sides.set("/k/150", "second").await;
    sides.v2.delete("/k/151").await.expect("removed");
    let sides = Arc::new(sides);
    let once = Mutex::new(Some(Arc::clone(&sides)));
    let by = sides.migration().on_progress(move |_| {
        let Some(sides) = once.lock().expect("not poisoned").take() else {
            return;
        };
        let in_between = async {
            sides.set("/k/150", "third").await;
            sides.set("/k/151", "again").await;
            sides.migration().await.expect("copied");
            sides.v2.delete("/k/151").await.expect("removed");
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(in_between));
    });
    sides.finish(&by).await;
}

/// A lease can run out before its keys are written.
#[tokio::test]
async fn keys_that_expire_while_they_are_copied_hold_nothing_up() {
    let (sides, _old, new) = Sides::embedded().await;
    sides.fill(100).await;
    for number in 0..70 {
        let set = sides.v2.set(format!("/k/soon/{number}"), "x").ttl(2);
        set.await.expect("written");
    }
    // The second batch has the first of them. What is known of its keys is read, and leases are noted
    // and granted, but the keys are written late.
    let (faults, once) = (new.faults(), AtomicBool::new(true));
    let slow = Arc::new(Mutex::new(None));
    let by = sides.migration().on_progress({
        let slow = Arc::clone(&slow);
        move |_| {
            if once.swap(false, Ordering::Relaxed) {
                let fault = faults.on(Rpc::KvTxn).nth(3).delay(4500 * MS);
                *slow.lock().expect("not poisoned") = Some(fault);
            }
        }
    });
    let report = by.await.expect("copied");
    assert!(report.verified, "{report:?}");
    let slow = slow.lock().expect("not poisoned").take();
    assert_eq!(slow.expect("a fault").hits(), 1);
    let start = Instant::now();
    while sides
        .v2
        .get("/k/soon/69")
        .await
        .expect("a read")
        .node
        .is_some()
    {
        assert!(start.elapsed() < PATIENCE, "it does not expire");
        sleep(50 * MS).await;
    }
    let report = sides.finish(&sides.migration()).await;
    assert_eq!(report.keys, 101);
}

/// Services renew what they registered, for ever.
#[tokio::test]
async fn renewed_times_to_live_leave_no_leases_behind() {
    let (sides, _old, _new) = Sides::embedded().await;
    sides.set(THEIRS, "v2").await;
    // What is too large for v3 takes no lease either.
    let large = "x".repeat(1_600_000);
    for round in 0..5 {
        for number in 0..5 {
            let set = sides.v2.set(format!("/k/{number}"), "x");
            set.ttl(1000 + 10 * round + number).await.expect("written");
        }
        let set = sides.v2.set("/k/large", large.as_str()).ttl(5000);
        set.await.expect("written");
        let report = sides.migration().await.expect("copied");
        assert!(report.verified);
        assert_eq!(report.conflicts.len(), 2, "{report:?}");
        let leases = sides.v3.leases().list().await.expect("the leases").leases;
        assert_eq!(
            leases.len(),
            6,
            "{round}: one for each key, and one of somebody else"
        );
    }
    sides.v2.delete("/k/large").await.expect("removed");
    sides.finish(&sides.migration()).await;
}

/// Somebody may attach keys of his own to a lease that came with a copy.
#[tokio::test]
async fn a_lease_that_somebody_else_uses_is_not_revoked() {
    let (sides, _old, _new) = Sides::embedded().await;
    sides.set(THEIRS, "v2").await;
    let set = sides.v2.set("/k/a", "x").ttl(1000);
    set.await.expect("written");
    sides.migration().await.expect("copied");
    let kv = sides.v3.get("/k/a").await.expect("a read").expect("a key");
    let lease = kv.lease.expect("a lease");
    let put = sides.v3.put("/k/bystander/b", "theirs").lease(lease);
    put.await.expect("written");
    sides.v2.delete("/k/a").await.expect("removed");
    let report = sides.migration().await.expect("copied");
    assert!(report.verified);
    let theirs = sides.v3.get("/k/bystander/b").await.expect("a read");
    assert_eq!(theirs.expect("a key").lease, Some(lease));
    assert!(sides.v3.get("/k/a").await.expect("a read").is_none());
}

/// Kills one member after the other while the migration runs.
async fn kill_in_turn(cluster: &mut Cluster, times: usize) {
    for time in 0..times {
        let member = cluster.member(time % 3);
        member.kill().expect("killed");
        sleep(700 * MS).await;
        member.restart().await.expect("restarted");
        sleep(300 * MS).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_that_lose_members_are_copied_for_real() {
    let last = binaries().pop().expect("an etcd that has v2");
    let newest = Binary::newest().expect("a real etcd");
    let mut old = cluster(&last, 3).await;
    let new = Cluster::builder(&newest).members(3).start().await;
    let mut new = new.expect("a cluster");
    println!("{last} to {newest}");
    let v2 = v2::Client::builder().endpoints(old.endpoints()).connect();
    let v3 = etcdkit::Client::builder().endpoints(new.endpoints());
    let (v2, v3) = (v2.await.expect("v2"), v3.connect().await.expect("v3"));
    let sides = Sides::between(v2, v3).await;
    sides.fill(200).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let writers = Writers::start(&sides, seed);
    let killing = tokio::spawn(async move {
        kill_in_turn(&mut old, 3).await;
        kill_in_turn(&mut new, 3).await;
        (old, new)
    });
    let by = sides.migration();
    let (ended, failed) = run_while(&by, || !killing.is_finished()).await;
    let _clusters = killing.await.expect("it ends");
    println!("{ended} runs ended, {failed} failed");
    writers.stop(&sides).await;
    sides.finish(&by).await;
}
