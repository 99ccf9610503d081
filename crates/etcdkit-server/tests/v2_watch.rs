//! Watches of the v2 API, on the wire.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::raw::Raw;
use etcdkit_server::Server;
use tokio::time::timeout;

async fn start() -> Server {
    Server::builder().enable_v2(true).start().await.unwrap()
}

/// Begins to wait; the headers come at once.
async fn watch(server: &Server, query: &str) -> Raw {
    let mut raw = Raw::connect(server).await;
    let request = format!("GET /v2/keys/{query} HTTP/1.1\r\nHost: x\r\n\r\n");
    raw.send(request).await;
    let head = raw.head().await;
    assert_eq!(head.status, "HTTP/1.1 200 OK", "{head}");
    assert_eq!(head.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(head.header("Content-Type"), Some("application/json"));
    for header in [
        "X-Etcd-Cluster-Id",
        "X-Etcd-Index",
        "X-Raft-Index",
        "X-Raft-Term",
    ] {
        assert!(head.header(header).is_some(), "{header}");
    }
    raw
}

async fn watchers(raw: &mut Raw) -> u64 {
    let stats = raw.get("/v2/stats/store").await.body;
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    stats["watchers"].as_u64().unwrap()
}

/// Asks until nobody watches any more: the server hears of closed connections when it looks at them.
async fn nobody_watches(server: &Server) {
    let mut raw = Raw::connect(server).await;
    let nobody = async { while watchers(&mut raw).await != 0 {} };
    timeout(Duration::from_secs(20), nobody).await.unwrap();
}

#[tokio::test]
async fn one_event_ends_the_answer() {
    let server = start().await;
    let mut raw = Raw::connect(&server).await;
    let mut waiting = watch(&server, "a?wait=true").await;
    raw.put("/v2/keys/b", "value=1").await;
    raw.put("/v2/keys/a", "value=2").await;
    let event =
        r#"{"action":"set","node":{"key":"/a","value":"2","modifiedIndex":5,"createdIndex":5}}"#;
    assert_eq!(waiting.chunk().await, format!("{event}\n"));
    assert_eq!(waiting.chunk().await, "");
    assert_eq!(watchers(&mut raw).await, 0);
    // The connection goes on.
    assert_eq!(waiting.get("/v2/keys/a").await.status, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn the_past_is_answered_at_once() {
    let server = start().await;
    let mut raw = Raw::connect(&server).await;
    for value in 4..8 {
        raw.put("/v2/keys/d/a", &format!("value={value}")).await;
    }
    let reply = raw
        .get("/v2/keys/d?wait=true&recursive=true&waitIndex=6")
        .await;
    assert_eq!(reply.header("X-Etcd-Index"), Some("7"));
    assert_eq!(
        reply.body,
        concat!(
            r#"{"action":"set","node":{"key":"/d/a","value":"6","modifiedIndex":6,"createdIndex":6},"#,
            r#""prevNode":{"key":"/d/a","value":"5","modifiedIndex":5,"createdIndex":5}}"#,
            "\n"
        )
    );
    // A read with the cluster's agreement does not wait.
    let reply = raw.get("/v2/keys/d/a?wait=true&quorum=true").await;
    assert!(reply.body.starts_with(r#"{"action":"get","#), "{reply}");
}

#[tokio::test]
async fn history_is_a_thousand_events_long() {
    let server = start().await;
    let mut raw = Raw::connect(&server).await;
    for _ in 0..1_000 {
        raw.put("/v2/keys/a?noValueOnSuccess=true", "value=x").await;
    }
    let reply = raw.get("/v2/keys/a?wait=true&waitIndex=3").await;
    assert_eq!(reply.status, "HTTP/1.1 400 Bad Request");
    assert_eq!(reply.header("X-Etcd-Index"), Some("1003"));
    assert_eq!(reply.header("X-Raft-Index"), None);
    assert_eq!(
        reply.body,
        "{\"errorCode\":401,\"message\":\"The event in requested index is outdated and cleared\",\
         \"cause\":\"the requested history has been cleared [4/3]\",\"index\":1003}\n"
    );
    let reply = raw.get("/v2/keys/a?wait=true&waitIndex=4").await;
    assert!(reply.body.contains(r#""modifiedIndex":4,"#), "{reply}");
}

#[tokio::test]
async fn a_stream_goes_on() {
    let server = start().await;
    let mut raw = Raw::connect(&server).await;
    raw.put("/v2/keys/d/a", "value=0").await;
    let mut live = watch(&server, "d?wait=true&recursive=true&stream=true").await;
    // etcd gives one event of the past and then none.
    let mut from_past = watch(
        &server,
        "d?wait=true&recursive=true&stream=true&waitIndex=4",
    )
    .await;
    assert!(from_past.chunk().await.contains(r#""value":"0""#));
    for value in 1..20 {
        raw.put("/v2/keys/d/a", &format!("value={value}")).await;
        for stream in [&mut live, &mut from_past] {
            let event = stream.chunk().await;
            assert!(event.contains(&format!(r#""value":"{value}","#)), "{event}");
            assert!(event.ends_with('\n'));
        }
    }
    assert_eq!(watchers(&mut raw).await, 2);
    drop((live, from_past));
    nobody_watches(&server).await;
}

#[tokio::test]
async fn who_hangs_up_is_forgotten() {
    let server = start().await;
    let mut waiting = Vec::new();
    for number in 0..50 {
        waiting.push(watch(&server, &format!("{number}?wait=true")).await);
    }
    let mut raw = Raw::connect(&server).await;
    assert_eq!(watchers(&mut raw).await, 50);
    drop(waiting);
    nobody_watches(&server).await;
}

/// The last piece never comes, so that nobody takes it for an answer.
#[tokio::test]
async fn a_server_that_stops_hangs_up() {
    let server = start().await;
    let mut waiting = watch(&server, "a?wait=true").await;
    timeout(Duration::from_secs(3), server.shutdown())
        .await
        .expect("a watch keeps the server from stopping")
        .unwrap();
    assert!(waiting.is_at_end().await);
}

#[tokio::test]
async fn expiry_is_told() {
    let server = start().await;
    let mut raw = Raw::connect(&server).await;
    raw.put("/v2/keys/a", "value=1&ttl=60").await;
    let mut waiting = watch(&server, "a?wait=true").await;
    server.advance_time(Duration::from_secs(61));
    let event = waiting.chunk().await;
    assert!(
        event.starts_with(
            r#"{"action":"expire","node":{"key":"/a","modifiedIndex":5,"createdIndex":4},"prevNode":{"key":"/a","value":"1","expiration":"#
        ),
        "{event}"
    );
}
