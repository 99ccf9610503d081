//! Watches and the thousand changes that a server remembers.

use std::time::{Duration, Instant};

use etcdkit::v2::{Action, Client, ErrorKind, ResyncReason, WatchEvent};
use etcdkit_testkit::{proxy::Proxy, v2::servers::singles};

/// Nothing that certainly comes takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// More than a server remembers.
const MANY: usize = 1_300;

async fn others_write(client: &Client, count: usize) {
    let writes = (0..count).map(|number| async move {
        let set = client.set(format!("/others/{}", number % 7), "x");
        set.no_value_on_success().await.expect("a write");
    });
    // Some at a time.
    let mut writes: Vec<_> = writes.map(Box::pin).collect();
    while !writes.is_empty() {
        let some = writes.split_off(writes.len().saturating_sub(16));
        futures_util::future::join_all(some).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_was_cut_off_for_too_long_lists_what_there_is() {
    for server in singles().await {
        let direct = Client::connect(server.endpoint()).await.expect("a client");
        let proxy = Proxy::start(server.endpoint()).await.expect("a proxy");
        let client = Client::connect(proxy.endpoint()).await.expect("a client");

        direct.set("/w/stays", "1").await.expect("a write");
        direct.set("/w/goes", "1").await.expect("a write");
        let mut all = client
            .watch("/w")
            .recursive()
            .stream()
            .await
            .expect("a watch");
        let mut gone = client.watch("/w/goes").stream().await.expect("a watch");

        proxy.refuse().await.expect("a refusal");
        proxy.cut();
        direct.delete("/w/goes").await.expect("a delete");
        direct.set("/w/new", "2").await.expect("a write");
        others_write(&direct, MANY).await;
        let before = direct.get("/").await.expect("a read").header.etcd_index;
        proxy.accept().await.expect("a listener");

        let told = all.try_next().await.expect("no end").expect("no end");
        let WatchEvent::Resync(resync) = told else {
            panic!("{server}: {told:?}");
        };
        assert_eq!(resync.reason, ResyncReason::Cleared);
        assert!(resync.index >= before, "{server}: {resync:?}");
        let node = resync.node.expect("the directory");
        let mut keys: Vec<_> = node.leaves().map(|node| node.key.clone()).collect();
        keys.sort();
        assert_eq!(keys, ["/w/new", "/w/stays"]);

        let told = gone.try_next().await.expect("no end").expect("no end");
        let WatchEvent::Resync(resync) = told else {
            panic!("{server}: {told:?}");
        };
        assert_eq!(resync.node, None);

        // From there on it is told of changes again.
        let set = direct.set("/w/goes", "3").await.expect("a write");
        for watch in [&mut all, &mut gone] {
            let event = watch
                .next_change()
                .await
                .expect("no end")
                .expect("a change");
            assert_eq!(event.index(), set.index());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_watch_outlives_any_number_of_others_changes() {
    for server in singles().await {
        let client = Client::connect(server.endpoint()).await.expect("a client");
        let open = client.watch("/quiet").recursive();
        let open = open.ask_anew_after(Duration::from_millis(300));
        let mut watch = open.stream().await.expect("a watch");
        let start = Instant::now();
        for _ in 0..3 {
            others_write(&client, MANY).await;
            // Long enough to be asked anew in.
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        assert!(start.elapsed() < PATIENCE);
        let set = client.set("/quiet/a", "1").await.expect("a write");
        let told = watch.try_next().await.expect("no end").expect("no end");
        let event = told
            .change()
            .unwrap_or_else(|| panic!("{server}: {told:?}"));
        assert_eq!((event.index(), event.action), (set.index(), Action::Set));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_watch_begins_with_is_told_from_the_history() {
    for server in singles().await {
        let client = Client::connect(server.endpoint()).await.expect("a client");
        let first = client.set("/h/a/x", "1").await.expect("a write").index();
        client.set("/h/a/_hidden", "1").await.expect("a write");
        client.set("/hh", "1").await.expect("a write");
        client.delete("/hh").await.expect("a delete");
        client.refresh("/h/a/x", 60).await.expect("a refresh");
        let delete = client.delete_dir("/h/a").recursive().await;
        let last = delete.expect("a delete").index();

        let open = client.watch("/h").recursive().from_index(first);
        let mut watch = open.stream().await.expect("a watch");
        let mut told = Vec::new();
        for _ in 0..2 {
            let event = watch
                .next_change()
                .await
                .expect("no end")
                .expect("a change");
            told.push((event.index(), event.key().to_owned()));
        }
        assert_eq!(
            told,
            [(first, "/h/a/x".to_owned()), (last, "/h/a".to_owned())],
            "{server}"
        );

        // A directory takes what it holds along, but not what only begins like it.
        let event = client.watch("/h/a/x").from_index(first + 1).await;
        assert_eq!(event.expect("a change").key(), "/h/a");
        let like = client.watch("/h/ab").from_index(first + 1).stream().await;
        let mut like = like.expect("a watch");
        let set = client.set("/h/ab", "1").await.expect("a write").index();
        let event = like.next_change().await.expect("no end").expect("a change");
        assert_eq!(event.index(), set, "{server}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_change_from_a_cleared_history_is_an_error() {
    for server in singles().await {
        let client = Client::connect(server.endpoint()).await.expect("a client");
        others_write(&client, MANY).await;
        let error = client.watch("/a").from_index(1).await;
        let error = error.expect_err("the history is cleared");
        assert_eq!(error.kind(), ErrorKind::EventIndexCleared, "{server}");
        assert_eq!(error.error_code(), Some(401));
    }
}
