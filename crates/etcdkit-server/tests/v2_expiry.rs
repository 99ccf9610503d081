//! Keys of the v2 API that end by themselves.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::raw::Raw;
use etcdkit_server::Server;

async fn start() -> (Server, Raw) {
    let server = Server::builder().enable_v2(true).start().await.unwrap();
    let raw = Raw::connect(&server).await;
    (server, raw)
}

#[tokio::test]
async fn keys_end_at_a_tick_after_their_time_one_after_the_other() {
    let (server, mut raw) = start().await;
    let mut watch = Raw::connect(&server).await;
    let began = Instant::now();
    raw.put("/v2/keys/long", "ttl=1000").await;
    raw.put("/v2/keys/a", "ttl=1").await;
    raw.put("/v2/keys/b", "ttl=0").await;
    // The one that has no time goes before the other, whatever the machine does meanwhile.
    for (key, index) in [("b", "7"), ("a", "8")] {
        let target = format!("/v2/keys/{key}?wait=true&waitIndex=7");
        let reply = watch.get(&target).await;
        assert!(reply.body.starts_with(r#"{"action":"expire""#), "{reply}");
        let modified = format!(r#""modifiedIndex":{index},"#);
        assert!(reply.body.contains(&modified), "{reply}");
    }
    let elapsed = began.elapsed();
    assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    assert_eq!(raw.get("/v2/keys/long").await.status, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn nothing_ends_without_a_leader_and_all_that_is_due_with_the_next() {
    let (server, mut raw) = start().await;
    let began = Instant::now();
    raw.put("/v2/keys/a", "ttl=30").await;
    server.faults().lose_leader();
    server.advance_time(Duration::from_millis(64_100));
    let overdue = raw.get("/v2/keys/a").await;
    let passed = began.elapsed() + Duration::from_millis(100);
    let (_, ttl) = overdue.body.split_once("\"ttl\":").unwrap();
    let ttl: i64 = ttl.split(',').next().unwrap().parse().unwrap();
    // Seconds that have not begun are not counted.
    let longest = -34 - i64::try_from(passed.as_secs()).unwrap();
    assert!((longest..=-34).contains(&ttl), "{passed:?}: {overdue}");
    server.faults().regain_leader();
    let mut watch = Raw::connect(&server).await;
    let reply = watch.get("/v2/keys/a?wait=true&waitIndex=5").await;
    assert!(reply.body.starts_with(r#"{"action":"expire""#), "{reply}");
    assert_eq!(raw.get("/v2/keys/a").await.status, "HTTP/1.1 404 Not Found");
}

#[tokio::test]
async fn time_that_is_moved_on_takes_everything_that_is_due() {
    let (server, mut raw) = start().await;
    for number in 0..5 {
        raw.put(&format!("/v2/keys/{number}"), &format!("ttl={number}00"))
            .await;
    }
    server.advance_time(Duration::from_secs(250));
    let root = raw.get("/v2/keys/").await;
    assert_eq!(root.header("X-Etcd-Index"), Some("11"), "3 expired: {root}");
    assert_eq!(root.body.matches("\"key\"").count(), 2, "{root}");
}
