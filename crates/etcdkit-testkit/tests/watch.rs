//! Watches on every real etcd: what they deliver, how they end, and that the server forgets them.

use std::{
    future::IntoFuture,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use etcdkit::{
    Client, Compare, ErrorKind, Event, KeyRange, Op, Overflow, Revision, Watch, WatchEnd,
    WatchError, WatchUpdate,
};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    proxy::Proxy,
};
use tokio::time::timeout;

/// More than any step of these tests takes.
const SOON: Duration = Duration::from_secs(60);

/// Runs a test on one member of each etcd that was found.
async fn each(test: impl AsyncFn(&Cluster, Client)) {
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        println!("etcd {}", etcd.version());
        test(&cluster, client).await;
    }
}

async fn next(watch: &mut Watch) -> WatchUpdate {
    timeout(SOON, watch.try_next())
        .await
        .expect("an update in time")
        .expect("the watch goes on")
        .expect("the watch goes on")
}

async fn end(watch: &mut Watch) -> WatchError {
    let last = async {
        loop {
            if let Err(error) = watch.try_next().await {
                return error;
            }
        }
    };
    timeout(SOON, last).await.expect("an end in time")
}

/// The next changes, as many as asked for.
async fn events(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(next(watch).await.into_events());
    }
    assert_eq!(events.len(), count, "{events:?}");
    events
}

async fn put(client: &Client, key: &str, value: &str) -> Revision {
    client.put(key, value).await.expect("a put").header.revision
}

/// The changes as text: `+key=value@revision` and `-key@revision`.
fn text(events: &[Event]) -> Vec<String> {
    let show = |event: &Event| {
        let kv = event.kv();
        let key = kv.key_str().expect("text");
        let revision = kv.mod_revision;
        match event.is_delete() {
            true => format!("-{key}@{revision}"),
            false => format!("+{key}={}@{revision}", kv.value_str().expect("text")),
        }
    };
    events.iter().map(show).collect()
}

#[tokio::test]
async fn a_watch_shows_what_comes_after_it_and_nothing_before() {
    each(async |_, client| {
        put(&client, "a/1", "old").await;
        let mut watch = client.watch(KeyRange::prefix("a/")).await.expect("a watch");
        assert_eq!(watch.revision(), 2);
        put(&client, "a/1", "new").await;
        put(&client, "b/1", "other").await;
        client.delete("a/1").await.expect("a delete");
        put(&client, "a/2", "x").await;
        let events = events(&mut watch, 3).await;
        assert_eq!(text(&events), ["+a/1=new@3", "-a/1@5", "+a/2=x@6"]);
        assert!(events[0].is_modify() && events[1].is_delete() && events[2].is_create());
        assert_eq!(watch.revision(), 6);
    })
    .await;
}

#[tokio::test]
async fn a_watch_of_the_past_begins_there() {
    each(async |_, client| {
        for value in ["1", "2", "3"] {
            put(&client, "k", value).await;
        }
        let mut watch = client
            .watch("k")
            .from_revision(3)
            .prev_kv()
            .await
            .expect("a watch");
        let events = events(&mut watch, 2).await;
        assert_eq!(text(&events), ["+k=2@3", "+k=3@4"]);
        let before = events[0].prev_kv().expect("the value before");
        assert_eq!((before.value_str(), before.mod_revision), (Ok("1"), 2));
        let error = client
            .watch("k")
            .from_revision(0)
            .await
            .expect_err("no revision");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    })
    .await;
}

#[tokio::test]
async fn a_watch_of_the_future_waits_for_it() {
    each(async |_, client| {
        let mut watch = client.watch("k").from_revision(4).await.expect("a watch");
        for value in ["2", "3", "4", "5"] {
            put(&client, "k", value).await;
        }
        assert_eq!(text(&events(&mut watch, 2).await), ["+k=4@4", "+k=5@5"]);
    })
    .await;
}

#[tokio::test]
async fn filters_leave_out_what_they_name() {
    each(async |_, client| {
        let mut puts = client.watch("k").filter_deletes().await.expect("a watch");
        let mut deletes = client.watch("k").filter_puts().await.expect("a watch");
        for _ in 0..2 {
            put(&client, "k", "v").await;
            client.delete("k").await.expect("a delete");
        }
        assert_eq!(text(&events(&mut puts, 2).await), ["+k=v@2", "+k=v@4"]);
        assert_eq!(text(&events(&mut deletes, 2).await), ["-k@3", "-k@5"]);
        let nothing = client.watch("k").filter_puts().filter_deletes().await;
        assert_eq!(
            nothing.expect_err("nothing to watch").kind(),
            ErrorKind::InvalidRequest
        );
    })
    .await;
}

#[tokio::test]
async fn the_changes_of_a_transaction_come_together_however_large_they_are() {
    each(async |_, client| {
        let mut watch = client.watch(KeyRange::prefix("k")).await.expect("a watch");
        let value = "x".repeat(10_000);
        let puts = |count: usize| (0..count).map(|key| Op::put(format!("k{key:03}"), &value));
        client.txn().then(puts(100)).await.expect("a transaction");
        assert_eq!(next(&mut watch).await.events().len(), 100);

        // Together with what they replace these are more than a server puts into one message.
        let mut watch = client
            .watch(KeyRange::prefix("k"))
            .prev_kv()
            .from_revision(2)
            .await
            .expect("a watch");
        client.txn().then(puts(120)).await.expect("a transaction");
        let mut sizes = Vec::new();
        while sizes.iter().sum::<usize>() < 220 {
            let update = next(&mut watch).await;
            let of_one = |revision| {
                let is_of = |event: &&Event| event.revision() == revision;
                update.events().iter().filter(is_of).count()
            };
            sizes.extend([of_one(2), of_one(3)].into_iter().filter(|size| *size > 0));
        }
        assert_eq!(sizes, [100, 120]);
    })
    .await;
}

#[tokio::test]
async fn a_compacted_start_ends_with_the_oldest_revision_there_is() {
    each(async |_, client| {
        for _ in 0..5 {
            put(&client, "k", "v").await;
        }
        client.compact(5).await.expect("a compaction");
        let opened = client.watch("k").from_revision(3).await;
        let error = match opened {
            Ok(mut watch) => end(&mut watch).await,
            Err(error) => panic!("refused at once: {error}"),
        };
        assert_eq!(
            error.end(),
            &WatchEnd::Compacted {
                compact_revision: 5
            }
        );
        assert_eq!(error.revision(), 2);
        assert_eq!(etcdkit::Error::from(error).kind(), ErrorKind::Compacted);
        let mut watch = client.watch("k").from_revision(5).await.expect("a watch");
        assert_eq!(text(&events(&mut watch, 2).await), ["+k=v@5", "+k=v@6"]);
    })
    .await;
}

#[tokio::test]
async fn a_compacted_watch_does_not_keep_its_siblings_from_progress() {
    each(async |_, client| {
        let endpoint = client.endpoints().next().expect("one");
        let status = client.maintenance().status(endpoint).await.expect("status");
        if status.version == "3.4.23" {
            // Too old to be asked for progress.
            return;
        }
        for _ in 0..5 {
            put(&client, "k", "v").await;
        }
        client.compact(5).await.expect("a compaction");
        let mut sibling = client.watch("other").await.expect("a watch");
        let mut compacted = client.watch("k").from_revision(2).await.expect("a watch");
        let is_compacted = matches!(end(&mut compacted).await.end(), WatchEnd::Compacted { .. });
        assert!(is_compacted);
        let revision = put(&client, "k", "v").await;
        sibling.request_progress();
        let update = next(&mut sibling).await;
        assert_eq!((update.is_progress(), update.revision()), (true, revision));
    })
    .await;
}

#[tokio::test]
async fn an_impossible_range_is_refused() {
    each(async |_, client| {
        let error = client.watch("b".."a").await.expect_err("an empty range");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        let error = client.watch("").await.expect_err("no key");
        assert_eq!(error.kind(), ErrorKind::EmptyKey);
        // Siblings are not affected.
        let mut watch = client.watch("k").await.expect("a watch");
        put(&client, "k", "v").await;
        assert_eq!(events(&mut watch, 1).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn ids_are_the_clients_own_and_unique() {
    each(async |_, client| {
        let first = client.watch("a").await.expect("a watch");
        let chosen = client.watch("a").id(77).await.expect("a watch");
        assert_ne!(first.id(), chosen.id());
        assert_eq!(chosen.id(), 77);
        let error = client.watch("a").id(77).await.expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        chosen.cancel().await;
        client.watch("a").id(77).await.expect("free again");
    })
    .await;
}

#[tokio::test]
async fn progress_is_told_where_the_servers_word_can_be_taken() {
    each(async |_, client| {
        let mut watch = client.watch("k").await.expect("a watch");
        let revision = put(&client, "other", "v").await;
        let version = client
            .maintenance()
            .status(client.endpoints().next().expect("one").to_owned())
            .await
            .expect("status")
            .version;
        watch.request_progress();
        if version == "3.4.23" {
            // Not asked, so the next update is a change.
            put(&client, "k", "v").await;
            assert!(!next(&mut watch).await.is_progress());
        } else {
            let update = next(&mut watch).await;
            assert!(update.is_progress());
            assert_eq!(update.revision(), revision);
            assert_eq!(watch.revision(), revision);
        }
    })
    .await;
}

#[tokio::test]
async fn progress_of_an_idle_watch_is_known_without_the_server() {
    each(async |_, client| {
        // Servers are silent about a watch that begins after their newest revision.
        let mut watch = client.watch("k").await.expect("a watch");
        watch.request_progress();
        let update = next(&mut watch).await;
        assert_eq!((update.is_progress(), update.revision()), (true, 1));
        assert_ne!(update.header().cluster_id, 0);
    })
    .await;
}

#[tokio::test]
async fn one_shot_and_callback_forms_end_by_themselves() {
    each(async |_, client| {
        for value in ["1", "2", "3"] {
            put(&client, "k", value).await;
        }
        let update = client
            .watch("k")
            .from_revision(2)
            .once()
            .await
            .expect("an update");
        assert_eq!(update.events()[0].kv().value, "1");
        let mut watch = client.watch("k").from_revision(2).await.expect("a watch");
        let found = watch
            .find(|event| event.kv().value == "2")
            .await
            .expect("goes on");
        assert_eq!(found.expect("found").revision(), 3);
        let mut watch = client.watch("k").from_revision(2).await.expect("a watch");
        let broke = watch
            .for_each(async |event| match event.revision() {
                4 => ControlFlow::Break("three"),
                _ => ControlFlow::Continue(()),
            })
            .await;
        assert_eq!(broke.expect("goes on"), Some("three"));
    })
    .await;
}

#[tokio::test]
async fn a_namespace_confines_a_watch() {
    each(async |_, client| {
        let inside = client.namespaced("app/");
        let mut watch = inside.watch(..).prev_kv().await.expect("a watch");
        put(&client, "app", "before").await;
        put(&client, "app/a", "1").await;
        put(&client, "app0", "behind").await;
        put(&inside, "a", "2").await;
        let events = events(&mut watch, 2).await;
        assert_eq!(text(&events), ["+a=1@3", "+a=2@5"]);
        assert_eq!(events[1].prev_kv().expect("the value before").key, "a");
    })
    .await;
}

#[tokio::test]
async fn a_slow_program_loses_nothing_and_does_not_hold_up_others() {
    each(async |_, client| {
        let mut slow = client.watch("k").queue_bytes(5_000).await.expect("a watch");
        let mut failing = client
            .watch("k")
            .queue_bytes(5_000)
            .on_overflow(Overflow::Fail)
            .await
            .expect("a watch");
        let mut quick = client.watch("k").await.expect("a watch");
        let value = "x".repeat(1000);
        for revision in 2..102 {
            assert_eq!(put(&client, "k", &value).await, revision);
            assert_eq!(events(&mut quick, 1).await[0].revision(), revision);
        }
        let revisions: Vec<_> = events(&mut slow, 100)
            .await
            .iter()
            .map(Event::revision)
            .collect();
        assert_eq!(revisions, (2..102).collect::<Vec<_>>());
        let error = end(&mut failing).await;
        assert_eq!(error.end(), &WatchEnd::Overflow);
        assert!((6..12).contains(&error.revision()), "{error}");
    })
    .await;
}

/// A figure of the server, such as how many watches it has.
async fn metric(endpoint: &str, name: &str) -> f64 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let address = endpoint.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("the server");
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut page = String::new();
    stream.read_to_string(&mut page).await.expect("a page");
    let line = page
        .lines()
        .find(|line| line.split(' ').next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no {name}"));
    line.rsplit(' ')
        .next()
        .expect("a value")
        .parse()
        .expect("a number")
}

async fn metric_becomes(endpoint: &str, name: &str, value: f64) {
    let start = Instant::now();
    loop {
        let now = metric(endpoint, name).await;
        if now == value {
            return;
        }
        assert!(
            start.elapsed() < SOON,
            "{name} stays {now} instead of {value}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const WATCHERS: &str = "etcd_debugging_mvcc_watcher_total";
const STREAMS: &str = "etcd_debugging_mvcc_watch_stream_total";

#[tokio::test]
async fn the_server_forgets_watches_that_are_dropped() {
    each(async |cluster, client| {
        let watches: Vec<_> = futures_util::future::join_all(
            (0..100).map(|key| client.watch(format!("k{key}")).into_future()),
        )
        .await;
        assert!(watches.iter().all(Result::is_ok));
        let endpoint = cluster.endpoint();
        assert_eq!(metric(endpoint, WATCHERS).await, 100.0);
        assert_eq!(metric(endpoint, STREAMS).await, 1.0);
        let mut watches = watches.into_iter();
        let kept = watches.next();
        drop(watches);
        metric_becomes(endpoint, WATCHERS, 1.0).await;
        drop(kept);
        metric_becomes(endpoint, WATCHERS, 0.0).await;
        metric_becomes(endpoint, STREAMS, 0.0).await;
        // The stream comes back when it is needed.
        client.watch("k").await.expect("a watch");
    })
    .await;
}

#[tokio::test]
async fn five_thousand_watches_need_a_handful_of_streams() {
    each(async |cluster, client| {
        const WATCHES: usize = 5000;
        let start = Instant::now();
        let opened = futures_util::future::join_all(
            (0..WATCHES).map(|key| client.watch(format!("k{key:04}")).into_future()),
        )
        .await;
        println!("{WATCHES} watches in {:?}", start.elapsed());
        let mut watches = Vec::new();
        for watch in opened {
            watches.push(watch.expect("a watch"));
        }
        assert_eq!(metric(cluster.endpoint(), WATCHERS).await, WATCHES as f64);
        let streams = metric(cluster.endpoint(), STREAMS).await;
        assert!(streams <= 4.0, "{streams} streams");
        for key in [0, 1999, 2000, 4999] {
            let name = format!("k{key:04}");
            put(&client, &name, "v").await;
            assert_eq!(events(&mut watches[key], 1).await[0].key(), name.as_bytes());
        }
    })
    .await;
}

#[tokio::test]
async fn a_cut_connection_shows_nothing_old_and_loses_nothing_new() {
    each(async |cluster, client| {
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let watcher = Client::connect(proxy.endpoint()).await.expect("a client");
        put(&client, "k", "before").await;
        // Without a start and without any event yet: Go's client repeats the put here.
        let mut watch = watcher.watch("k").await.expect("a watch");
        for round in 0..5 {
            proxy.cut();
            let value = format!("after cut {round}");
            put(&client, "k", &value).await;
            let events = events(&mut watch, 1).await;
            assert_eq!(events[0].kv().value, value);
        }
        let revision = put(&client, "other", "v").await;
        assert_eq!(watch.revision(), revision - 1);
    })
    .await;
}

#[tokio::test]
async fn a_restarted_server_is_watched_again() {
    for etcd in Binary::all().expect("a real etcd") {
        let mut cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        let mut watches = Vec::new();
        for key in 0..50 {
            watches.push(client.watch(format!("k{key}")).await.expect("a watch"));
        }
        put(&client, "k0", "1").await;
        assert_eq!(events(&mut watches[0], 1).await.len(), 1);
        cluster.member(0).kill().expect("killed");
        cluster.member(0).restart().await.expect("started again");
        for (key, watch) in watches.iter_mut().enumerate() {
            let revision = put(&client, &format!("k{key}"), "2").await;
            assert_eq!(events(watch, 1).await[0].revision(), revision);
        }
    }
}

#[tokio::test]
async fn compaction_while_disconnected_ends_a_watch_with_its_revision() {
    each(async |cluster, client| {
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let watcher = Client::connect(proxy.endpoint()).await.expect("a client");
        let mut watch = watcher.watch("k").await.expect("a watch");
        put(&client, "k", "1").await;
        assert_eq!(events(&mut watch, 1).await.len(), 1);
        let reached = watch.revision();
        // Frozen, so that the watch hears nothing of what follows until the cut.
        proxy.freeze();
        for _ in 0..5 {
            put(&client, "k", "2").await;
        }
        let newest = put(&client, "k", "3").await;
        client.compact(newest).await.expect("a compaction");
        proxy.cut();
        let error = end(&mut watch).await;
        let compacted = WatchEnd::Compacted {
            compact_revision: newest,
        };
        assert_eq!((error.end(), error.revision()), (&compacted, reached));
    })
    .await;
}

#[tokio::test]
async fn a_store_that_went_back_ends_the_watch() {
    // Two clusters behind one endpoint: what a restore from an old backup looks like.
    let etcd = Binary::newest().expect("a real etcd");
    let first = Cluster::builder(&etcd).start().await.expect("a cluster");
    let second = Cluster::builder(&etcd).start().await.expect("a cluster");
    let proxy = Proxy::start(first.endpoint()).await.expect("a proxy");
    let client = Client::connect(proxy.endpoint()).await.expect("a client");
    let mut watch = client.watch("k").await.expect("a watch");
    put(&client, "k", "1").await;
    assert_eq!(events(&mut watch, 1).await.len(), 1);
    proxy.lead_to(second.endpoint());
    proxy.cut();
    let error = end(&mut watch).await;
    let is_other = matches!(error.end(), WatchEnd::OtherCluster { .. });
    // Ports differ, so the ids of the clusters do, too.
    assert!(is_other, "{error}");
}

#[tokio::test]
async fn writes_before_and_after_the_opening_are_told_apart() {
    each(async |_, client| {
        // A writer that never rests: the watch begins between two of its writes.
        let writer = tokio::spawn({
            let client = client.clone();
            async move {
                loop {
                    client.put("k", "v").await.expect("a put");
                }
            }
        });
        for _ in 0..50 {
            let before = put(&client, "mark", "before").await;
            let mut watch = client.watch(KeyRange::all()).await.expect("a watch");
            let after = put(&client, "mark", "after").await;
            let mut seen = Vec::new();
            while !seen.contains(&after) {
                seen.extend(next(&mut watch).await.events().iter().map(Event::revision));
            }
            assert!(seen[0] > before, "{seen:?} begins before {before}");
            let first = seen[0];
            assert!(
                seen.iter().copied().eq(first..first + seen.len() as i64),
                "{seen:?}"
            );
        }
        writer.abort();
        let swap = client
            .txn()
            .when([Compare::exists("k")])
            .then([Op::get("k")]);
        assert!(swap.await.expect("a transaction").succeeded);
    })
    .await;
}

#[tokio::test]
async fn a_list_with_a_watch_behind_it_survives_a_compaction() {
    each(async |cluster, client| {
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let watcher = Client::connect(proxy.endpoint()).await.expect("a client");
        for key in ["k/a", "k/b", "k/c"] {
            put(&client, key, "1").await;
        }
        let list = watcher.list_then_watch(KeyRange::prefix("k/")).prev_kv();
        let mut list = list.await.expect("a list");
        let keys: Vec<_> = list.take_snapshot().into_iter().map(|kv| kv.key).collect();
        assert_eq!(
            (keys, list.revision()),
            (vec!["k/a".into(), "k/b".into(), "k/c".into()], 4)
        );
        put(&client, "k/a", "2").await;
        let update = timeout(SOON, list.try_next())
            .await
            .expect("in time")
            .expect("goes on");
        assert_eq!(text(update.expect("goes on").events()), ["+k/a=2@5"]);

        proxy.freeze();
        client.delete("k/b").await.expect("a delete");
        put(&client, "k/d", "1").await;
        put(&client, "k/c", "2").await;
        let newest = put(&client, "k/d", "2").await;
        client.compact(newest).await.expect("a compaction");
        proxy.cut();
        let update = timeout(SOON, list.try_next())
            .await
            .expect("in time")
            .expect("goes on");
        let update = update.expect("goes on");
        assert!(update.is_relist());
        let expected = ["-k/b@9", "+k/c=2@8", "+k/d=2@9"];
        assert_eq!(text(update.events()), expected);
        let before = |event: &Event| event.prev_kv().map(|kv| kv.value.clone());
        let before: Vec<_> = update.events().iter().map(before).collect();
        assert_eq!(before, [Some("1".into()), Some("1".into()), None]);

        put(&client, "k/d", "3").await;
        let update = timeout(SOON, list.try_next())
            .await
            .expect("in time")
            .expect("goes on");
        assert_eq!(text(update.expect("goes on").events()), ["+k/d=3@10"]);
    })
    .await;
}

#[tokio::test]
async fn a_watch_that_cannot_be_opened_says_why() {
    // A server that ends every stream with an error of its own.
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = Cluster::builder(&etcd)
        .members(3)
        .start()
        .await
        .expect("a cluster");
    let endpoint = cluster.member(0).endpoint().to_owned();
    let client = Client::connect(endpoint).await.expect("a client");
    let opened = client.watch("k").from_revision(1).await;
    drop(opened.expect("a watch"));
    cluster.member(1).kill().expect("killed");
    cluster.member(2).kill().expect("killed");
    let start = Instant::now();
    let error = loop {
        // Until the member has noticed that it has no leader any more.
        let open = client.watch("k").from_revision(1);
        match open.timeout(Duration::from_secs(2)).await {
            Ok(_) => assert!(start.elapsed() < SOON, "watches without a leader"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("no leader"), "{error}");
    let alone = client.watch("k").from_revision(1).without_leader().await;
    drop(alone.expect("a watch without a leader"));
}

#[tokio::test]
async fn closing_the_client_ends_its_watches() {
    each(async |_, client| {
        let mut watch = client.watch("k").await.expect("a watch");
        client.close().await;
        assert_eq!(end(&mut watch).await.end(), &WatchEnd::Closed);
        let error = client.watch("k").await.expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Closed);
        let error = client
            .watch("k")
            .from_revision(1)
            .await
            .expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Closed);
    })
    .await;
}
