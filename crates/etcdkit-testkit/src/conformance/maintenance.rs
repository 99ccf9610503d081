//! What a server says about itself.

use etcdkit::{Client, ErrorKind, MemberId};

use super::keys::{Keys, kind};

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

pub(super) async fn hashes_of_what_is_not_there_are_refused(client: &Client) {
    let revisions = Keys::new().fill(client, &["a", "b", "c"]).await;
    client.compact(revisions[1]).await.expect("a compaction");
    let endpoint = client.endpoints().next().expect("an endpoint").to_owned();
    let hash = async |revision| {
        let hash = client.maintenance().hash_kv(&endpoint).revision(revision);
        hash.await
    };
    // The members of a cluster compact one after the other.
    let compacted = loop {
        match hash(revisions[0]).await {
            Ok(_) => tokio::task::yield_now().await,
            refused => break refused,
        }
    };
    assert_eq!(kind(compacted), ErrorKind::Compacted);
    let future = hash(revisions[2] + 1_000_000).await;
    assert_eq!(kind(future), ErrorKind::FutureRevision);
}

pub(super) async fn no_alarm_is_raised_by_itself(client: &Client) {
    let alarms = client.maintenance().alarms().await.expect("the alarms");
    assert!(alarms.alarms.is_empty(), "{alarms:?}");
    let disarmed = client.maintenance().disarm_all().await.expect("an answer");
    assert!(disarmed.alarms.is_empty(), "{disarmed:?}");
}

pub(super) async fn defragmenting_changes_nothing(client: &Client) {
    let keys = Keys::new();
    keys.fill(client, &["a", "b"]).await;
    for endpoint in client.endpoints() {
        let done = client.maintenance().defragment(endpoint).await;
        done.expect("a defragmentation");
    }
    assert_eq!(keys.existing(client).await, ["a", "b"]);
    keys.fill(client, &["c"]).await;
}

pub(super) async fn only_a_member_can_lead(client: &Client) {
    let nobody = client.maintenance().move_leader(MemberId(0xbad)).await;
    assert_eq!(kind(nobody), ErrorKind::BadLeaderTransferee);
    let endpoint = client.endpoints().next().expect("an endpoint").to_owned();
    let status = client.maintenance().status(&endpoint).await;
    let leader = status.expect("a status").leader.expect("a leader");
    let moved = client.maintenance().move_leader(leader).await;
    assert_eq!(moved.expect("it leads already").to, leader);
}

pub(super) async fn members_that_are_not_there_cannot_be_changed(client: &Client) {
    let cluster = client.cluster();
    let nobody = MemberId(0xbad);
    assert_eq!(
        kind(cluster.remove(nobody).await),
        ErrorKind::MemberNotFound
    );
    assert_eq!(
        kind(cluster.promote(nobody).await),
        ErrorKind::MemberNotFound
    );
}

pub(super) async fn impossible_downgrades_are_refused(client: &Client) {
    let downgrade = client.maintenance().downgrade();
    // Known since etcd 3.5.
    let is_known = |error: ErrorKind, expected: ErrorKind| {
        assert!([ErrorKind::Unimplemented, expected].contains(&error));
    };
    is_known(
        kind(downgrade.validate("yesterday").await),
        ErrorKind::WrongDowngradeVersionFormat,
    );
    is_known(
        kind(downgrade.validate("2.3.0").await),
        ErrorKind::InvalidDowngradeTargetVersion,
    );
}

pub(super) async fn a_snapshot_holds_what_is_stored(client: &Client) {
    let revision = Keys::new().fill(client, &["a", "b"]).await[1];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("snapshot.db");
    // Any member may be asked, also one that has not heard of the last write.
    let mut found = 0;
    while found < revision {
        let saved = client.maintenance().snapshot().save(&path).await;
        saved.expect("a snapshot");
        found = etcdkit_snapshot::status(&path).expect("a backend").revision;
    }
}
