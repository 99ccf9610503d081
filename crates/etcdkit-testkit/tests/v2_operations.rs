//! Every operation of the v2 client, on each real etcd that serves the v2 API and on the embedded server:
//! what it answers, what it refuses, and what it does about servers that differ.

use std::{
    any::Any,
    time::{Duration, Instant, SystemTime},
};

use etcdkit::{
    Outcome,
    v2::{Action, Client, Error, ErrorKind, Member, Permissions},
};
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster, Version};

/// What a loaded machine may take for what is done at once.
const SOON: Duration = Duration::from_secs(20);

/// Whether this is what is left of a time to live, in seconds, a moment after it was set.
fn is_left_of(set: i64, ttl: Option<i64>) -> bool {
    ttl.is_some_and(|ttl| (set - 60..=set).contains(&ttl))
}

/// Something that serves the v2 API.
struct Place {
    /// `None` for the embedded server.
    etcd: Option<Version>,
    client: Client,
    /// What ends when it is dropped.
    _server: Box<dyn Any + Send>,
}

impl Place {
    /// Whether directories keep the time to live that they were made with, by a mistake of etcd 3.5.
    fn has_directory_bug(&self) -> bool {
        self.etcd
            .is_some_and(|version| version >= Version::new(3, 5, 0))
    }
}

async fn start(etcd: &Binary, members: usize) -> Cluster {
    let cluster = Cluster::builder(etcd).flag("--enable-v2=true");
    cluster.members(members).start().await.expect("a cluster")
}

async fn places() -> Vec<Place> {
    let server = Server::builder().enable_v2(true).start();
    let server = server.await.expect("a server");
    let client = Client::connect(server.endpoint()).await;
    let mut places = vec![Place {
        etcd: None,
        client: client.expect("a connection"),
        _server: Box::new(server),
    }];
    for etcd in Binary::all_with_v2().expect("a real etcd with v2") {
        let cluster = start(&etcd, 1).await;
        let client = Client::connect(cluster.endpoints()).await;
        places.push(Place {
            etcd: Some(etcd.version()),
            client: client.expect("a connection"),
            _server: Box::new(cluster),
        });
    }
    for place in &places {
        println!("etcd {:?}", place.etcd);
    }
    places
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, kind: ErrorKind) -> Error {
    match result {
        Ok(_) => panic!("it succeeded; {kind:?} was expected"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
            error
        }
    }
}

/// Waits until a key is gone.
async fn gone(client: &Client, key: &str) {
    let start = Instant::now();
    while client.exists(key).await.expect("an answer") {
        assert!(start.elapsed() < SOON, "{key} is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn keys_are_set_created_updated_and_deleted() {
    for place in places().await {
        let client = &place.client;
        let set = client.set("/a", "1").await.expect("a key");
        assert_eq!((set.action, set.created), (Action::Set, true));
        assert_eq!((set.key(), set.value()), (Some("/a"), Some("1")));
        assert_eq!(set.prev_node, None);
        assert_ne!(set.header.cluster_id, 0);
        assert!(set.header.raft_term > 0 && set.header.raft_index > 0);
        assert_eq!(set.index(), set.header.etcd_index);

        let again = client.set("a", "2").await.expect("a key");
        assert_eq!((again.created, again.prev_value()), (false, Some("1")));
        let node = again.node.expect("a node");
        assert_eq!(node.created_index, node.modified_index);
        assert_eq!(node.modified_index, set.header.etcd_index + 1);

        let error = refused(client.create("/a", "3").await, ErrorKind::KeyExists);
        assert_eq!(
            (error.error_code(), error.cause_text()),
            (Some(105), Some("/a"))
        );
        assert_eq!(error.index(), Some(node.modified_index));
        let updated = client.update("/a", "3").await.expect("an update");
        assert_eq!(updated.action, Action::Update);
        let updated = updated.node.expect("a node");
        assert_eq!(updated.created_index, node.created_index);
        refused(client.update("/b", "3").await, ErrorKind::KeyNotFound);
        let created = client.create("/b/c", "").await.expect("a key");
        assert_eq!(
            (created.action, created.value()),
            (Action::Create, Some(""))
        );

        let error = refused(client.set("/a/b", "1").await, ErrorKind::NotADirectory);
        assert_eq!(error.cause_text(), Some("/a"));
        refused(client.set("/b", "1").await, ErrorKind::NotAFile);
        refused(client.set("/", "1").await, ErrorKind::RootIsReadOnly);

        refused(client.delete("/b").await, ErrorKind::NotAFile);
        let deleted = client.delete("/a").await.expect("a delete");
        assert_eq!((deleted.action, deleted.value()), (Action::Delete, None));
        assert_eq!(deleted.prev_value(), Some("3"));
        refused(client.delete("/a").await, ErrorKind::KeyNotFound);
    }
}

#[tokio::test]
async fn any_text_is_a_key_and_a_value() {
    for place in places().await {
        let client = &place.client;
        for text in [
            "a b+c&d=e;f%20?#",
            "grün/日本",
            "line\nfeed\u{1}",
            "<>&\u{2028}\"\\",
            "x".repeat(300_000).as_str(),
        ] {
            let key = format!("/keys/{}", &text[..text.len().min(40)]);
            let set = client.set(&*key, text).await.expect("a key");
            assert_eq!(set.key(), Some(&*key));
            let value = client.get(&*key).quorum().value().await.expect("an answer");
            assert_eq!(value.as_deref(), Some(text));
            let swap = client.compare_and_swap(&*key, "next").prev_value(text);
            if text.len() < 1000 {
                swap.await.expect("a swap");
                let delete = client.compare_and_delete(&*key).prev_value("next");
                delete.await.expect("a delete");
            }
        }
        // Servers send unclean paths on to clean ones, and lose the form on the way.
        client.set("//odd/./x/../key//", "1").await.expect("a key");
        assert_eq!(
            client.get("/odd/key").await.expect("an answer").value(),
            Some("1")
        );
    }
}

#[tokio::test]
async fn reads_tell_missing_keys_from_failures() {
    for place in places().await {
        let client = &place.client;
        client.set("/dir/b", "2").await.expect("a key");
        client.set("/dir/a/x", "1").await.expect("a key");
        client.set("/dir/_hidden", "3").await.expect("a key");

        let found = client.get("/dir").sorted().await.expect("an answer");
        let keys: Vec<_> = found.nodes().iter().map(|node| &*node.key).collect();
        assert_eq!(keys, ["/dir/a", "/dir/b"]);
        assert!(found.nodes()[0].is_dir && found.nodes()[0].nodes.is_empty());
        assert_eq!((found.exists(), found.value()), (true, None));
        let found = client
            .get("/dir")
            .recursive()
            .sorted()
            .await
            .expect("an answer");
        assert_eq!(found.nodes()[0].nodes[0].value.as_deref(), Some("1"));
        assert_eq!(
            client
                .get("/dir/_hidden")
                .value()
                .await
                .expect("an answer")
                .as_deref(),
            Some("3")
        );

        let before = found.header.etcd_index;
        let missing = client.get("/nope/deep").await.expect("an answer");
        assert!(!missing.exists() && missing.nodes().is_empty());
        assert_eq!(missing.header.etcd_index, before);
        let missing = client.get("/nope").quorum().await.expect("an answer");
        assert_eq!(missing.header.etcd_index, before);
        assert_eq!(client.get("/nope").value().await.expect("an answer"), None);
        assert!(!client.exists("/nope").quorum().await.expect("an answer"));
        assert!(client.exists("/dir").local().await.expect("an answer"));
        refused(client.get("/dir/b/c").await, ErrorKind::NotADirectory);
        refused(client.exists("/dir/b/c").await, ErrorKind::NotADirectory);

        let root = client
            .get("/")
            .await
            .expect("an answer")
            .node
            .expect("the root");
        assert_eq!(
            (&*root.key, root.is_dir, root.modified_index),
            ("/", true, 0)
        );
    }
}

#[tokio::test]
async fn listings_are_ordered() {
    for place in places().await {
        let client = &place.client;
        for name in ["c", "B", "a/z", "a/y", "_x"] {
            client.set(format!("/l/{name}"), name).await.expect("a key");
        }
        let listing = client.list("/l").await.expect("a listing");
        let names: Vec<_> = listing.nodes().iter().map(|node| node.name()).collect();
        assert_eq!(names, ["B", "a", "c"]);
        let tree = client.tree("/l").quorum().await.expect("a tree");
        assert!(tree.values().eq(["B", "a/y", "a/z", "c"]));
        assert!(tree.header.etcd_index > 0);
        let error = refused(client.list("/l/c").await, ErrorKind::NotADirectory);
        assert!(error.to_string().contains("/l/c is a key"), "{error}");
        refused(client.tree("/nope").await, ErrorKind::KeyNotFound);

        for value in ["1", "2", "3"] {
            let added = client.create_in_order("/q", value).await.expect("a key");
            assert_eq!((added.action, added.created), (Action::Create, true));
            let name = added.node.as_ref().expect("a node").name();
            assert_eq!(name.parse(), Ok(added.index()), "{name}");
        }
        let dir = client
            .create_dir_in_order("/q")
            .ttl(100)
            .await
            .expect("a directory");
        let dir = dir.node.expect("a node");
        assert!(dir.is_dir && is_left_of(100, dir.ttl), "{dir:?}");
        // As servers before etcd 2.2 would have named it.
        client.set("/q/1", "0").await.expect("a key");
        let queue = client.list("/q").in_order().await.expect("a listing");
        assert!(queue.values().eq(["0", "1", "2", "3"]));
        assert_eq!(queue.into_iter().count(), 5);
        refused(
            client.create_in_order("/l/c", "").await,
            ErrorKind::NotADirectory,
        );
        client
            .create_in_order("/", "at the root")
            .await
            .expect("a key");
    }
}

#[tokio::test]
async fn conditions_are_the_servers_to_check() {
    for place in places().await {
        let client = &place.client;
        let index = client.set("/a", "1").await.expect("a key").index();
        let swapped = client
            .compare_and_swap("/a", "2")
            .prev_value("1")
            .prev_index(index);
        let swapped = swapped.await.expect("a swap");
        assert_eq!(swapped.action, Action::CompareAndSwap);
        assert_eq!(swapped.prev_value(), Some("1"));
        assert_eq!(
            swapped.node.as_ref().map(|node| node.created_index),
            Some(index)
        );

        let swap = || client.compare_and_swap("/a", "3");
        let error = refused(swap().prev_value("1").await, ErrorKind::CompareFailed);
        assert_eq!(error.cause_text(), Some("[1 != 2]"));
        let error = refused(swap().prev_index(index).await, ErrorKind::CompareFailed);
        let cause = format!("[{index} != {}]", swapped.index());
        assert_eq!(error.cause_text(), Some(&*cause));
        refused(
            client.compare_and_swap("/b", "3").prev_value("1").await,
            ErrorKind::KeyNotFound,
        );
        client.set_dir("/dir").await.expect("a directory");
        refused(
            client.compare_and_swap("/dir", "3").prev_index(1).await,
            ErrorKind::NotAFile,
        );

        let delete = || client.compare_and_delete("/a");
        refused(delete().prev_value("1").await, ErrorKind::CompareFailed);
        let deleted = delete()
            .prev_index(swapped.index())
            .await
            .expect("a delete");
        assert_eq!(deleted.action, Action::CompareAndDelete);
        assert_eq!(deleted.prev_value(), Some("2"));

        // What servers take for no condition, or refuse, is not sent.
        client.set("/a", "").await.expect("a key");
        let sent = client.counters().requests;
        refused(swap().await, ErrorKind::InvalidRequest);
        refused(swap().prev_index(0).await, ErrorKind::InvalidRequest);
        refused(swap().prev_value("").await, ErrorKind::InvalidRequest);
        refused(delete().await, ErrorKind::InvalidRequest);
        refused(delete().prev_index(0).await, ErrorKind::InvalidRequest);
        refused(
            client.set("/a", "1").ttl(-1).await,
            ErrorKind::InvalidRequest,
        );
        refused(
            client.refresh("/a", 5).prev_value("").await,
            ErrorKind::InvalidRequest,
        );
        assert_eq!(client.counters().requests, sent);
    }
}

#[tokio::test]
async fn directories_are_made_and_removed() {
    for place in places().await {
        let client = &place.client;
        let made = client.set_dir("/d").await.expect("a directory");
        assert_eq!((made.action, made.created), (Action::Set, true));
        refused(client.set_dir("/d").await, ErrorKind::NotAFile);
        refused(client.create_dir("/d").await, ErrorKind::KeyExists);
        client.create_dir("/d/e/f").await.expect("a directory");
        client.set("/k", "v").await.expect("a key");
        let replaced = client.set_dir("/k").await.expect("a directory");
        assert_eq!(
            (replaced.created, replaced.prev_value()),
            (false, Some("v"))
        );

        refused(client.delete_dir("/d").await, ErrorKind::DirectoryNotEmpty);
        refused(client.delete_dir("/nope").await, ErrorKind::KeyNotFound);
        refused(
            client.delete_dir("/").recursive().await,
            ErrorKind::RootIsReadOnly,
        );
        client.delete_dir("/d/e/f").await.expect("a delete");
        let deleted = client.delete_dir("/d").recursive().await.expect("a delete");
        assert!(deleted.node.expect("a node").is_dir);
        assert!(!client.exists("/d/e").await.expect("an answer"));
        client.set("/key", "v").await.expect("a key");
        client.delete_dir("/key").await.expect("a delete");
    }
}

#[tokio::test]
async fn times_to_live_are_kept_renewed_and_dropped() {
    for place in places().await {
        let client = &place.client;
        let set = client.set("/a", "v").ttl(100).await.expect("a key");
        let node = set.node.expect("a node");
        assert!(is_left_of(100, node.ttl), "{node:?}");
        let left = node
            .expiration
            .expect("a time")
            .duration_since(SystemTime::now());
        let left = left.expect("it is not over yet").as_secs();
        assert!((60..=100).contains(&left), "{left}");

        // A refresh keeps the value and the creation, and tells nobody.
        let refreshed = client.refresh("/a", Duration::from_millis(900_500)).await;
        let refreshed = refreshed.expect("a refresh");
        assert_eq!(
            (refreshed.action, refreshed.value()),
            (Action::Update, Some("v"))
        );
        let fresh = refreshed.node.as_ref().expect("a node");
        assert!(is_left_of(901, fresh.ttl), "{fresh:?}");
        assert_eq!(fresh.created_index, node.created_index);
        refused(client.refresh("/nope", 5).await, ErrorKind::KeyNotFound);
        refused(
            client.refresh("/a", 5).prev_value("w").await,
            ErrorKind::CompareFailed,
        );
        let guarded = client
            .refresh("/a", 800)
            .prev_value("v")
            .prev_index(refreshed.index());
        let guarded = guarded.await.expect("a refresh");
        assert_eq!(
            (guarded.action, guarded.value()),
            (Action::CompareAndSwap, Some("v"))
        );

        let kept = client.drop_ttl("/a").await.expect("no time any more");
        assert_eq!(
            (kept.action, kept.value()),
            (Action::CompareAndSwap, Some("v"))
        );
        let kept = kept.node.expect("a node");
        assert_eq!((kept.ttl, kept.expiration), (None, None));
        assert_eq!(kept.created_index, node.created_index);
        client.set("/empty", "").ttl(100).await.expect("a key");
        let kept = client.drop_ttl("/empty").await.expect("no time any more");
        assert_eq!(
            (kept.value(), kept.node.as_ref().expect("a node").ttl),
            (Some(""), None)
        );
        refused(client.drop_ttl("/nope").await, ErrorKind::KeyNotFound);
        client.set_dir("/dir").ttl(100).await.expect("a directory");
        refused(client.drop_ttl("/dir").await, ErrorKind::NotAFile);

        // An update without a time lets a key live for ever, too; one with a time sets it.
        client.update("/a", "w").ttl(500).await.expect("an update");
        let found = client
            .get("/a")
            .await
            .expect("an answer")
            .node
            .expect("a node");
        assert!(is_left_of(500, found.ttl), "{found:?}");
        client.set("/short", "v").ttl(1).await.expect("a key");
        client.set("/now", "v").ttl(0).await.expect("a key");
        gone(client, "/now").await;
        gone(client, "/short").await;
    }
}

#[tokio::test]
async fn directories_change_their_times_where_servers_can() {
    for place in places().await {
        let client = &place.client;
        client.set_dir("/dir").ttl(200).await.expect("a directory");
        client.set("/dir/key", "v").await.expect("a key");
        refused(
            client.update_dir("/nope").ttl(5).await,
            ErrorKind::KeyNotFound,
        );
        let updated = client.update_dir("/dir").ttl(900).await;
        let refreshed = client.refresh_dir("/dir", 800).await;
        let dropped = client.update_dir("/dir").await;
        let ttl = client.list("/dir").await.expect("a listing").node.ttl;
        if place.has_directory_bug() {
            for result in [updated, refreshed, dropped] {
                let error = refused(result, ErrorKind::RaftInternal);
                assert!(error.hint().expect("a hint").contains("3.5"), "{error}");
            }
            assert!(is_left_of(200, ttl), "{ttl:?}");
        } else {
            assert_eq!(updated.expect("an update").action, Action::Update);
            let refreshed = refreshed.expect("a refresh").node.expect("a node");
            assert!(is_left_of(800, refreshed.ttl), "{refreshed:?}");
            dropped.expect("no time any more");
            assert_eq!(ttl, None);
        }
        assert!(client.exists("/dir/key").await.expect("an answer"));
    }
}

#[tokio::test]
async fn answers_can_do_without_values() {
    for place in places().await {
        let client = &place.client;
        let set = client.set("/a", "1").no_value_on_success().await;
        let set = set.expect("a key");
        assert_eq!(
            (set.action, set.created, &set.node),
            (Action::Set, true, &None)
        );
        assert_eq!(
            (set.key(), set.value(), set.prev_value()),
            (None, None, None)
        );
        let swap = client.compare_and_swap("/a", "2").prev_index(set.index());
        let swap = swap.no_value_on_success().await.expect("a swap");
        assert_eq!((swap.node, swap.prev_node), (None, None));
    }
}

#[tokio::test]
async fn members_and_their_statistics() {
    for place in places().await {
        let client = &place.client;
        let endpoints: Vec<_> = client.endpoints().collect();
        assert_eq!(client.machines().await.expect("machines"), endpoints);
        let members = client.members().list().await.expect("members");
        let leader = client.members().leader().await.expect("a leader");
        assert_eq!(members, std::slice::from_ref(&leader));
        assert_eq!(leader.client_urls, endpoints);

        let stats = client.stats().self_().await.expect("statistics");
        assert!(stats.is_leader());
        assert_eq!(
            (&stats.name, &stats.id),
            (&leader.name, &leader.id.to_string())
        );
        assert!(stats.started.is_some() && stats.leader.uptime.is_some());
        assert_eq!(
            client.stats().leader().await.expect("statistics").leader,
            stats.id
        );
        let before = client.stats().store().await.expect("statistics");
        client.set("/a", "1").await.expect("a key");
        let after = client.stats().store().await.expect("statistics");
        assert_eq!(after.sets_success, before.sets_success + 1);

        let version = client.version().await.expect("a version");
        if let Some(etcd) = place.etcd {
            assert_eq!(version.server, etcd.to_string());
        }
        assert!(client.health().await.expect("health").healthy);
        let error = refused(client.config().await, ErrorKind::NotServed);
        assert!(error.message().contains("/v2/admin/config"), "{error}");
    }
}

#[tokio::test]
async fn a_cluster_knows_its_members() {
    for etcd in Binary::all_with_v2().expect("a real etcd with v2") {
        println!("{etcd}");
        let mut cluster = start(&etcd, 3).await;
        let endpoints = cluster.endpoints();
        let client = Client::connect(&*endpoints).await.expect("a client");
        let leader = client.members().leader().await.expect("a leader");
        assert_eq!(client.members().list().await.expect("members").len(), 3);

        // Only the leader has them; a follower says so, and the leader is found.
        for endpoint in &endpoints {
            let stats = client
                .stats()
                .leader()
                .at(endpoint)
                .await
                .expect("statistics");
            assert_eq!(stats.leader, leader.id.to_string());
            assert_eq!(stats.followers.len(), 2);
            let stats = client
                .stats()
                .self_()
                .at(endpoint)
                .await
                .expect("statistics");
            assert_eq!(stats.is_leader(), stats.id == leader.id.to_string());
            assert_eq!(stats.leader.id, leader.id.to_string());
        }

        let added = add(&client, "http://127.0.0.1:1").await;
        assert_eq!((&*added.name, added.client_urls.len()), ("", 0));
        refused(
            client.members().add(["http://a"]).await,
            ErrorKind::InvalidRequest,
        );
        let urls = ["http://127.0.0.1:2"];
        client
            .members()
            .update(added.id, urls)
            .await
            .expect("an update");
        let members = client.members().list().await.expect("members");
        let found = members.iter().find(|member| member.id == added.id);
        assert_eq!(found.expect("the new member").peer_urls, urls);
        client.members().remove(added.id).await.expect("a removal");
        for (id, status) in [(added.id, 410), (1.into(), 404)] {
            let error = refused(client.members().remove(id).await, ErrorKind::Refused);
            assert_eq!(error.status(), Some(status));
        }
        let taken = client.members().add(&leader.peer_urls).await;
        assert_eq!(refused(taken, ErrorKind::Refused).status(), Some(409));

        // Without a leader: unwell, by its own word, and known by the others still.
        let lost = endpoints[1..].to_vec();
        for member in &mut cluster.members()[1..] {
            member.kill().expect("a kill");
        }
        let start = Instant::now();
        loop {
            let health = client.health().at(&endpoints[0]).await.expect("an answer");
            if !health.healthy {
                break;
            }
            assert!(start.elapsed() < SOON, "still healthy without {lost:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let error = client.members().leader().at(&endpoints[0]);
        let error = error.timeout(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.status(), Some(503), "{error}");
        assert_eq!(
            client
                .machines()
                .at(&endpoints[0])
                .await
                .expect("machines")
                .len(),
            3
        );
    }
}

/// Adds a member. Clusters refuse that for some seconds after their members have found each other.
async fn add(client: &Client, peer_url: &str) -> Member {
    let start = Instant::now();
    loop {
        match client.members().add([peer_url]).await {
            Ok(member) => return member,
            Err(error) if error.status() == Some(500) && start.elapsed() < SOON => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn users_and_roles_guard_keys() {
    for place in places().await {
        let endpoint = place.client.endpoints().next().expect("an endpoint");
        guard(&place.client, &endpoint).await;
    }
}

async fn guard(client: &Client, endpoint: &str) {
    let auth = client.auth();
    assert!(!auth.is_enabled().await.expect("an answer"));
    assert!(auth.users().await.expect("users").is_empty());
    let error = refused(auth.enable().await, ErrorKind::Refused);
    assert_eq!(error.status(), Some(409));

    let role = auth.role("app");
    role.create(Permissions::read("/shared/*"))
        .await
        .expect("a role");
    let error = refused(role.create(None).await, ErrorKind::Refused);
    assert_eq!(error.status(), Some(409));
    role.grant(Permissions::read_write("/app/*"))
        .await
        .expect("a grant");
    let again = role.grant(Permissions::read("/app/*")).await;
    assert_eq!(refused(again, ErrorKind::Refused).status(), Some(409));
    role.revoke(Permissions::read("/shared/*"))
        .await
        .expect("revoked");
    let again = role.revoke(Permissions::read("/shared/*")).await;
    assert_eq!(refused(again, ErrorKind::Refused).status(), Some(400));
    refused(
        role.grant(Permissions::default()).await,
        ErrorKind::InvalidRequest,
    );
    let permissions = role.get().await.expect("a role").permissions;
    assert_eq!(permissions, Permissions::read_write("/app/*"));
    let error = refused(auth.role("nobody").get().await, ErrorKind::Refused);
    assert_eq!(error.status(), Some(404));
    let names =
        |roles: Vec<etcdkit::v2::Role>| roles.into_iter().map(|role| role.name).collect::<Vec<_>>();
    assert_eq!(names(auth.roles().await.expect("roles")), ["app", "root"]);

    let user = auth.user("alice");
    refused(user.create("").await, ErrorKind::InvalidRequest);
    let error = refused(user.change_password("x").await, ErrorKind::Refused);
    assert_eq!(error.status(), Some(404));
    user.create("wonderland").await.expect("a user");
    for again in [
        user.create("x").await,
        user.create("x").roles(["app"]).await,
    ] {
        assert_eq!(refused(again, ErrorKind::Refused).status(), Some(409));
    }
    user.grant(["app"]).await.expect("a grant");
    assert_eq!(
        refused(user.grant(["app"]).await, ErrorKind::Refused).status(),
        Some(409)
    );
    assert_eq!(names(user.get().await.expect("a user").roles), ["app"]);
    user.change_password("looking glass")
        .await
        .expect("a change");
    auth.user("bob")
        .create("b")
        .roles(["app"])
        .await
        .expect("a user");
    auth.user("bob").revoke(["app"]).await.expect("revoked");
    assert_eq!(
        refused(auth.user("bob").revoke(["app"]).await, ErrorKind::Refused).status(),
        Some(409)
    );
    auth.user("root").create("secret").await.expect("a user");
    let users = auth.users().await.expect("users");
    let users: Vec<_> = users.iter().map(|user| &*user.name).collect();
    assert_eq!(users, ["alice", "bob", "root"]);

    auth.enable().await.expect("enabled");
    assert!(auth.is_enabled().await.expect("an answer"));
    refused(auth.users().await, ErrorKind::Unauthorized);
    let login = async |name: &str, password: &str| {
        let client = Client::builder().endpoint(endpoint).user(name, password);
        client.connect().await.expect("a client")
    };
    let root = login("root", "secret").await;
    let guest = root.auth().role("guest");
    guest
        .revoke(Permissions::read_write("/*"))
        .await
        .expect("revoked");
    refused(client.set("/app/a", "1").await, ErrorKind::Unauthorized);
    refused(client.get("/app/a").await, ErrorKind::Unauthorized);
    let alice = login("alice", "looking glass").await;
    alice.set("/app/a", "1").await.expect("a key");
    // The pattern covers the directory only with a slash behind it.
    refused(alice.tree("/app").await, ErrorKind::Unauthorized);
    let tree = alice.tree("/app/").await.expect("a tree");
    assert!(tree.values().eq(["1"]));
    refused(alice.set("/other", "1").await, ErrorKind::Unauthorized);
    refused(
        login("alice", "wonderland").await.get("/app/a").await,
        ErrorKind::Unauthorized,
    );
    let error = refused(root.auth().user("root").delete().await, ErrorKind::Refused);
    assert_eq!(error.status(), Some(403));
    root.tree("/").await.expect("the whole tree");
    root.auth().user("bob").delete().await.expect("a delete");
    root.auth().role("app").delete().await.expect("a delete");
    let error = refused(alice.auth().disable().await, ErrorKind::Unauthorized);
    assert!(!error.to_string().contains("looking glass"), "{error}");
    root.auth().disable().await.expect("disabled");
    client.set("/other", "1").await.expect("a key");
}
