//! Servers with and without the v2 API, and members without a leader.

use std::time::{Duration, Instant};

use etcdkit::{
    Outcome,
    v2::{Client, ErrorKind},
};
use etcdkit_testkit::etcd::{Binary, Cluster, Version};

/// The real servers that have the v2 API.
pub(crate) fn etcds() -> Vec<Binary> {
    let has_v2 = |etcd: &Binary| etcd.version() < Version::new(3, 6, 0);
    let all = Binary::all().expect("a real etcd").into_iter();
    let etcds: Vec<_> = all.filter(has_v2).collect();
    assert!(
        !etcds.is_empty(),
        "no etcd before 3.6 in ETCDKIT_TEST_ETCD; install Debian's etcd-server"
    );
    etcds
}

#[tokio::test]
async fn a_server_without_the_api_says_so() {
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let error = Client::connect(cluster.endpoint()).await;
        let error = error.expect_err("not served");
        assert_eq!(error.kind(), ErrorKind::NotServed, "{etcd}: {error}");
        assert!(error.to_string().contains("does not serve the v2 API"));
        assert!(error.hint().expect("a hint").contains("--enable-v2"));

        let lazy = Client::builder().endpoint(cluster.endpoint());
        let lazy = lazy.connect_lazy().expect("a client");
        let error = lazy.set("/a", "b").await.expect_err("not served");
        assert_eq!(error.kind(), ErrorKind::NotServed, "{etcd}: {error}");
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(error.attempts(), 1);
    }
}

#[tokio::test]
async fn a_write_to_a_member_without_a_leader_is_in_doubt() {
    for etcd in etcds() {
        let mut cluster = Cluster::builder(&etcd)
            .members(3)
            .flag("--enable-v2=true")
            .start()
            .await
            .expect("a cluster");
        let endpoint = cluster.endpoint().to_owned();
        let client = Client::connect(endpoint).await.expect("a client");
        client.set("/a", "before").await.expect("written");
        for member in [1, 2] {
            cluster.member(member).kill().expect("killed");
        }

        let start = Instant::now();
        let error = client.set("/a", "after").await.expect_err("no leader");
        assert!(start.elapsed() < Duration::from_secs(10), "not heard out");
        assert_eq!(error.kind(), ErrorKind::RaftInternal, "{etcd}: {error}");
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert_eq!(error.attempts(), 1);
        let cause = error.cause_text().expect("a cause");
        assert!(cause.contains("request timed out"), "{cause}");

        // What a member has is there without a leader, too.
        let found = client.get("/a").await.expect("found");
        let value = found.node.and_then(|node| node.value);
        assert_eq!(value.as_deref(), Some("before"));
    }
}

#[tokio::test]
async fn endpoints_follow_the_members() {
    for etcd in etcds() {
        let mut cluster = Cluster::builder(&etcd)
            .members(3)
            .flag("--enable-v2=true")
            .start()
            .await
            .expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        let synced = client.sync_endpoints().await.expect("members");
        let mut endpoints = cluster.endpoints();
        let mut found: Vec<_> = client.endpoints().collect();
        endpoints.sort();
        found.sort();
        assert_eq!(found, endpoints, "{etcd}: {synced:?}");
        assert!(synced.rejected.is_empty(), "{synced:?}");

        // One that is down stays one of them, but nothing depends on it.
        cluster.member(0).kill().expect("killed");
        client.get("/a").quorum().await.expect("an answer");
        let synced = client.sync_endpoints().await.expect("members");
        assert_eq!(synced.endpoints.len(), 3, "{synced:?}");
        assert_eq!(synced.rejected.len(), 1, "{synced:?}");
        client.set("/a", "b").await.expect("written");
    }
}
