//! Directories.

use etcdkit::v2::{Action, Client, ErrorKind};

use super::room::{Room, refused, value};

pub(super) async fn parents_are_made(client: &Client) {
    let room = Room::new();
    let set = client.set(room.key("a/b/c"), "1").await.expect("a set");
    let found = client.get(room.key("a")).await.expect("a read");
    let node = found.node.expect("a directory");
    assert!(node.is_dir);
    assert_eq!(node.value, None);
    assert_eq!(node.created_index, set.index());
}

pub(super) async fn a_listing_is_one_level_deep(client: &Client) {
    let room = Room::new();
    room.fill(client, &["b", "a", "d/e"]).await;
    assert_eq!(room.listed(client).await, ["a", "b", "d/"]);
    let listing = client.list(room.directory()).await.expect("a listing");
    let below = listing.nodes().iter().find(|node| node.is_dir);
    assert!(below.is_some_and(|node| node.nodes.is_empty()));
    refused(
        client.list(room.key("missing")).await,
        ErrorKind::KeyNotFound,
    );
}

pub(super) async fn a_tree_has_every_level(client: &Client) {
    let room = Room::new();
    room.fill(client, &["a", "d/e/f", "d/b"]).await;
    client
        .create_dir(room.key("empty"))
        .await
        .expect("a directory");
    let tree = client.tree(room.directory()).await.expect("a tree");
    assert!(tree.values().eq(["a", "d/b", "d/e/f"]));
    let deep = tree.node.find(&room.key("d/e/f")).expect("a key");
    assert_eq!(deep.value.as_deref(), Some("d/e/f"));
    let empty = tree.node.find(&room.key("empty")).expect("a directory");
    assert!(empty.is_dir && empty.nodes.is_empty());
}

pub(super) async fn listings_are_sorted_on_request(client: &Client) {
    let room = Room::new();
    room.fill(client, &["c", "B", "a", "é", "10", "9"]).await;
    let get = client.get(room.directory()).sorted().recursive();
    let found = get.await.expect("a read");
    assert_eq!(room.names(found.nodes()), ["10", "9", "B", "a", "c", "é"]);
    let mut any_order = client.get(room.directory()).await.expect("a read");
    let node = any_order.node.as_mut().expect("a directory");
    node.nodes.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(
        room.names(any_order.nodes()),
        ["10", "9", "B", "a", "c", "é"]
    );
}

pub(super) async fn hidden_names_are_not_listed(client: &Client) {
    let room = Room::new();
    room.fill(client, &["a", "_b", "d/_e", "_f/g"]).await;
    assert_eq!(room.listed(client).await, ["a", "d/"]);
    let tree = client.tree(room.directory()).await.expect("a tree");
    assert!(tree.values().eq(["a"]));
    assert_eq!(value(client, &room.key("_b")).await.as_deref(), Some("_b"));
    let inside = client.tree(room.key("_f")).await.expect("a tree");
    assert!(inside.values().eq(["_f/g"]));
}

pub(super) async fn only_an_empty_directory_goes_by_itself(client: &Client) {
    let room = Room::new();
    room.fill(client, &["d/a"]).await;
    let full = client.delete_dir(room.key("d")).await;
    refused(full, ErrorKind::DirectoryNotEmpty);
    refused(client.delete(room.key("d")).await, ErrorKind::NotAFile);
    client.delete(room.key("d/a")).await.expect("a delete");
    let deleted = client.delete_dir(room.key("d")).await.expect("a delete");
    assert!(deleted.prev_node.is_some_and(|node| node.is_dir));
    assert!(room.listed(client).await.is_empty());
}

pub(super) async fn everything_goes_recursively(client: &Client) {
    let room = Room::new();
    room.fill(client, &["d/a", "d/e/f", "d/_h", "other"]).await;
    let deleted = client.delete_dir(room.key("d")).recursive().await;
    assert_eq!(deleted.expect("a delete").action, Action::Delete);
    assert_eq!(value(client, &room.key("d/_h")).await, None);
    assert_eq!(room.listed(client).await, ["other"]);
}

pub(super) async fn a_file_is_no_directory(client: &Client) {
    let room = Room::new();
    room.fill(client, &["a", "d/b"]).await;
    let error = refused(
        client.set(room.key("a/b"), "x").await,
        ErrorKind::NotADirectory,
    );
    assert_eq!(error.cause_text(), Some(room.key("a").as_str()));
    refused(client.set(room.key("d"), "x").await, ErrorKind::NotAFile);
    refused(client.create_dir(room.key("a")).await, ErrorKind::KeyExists);
    refused(client.create_dir(room.key("d")).await, ErrorKind::KeyExists);
    let replaced = client.set_dir(room.key("a")).await.expect("a directory");
    assert_eq!(replaced.prev_value(), Some("a"));
    assert_eq!(room.listed(client).await, ["a/", "d/"]);
}

pub(super) async fn the_root_stays(client: &Client) {
    let root = client.get("/").await.expect("a read");
    let root = root.node.expect("the root");
    assert!(root.is_dir);
    assert_eq!((root.key.as_str(), root.modified_index), ("/", 0));
    refused(client.set("/", "x").await, ErrorKind::RootIsReadOnly);
    let deleted = client.delete_dir("/").recursive().await;
    refused(deleted, ErrorKind::RootIsReadOnly);
}
