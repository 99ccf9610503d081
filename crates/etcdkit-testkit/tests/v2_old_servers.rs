//! What the v2 client does about servers older than those that still run anywhere, whose answers a fake
//! gives: etcd 0.4 to 2.2.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use etcdkit::v2::{Client, ErrorKind};
use etcdkit_testkit::fake::http1::{FakeHttp, Reply, Request};

const NOT_FOUND: &str = "404 page not found";

fn text(status: u16, body: &str) -> Reply {
    Reply::Answer(status, Vec::new(), body.to_owned())
}

async fn fake(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (FakeHttp, Client) {
    let fake = FakeHttp::start(script).await.expect("a port");
    let client = Client::connect(fake.endpoint()).await.expect("a client");
    (fake, client)
}

/// The requests, each as a line.
fn lines(fake: &FakeHttp) -> Vec<String> {
    let requests = fake.requests().into_iter();
    let line = |request: Request| format!("{} {} {}", request.method, request.target, request.body);
    requests
        .map(|request| line(request).trim_end().to_owned())
        .collect()
}

/// A key with a value and a time to live, last modified at an index.
fn key(value: &str, index: u64) -> Reply {
    Reply::json(
        200,
        &format!(
            r#"{{"action":"get","node":{{"key":"/a","value":"{value}","ttl":9,
            "expiration":"2026-11-21T12:00:00Z","modifiedIndex":{index},"createdIndex":3}}}}"#
        ),
    )
}

fn compare_failed() -> Reply {
    Reply::json(
        412,
        r#"{"errorCode":101,"message":"Compare failed","cause":"[7 != 8]","index":8}"#,
    )
}

/// etcd 2.2 takes a refresh for an update without a value, which empties the key.
#[tokio::test]
async fn servers_that_know_no_refresh_are_not_asked_for_one() {
    let reads = AtomicUsize::new(0);
    let (fake, client) = fake(move |request| match request.method.as_str() {
        "GET" if request.target == "/version" => {
            text(200, r#"{"etcdserver":"2.2.5","etcdcluster":"2.2.0"}"#)
        }
        // Somebody else writes it between the first reading and the first writing.
        "GET" => match reads.fetch_add(1, Ordering::SeqCst) {
            0 => key("old", 7),
            _ => key("new", 8),
        },
        _ if request.body.contains("prevIndex=7") => compare_failed(),
        _ => key("new", 9),
    })
    .await;
    let refreshed = client.refresh("/a", 60).await.expect("a refresh");
    assert_eq!((refreshed.value(), refreshed.index()), (Some("new"), 9));
    assert_eq!(
        lines(&fake),
        [
            "GET /version",
            "GET /v2/keys/a?quorum=true",
            "PUT /v2/keys/a value=old&ttl=60&prevIndex=7",
            "GET /v2/keys/a?quorum=true",
            "PUT /v2/keys/a value=new&ttl=60&prevIndex=8",
        ]
    );

    // A condition of the caller's own is the server's to check, and its failure final.
    let error = client
        .refresh("/a", 60)
        .prev_index(7)
        .await
        .expect_err("changed");
    assert_eq!(error.kind(), ErrorKind::CompareFailed);
    assert_eq!(
        lines(&fake)[7..],
        ["PUT /v2/keys/a value=new&ttl=60&prevIndex=7"]
    );
}

#[tokio::test]
async fn servers_are_asked_once_whether_they_know_refreshes() {
    let (fake, client) = fake(|request| match request.target.as_str() {
        "/version" => text(200, r#"{"etcdserver":"2.3.8","etcdcluster":"2.3.0"}"#),
        _ => key("v", 7),
    })
    .await;
    for _ in 0..3 {
        client.clone().refresh("/a", 60).await.expect("a refresh");
    }
    let put = "PUT /v2/keys/a prevExist=true&refresh=true&ttl=60";
    assert_eq!(lines(&fake), ["GET /version", put, put, put]);
}

#[tokio::test]
async fn a_key_that_others_write_all_the_time_costs_no_more_than_the_time() {
    let (_fake, client) = fake(|request| match request.method.as_str() {
        "GET" => key("v", 7),
        _ => compare_failed(),
    })
    .await;
    let limit = Duration::from_millis(300);
    let error = client
        .drop_ttl("/a")
        .timeout(limit)
        .await
        .expect_err("no end");
    assert_eq!(error.operation(), Some("drop TTL"));
    assert!(
        matches!(error.kind(), ErrorKind::Timeout | ErrorKind::CompareFailed),
        "{error}"
    );
}

#[tokio::test]
async fn numbers_without_zeros_are_in_order() {
    let (_fake, client) = fake(|_| {
        Reply::json(
            200,
            r#"{"action":"get","node":{"key":"/q","dir":true,"nodes":[
            {"key":"/q/10","value":"second","modifiedIndex":10,"createdIndex":10},
            {"key":"/q/9","value":"first","modifiedIndex":9,"createdIndex":9}],
            "modifiedIndex":9,"createdIndex":9}}"#,
        )
    })
    .await;
    let queue = client.list("/q").in_order().await.expect("a listing");
    assert!(queue.values().eq(["first", "second"]));
}

#[tokio::test]
async fn versions_and_configurations_of_old_are_read() {
    let (_fake, client) = fake(|request| match request.target.as_str() {
        "/version" => text(200, "etcd 0.4.6"),
        "/v2/machines" => text(200, "http://10.0.0.1:4001, http://10.0.0.2:4001"),
        "/v2/admin/config" => text(
            200,
            r#"{"activeSize":9,"removeDelay":1800.0,"syncInterval":5.0}"#,
        ),
        "/v2/stats/self" => text(
            200,
            r#"{"name":"node1","state":"follower","startTime":"2014-01-01T15:26:24.96569404Z",
            "leaderInfo":{"leader":"node0","uptime":"10m59.322358947s","startTime":"2014-01-01T15:27:49Z"},
            "recvAppendRequestCnt":5944,"recvBandwidthRate":570.6,"recvPkgRate":9.0,
            "sendAppendRequestCnt":0}"#,
        ),
        _ => text(404, NOT_FOUND),
    })
    .await;
    let version = client.version().await.expect("a version");
    assert_eq!((&*version.server, version.cluster), ("0.4.6", None));
    let machines = client.machines().await.expect("machines");
    assert_eq!(machines, ["http://10.0.0.1:4001", "http://10.0.0.2:4001"]);
    let config = client.config().await.expect("a configuration");
    assert_eq!(config.remove_delay, Duration::from_secs(1800));
    let stats = client.stats().self_().await.expect("statistics");
    assert!(!stats.is_leader());
    assert_eq!(&*stats.leader.id, "node0");
    assert_eq!(
        stats.leader.uptime.map(|uptime| uptime.as_secs()),
        Some(659)
    );
    assert_eq!(stats.received, 5944);
    // There was no such thing yet.
    let error = client.health().await.expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotServed);
    let error = client.members().list().await.expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotServed);
}

#[tokio::test]
async fn being_unwell_is_an_answer_and_a_proxy_without_members_is_none() {
    let (_fake, client) = fake(|_| {
        text(
            503,
            "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n",
        )
    })
    .await;
    let health = client.health().await.expect("an answer");
    assert_eq!(
        (health.healthy, health.reason.as_deref()),
        (false, Some("RAFT NO LEADER"))
    );

    let (fake, client) = self::fake(|_| {
        text(
            503,
            r#"{"message":"httpproxy: zero endpoints currently available"}"#,
        )
    })
    .await;
    let error = client.health().await.expect_err("no member");
    assert_eq!(error.status(), Some(503));
    assert!(error.message().contains("zero endpoints"), "{error}");
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn machines_are_the_members_where_they_are_not_listed() {
    let (_fake, client) = fake(|request| match request.target.as_str() {
        "/v2/members" => text(
            200,
            r#"{"members":[{"id":"b","clientURLs":["http://b:2379"]},
            {"id":"a","clientURLs":["http://a:2379"]},{"id":"c"}]}"#,
        ),
        _ => text(404, NOT_FOUND),
    })
    .await;
    let machines = client.machines().await.expect("machines");
    assert_eq!(machines, ["http://a:2379", "http://b:2379"]);
}

#[tokio::test]
async fn answers_that_are_none_say_so() {
    let (_fake, client) = fake(|request| match request.target.as_str() {
        "/v2/keys/empty" => Reply::json(200, r#"{"action":"get"}"#),
        "/v2/members" => text(200, r#"{"members":[{"id":"nonsense"}]}"#),
        _ => text(200, "<html>welcome</html>"),
    })
    .await;
    let errors = [
        client.get("/a").await.map(drop),
        client.get("/empty").await.map(drop),
        client.set("/a", "1").await.map(drop),
        client.version().await.map(drop),
        client.stats().store().await.map(drop),
        client.members().list().await.map(drop),
        client.auth().users().await.map(drop),
    ];
    for result in errors {
        let error = result.expect_err("nonsense");
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(error.endpoint().is_some() && error.operation().is_some());
    }
}
