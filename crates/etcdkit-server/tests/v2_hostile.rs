//! Whatever is sent to the v2 API, the server neither panics, nor stops serving others, nor keeps what
//! nobody wants any more.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::raw::{Raw, send};
use etcdkit_server::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Nothing here takes longer unless it hangs.
const LONG: Duration = Duration::from_secs(60);

async fn start() -> Server {
    Server::builder().enable_v2(true).start().await.unwrap()
}

async fn counts(server: &Server) -> serde_json::Value {
    let stats = Raw::connect(server).await.get("/v2/stats/store").await;
    serde_json::from_str(&stats.body).unwrap()
}

/// Waits until so many requests wait: the server hears of closed connections when it looks at them.
async fn watchers_are(server: &Server, expected: u64) {
    let reached = async { while counts(server).await["watchers"] != expected {} };
    timeout(LONG, reached).await.expect("other watchers");
}

async fn assert_serves(server: &Server) {
    let mut raw = Raw::connect(server).await;
    let put = raw.put("/v2/keys/alive", "value=yes").await;
    assert!(put.status.starts_with("HTTP/1.1 20"), "{put}");
    let get = raw.get("/v2/keys/alive").await;
    assert!(get.body.contains(r#""value":"yes""#), "{get}");
    watchers_are(server, 0).await;
}

fn put(key: &str, headers: &str, body: &str) -> String {
    let form = "Content-Type: application/x-www-form-urlencoded";
    format!("PUT /v2/keys/{key} HTTP/1.1\r\nHost: x\r\n{form}\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn damaged_requests_break_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let server = start().await;
    let requests = [
        put("a", "Content-Length: 23\r\n", "value=1&ttl=9&dir=false"),
        put(
            "b",
            "Transfer-Encoding: chunked\r\n",
            "5\r\nvalue\r\n2\r\n=1\r\n0\r\n\r\n",
        ),
        "GET /v2/keys/a?recursive=true&sorted=true HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "GET /v2/keys/a?wait=true&waitIndex=1&stream=true HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "DELETE /v2/keys/a%2Fb?prevValue=1&prevIndex=7 HTTP/1.0\r\n\r\n".to_owned(),
        "POST /v2/members HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: 15\r\n\r\n{\"peerURLs\":[]}"
            .to_owned(),
        "PUT /v2/auth/users/u HTTP/1.1\r\nHost: x\r\nAuthorization: Basic dTpw\r\n\
         Content-Length: 28\r\n\r\n{\"user\":\"u\",\"password\":\"pw\"}"
            .to_owned(),
    ];
    for request in &requests {
        for _ in 0..150 {
            let mut bytes = request.clone().into_bytes();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                match random.u8(..4) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes[at] ^= 1 << random.u8(..8),
                    2 => bytes.insert(at, random.u8(..)),
                    // As with Go's server, nobody looks for the end of a connection on which more has been
                    // asked than is answered.
                    _ if request.contains("wait=") => bytes.truncate(at.max(1)),
                    _ => {
                        let piece = bytes[at..].to_vec();
                        bytes.extend(piece);
                    }
                }
            }
            send(&server, &bytes).await;
        }
    }
    assert_serves(&server).await;
}

#[tokio::test]
async fn long_heads_are_refused() {
    let server = start().await;
    let long = "x".repeat(2 << 20);
    for head in [
        format!("GET /v2/keys/{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /v2/keys/a HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
        format!(
            "GET /v2/keys/a HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "X: y\r\n".repeat(100_000)
        ),
        long,
    ] {
        let answer = send(&server, head.as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer);
        let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(is_refused, "{answer}");
    }
    assert_serves(&server).await;
}

/// A body that has not come in full is not a request.
#[tokio::test]
async fn bodies_that_break_off_change_nothing() {
    let server = start().await;
    for request in [
        put("cut", "Content-Length: 100\r\n", "value=1"),
        put("cut", "Transfer-Encoding: chunked\r\n", "7\r\nvalue=1\r\n"),
        put(
            "cut",
            "Transfer-Encoding: chunked\r\n",
            "7\r\nvalue=1\r\nzz\r\n\r\n",
        ),
        put(
            "cut",
            "Transfer-Encoding: chunked\r\n",
            "ffffffffffffffff1\r\nvalue=1",
        ),
    ] {
        let answer = send(&server, request.as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer);
        let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(is_refused, "{request}: {answer}");
    }
    let missing = Raw::connect(&server).await.get("/v2/keys/cut").await;
    assert_eq!(missing.status, "HTTP/1.1 404 Not Found");
    assert_serves(&server).await;
}

/// Whoever sends slowly keeps nobody waiting, and may still finish.
#[tokio::test]
async fn slow_bodies_hold_up_nobody() {
    let server = start().await;
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut raw = Raw::connect(&server).await;
        raw.send(put(
            &format!("slow/{number}"),
            "Content-Length: 7\r\n",
            "val",
        ))
        .await;
        slow.push(raw);
    }
    assert_serves(&server).await;
    for raw in &mut slow {
        raw.send("ue=1").await;
        let created = raw.reply(true).await;
        assert_eq!(created.status, "HTTP/1.1 201 Created", "{created}");
    }
}

#[tokio::test]
async fn a_flood_of_requests_is_answered_in_order() {
    let server = start().await;
    let mut raw = Raw::connect(&server).await;
    let mut flood = String::new();
    for number in 0..500 {
        let form = format!("value={number}");
        flood += &put(
            "flood",
            &format!("Content-Length: {}\r\n", form.len()),
            &form,
        );
        flood += "GET /v2/keys/flood HTTP/1.1\r\nHost: x\r\n\r\n";
    }
    raw.send(flood).await;
    for number in 0..500 {
        for _ in 0..2 {
            let reply = raw.reply(true).await;
            let node = format!(r#""node":{{"key":"/flood","value":"{number}""#);
            assert!(reply.body.contains(&node), "{number}: {reply}");
        }
    }
}

/// As deep as a path can be, a tree is written, listed, watched and removed.
#[tokio::test]
async fn deep_paths_do_not_exhaust_the_stack() {
    let server = start().await;
    let mut raw = Raw::connect(&server).await;
    let deep = "a/".repeat(30_000);
    let created = raw.put(&format!("/v2/keys/{deep}"), "value=1").await;
    if created.status == "HTTP/1.1 201 Created" {
        let listed = raw.get("/v2/keys/?recursive=true&sorted=true").await;
        assert_eq!(listed.status, "HTTP/1.1 200 OK");
        assert!(listed.body.contains(r#""value":"1""#));
        let deleted = raw.ask("DELETE", "/v2/keys/a?recursive=true", None).await;
        assert_eq!(deleted.status, "HTTP/1.1 200 OK", "{deleted}");
    } else {
        assert!(
            created.status.starts_with("HTTP/1.1 4"),
            "{}",
            created.status
        );
    }
    assert_serves(&server).await;
}

/// Opens a watch on a pipe and reads the head of its answer.
async fn watch(server: &Server, target: &str) -> DuplexStream {
    let mut pipe = server.connector().open().unwrap();
    let request = format!("GET /v2/keys/{target} HTTP/1.1\r\nHost: x\r\n\r\n");
    pipe.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(pipe.read_u8().await.unwrap());
    }
    pipe
}

#[tokio::test]
async fn thousands_of_watchers_are_told_and_forgotten() {
    const WATCHERS: usize = 4_000;
    let server = start().await;
    let mut told = JoinSet::new();
    for number in 0..WATCHERS {
        // Some of the key, some of all, some for ever; a fifth of something that never happens.
        let target = match number % 5 {
            0 => "dir/hot?wait=true",
            1 => "dir?wait=true&recursive=true",
            2 => "?wait=true&recursive=true",
            3 => "dir/hot?wait=true&stream=true",
            _ => "dir/cold?wait=true",
        };
        let mut pipe = watch(&server, target).await;
        told.spawn(async move {
            let mut event = Vec::new();
            while !event.ends_with(b"}\n") {
                event.push(pipe.read_u8().await.ok()?);
            }
            Some(String::from_utf8(event).unwrap())
        });
    }
    watchers_are(&server, WATCHERS as u64).await;

    let mut raw = Raw::connect(&server).await;
    raw.put("/v2/keys/dir/hot", "value=1").await;
    let all_told = async {
        let mut events = 0;
        while events < WATCHERS / 5 * 4 {
            let event = told.join_next().await.unwrap().unwrap().unwrap();
            assert!(event.contains(r#""key":"/dir/hot","value":"1""#), "{event}");
            events += 1;
        }
    };
    timeout(LONG, all_told).await.expect("all are told");

    // Those that heard nothing hang up.
    told.abort_all();
    while told.join_next().await.is_some() {}
    assert_serves(&server).await;
}

/// Connections that are reset, at whatever point of a watch.
#[tokio::test]
async fn watches_that_are_cut_are_forgotten() {
    let server = start().await;
    let mut raw = Raw::connect(&server).await;
    for round in 0..20 {
        let mut open = Vec::new();
        for number in 0..20 {
            let stream = ["", "&stream=true"][number % 2];
            let target = format!("dir?wait=true&recursive=true{stream}");
            open.push(watch(&server, &target).await);
        }
        // Half of them are gone before anything happens, and half of the others with an event unread.
        open.truncate(10);
        raw.put("/v2/keys/dir/a", &format!("value={round}")).await;
        open.truncate(5);
    }
    assert_serves(&server).await;
}

/// Who does not read a stream costs bounded memory: at some point the server gives up on it, as etcd does
/// after a hundred events.
#[tokio::test]
async fn a_stream_that_nobody_reads_is_given_up() {
    let server = start().await;
    let unread = watch(&server, "big?wait=true&stream=true").await;
    let mut raw = Raw::connect(&server).await;
    let form = format!("value={}", "x".repeat(10_000));
    for _ in 0..1_000 {
        let put = raw.put("/v2/keys/big", &form).await;
        assert!(put.status.starts_with("HTTP/1.1 20"), "{}", put.status);
    }
    watchers_are(&server, 0).await;
    drop(unread);
    assert_serves(&server).await;
}
