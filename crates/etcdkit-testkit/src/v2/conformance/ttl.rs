//! Times to live.

use std::time::{Duration, Instant};

use etcdkit::v2::{Action, Client, Event};
use tokio::time::timeout;

use super::room::{Room, SOON, value};

/// Waits for what happens to a key after an index.
async fn next(client: &Client, key: &str, after: u64) -> Event {
    let watch = client.watch(key).from_index(after + 1);
    let event = timeout(SOON, watch.next()).await.expect("an event in time");
    event.expect("an event")
}

pub(super) async fn a_key_goes_when_its_time_is_over(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    let start = Instant::now();
    let set = client.set(&key, "1").ttl(2).await.expect("a set");
    let node = set.node.as_ref().expect("a node");
    assert!(node.ttl.is_some_and(|ttl| (1..=2).contains(&ttl)));
    assert!(node.expiration.is_some());
    let event = next(client, &key, set.index()).await;
    assert_eq!(event.action, Action::Expire);
    assert_eq!(
        event.prev_node.and_then(|node| node.value).as_deref(),
        Some("1")
    );
    // Clocks of members differ a little.
    assert!(
        start.elapsed() > Duration::from_millis(1_900),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(value(client, &key).await, None);
}

pub(super) async fn a_directory_goes_with_all_in_it(client: &Client) {
    let room = Room::new();
    // Long enough for what is written into it, also where a disk or an election takes a second.
    let directory = client.create_dir(room.key("d")).ttl(5).await;
    let directory = directory.expect("a directory");
    client.set(room.key("d/a"), "1").await.expect("a set");
    client
        .set(room.key("d/b"), "1")
        .ttl(100)
        .await
        .expect("a set");
    let event = next(client, &room.key("d"), directory.index()).await;
    assert_eq!(event.action, Action::Expire);
    assert!(event.node.is_dir);
    assert_eq!(value(client, &room.key("d/b")).await, None);
}

pub(super) async fn a_refresh_keeps_the_value_and_tells_nobody(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    let set = client.set(&key, "1").ttl(50).await.expect("a set");
    let refreshed = client.refresh(&key, 100).await.expect("a refresh");
    assert_eq!(refreshed.value(), Some("1"));
    let node = refreshed.node.as_ref().expect("a node");
    // It counts from when the member received the request.
    assert!(node.ttl.is_some_and(|ttl| (51..=100).contains(&ttl)));
    assert_eq!(node.created_index, set.index());
    assert!(node.modified_index > set.index());
    let changed = client.set(&key, "2").await.expect("a set");
    let event = next(client, &key, set.index()).await;
    assert_eq!(
        event.index(),
        changed.index(),
        "the refresh is not an event"
    );
}

pub(super) async fn a_directory_can_be_refreshed(client: &Client) {
    let room = Room::new();
    let directory = client.create_dir(room.key("d")).ttl(50).await;
    directory.expect("a directory");
    client.set(room.key("d/a"), "1").await.expect("a set");
    client
        .refresh_dir(room.key("d"), 1_000)
        .await
        .expect("a refresh");
    let found = client.get(room.key("d")).await.expect("a read");
    let ttl = found.node.and_then(|node| node.ttl);
    assert!(ttl.is_some_and(|ttl| ttl > 900), "{ttl:?}");
    assert_eq!(value(client, &room.key("d/a")).await.as_deref(), Some("1"));
}

pub(super) async fn a_time_to_live_can_be_dropped(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    let set = client.set(&key, "1").ttl(100).await.expect("a set");
    let dropped = client.drop_ttl(&key).await.expect("a drop");
    let node = dropped.node.expect("a node");
    assert_eq!((node.ttl, node.expiration), (None, None));
    assert_eq!(node.value.as_deref(), Some("1"));
    assert_eq!(node.created_index, set.index());
}

pub(super) async fn an_update_without_a_time_removes_it(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    client.set(&key, "1").ttl(100).await.expect("a set");
    let updated = client.update(&key, "2").await.expect("an update");
    assert_eq!(updated.node.expect("a node").ttl, None);
}
