//! Watches.

use etcdkit::v2::{Action, Client, Event, OpenWatch, ResyncReason, Watch, WatchEvent};
use futures_util::future::join;
use tokio::time::timeout;

use super::room::{Room, SOON};

async fn one(watch: OpenWatch<'_>) -> Event {
    let event = timeout(SOON, watch).await.expect("an event in time");
    event.expect("an event")
}

async fn next(watch: &mut Watch) -> WatchEvent {
    let event = timeout(SOON, watch.try_next()).await;
    event
        .expect("an event in time")
        .expect("no error")
        .expect("no end")
}

async fn change(watch: &mut Watch) -> Event {
    next(watch).await.into_change().expect("a change")
}

async fn open(watch: OpenWatch<'_>) -> Watch {
    watch.stream().await.expect("a watch")
}

pub(super) async fn the_next_change_is_told(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    client.set(&key, "before").await.expect("a set");
    let mut watch = open(client.watch(&key)).await;
    let set = client.set(&key, "after").await.expect("a set");
    let event = change(&mut watch).await;
    assert_eq!((event.action, event.value()), (Action::Set, Some("after")));
    assert_eq!(event.index(), set.index());
    let before = event.prev_node.and_then(|node| node.value);
    assert_eq!(before.as_deref(), Some("before"));
}

pub(super) async fn the_past_is_told_from_an_index_on(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    let first = client.set(&key, "1").await.expect("a set").index();
    let second = client.set(&key, "2").await.expect("a set").index();
    for (from, expected) in [(first, "1"), (first + 1, "2"), (second, "2")] {
        let event = one(client.watch(&key).from_index(from)).await;
        assert_eq!(event.value(), Some(expected));
    }
    let waiting = one(client.watch(&key).from_index(second + 1));
    let (event, _) = join(waiting, async {
        client.set(&key, "3").await.expect("a set")
    })
    .await;
    assert_eq!(event.value(), Some("3"));
}

pub(super) async fn neighbours_are_not_told(client: &Client) {
    let room = Room::new();
    let start = client
        .set(room.key("d/a"), "0")
        .await
        .expect("a set")
        .index();
    room.fill(client, &["d/ab", "d/b", "d/a"]).await;
    let event = one(client.watch(room.key("d/a")).from_index(start + 1)).await;
    assert_eq!(event.key(), room.key("d/a"));
    // A directory that is not watched recursively is told of itself only.
    let mut watch = open(client.watch(room.key("d")).from_index(start + 1)).await;
    client.set(room.key("d/c"), "x").await.expect("a set");
    let deleted = client.delete_dir(room.key("d")).recursive().await;
    let event = change(&mut watch).await;
    assert_eq!(event.index(), deleted.expect("a delete").index());
}

pub(super) async fn a_directory_is_watched_recursively(client: &Client) {
    let room = Room::new();
    let mut watch = open(client.watch(room.directory()).recursive()).await;
    room.fill(client, &["a", "d/e/f"]).await;
    client.delete(room.key("a")).await.expect("a delete");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = change(&mut watch).await;
        seen.push((event.action, event.key().to_owned()));
    }
    let expected = [
        (Action::Set, room.key("a")),
        (Action::Set, room.key("d/e/f")),
        (Action::Delete, room.key("a")),
    ];
    assert_eq!(seen, expected);
}

pub(super) async fn a_removed_directory_is_told_below(client: &Client) {
    let room = Room::new();
    room.fill(client, &["d/e/a"]).await;
    let mut watch = open(client.watch(room.key("d/e/a"))).await;
    let deleted = client.delete_dir(room.key("d")).recursive().await;
    let event = change(&mut watch).await;
    assert_eq!(event.action, Action::Delete);
    assert_eq!(event.key(), room.key("d"), "what was deleted");
    assert_eq!(event.index(), deleted.expect("a delete").index());
}

pub(super) async fn hidden_keys_are_told_to_those_who_ask(client: &Client) {
    let room = Room::new();
    let mut inside = open(client.watch(room.key("_d")).recursive()).await;
    room.fill(client, &["_d/a"]).await;
    assert_eq!(change(&mut inside).await.key(), room.key("_d/a"));
}

pub(super) async fn a_stream_tells_every_change_once(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    let start = client.set(&key, "start").await.expect("a set").index();
    let mut watch = open(client.watch(&key).from_index(start + 1)).await;
    let writes = async {
        for turn in 0..100 {
            client.set(&key, turn.to_string()).await.expect("a set");
        }
    };
    let reads = async {
        let mut last = start;
        for turn in 0..100 {
            let event = change(&mut watch).await;
            assert_eq!(event.value(), Some(turn.to_string().as_str()));
            assert!(event.index() > last);
            last = event.index();
        }
    };
    join(writes, reads).await;
}

pub(super) async fn an_end_can_be_waited_for(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    let start = client.set(&key, "1").await.expect("a set").index();
    client.set(&key, "2").await.expect("a set");
    client.set(&key, "done").await.expect("a set");
    let is_done = |event: &WatchEvent| {
        event
            .change()
            .is_some_and(|event| event.value() == Some("done"))
    };
    let watch = client.watch(&key).from_index(start).until(is_done);
    let done = timeout(SOON, watch)
        .await
        .expect("in time")
        .expect("an event");
    assert_eq!(done.change().and_then(Event::value), Some("done"));
}

pub(super) async fn a_cleared_history_is_told_by_what_there_is(client: &Client) {
    let room = Room::new();
    let start = client
        .set(room.key("a"), "old")
        .await
        .expect("a set")
        .index();
    for turn in 0..1_050 {
        let set = client.set(room.key("busy"), turn.to_string());
        set.await.expect("a set");
    }
    client.set(room.key("b"), "new").await.expect("a set");
    let watch = client.watch(room.directory()).recursive();
    let mut watch = open(watch.from_index(start)).await;
    let WatchEvent::Resync(resync) = next(&mut watch).await else {
        panic!("the history cannot reach that far");
    };
    assert_eq!(resync.reason, ResyncReason::Cleared);
    let node = resync.node.expect("the directory");
    let mut values: Vec<_> = node
        .leaves()
        .filter_map(|leaf| leaf.value.as_deref())
        .collect();
    values.sort_unstable();
    assert_eq!(values, ["1049", "new", "old"]);
    let set = client.set(room.key("a"), "newest").await.expect("a set");
    assert_eq!(change(&mut watch).await.index(), set.index());
}
