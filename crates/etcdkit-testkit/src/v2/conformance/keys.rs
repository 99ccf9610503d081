//! Single keys.

use etcdkit::v2::{Action, Client, ErrorKind};
use futures_util::future::join_all;

use super::room::{Room, refused, value};

pub(super) async fn what_is_set_can_be_read(client: &Client) {
    let room = Room::new();
    let set = client.set(room.key("a"), "1").await.expect("a set");
    assert_eq!(set.action, Action::Set);
    assert!(set.created);
    assert_eq!(set.value(), Some("1"));
    assert_eq!(set.prev_node, None);

    let found = client.get(room.key("a")).await.expect("a read");
    let node = found.node.expect("a key");
    assert_eq!(
        (node.key.as_str(), node.name()),
        (room.key("a").as_str(), "a")
    );
    assert_eq!(node.value.as_deref(), Some("1"));
    assert!(!node.is_dir);
    assert_eq!(node.created_index, set.index());
    assert_eq!(node.modified_index, set.index());
    assert_eq!((node.expiration, node.ttl), (None, None));
    assert!(client.exists(room.key("a")).await.expect("a read"));
}

pub(super) async fn a_missing_key_is_none(client: &Client) {
    let room = Room::new();
    let set = client.set(room.key("a"), "1").await.expect("a set");
    let found = client.get(room.key("missing")).await.expect("a read");
    assert_eq!(found.node, None);
    assert!(
        found.header.etcd_index >= set.index(),
        "from where to watch"
    );
    assert_eq!(value(client, &room.key("missing")).await, None);
    assert!(!client.exists(room.key("missing")).await.expect("a read"));
    let below = client.exists(room.key("a/below")).await;
    refused(below, ErrorKind::NotADirectory);
}

pub(super) async fn setting_replaces(client: &Client) {
    let room = Room::new();
    let first = client
        .set(room.key("a"), "1")
        .ttl(100)
        .await
        .expect("a set");
    let second = client.set(room.key("a"), "2").await.expect("a set");
    assert!(!second.created);
    assert_eq!(second.prev_value(), Some("1"));
    let before = second.prev_node.expect("what was there");
    assert_eq!(before.modified_index, first.index());
    let node = second.node.expect("a node");
    assert_eq!(node.created_index, node.modified_index);
    assert!(node.created_index > first.index(), "a set creates anew");
    assert_eq!(node.ttl, None, "and forgets the time to live");
}

pub(super) async fn a_key_is_created_once(client: &Client) {
    let room = Room::new();
    let created = client.create(room.key("a"), "1").await.expect("a create");
    assert_eq!(created.action, Action::Create);
    let error = refused(
        client.create(room.key("a"), "2").await,
        ErrorKind::KeyExists,
    );
    assert_eq!(error.cause_text(), Some(room.key("a").as_str()));
    assert!(error.index().is_some_and(|index| index >= created.index()));
    assert_eq!(value(client, &room.key("a")).await.as_deref(), Some("1"));
    refused(
        client.create(room.directory(), "2").await,
        ErrorKind::KeyExists,
    );
}

pub(super) async fn an_update_needs_a_key(client: &Client) {
    let room = Room::new();
    refused(
        client.update(room.key("a"), "1").await,
        ErrorKind::KeyNotFound,
    );
    assert_eq!(value(client, &room.key("a")).await, None);
}

pub(super) async fn updating_keeps_the_creation(client: &Client) {
    let room = Room::new();
    let created = client.create(room.key("a"), "1").await.expect("a create");
    let updated = client.update(room.key("a"), "2").await.expect("an update");
    assert_eq!(updated.action, Action::Update);
    assert_eq!(updated.prev_value(), Some("1"));
    let node = updated.node.expect("a node");
    assert_eq!(node.created_index, created.index());
    assert!(node.modified_index > created.index());
}

pub(super) async fn a_deleted_key_is_gone(client: &Client) {
    let room = Room::new();
    let set = client.set(room.key("a"), "1").await.expect("a set");
    let deleted = client.delete(room.key("a")).await.expect("a delete");
    assert_eq!(deleted.action, Action::Delete);
    assert_eq!(deleted.prev_value(), Some("1"));
    assert_eq!(deleted.value(), None);
    assert!(deleted.index() > set.index());
    assert_eq!(value(client, &room.key("a")).await, None);
    refused(client.delete(room.key("a")).await, ErrorKind::KeyNotFound);
}

pub(super) async fn the_value_may_be_left_out(client: &Client) {
    let room = Room::new();
    let set = client.set(room.key("a"), "1").no_value_on_success();
    let set = set.await.expect("a set");
    assert_eq!(
        (set.action, set.node, set.prev_node),
        (Action::Set, None, None)
    );
    assert_eq!(value(client, &room.key("a")).await.as_deref(), Some("1"));
}

pub(super) async fn values_arrive_as_they_were_sent(client: &Client) {
    let room = Room::new();
    for sent in [
        "",
        " ",
        "+&=%;#?",
        "<b>\"\\/</b>",
        "two\nlines\r\n",
        "\0\u{1}\u{7f}",
        "é€𝄞\u{2028}\u{fffd}",
        "{\"json\":[1]}",
    ] {
        let set = client.set(room.key("a"), sent).await.expect("a set");
        assert_eq!(set.value(), Some(sent));
        assert_eq!(value(client, &room.key("a")).await.as_deref(), Some(sent));
    }
}

pub(super) async fn names_are_cleaned_and_escaped(client: &Client) {
    let room = Room::new();
    for name in ["a b", "a+b", "é€", "100%", "a?b#c", "<\"&>", "a:b@c"] {
        client.set(room.key(name), name).await.expect("a set");
        let found = client.get(room.key(name)).await.expect("a read");
        let node = found.node.expect("a key");
        assert_eq!(node.key, room.key(name));
        assert_eq!(node.value.as_deref(), Some(name));
    }
    let twisted = format!("{}//x/../a b/", room.directory());
    assert_eq!(value(client, &twisted).await.as_deref(), Some("a b"));
}

pub(super) async fn indexes_grow_together(client: &Client) {
    let room = Room::new();
    let mut last = 0;
    for turn in 0..10 {
        let set = client.set(room.key("a"), turn.to_string());
        let set = set.await.expect("a set");
        assert!(set.index() > last);
        assert!(set.header.etcd_index >= set.index());
        assert!(set.header.raft_index > 0 && set.header.raft_term > 0);
        last = set.index();
    }
    let before = client.get(room.key("a")).await.expect("a read").header;
    refused(
        client.create(room.key("a"), "x").await,
        ErrorKind::KeyExists,
    );
    let after = client.get(room.key("a")).quorum().await.expect("a read");
    assert_eq!(before.cluster_id, after.header.cluster_id);
    assert_eq!(
        before.etcd_index, after.header.etcd_index,
        "nothing changed"
    );
}

pub(super) async fn large_values_arrive_whole(client: &Client) {
    let room = Room::new();
    for size in [2_000, 3_000, 100_000, 1_000_000] {
        let sent = "é".repeat(size / 2);
        client.set(room.key("a"), &*sent).await.expect("a set");
        assert_eq!(value(client, &room.key("a")).await, Some(sent));
    }
}

pub(super) async fn concurrent_writes_take_turns(client: &Client) {
    let room = Room::new();
    let writes = (0..50).map(|turn| {
        let set = client.set(room.key("a"), turn.to_string());
        async move { set.await.expect("a set") }
    });
    let mut answers = join_all(writes).await;
    answers.sort_by_key(|answer| answer.index());
    for pair in answers.windows(2) {
        assert!(pair[0].index() < pair[1].index());
        assert_eq!(pair[1].prev_value(), pair[0].value());
    }
}
