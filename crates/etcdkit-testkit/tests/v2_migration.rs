//! From v2 to v3: everything, nobody's data overwritten, interrupted and resumed, while writers go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use etcdkit::{
    KeyRange,
    v2::{
        self, Migration,
        migrate::{MigrationError, Reason, Report},
    },
};
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster, Version};

/// A v2 and a v3 server, whatever they are.
struct Sides {
    v2: v2::Client,
    v3: etcdkit::Client,
    _servers: Box<dyn Send + Sync>,
}

async fn embedded() -> Sides {
    let old = Server::builder().enable_v2(true).start().await;
    let old = old.expect("a server");
    let new = Server::builder().start().await.expect("a server");
    Sides {
        v2: v2::Client::connect(old.endpoint()).await.expect("v2"),
        v3: etcdkit::Client::connect(new.endpoint()).await.expect("v3"),
        _servers: Box::new((old, new)),
    }
}

/// From each etcd that has v2 to the newest there is.
async fn real() -> Vec<Sides> {
    let newest = Binary::newest().expect("a real etcd");
    let has_v2 = |etcd: &Binary| etcd.version() < Version::new(3, 6, 0);
    let all = Binary::all().expect("a real etcd").into_iter();
    let etcds: Vec<_> = all.filter(has_v2).collect();
    assert!(!etcds.is_empty(), "no etcd before 3.6 in ETCDKIT_TEST_ETCD");
    let mut sides = Vec::new();
    for etcd in etcds {
        let old = Cluster::builder(&etcd).flag("--enable-v2=true");
        let old = old.start().await.expect("a cluster");
        let new = Cluster::builder(&newest).start().await.expect("a cluster");
        sides.push(Sides {
            v2: v2::Client::connect(old.endpoint()).await.expect("v2"),
            v3: etcdkit::Client::connect(new.endpoint()).await.expect("v3"),
            _servers: Box::new((old, new)),
        });
    }
    sides
}

impl Sides {
    fn migration(&self) -> Migration {
        Migration::new(&self.v2, &self.v3)
    }

    async fn set(&self, key: &str, value: &str) {
        self.v2.set(key, value).await.expect("written");
    }

    /// All keys of v3 but the notes, with their values.
    async fn copied(&self) -> Vec<(String, String)> {
        let page = self.v3.range(KeyRange::all()).await.expect("a range");
        let pairs = page.kvs.into_iter().map(|kv| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (text(&kv.key), text(&kv.value))
        });
        pairs
            .filter(|(key, _)| !key.starts_with("_etcdkit/"))
            .collect()
    }

    async fn value(&self, key: &str) -> Option<String> {
        let kv = self.v3.get(key).await.expect("a read")?;
        Some(kv.value_str().expect("text").to_owned())
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn counts(report: &Report) -> (usize, usize, usize, usize) {
    let Report {
        created,
        updated,
        removed,
        unchanged,
        ..
    } = report;
    (*created, *updated, *removed, *unchanged)
}

async fn everything_is_copied_and_kept_in_step(sides: &Sides) {
    for (key, value) in [
        ("/app/web/port", "80"),
        ("/app/db/port", "5432"),
        ("/app/empty", ""),
        ("/app/ü b", "<&\u{2028}>\n\""),
        ("/other", "x"),
        ("/_hidden/inner", "h"),
    ] {
        sides.set(key, value).await;
    }
    sides
        .v2
        .create_dir("/app/nothing")
        .await
        .expect("a directory");

    let plan = sides.migration().dry_run().await.expect("a plan");
    assert_eq!((counts(&plan), plan.verified), ((5, 0, 0, 0), false));
    assert_eq!(plan.directories, 4);
    assert_eq!(sides.copied().await, []);

    let report = sides.migration().include("/_hidden").await;
    let report = report.expect("copied");
    assert!(report.verified, "{report:?}");
    assert_eq!(counts(&report), (6, 0, 0, 6));
    assert_eq!((report.passes, report.leases), (2, 0));
    let copied = sides.copied().await;
    let expected = pairs(&[
        ("/_hidden/inner", "h"),
        ("/app/db/port", "5432"),
        ("/app/empty", ""),
        ("/app/web/port", "80"),
        ("/app/ü b", "<&\u{2028}>\n\""),
        ("/other", "x"),
    ]);
    assert_eq!(copied, expected);

    // Later changes are taken up by a later run, and only they.
    sides.set("/app/web/port", "8080").await;
    sides.set("/new", "n").await;
    sides.v2.delete("/other").await.expect("removed");
    let report = sides.migration().include("/_hidden").await;
    let report = report.expect("copied");
    assert_eq!(counts(&report), (1, 1, 1, 6));
    assert_eq!(sides.value("/app/web/port").await.as_deref(), Some("8080"));
    assert_eq!(sides.value("/other").await, None);
    let report = sides.migration().include("/_hidden").await;
    let report = report.expect("copied");
    assert_eq!((counts(&report), report.passes), ((0, 0, 0, 6), 1));

    sides.migration().forget().await.expect("forgotten");
    let all = sides.v3.range(KeyRange::all()).await.expect("a range");
    assert_eq!(all.kvs.len(), 6, "notes are left");
    let report = sides.migration().include("/_hidden").await;
    assert_eq!(report.expect("nothing to do").equal, 6);
}

#[tokio::test]
async fn everything_is_copied_and_kept_in_step_embedded() {
    everything_is_copied_and_kept_in_step(&embedded().await).await;
}

#[tokio::test]
async fn everything_is_copied_and_kept_in_step_for_real() {
    for sides in real().await {
        everything_is_copied_and_kept_in_step(&sides).await;
    }
}

async fn times_to_live_become_leases(sides: &Sides) {
    let set = |key: &'static str, ttl: i32| sides.v2.set(key, "x").ttl(ttl);
    set("/long/a", 1000).await.expect("written");
    set("/long/b", 1000).await.expect("written");
    sides.set("/for-ever", "x").await;
    sides
        .v2
        .create_dir("/session")
        .ttl(500)
        .await
        .expect("a directory");
    sides.set("/session/deep/key", "x").await;
    set("/session/longer", 2000).await.expect("written");
    set("/session/shorter", 100).await.expect("written");
    set("/soon", 2).await.expect("written");

    let report = sides.migration().await.expect("copied");
    assert!(report.verified, "{report:?}");
    let mut leases = std::collections::HashMap::new();
    for (key, expected) in [
        ("/long/a", Some(1000)),
        ("/long/b", Some(1000)),
        ("/for-ever", None),
        ("/session/deep/key", Some(500)),
        ("/session/longer", Some(500)),
        ("/session/shorter", Some(100)),
    ] {
        let kv = sides.v3.get(key).await.expect("a read").expect("a key");
        let Some(expected) = expected else {
            assert_eq!(kv.lease, None, "{key}");
            continue;
        };
        let lease = kv.lease.expect("a lease");
        leases.insert(key, lease);
        let life = sides
            .v3
            .leases()
            .time_to_live(lease)
            .await
            .expect("a lease");
        let left = life.ttl.expect("alive").as_secs();
        assert!((expected - 10..=expected).contains(&left), "{key}: {left}");
    }
    assert_eq!(leases["/session/deep/key"], leases["/session/longer"]);
    assert_ne!(leases["/long/a"], leases["/session/longer"]);

    // What expires in v2 expires in v3, and its note with it.
    let gone = async {
        while sides.value("/soon").await.is_some() || sides.v2.exists("/soon").await.expect("v2") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone)
        .await
        .expect("it expires");
    let report = sides.migration().await.expect("copied");
    assert_eq!((counts(&report), report.keys), ((0, 0, 0, 6), 6));

    // A refreshed time is no change that a watch would see; a pass sees it.
    sides
        .v2
        .refresh("/session/shorter", 400)
        .await
        .expect("refreshed");
    let report = sides.migration().await.expect("copied");
    assert_eq!(counts(&report), (0, 1, 0, 6));
    // A key that lives on is not taken for one that expires.
    sides
        .v2
        .set("/session/shorter", "x")
        .await
        .expect("written");
    sides.v2.set("/long/a", "x").await.expect("written");
    sides.migration().await.expect("copied");
    let kv = sides
        .v3
        .get("/long/a")
        .await
        .expect("a read")
        .expect("a key");
    assert_eq!(kv.lease, None);
}

#[tokio::test]
async fn times_to_live_become_leases_embedded() {
    times_to_live_become_leases(&embedded().await).await;
}

#[tokio::test]
async fn times_to_live_become_leases_for_real() {
    for sides in real().await {
        times_to_live_become_leases(&sides).await;
    }
}

#[tokio::test]
async fn nobodys_data_is_overwritten_unless_asked_for() {
    let sides = embedded().await;
    for key in ["/same", "/other", "/mine", "/changed", "/removed"] {
        sides.set(key, "v2").await;
    }
    sides.v3.put("/same", "v2").await.expect("written");
    sides.v3.put("/other", "theirs").await.expect("written");
    let report = sides.migration().await.expect("copied");
    assert_eq!((report.created, report.equal), (3, 1));
    sides.v3.put("/changed", "theirs").await.expect("written");
    sides.v3.delete("/removed").await.expect("removed");
    sides.set("/mine", "v2, later").await;
    sides.v2.delete("/changed").await.expect("removed");

    let report = sides.migration().await.expect("copied");
    assert_eq!(counts(&report), (0, 1, 0, 1));
    assert!(report.verified, "{report:?}");
    let mut conflicts: Vec<_> = report
        .conflicts
        .iter()
        .map(|conflict| (conflict.source.as_str(), conflict.reason.clone()))
        .collect();
    conflicts.sort_by_key(|(source, _)| *source);
    assert_eq!(
        conflicts,
        [("/other", Reason::Differs), ("/removed", Reason::Removed)]
    );
    assert_eq!(sides.value("/other").await.as_deref(), Some("theirs"));
    assert_eq!(
        sides.value("/changed").await.as_deref(),
        Some("theirs"),
        "it was removed although somebody has written it since"
    );

    let report = sides.migration().overwrite().await.expect("copied");
    assert_eq!((report.created, report.updated), (1, 1));
    assert!(report.conflicts.is_empty());
    assert_eq!(sides.value("/other").await.as_deref(), Some("v2"));
    assert_eq!(sides.value("/removed").await.as_deref(), Some("v2"));
}

#[tokio::test]
async fn names_are_mapped_and_directories_kept_on_request() {
    let sides = embedded().await;
    for key in ["/app/web/port", "/app/db/port", "/apple"] {
        sides.set(key, "x").await;
    }
    sides
        .v2
        .create_dir("/app/empty")
        .await
        .expect("a directory");
    let report = sides
        .migration()
        .from("/app/")
        .to_prefix("config:")
        .map_prefix("/app/db", "database")
        .keep_directories()
        .await
        .expect("copied");
    assert!(report.verified);
    let expected = pairs(&[
        ("config:empty/", ""),
        ("config:web/", ""),
        ("config:web/port", "x"),
        ("database/", ""),
        ("database/port", "x"),
    ]);
    assert_eq!(sides.copied().await, expected);

    let other = sides.migration().from("/app").await;
    let error = other.expect_err("another migration");
    assert!(
        matches!(error, MigrationError::OtherMigration { .. }),
        "{error}"
    );
    let clash = sides
        .migration()
        .state_prefix("elsewhere/")
        .map_prefix("/app/web", "one")
        .map_prefix("/app/db", "one")
        .map_prefix("/apple", "")
        .await
        .expect("copied");
    let reasons: Vec<_> = clash.conflicts.iter().map(|c| c.reason.clone()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons.contains(&Reason::Name));
    let same = |reason: &Reason| matches!(reason, Reason::SameTarget(_));
    assert!(reasons.iter().any(same), "{reasons:?}");
}

#[tokio::test]
async fn an_interrupted_migration_goes_on_where_it_was() {
    let sides = embedded().await;
    for number in 0..500 {
        sides.set(&format!("/k/{number:03}"), "x").await;
    }
    let stop = Arc::new(tokio::sync::Notify::new());
    let migration = sides.migration().on_progress({
        let stop = Arc::clone(&stop);
        move |progress| {
            if progress.done >= 200 {
                stop.notify_one();
            }
        }
    });
    tokio::select! {
        biased;
        () = stop.notified() => {}
        done = migration.into_future() => panic!("not interrupted: {done:?}"),
    }
    let before = sides.copied().await.len();
    assert!((200..500).contains(&before), "{before}");
    let report = sides.migration().await.expect("copied");
    assert!(report.verified);
    assert_eq!(report.created, 500 - before);
    assert_eq!(sides.copied().await.len(), 500);
}

#[tokio::test]
async fn a_copy_is_kept_in_step_until_it_is_told_to_stop() {
    let sides = embedded().await;
    sides.set("/a", "1").await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let following = sides.migration().follow(async { drop(stopped.await) });
    let writing = async {
        let there = |key: &'static str, value: Option<&'static str>| {
            let sides = &sides;
            let seen = async move {
                while sides.value(key).await.as_deref() != value {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), seen)
        };
        there("/a", Some("1")).await.expect("copied");
        sides.set("/b", "2").await;
        there("/b", Some("2")).await.expect("copied");
        sides.v2.delete("/a").await.expect("removed");
        there("/a", None).await.expect("removed");
        // The last change is not waited for: stopping takes it along.
        sides.set("/c", "3").await;
        stop.send(()).expect("it listens");
    };
    let (report, ()) = tokio::join!(following, writing);
    let report = report.expect("copied");
    assert!(report.verified, "{report:?}");
    assert_eq!(sides.copied().await, pairs(&[("/b", "2"), ("/c", "3")]));
    assert_eq!((report.created, report.removed, report.keys), (3, 1, 2));
}

#[tokio::test]
async fn large_values_go_alone_and_too_large_ones_are_named() {
    let sides = embedded().await;
    for number in 0..4 {
        sides
            .set(&format!("/large/{number}"), &"x".repeat(700_000))
            .await;
    }
    sides.set("/larger", &"x".repeat(1_600_000)).await;
    let report = sides.migration().await.expect("copied");
    assert_eq!(report.created, 4);
    assert!(report.verified);
    let [conflict] = &report.conflicts[..] else {
        panic!("{:?}", report.conflicts);
    };
    assert_eq!(
        (conflict.source.as_str(), &conflict.reason),
        ("/larger", &Reason::TooLarge)
    );
}

/// Writers go on while everything is copied; what is there when they stop is what v3 has after a last
/// run.
async fn nothing_is_lost_while_writers_go_on(sides: &Sides) {
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (v2, stop, written) = (sides.v2.clone(), Arc::clone(&stop), Arc::clone(&written));
            tokio::spawn(async move {
                for round in 0_usize.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("/w/{writer}/{}", round % 7);
                    match round % 3 {
                        0 => drop(v2.set(key, format!("{round}")).await.expect("written")),
                        1 => drop(v2.set(key, "x").ttl(600).await.expect("written")),
                        _ => drop(v2.delete(key).await),
                    }
                    written.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while written.load(Ordering::Relaxed) < 100 {
        tokio::task::yield_now().await;
    }
    sides.migration().max_passes(5).await.expect("copied");
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("it ends");
    }
    let report = sides.migration().await.expect("copied");
    assert!(report.verified && report.conflicts.is_empty(), "{report:?}");
    let found = sides
        .v2
        .get("/w")
        .recursive()
        .sorted()
        .await
        .expect("a tree");
    let node = found.node.expect("a directory");
    let expected: Vec<_> = node
        .leaves()
        .map(|leaf| (leaf.key.clone(), leaf.value.clone().unwrap_or_default()))
        .collect();
    assert_eq!(sides.copied().await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_writers_go_on_embedded() {
    nothing_is_lost_while_writers_go_on(&embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_writers_go_on_for_real() {
    for sides in real().await {
        nothing_is_lost_while_writers_go_on(&sides).await;
    }
}
