//! The v2 API of a member with something wrong.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::raw::Raw;
use etcdkit_server::Server;
use etcdkit_server::faults::Alarm;
use tokio::time::timeout;

const TIMED_OUT: &str = "{\"errorCode\":300,\"message\":\"Raft Internal Error\",\
                         \"cause\":\"etcdserver: request timed out\",\"index\":0}\n";

async fn start() -> (Server, Raw) {
    let server = Server::builder().enable_v2(true).start().await.unwrap();
    let raw = Raw::connect(&server).await;
    (server, raw)
}

#[tokio::test]
async fn without_a_leader_nothing_is_written() {
    let (server, mut raw) = start().await;
    let faults = server.faults();
    raw.put("/v2/keys/a", "value=1").await;
    faults.request_timeout(Duration::from_millis(20));
    faults.lose_leader();
    for (method, path) in [
        ("PUT", "/v2/keys/a?value=2"),
        ("POST", "/v2/keys/d?value=2"),
        ("DELETE", "/v2/keys/a"),
        ("GET", "/v2/keys/a?quorum=true"),
    ] {
        let reply = raw.ask(method, path, None).await;
        assert_eq!(
            reply.status, "HTTP/1.1 500 Internal Server Error",
            "{method}"
        );
        assert_eq!(reply.header("X-Etcd-Index"), Some("0"));
        assert_eq!(reply.body, TIMED_OUT);
    }
    // What is wrong with a request is told at once, and the member's own memory is read.
    assert_eq!(
        raw.put("/v2/keys/a?ttl=x", "").await.status,
        "HTTP/1.1 400 Bad Request"
    );
    for path in [
        "/v2/keys/a",
        "/v2/members",
        "/v2/machines",
        "/v2/stats/self",
    ] {
        assert_eq!(raw.get(path).await.status, "HTTP/1.1 200 OK", "{path}");
    }
    let leader = raw.get("/v2/members/leader").await;
    assert_eq!(leader.status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(leader.body, r#"{"message":"During election"}"#);
    let health = raw.get("/health").await;
    assert_eq!(
        health.body,
        "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n"
    );

    faults.regain_leader();
    let reply = raw.put("/v2/keys/a", "value=2").await;
    assert!(
        reply.body.contains(r#""prevNode":{"key":"/a","value":"1""#),
        "{reply}"
    );
    assert_eq!(reply.header("X-Raft-Term"), Some("3"));
}

#[tokio::test]
async fn a_write_waits_for_a_leader() {
    let (server, mut raw) = start().await;
    server.faults().lose_leader();
    let form =
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nvalue=1";
    raw.send(format!("PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\n{form}"))
        .await;
    let mut other = Raw::connect(&server).await;
    // It is not there yet, but it comes.
    assert_eq!(
        other.get("/v2/keys/a").await.status,
        "HTTP/1.1 404 Not Found"
    );
    server.faults().regain_leader();
    assert_eq!(raw.reply(true).await.status, "HTTP/1.1 201 Created");
}

#[tokio::test]
async fn without_a_leader_nothing_expires() {
    let (server, mut raw) = start().await;
    raw.put("/v2/keys/a", "value=1&ttl=5").await;
    server.faults().lose_leader();
    server.advance_time(Duration::from_secs(8));
    let overdue = raw.get("/v2/keys/a").await;
    assert!(overdue.body.contains(r#""ttl":-"#), "{overdue}");
    server.faults().regain_leader();
    server.advance_time(Duration::from_secs(1));
    assert_eq!(raw.get("/v2/keys/a").await.status, "HTTP/1.1 404 Not Found");
}

#[tokio::test]
async fn a_paused_member_says_nothing() {
    let (server, mut raw) = start().await;
    let faults = server.faults();
    let mut waiting = Raw::connect(&server).await;
    waiting
        .send("GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    waiting.head().await;
    faults.pause();
    raw.send("PUT /v2/keys/a?value=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    let silence = timeout(Duration::from_millis(100), raw.head()).await;
    assert!(silence.is_err());
    faults.resume();
    assert_eq!(raw.reply(true).await.status, "HTTP/1.1 201 Created");
    assert!(waiting.chunk().await.starts_with(r#"{"action":"set","#));
}

#[tokio::test]
async fn broken_connections_end_watches() {
    let (server, _raw) = start().await;
    let mut waiting = Raw::connect(&server).await;
    waiting
        .send("GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    waiting.head().await;
    server.faults().drop_connections();
    assert!(waiting.is_at_end().await);
    let stats = Raw::connect(&server).await.get("/v2/stats/store").await;
    assert!(stats.body.ends_with(r#""watchers":0}"#), "{stats}");
}

/// The quota is that of v3.
#[tokio::test]
async fn a_full_database_takes_keys_of_v2() {
    let (server, mut raw) = start().await;
    server.faults().raise_alarm(Alarm::NoSpace);
    assert_eq!(
        raw.put("/v2/keys/a", "value=1").await.status,
        "HTTP/1.1 201 Created"
    );
}
