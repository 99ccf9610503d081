//! Keys whose names the server chooses.

use etcdkit::v2::{Action, Client, ErrorKind};
use futures_util::future::join_all;

use super::room::{Room, refused};

pub(super) async fn keys_come_in_the_order_of_their_creation(client: &Client) {
    let room = Room::new();
    let creations = (0..20).map(|turn| {
        let create = client.create_in_order(room.directory(), turn.to_string());
        async move { create.await.expect("a create") }
    });
    let mut created = join_all(creations).await;
    created.sort_by_key(|create| create.index());
    for create in &created {
        assert_eq!(create.action, Action::Create);
        let name = create.node.as_ref().map(|node| node.name().to_owned());
        assert_eq!(name, Some(format!("{:020}", create.index())));
    }
    let listing = client.list(room.directory()).in_order().await;
    let listing = listing.expect("a listing");
    let listed: Vec<_> = listing.entries().collect();
    let expected: Vec<_> = created
        .iter()
        .filter_map(|create| Some((create.key()?, create.value()?)))
        .collect();
    assert_eq!(listed, expected);
}

pub(super) async fn directories_can_be_in_order(client: &Client) {
    let room = Room::new();
    let created = client.create_dir_in_order(room.directory()).ttl(100);
    let node = created.await.expect("a create").node.expect("a directory");
    assert!(node.is_dir);
    let ttl = node.ttl.expect("a time to live");
    assert!((40..=100).contains(&ttl), "{ttl}");
    let inside = format!("{}/a", node.key);
    client.set(&inside, "1").await.expect("a set");
    refused(
        client.create_in_order(&inside, "x").await,
        ErrorKind::NotADirectory,
    );
}

pub(super) async fn the_root_takes_them_too(client: &Client) {
    let created = client.create_in_order("/", "1").await.expect("a create");
    let key = created.key().expect("a key").to_owned();
    assert_eq!(key, format!("/{:020}", created.index()));
    client.delete(key).await.expect("a delete");
}
