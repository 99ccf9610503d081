//! Keys of the v2 API that outlive a server.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::disk::MemoryDisk;
use common::raw::{Raw, Reply};
use etcdkit_server::{Server, ServerBuilder};

const OK: &str = "HTTP/1.1 200 OK";
const CREATED: &str = "HTTP/1.1 201 Created";
const INTERNAL: &str = "HTTP/1.1 500 Internal Server Error";

/// A running server and a connection to it.
struct Running {
    server: Server,
    raw: Raw,
}

impl Running {
    async fn start(builder: ServerBuilder) -> Self {
        let server = builder.enable_v2(true).start().await.unwrap();
        let raw = Raw::connect(&server).await;
        Self { server, raw }
    }

    async fn at(directory: &Path) -> Self {
        Self::start(Server::builder().data_dir(directory)).await
    }

    async fn on(disk: &Arc<MemoryDisk>) -> Self {
        let disk = Arc::<MemoryDisk>::clone(disk);
        Self::start(Server::builder().disk(disk)).await
    }

    async fn get(&mut self, path: &str) -> Reply {
        self.raw.get(&format!("/v2/keys{path}")).await
    }

    async fn put(&mut self, path: &str, form: &str) -> Reply {
        self.raw.put(&format!("/v2/keys{path}"), form).await
    }

    async fn stats(&mut self) -> String {
        let stats = self.raw.get("/v2/stats/store").await.body;
        // Reads are counted since the last write only, as in etcd.
        let writes = stats.split_once("\"setsSuccess\"").unwrap().1;
        writes.to_owned()
    }

    async fn stop(self) {
        drop(self.raw);
        self.server.shutdown().await.unwrap();
    }
}

#[track_caller]
fn is(reply: &Reply, status: &str, index: &str, body: &str) {
    let found = (
        reply.status.as_str(),
        reply.header("X-Etcd-Index"),
        reply.body.trim_end(),
    );
    assert_eq!(found, (status, Some(index), body));
}

/// A body without the seconds that something has left.
fn timeless(body: &str) -> String {
    let mut parts = body.split("\"ttl\":");
    let mut timeless = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        timeless.push_str("\"ttl\":_");
        timeless.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    timeless
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::at(directory.path()).await;
    running.put("/d/a", "value=1").await;
    running.put("/d/b", "value=2&ttl=100").await;
    running.put("/d/_h", "value=3").await;
    running.put("/gone", "value=4").await;
    running.raw.ask("DELETE", "/v2/keys/gone", None).await;
    running.raw.ask("DELETE", "/v2/keys/gone", None).await;
    let before = running.get("/?recursive=true").await;
    let (hidden, stats) = (running.get("/d/_h").await, running.stats().await);
    running.stop().await;

    let mut running = Running::at(directory.path()).await;
    let after = running.get("/?recursive=true").await;
    // The start of the member has an index of its own. Time has passed, but the end is the same.
    assert_eq!(
        (after.status.as_str(), after.header("X-Etcd-Index")),
        (OK, Some("9"))
    );
    assert!(before.body.contains("\"expiration\":"), "{before}");
    assert_eq!(timeless(&after.body), timeless(&before.body));
    assert_eq!(running.get("/d/_h").await.body, hidden.body);
    let restarted = stats.replacen(":6,", ":7,", 1);
    assert_eq!(running.stats().await, restarted, "the start is a set");
    let past = running.get("/?wait=true&recursive=true&waitIndex=7").await;
    assert_eq!(past.status, OK);
    let set =
        r#"{"action":"set","node":{"key":"/gone","value":"4","modifiedIndex":7,"createdIndex":7}}"#;
    assert_eq!(past.body.trim_end(), set);
    let next = running.put("/d/a", "value=5&prevIndex=4").await;
    assert_eq!(
        (next.status.as_str(), next.header("X-Etcd-Index")),
        (OK, Some("10"))
    );
    running.server.advance_time(Duration::from_secs(101));
    assert_eq!(running.get("/d/b").await.status, "HTTP/1.1 404 Not Found");
    running.stop().await;
    let mut running = Running::at(directory.path()).await;
    let expired = running.get("/d/b").await;
    assert_eq!(
        expired.header("X-Etcd-Index"),
        Some("12"),
        "one for the expiry, one for the start"
    );
    running.stop().await;
}

#[tokio::test]
async fn the_history_has_a_thousand_events_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::at(directory.path()).await;
    for number in 4..=1_100 {
        running.put("/a", &format!("value={number}")).await;
    }
    running.stop().await;
    let mut running = Running::at(directory.path()).await;
    let cleared = running.get("/a?wait=true&waitIndex=101").await;
    assert_eq!(
        cleared.body.trim_end(),
        concat!(
            r#"{"errorCode":401,"message":"The event in requested index is outdated and cleared","#,
            r#""cause":"the requested history has been cleared [102/101]","index":1101}"#
        )
    );
    let oldest = running.get("/a?wait=true&waitIndex=102").await;
    assert!(oldest.body.contains("\"value\":\"102\""), "{}", oldest.body);
    running.stop().await;
}

#[tokio::test]
async fn a_dropped_server_loses_nothing_that_was_answered() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let mut running = Running::at(directory.path()).await;
        let index = (4 + 2 * round).to_string();
        let created = running.put(&format!("/{round}"), "value=1").await;
        assert_eq!(created.status, CREATED);
        assert_eq!(created.header("X-Etcd-Index"), Some(index.as_str()));
        drop(running.server);
    }
}

#[tokio::test]
async fn a_file_may_be_used_with_and_without_v2() {
    let directory = tempfile::tempdir().unwrap();
    let without = Server::builder().data_dir(directory.path());
    // It has no table for them, like those of earlier versions.
    without
        .clone()
        .start()
        .await
        .unwrap()
        .shutdown()
        .await
        .unwrap();
    let mut running = Running::at(directory.path()).await;
    let set = running.put("/a", "value=1").await;
    is(
        &set,
        CREATED,
        "4",
        r#"{"action":"set","node":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#,
    );
    running.stop().await;
    without.start().await.unwrap().shutdown().await.unwrap();
    let mut running = Running::at(directory.path()).await;
    assert_eq!(running.get("/a").await.header("X-Etcd-Index"), Some("5"));
    running.stop().await;
}

#[tokio::test]
async fn what_a_failing_disk_did_not_store_is_neither_read_nor_told() {
    let disk = Arc::new(MemoryDisk::default());
    let mut running = Running::on(&disk).await;
    running.put("/a", "value=old").await;
    let mut watch = Raw::connect(&running.server).await;
    watch
        .send("GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert_eq!(watch.head().await.status, OK);
    disk.fails.store(true, Ordering::Relaxed);
    let lost = running.put("/a", "value=new").await;
    assert_eq!(lost.status, INTERNAL);
    assert!(lost.body.contains("the cable fell out"), "{}", lost.body);
    disk.fails.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        let refused = running.get("/a").await;
        assert_eq!(refused.status, INTERNAL);
        assert!(
            refused.body.contains("\"errorCode\":300"),
            "{}",
            refused.body
        );
        assert_eq!(running.put("/a", "value=newer").await.status, INTERNAL);
    }
    running.server.shutdown().await.unwrap_err();
    assert!(watch.is_at_end().await, "it was told of nothing");

    let mut running = Running::on(&disk).await;
    let old =
        r#"{"action":"get","node":{"key":"/a","value":"old","modifiedIndex":4,"createdIndex":4}}"#;
    is(&running.get("/a").await, OK, "5", old);
    running.stop().await;
}

#[tokio::test]
async fn what_a_full_disk_did_not_store_is_taken_back() {
    let disk = Arc::new(MemoryDisk::default());
    let mut running = Running::on(&disk).await;
    running.put("/a", "value=old").await;
    let mut watch = Raw::connect(&running.server).await;
    watch
        .send("GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert_eq!(watch.head().await.status, OK);
    disk.is_full.store(true, Ordering::Relaxed);
    assert_eq!(running.put("/a", "value=lost").await.status, INTERNAL);
    let refused = running.get("/a").await;
    assert!(!refused.body.contains("lost"), "{}", refused.body);
    disk.is_full.store(false, Ordering::Relaxed);
    // Nothing can be stored until it is noticed that there is room again.
    let set = loop {
        let set = running.put("/a", "value=new").await;
        if set.status == OK {
            break set;
        }
        assert_eq!(set.status, INTERNAL);
        tokio::task::yield_now().await;
    };
    let event = concat!(
        r#"{"action":"set","node":{"key":"/a","value":"new","modifiedIndex":5,"createdIndex":5},"#,
        r#""prevNode":{"key":"/a","value":"old","modifiedIndex":4,"createdIndex":4}}"#
    );
    is(&set, OK, "5", event);
    assert_eq!(watch.chunk().await.trim_end(), event);
    running.stop().await;
    let mut running = Running::on(&disk).await;
    assert!(running.get("/a").await.body.contains("\"new\""));
    running.stop().await;
}
