//! Compare and swap, compare and delete.

use etcdkit::v2::{Action, Client, ErrorKind};
use futures_util::future::join_all;

use super::room::{Room, refused, value};

pub(super) async fn a_value_is_compared(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    client.set(&key, "1").ttl(100).await.expect("a set");
    let swapped = client.compare_and_swap(&key, "2").prev_value("1");
    let swapped = swapped.await.expect("a swap");
    assert_eq!(swapped.action, Action::CompareAndSwap);
    assert_eq!(
        (swapped.prev_value(), swapped.value()),
        (Some("1"), Some("2"))
    );
    let node = swapped.node.expect("a node");
    assert!(node.created_index < node.modified_index);
    assert_eq!(node.ttl, None, "none was sent");

    let wrong = client.compare_and_swap(&key, "3").prev_value("1").await;
    let error = refused(wrong, ErrorKind::CompareFailed);
    assert_eq!(error.cause_text(), Some("[1 != 2]"));
    assert_eq!(value(client, &key).await.as_deref(), Some("2"));
    let missing = client.compare_and_swap(room.key("b"), "x").prev_value("1");
    refused(missing.await, ErrorKind::KeyNotFound);
}

pub(super) async fn an_index_is_compared(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    let set = client.set(&key, "1").await.expect("a set");
    let swap = client.compare_and_swap(&key, "2").prev_index(set.index());
    let swapped = swap.ttl(100).await.expect("a swap");
    assert_eq!(swapped.node.as_ref().and_then(|node| node.ttl), Some(100));
    let wrong = client.compare_and_swap(&key, "3").prev_index(set.index());
    let error = refused(wrong.await, ErrorKind::CompareFailed);
    let cause = format!("[{} != {}]", set.index(), swapped.index());
    assert_eq!(error.cause_text(), Some(cause.as_str()));
}

pub(super) async fn both_must_hold(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    let index = client.set(&key, "1").await.expect("a set").index();
    for (value, index) in [("1", index + 1), ("2", index), ("2", index + 1)] {
        let swap = client.compare_and_swap(&key, "x").prev_value(value);
        refused(swap.prev_index(index).await, ErrorKind::CompareFailed);
    }
    let swap = client.compare_and_swap(&key, "2").prev_value("1");
    swap.prev_index(index).await.expect("a swap");
}

pub(super) async fn only_one_of_many_swaps(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    for round in 0..5 {
        let index = client.set(&key, "start").await.expect("a set").index();
        let swaps = (0..10).map(|turn| {
            let swap = client.compare_and_swap(&key, turn.to_string());
            async move { swap.prev_index(index).await }
        });
        let swaps = join_all(swaps).await;
        let won = swaps.iter().filter_map(|swap| swap.as_ref().ok());
        let won: Vec<_> = won.collect();
        assert_eq!(won.len(), 1, "round {round}");
        assert_eq!(value(client, &key).await.as_deref(), won[0].value());
        for swap in swaps.into_iter().filter(Result::is_err) {
            refused(swap, ErrorKind::CompareFailed);
        }
    }
}

pub(super) async fn a_delete_can_be_guarded(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    let index = client.set(&key, "1").await.expect("a set").index();
    let wrong = client.compare_and_delete(&key).prev_value("2").await;
    refused(wrong, ErrorKind::CompareFailed);
    let wrong = client.compare_and_delete(&key).prev_index(index + 1).await;
    refused(wrong, ErrorKind::CompareFailed);
    let delete = client.compare_and_delete(&key).prev_value("1");
    let deleted = delete.prev_index(index).await.expect("a delete");
    assert_eq!(deleted.action, Action::CompareAndDelete);
    assert_eq!(deleted.prev_value(), Some("1"));
    client.create_dir(room.key("d")).await.expect("a directory");
    let directory = client.compare_and_delete(room.key("d")).prev_index(1);
    refused(directory.await, ErrorKind::NotAFile);
}

/// A server would take them for no condition at all.
pub(super) async fn impossible_conditions_are_not_sent(client: &Client) {
    let room = Room::new();
    let key = room.key("a");
    client.set(&key, "1").await.expect("a set");
    let swap = || client.compare_and_swap(&key, "x");
    refused(swap().await, ErrorKind::InvalidRequest);
    refused(swap().prev_index(0).await, ErrorKind::InvalidRequest);
    refused(swap().prev_value("").await, ErrorKind::InvalidRequest);
    let delete = client.compare_and_delete(&key);
    refused(delete.prev_index(0).await, ErrorKind::InvalidRequest);
    assert_eq!(value(client, &key).await.as_deref(), Some("1"));
}
