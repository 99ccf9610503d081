//! Members, statistics, version, health.

use etcdkit::v2::{Client, ErrorKind};

use super::room::{Room, refused};

pub(super) async fn the_member_list_has_the_server(client: &Client) {
    let members = client.members().list().await.expect("a list");
    assert!(!members.is_empty());
    for member in &members {
        assert!(!member.name.is_empty() && !member.peer_urls.is_empty());
    }
    let leader = client.members().leader().await.expect("a leader");
    assert!(members.contains(&leader));
    let mut machines = client.machines().await.expect("a list");
    let mut urls: Vec<_> = members
        .into_iter()
        .flat_map(|member| member.client_urls)
        .collect();
    machines.sort();
    urls.sort();
    assert_eq!(machines, urls);
}

pub(super) async fn members_that_are_not_there_cannot_be_removed(client: &Client) {
    let removed = client.members().remove(0x1234).await;
    let error = refused(removed, ErrorKind::Refused);
    assert_eq!(error.status(), Some(404));
    assert!(error.message().contains("No such member: 1234"), "{error}");
}

pub(super) async fn statistics_count(client: &Client) {
    let room = Room::new();
    let before = client.stats().store().await.expect("statistics");
    client.set(room.key("a"), "1").await.expect("a set");
    refused(
        client.create(room.key("a"), "2").await,
        ErrorKind::KeyExists,
    );
    let after = client.stats().store().await.expect("statistics");
    assert_eq!(after.sets_success, before.sets_success + 1);
    assert_eq!(after.create_fail, before.create_fail + 1);

    let myself = client.stats().self_().await.expect("statistics");
    assert!(!myself.name.is_empty() && !myself.id.is_empty());
    assert!(myself.started.is_some());
    // Whichever member answered the others, this is told by the one that leads.
    let leader = client.members().leader().await.expect("a leader");
    let stats = client.stats().leader().await.expect("statistics");
    assert_eq!(stats.leader, format!("{:x}", leader.id.0));
}

pub(super) async fn the_version_and_health_are_told(client: &Client) {
    let version = client.version().await.expect("a version");
    assert!(version.server.starts_with("3."), "{version:?}");
    assert!(client.health().await.expect("an answer").healthy);
}
