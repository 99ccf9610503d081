//! What a server says about itself.

use etcdkit::{Client, MemberId};

use super::keys::Keys;

pub(super) async fn the_member_list_has_the_server(client: &Client) {
    let list = client.cluster().members().await.expect("a member list");
    assert!(!list.members.is_empty());
    assert_eq!(
        list.header.revision, 0,
        "a cluster's answers have no revision"
    );
    let member = list
        .members
        .iter()
        .find(|member| member.id == list.header.member_id);
    let member = member.expect("the member that answered");
    assert!(!member.is_learner);
    assert_ne!(member.id, MemberId(0));
}

pub(super) async fn status_fits_the_store(client: &Client) {
    let revision = Keys::new().fill(client, &["a"]).await[0];
    let members = client
        .cluster()
        .members()
        .await
        .expect("a member list")
        .members;
    for endpoint in client.endpoints() {
        let status = client
            .maintenance()
            .status(endpoint)
            .await
            .expect("a status");
        assert!(status.version.starts_with("3."), "{}", status.version);
        assert!(status.header.revision <= revision);
        let leader = status.leader.expect("a leader");
        assert!(members.iter().any(|member| member.id == leader));
        assert!(status.errors.is_empty(), "{:?}", status.errors);
    }
}

pub(super) async fn hashes_follow_the_history(client: &Client) {
    let keys = Keys::new();
    let endpoint = client.endpoints().next().expect("an endpoint").to_owned();
    let revision = keys.fill(client, &["a", "b"]).await[1];
    let hash = async |revision| {
        let hash = client
            .maintenance()
            .hash_kv(&endpoint)
            .revision(revision)
            .await;
        hash.expect("a hash").hash
    };
    let reached = async |revision| {
        // The members of a cluster apply a write one after the other.
        while client
            .maintenance()
            .status(&endpoint)
            .await
            .expect("a status")
            .header
            .revision
            < revision
        {
            tokio::task::yield_now().await;
        }
    };
    reached(revision).await;
    let before = hash(revision).await;
    let after = keys.fill(client, &["a"]).await[0];
    reached(after).await;
    assert_eq!(hash(revision).await, before, "the past does not change");
    assert_ne!(hash(after).await, before);
}
