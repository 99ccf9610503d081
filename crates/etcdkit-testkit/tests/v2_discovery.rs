//! The embedded server lets the members of a real cluster find each other, as an etcd or
//! `discovery.etcd.io` does.

use etcdkit::Client;
use etcdkit_proto::v2::Event;
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster, MemberError, Version};
use etcdkit_testkit::v2::http::{Connection, Request};

/// The first without a proxy of v2.
const V3_6: Version = Version::new(3, 6, 0);

/// The first that does not know the discovery of v2.
const V3_7: Version = Version::new(3, 7, 0);

#[tokio::test]
async fn three_members_find_each_other_and_a_fourth_is_refused() {
    for etcd in etcds() {
        let server = Server::builder()
            .enable_v2(true)
            .start()
            .await
            .expect("an embedded server");
        let token = format!("{}/v2/keys/discovery/token", server.endpoint());
        let mut service = Connection::new(&server.endpoint());
        let size = Request::new("PUT", "/v2/keys/discovery/token/_config/size").form("value=3");
        assert_eq!(exchange(&mut service, &size).await.0, 201, "{etcd}");

        let cluster = Cluster::builder(&etcd).discovery(&token);
        let members = cluster.clone().members(3).start().await;
        let members = members.unwrap_or_else(|error| panic!("{etcd}: {error}"));
        assert_serves(&etcd, &members).await;

        // What they have left is what a client finds them by.
        let entries = entries(&mut service).await;
        assert_eq!(entries.len(), 3, "{etcd}: {entries:?}");
        for name in ["m1", "m2", "m3"] {
            let prefix = format!("{name}=http://127.0.0.1:");
            assert!(
                entries.iter().any(|entry| entry.starts_with(&prefix)),
                "{etcd}: no {name} in {entries:?}"
            );
        }

        // Before 3.6 it would serve as a proxy of the cluster unless told otherwise.
        let fourth = match etcd.version() < V3_6 {
            true => cluster.flag("--discovery-fallback=exit"),
            false => cluster,
        };
        match fourth.start().await {
            Err(MemberError::Ended { log, .. }) => {
                assert!(log.contains("cluster is full"), "{etcd}: {log}");
            }
            other => panic!("{etcd}: a fourth member was not refused: {other:?}"),
        }
        assert_eq!(self::entries(&mut service).await, entries, "{etcd}");
        drop(members);
        server.shutdown().await.expect("an orderly end");
    }
}

/// Without a size there is no such cluster.
#[tokio::test]
async fn an_unknown_token_is_refused() {
    let server = Server::builder()
        .enable_v2(true)
        .start()
        .await
        .expect("an embedded server");
    let token = format!("{}/v2/keys/discovery/none", server.endpoint());
    for etcd in etcds() {
        match Cluster::builder(&etcd).discovery(&token).start().await {
            Err(MemberError::Ended { log, .. }) => {
                assert!(log.contains("100: Key not found"), "{etcd}: {log}");
            }
            other => panic!("{etcd}: a member was not refused: {other:?}"),
        }
    }
    server.shutdown().await.expect("an orderly end");
}

/// Those that can find each other so.
fn etcds() -> Vec<Binary> {
    let etcds = Binary::all().expect("a real etcd").into_iter();
    let etcds: Vec<_> = etcds.filter(|etcd| etcd.version() < V3_7).collect();
    assert!(!etcds.is_empty(), "this test needs an etcd before 3.7");
    etcds
}

async fn exchange(connection: &mut Connection, request: &Request) -> (u16, Vec<u8>) {
    let answer = connection.exchange(request).await;
    let answer = answer.unwrap_or_else(|error| panic!("{request:?}: {error}"));
    (answer.head.status, answer.body)
}

/// The values that the members have left, in order.
async fn entries(service: &mut Connection) -> Vec<String> {
    let list = Request::new("GET", "/v2/keys/discovery/token");
    let (status, body) = exchange(service, &list).await;
    assert_eq!(status, 200);
    let event: Event = serde_json::from_slice(&body).expect("a listing");
    let mut entries = event.node.expect("a directory").nodes;
    entries.sort_by_key(|entry| entry.created_index);
    let values = entries.into_iter().filter_map(|entry| entry.value);
    values.collect()
}

/// All three are members of one cluster.
async fn assert_serves(etcd: &Binary, cluster: &Cluster) {
    let mut lists = Vec::new();
    for endpoint in cluster.endpoints() {
        let client = Client::connect(endpoint).await.expect("a client");
        let members = client.cluster().members().await.expect("members");
        let mut urls: Vec<_> = members
            .members
            .into_iter()
            .flat_map(|member| member.peer_urls)
            .collect();
        urls.sort();
        lists.push(urls);
    }
    assert_eq!(lists[0].len(), 3, "{etcd}");
    assert!(
        lists.iter().all(|list| *list == lists[0]),
        "{etcd}: {lists:?}"
    );
}
