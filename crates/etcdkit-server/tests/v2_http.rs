//! The v2 API, byte for byte as etcd 3.5.30 answered the same requests.

#![allow(clippy::unwrap_used)]

mod common;

use common::raw::{Raw, Reply};
use etcdkit_server::Server;

async fn start() -> Server {
    Server::builder()
        .enable_v2(true)
        .name("a")
        .cluster_id(0x8cc9_da78_b36d_1115)
        .member_id(0xac7c_97ef_0ec1_93b0)
        .advertise_client_urls(["http://127.0.0.1:2379"])
        .start()
        .await
        .unwrap()
}

async fn connect() -> (Server, Raw) {
    let server = start().await;
    let raw = Raw::connect(&server).await;
    (server, raw)
}

#[track_caller]
fn is(reply: &Reply, expected: &str) {
    assert_eq!(reply.to_string(), expected);
}

/// Without the length and the kind of the content, which are looked at once.
#[track_caller]
fn says(reply: &Reply, status: &str, index: &str, body: &str) {
    let found = (
        reply.status.as_str(),
        reply.header("X-Etcd-Index"),
        reply.body.trim_end(),
    );
    assert_eq!(found, (status, Some(index), body));
}

const OK: &str = "HTTP/1.1 200 OK";
const CREATED: &str = "HTTP/1.1 201 Created";
const BAD_REQUEST: &str = "HTTP/1.1 400 Bad Request";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found";
const PRECONDITION_FAILED: &str = "HTTP/1.1 412 Precondition Failed";

#[tokio::test]
async fn the_first_answers_of_a_member() {
    let (_server, mut raw) = connect().await;
    is(
        &raw.get("/v2/keys").await,
        "HTTP/1.1 200 OK\n\
         Content-Length: 37\n\
         Content-Type: application/json\n\
         X-Etcd-Cluster-Id: 8cc9da78b36d1115\n\
         X-Etcd-Index: 3\n\
         X-Raft-Index: 4\n\
         X-Raft-Term: 2\n\n\
         {\"action\":\"get\",\"node\":{\"dir\":true}}\n",
    );
    is(
        &raw.put("/v2/keys/a", "value=1").await,
        "HTTP/1.1 201 Created\n\
         Content-Length: 84\n\
         Content-Type: application/json\n\
         X-Etcd-Cluster-Id: 8cc9da78b36d1115\n\
         X-Etcd-Index: 4\n\
         X-Raft-Index: 5\n\
         X-Raft-Term: 2\n\n\
         {\"action\":\"set\",\"node\":{\"key\":\"/a\",\"value\":\"1\",\"modifiedIndex\":4,\"createdIndex\":4}}\n",
    );
    is(
        &raw.get("/v2/keys/nope/deep").await,
        "HTTP/1.1 404 Not Found\n\
         Content-Length: 70\n\
         Content-Type: application/json\n\
         X-Etcd-Cluster-Id: 8cc9da78b36d1115\n\
         X-Etcd-Index: 4\n\n\
         {\"errorCode\":100,\"message\":\"Key not found\",\"cause\":\"/nope\",\"index\":4}\n",
    );
    is(
        &raw.get("/v2/keys/a?recursive=").await,
        "HTTP/1.1 400 Bad Request\n\
         Content-Length: 96\n\
         Content-Type: application/json\n\
         X-Etcd-Cluster-Id: 8cc9da78b36d1115\n\
         X-Etcd-Index: 0\n\n\
         {\"errorCode\":209,\"message\":\"Invalid field\",\"cause\":\"invalid value for \\\"recursive\\\"\",\"index\":0}\n",
    );
    is(
        &raw.ask("PATCH", "/v2/keys/a", None).await,
        "HTTP/1.1 405 Method Not Allowed\n\
         Allow: HEAD,GET,PUT,POST,DELETE\n\
         Content-Length: 19\n\
         Content-Type: text/plain; charset=utf-8\n\
         X-Content-Type-Options: nosniff\n\n\
         Method Not Allowed\n",
    );
    is(
        &raw.get("/v2/keysfoo").await,
        "HTTP/1.1 404 Not Found\n\
         Content-Length: 19\n\
         Content-Type: text/plain; charset=utf-8\n\
         X-Content-Type-Options: nosniff\n\n\
         404 page not found\n",
    );
}

#[tokio::test]
async fn nothing_is_there_unless_enabled() {
    let server = Server::builder().start().await.unwrap();
    let mut raw = Raw::connect(&server).await;
    for path in ["/v2/keys", "/v2/members", "/v2/stats/self", "//v2/keys"] {
        let reply = raw.get(path).await;
        assert_eq!(
            (reply.status.as_str(), reply.body.as_str()),
            (NOT_FOUND, "404 page not found\n"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_verb_does_what_it_does() {
    let (_server, mut raw) = connect().await;
    says(
        &raw.put("/v2/keys/d/a", "value=1").await,
        CREATED,
        "4",
        r#"{"action":"set","node":{"key":"/d/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#,
    );
    says(
        &raw.put("/v2/keys/d/a?prevExist=true", "value=2").await,
        OK,
        "5",
        r#"{"action":"update","node":{"key":"/d/a","value":"2","modifiedIndex":5,"createdIndex":4},"prevNode":{"key":"/d/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#,
    );
    says(
        &raw.put("/v2/keys/d/a?prevExist=false", "value=2").await,
        PRECONDITION_FAILED,
        "5",
        r#"{"errorCode":105,"message":"Key already exists","cause":"/d/a","index":5}"#,
    );
    says(
        &raw.put("/v2/keys/d/a?prevValue=x&prevIndex=7", "value=3")
            .await,
        PRECONDITION_FAILED,
        "5",
        r#"{"errorCode":101,"message":"Compare failed","cause":"[x != 2] [7 != 5]","index":5}"#,
    );
    says(
        &raw.put("/v2/keys/d/a?prevIndex=5", "value=3").await,
        OK,
        "6",
        r#"{"action":"compareAndSwap","node":{"key":"/d/a","value":"3","modifiedIndex":6,"createdIndex":4},"prevNode":{"key":"/d/a","value":"2","modifiedIndex":5,"createdIndex":4}}"#,
    );
    says(
        &raw.ask("POST", "/v2/keys/d", Some("value=q")).await,
        CREATED,
        "7",
        r#"{"action":"create","node":{"key":"/d/00000000000000000007","value":"q","modifiedIndex":7,"createdIndex":7}}"#,
    );
    says(
        &raw.get("/v2/keys/?recursive=true&sorted=true&quorum=true")
            .await,
        OK,
        "7",
        r#"{"action":"get","node":{"dir":true,"nodes":[{"key":"/d","dir":true,"nodes":[{"key":"/d/00000000000000000007","value":"q","modifiedIndex":7,"createdIndex":7},{"key":"/d/a","value":"3","modifiedIndex":6,"createdIndex":4}],"modifiedIndex":4,"createdIndex":4}]}}"#,
    );
    says(
        &raw.ask("DELETE", "/v2/keys/d?dir=true", None).await,
        "HTTP/1.1 403 Forbidden",
        "7",
        r#"{"errorCode":108,"message":"Directory not empty","cause":"/d","index":7}"#,
    );
    says(
        &raw.ask("DELETE", "/v2/keys/d/a?prevValue=3", None).await,
        OK,
        "8",
        r#"{"action":"compareAndDelete","node":{"key":"/d/a","modifiedIndex":8,"createdIndex":4},"prevNode":{"key":"/d/a","value":"3","modifiedIndex":6,"createdIndex":4}}"#,
    );
    says(
        &raw.ask("DELETE", "/v2/keys/d?recursive=1", None).await,
        OK,
        "9",
        r#"{"action":"delete","node":{"key":"/d","dir":true,"modifiedIndex":9,"createdIndex":4},"prevNode":{"key":"/d","dir":true,"modifiedIndex":4,"createdIndex":4}}"#,
    );
    says(
        &raw.put("/v2/keys/", "value=1").await,
        BAD_REQUEST,
        "9",
        r#"{"errorCode":107,"message":"Root is read only","cause":"/","index":9}"#,
    );
    says(
        &raw.put("/v2/keys/a?noValueOnSuccess=true", "value=1").await,
        CREATED,
        "10",
        r#"{"action":"set"}"#,
    );
    let expiring = raw.put("/v2/keys/a", "value=1&ttl=500").await;
    let (before, after) = expiring.body.split_once(r#""expiration":""#).unwrap();
    assert_eq!(before, r#"{"action":"set","node":{"key":"/a","value":"1","#);
    let (date, after) = after.split_at(after.find('"').unwrap());
    assert!(date.starts_with("20") && date.ends_with('Z'), "{date}");
    assert_eq!(
        after.trim_end(),
        r#"","ttl":500,"modifiedIndex":11,"createdIndex":11},"prevNode":{"key":"/a","value":"1","modifiedIndex":10,"createdIndex":10}}"#
    );
}

/// Values are bytes, but JSON is text.
#[tokio::test]
async fn values_that_are_no_text() {
    let (_server, mut raw) = connect().await;
    says(
        &raw.put("/v2/keys/%ff", "value=%fe%3c").await,
        CREATED,
        "4",
        r#"{"action":"set","node":{"key":"/\ufffd","value":"\ufffd\u003c","modifiedIndex":4,"createdIndex":4}}"#,
    );
    says(
        &raw.put("/v2/keys/%ff?prevValue=%fd%3c", "value=1").await,
        PRECONDITION_FAILED,
        "4",
        r#"{"errorCode":101,"message":"Compare failed","cause":"[\ufffd\u003c != \ufffd\u003c]","index":4}"#,
    );
    let reply = raw.put("/v2/keys/%ff?prevValue=%fe%3c", "value=1").await;
    assert_eq!(reply.status, OK);
}

#[tokio::test]
async fn metrics_count_what_was_understood() {
    let (_server, mut raw) = connect().await;
    raw.put("/v2/keys/a", "value=1").await;
    raw.put("/v2/keys/a?prevExist=false", "").await;
    raw.get("/v2/keys/b").await;
    raw.get("/v2/keys").await;
    raw.get("/v2/keys?recursive=x").await;
    raw.get("/v2/keys?wait=true&waitIndex=4&recursive=true")
        .await;
    let metrics = raw.get("/metrics").await.body;
    for line in [
        "etcd_http_received_total{method=\"GET\"} 2",
        "etcd_http_received_total{method=\"PUT\"} 2",
        "etcd_http_failed_total{code=\"404\",method=\"GET\"} 1",
        "etcd_http_failed_total{code=\"412\",method=\"PUT\"} 1",
        "etcd_debugging_store_writes_total{action=\"create\"} 2",
        "etcd_debugging_store_writes_total{action=\"set\"} 3",
        "etcd_debugging_store_watchers 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in {metrics}"
        );
    }
    let failed = metrics
        .lines()
        .filter(|line| line.starts_with("etcd_http_failed"));
    assert_eq!(failed.count(), 2);
}

#[tokio::test]
async fn parameters_are_in_the_query_and_in_forms() {
    let (_server, mut raw) = connect().await;
    let value = |reply: &Reply| {
        let (_, rest) = reply.body.split_once(r#""value":""#).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    assert_eq!(
        value(&raw.put("/v2/keys/p?value=query", "value=body").await),
        "body"
    );
    for (headers, expected) in [
        ("", "query"),
        ("Content-Type: text/plain\r\n", "query"),
        ("Content-Type: multipart/form-data; boundary=x\r\n", "query"),
        (
            "Content-Type: Application/x-www-form-URLencoded ;charset=utf-8\r\n",
            "body",
        ),
    ] {
        let path = "/v2/keys/p?value=query";
        let head = format!("PUT {path} HTTP/1.1\r\nHost: x\r\n{headers}");
        raw.send(format!("{head}Content-Length: 10\r\n\r\nvalue=body"))
            .await;
        assert_eq!(value(&raw.reply(true).await), expected, "{headers}");
        let chunks = "6\r\nvalue=\r\n4\r\nbody\r\n0\r\n\r\n";
        raw.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}"))
            .await;
        assert_eq!(value(&raw.reply(true).await), expected, "{headers}");
    }
    // What deletes and reads is asked in the query only.
    says(
        &raw.ask("DELETE", "/v2/keys/p?prevValue=x", Some("prevValue=body"))
            .await,
        PRECONDITION_FAILED,
        "12",
        r#"{"errorCode":101,"message":"Compare failed","cause":"[x != body]","index":12}"#,
    );
    says(
        &raw.put("/v2/keys/p?recursive=%zz", "value=1;2").await,
        BAD_REQUEST,
        "0",
        r#"{"errorCode":210,"message":"Invalid POST form","cause":"invalid semicolon separator in query","index":0}"#,
    );
    says(
        &raw.put("/v2/keys/p?recursive=%zz", "value=1").await,
        BAD_REQUEST,
        "0",
        r#"{"errorCode":210,"message":"Invalid POST form","cause":"invalid URL escape \"%zz\"","index":0}"#,
    );
    raw.send(
        "PUT /v2/keys/p HTTP/1.1\r\nHost: x\r\nContent-Type: a b\r\nContent-Length: 1\r\n\r\nx",
    )
    .await;
    says(
        &raw.reply(true).await,
        BAD_REQUEST,
        "0",
        r#"{"errorCode":210,"message":"Invalid POST form","cause":"mime: expected slash after first token","index":0}"#,
    );
}

#[tokio::test]
async fn forms_have_a_limit_of_ten_mebibytes() {
    let (_server, mut raw) = connect().await;
    let value = "v".repeat(10 * 1024 * 1024 - "value=".len());
    let reply = raw
        .put(
            "/v2/keys/big?noValueOnSuccess=true",
            &format!("value={value}"),
        )
        .await;
    assert_eq!(reply.status, CREATED);
    let reply = raw.put("/v2/keys/big", &format!("value={value}v")).await;
    says(
        &reply,
        BAD_REQUEST,
        "0",
        r#"{"errorCode":210,"message":"Invalid POST form","cause":"http: POST too large","index":0}"#,
    );
    let reply = raw.get("/v2/keys/big").await;
    assert_eq!(reply.header("Transfer-Encoding"), Some("chunked"));
    assert!(reply.body.contains(&value));
}

#[tokio::test]
async fn paths_are_cleaned_by_the_client() {
    let (_server, mut raw) = connect().await;
    is(
        &raw.get("//v2/keys//a?x=1&y=%zz").await,
        "HTTP/1.1 301 Moved Permanently\n\
         Content-Length: 59\n\
         Content-Type: text/html; charset=utf-8\n\
         Location: /v2/keys/a?x=1&y=%zz\n\n\
         <a href=\"/v2/keys/a?x=1&amp;y=%zz\">Moved Permanently</a>.\n\n",
    );
    is(
        &raw.put("/v2/keys/a/../b%20%3Cc%3e", "value=1").await,
        "HTTP/1.1 301 Moved Permanently\n\
         Content-Length: 0\n\
         Location: /v2/keys/b%20%3Cc%3E\n\n",
    );
    let reply = raw.ask("HEAD", "/v2/keys/a/./b", None).await;
    is(
        &reply,
        "HTTP/1.1 301 Moved Permanently\n\
         Content-Type: text/html; charset=utf-8\n\
         Location: /v2/keys/a/b\n\n",
    );
    says(
        &raw.get("/v2/keys/a%00b%0ac").await,
        NOT_FOUND,
        "3",
        r#"{"errorCode":100,"message":"Key not found","cause":"/a\u0000b\nc","index":3}"#,
    );
    is(
        &raw.get("/v2/keys/%zz").await,
        "HTTP/1.1 400 Bad Request\n\
         Connection: close\n\
         Content-Length: 15\n\
         Content-Type: text/plain; charset=utf-8\n\n\
         400 Bad Request",
    );
    assert!(raw.is_at_end().await);
}

#[tokio::test]
async fn heads_have_no_bodies() {
    let (_server, mut raw) = connect().await;
    let value = "v".repeat(2_000);
    raw.put("/v2/keys/big", &format!("value={value}")).await;
    is(
        &raw.ask("HEAD", "/v2/keys/nope", None).await,
        "HTTP/1.1 404 Not Found\n\
         Content-Length: 70\n\
         Content-Type: application/json\n\
         X-Etcd-Cluster-Id: 8cc9da78b36d1115\n\
         X-Etcd-Index: 4\n\n",
    );
    // Go does not know the length of what is longer than its buffer.
    is(
        &raw.ask("HEAD", "/v2/keys/big", None).await,
        "HTTP/1.1 200 OK\n\
         Content-Type: application/json\n\
         X-Etcd-Cluster-Id: 8cc9da78b36d1115\n\
         X-Etcd-Index: 4\n\
         X-Raft-Index: 5\n\
         X-Raft-Term: 2\n\n",
    );
    let reply = raw.ask("HEAD", "/v2/stats/self", None).await;
    assert_eq!(reply.status, "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(reply.header("Allow"), Some("GET"));
    // The connection has gone on all the time.
    assert_eq!(raw.get("/v2/keys").await.status, OK);
}

#[tokio::test]
async fn http_1_0_pipelines_and_expectations() {
    let (server, mut raw) = connect().await;
    raw.send("GET /v2/keys HTTP/1.0\r\n\r\n").await;
    let reply = raw.reply(true).await;
    assert_eq!(reply.status, "HTTP/1.0 200 OK");
    assert_eq!(reply.body, "{\"action\":\"get\",\"node\":{\"dir\":true}}\n");
    assert!(raw.is_at_end().await);

    let mut raw = Raw::connect(&server).await;
    let one = "PUT /v2/keys/p?value=1 HTTP/1.1\r\nHost: x\r\n\r\n";
    let two = "GET /v2/keys/p HTTP/1.1\r\nHost: x\r\n\r\n";
    raw.send(format!("{one}{two}")).await;
    assert_eq!(raw.reply(true).await.status, CREATED);
    assert_eq!(raw.reply(true).await.status, OK);

    let head = "PUT /v2/keys/e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n\r\n";
    raw.send(head).await;
    assert_eq!(
        raw.until(b"\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    raw.send("value=1").await;
    assert_eq!(raw.reply(true).await.status, CREATED);

    // Bodies that mean nothing are passed over, unless they are long or still to be asked for.
    let head = "PUT /v2/keys/e HTTP/1.1\r\nHost: x\r\n";
    for (headers, body, is_last) in [
        ("Expect: 100-continue\r\n", 0, false),
        ("Content-Length: 200000\r\n", 200_000, false),
        ("Content-Length: 300000\r\n", 300_000, true),
        ("Expect: 100-continue\r\nContent-Length: 7\r\n", 0, true),
    ] {
        let mut raw = Raw::connect(&server).await;
        raw.send(format!("{head}{headers}\r\n{}", "v".repeat(body)))
            .await;
        let reply = raw.reply(true).await;
        assert_eq!(reply.status, OK, "{headers}");
        let connection = reply.header("Connection");
        assert_eq!(connection, is_last.then_some("close"), "{headers}");
    }
}

/// Go reads a form before it complains about a parameter of its type, so the connection goes on.
#[tokio::test]
async fn a_form_of_a_malformed_type_is_read() {
    let (_server, mut raw) = connect().await;
    raw.send(
        "PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\
         Content-Type: application/x-www-form-urlencoded; ;\r\n\r\n",
    )
    .await;
    assert_eq!(
        raw.until(b"\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    raw.send("value=1").await;
    let reply = raw.reply(true).await;
    assert!(
        reply.body.contains("mime: invalid media parameter"),
        "{reply}"
    );
    assert_eq!(reply.header("Connection"), None);
    assert_eq!(raw.get("/v2/keys").await.status, OK);
}

/// What Go's server refuses never gets to etcd, and nobody knows where the next request would begin.
#[tokio::test]
async fn heads_that_go_refuses_change_nothing() {
    let (server, mut raw) = connect().await;
    raw.put("/v2/keys/kept", "value=1").await;
    let host = "Host: x\r\n";
    for (headers, status) in [
        (String::new(), "400 Bad Request"),
        (format!("{host}{host}"), "400 Bad Request"),
        ("Host: a b\r\n".to_owned(), "400 Bad Request"),
        (
            format!("{host}Expect: bananas\r\n"),
            "417 Expectation Failed",
        ),
        (
            format!("{host}Transfer-Encoding: gzip, chunked\r\n"),
            "501 Not Implemented",
        ),
    ] {
        let mut raw = Raw::connect(&server).await;
        let target = "/v2/keys/kept?value=2";
        raw.send(format!("PUT {target} HTTP/1.1\r\n{headers}\r\n"))
            .await;
        let reply = raw.reply(true).await;
        assert_eq!(reply.status, format!("HTTP/1.1 {status}"), "{headers}");
        assert_eq!(reply.header("Connection"), Some("close"), "{headers}");
        assert!(raw.is_at_end().await, "{headers}");
    }
    let kept = raw.get("/v2/keys/kept").await;
    assert!(kept.body.contains(r#""value":"1""#), "{kept}");
}

/// After a broken body the connection ends, and the answer says so.
#[tokio::test]
async fn a_broken_body_is_the_last_of_a_connection() {
    let (_server, mut raw) = connect().await;
    raw.send(
        "PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\nzz\r\n",
    )
    .await;
    let reply = raw.reply(true).await;
    assert_eq!(reply.status, "HTTP/1.1 400 Bad Request");
    assert_eq!(reply.header("Connection"), Some("close"));
    assert!(reply.body.contains("210"), "{reply}");
    assert!(raw.is_at_end().await);
}

#[tokio::test]
async fn every_origin_may_ask() {
    let (_server, mut raw) = connect().await;
    raw.send("OPTIONS /v2/keys//a HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    let head = raw.until(b"\r\n\r\n").await;
    for line in [
        "HTTP/1.1 200 OK\r\n",
        "Access-Control-Allow-Origin: *\r\n",
        "Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n",
        "Access-Control-Allow-Headers: accept, content-type, authorization\r\n",
    ] {
        assert!(head.contains(line), "{head}");
    }
}

#[tokio::test]
async fn members_of_a_cluster_of_one() {
    const ID: &str = "ac7c97ef0ec193b0";
    let (_server, mut raw) = connect().await;
    let own = r#"{"id":"ac7c97ef0ec193b0","name":"a","peerURLs":["http://localhost:2380"],"clientURLs":["http://127.0.0.1:2379"]}"#;
    for path in ["/v2/members", "/v2/members/"] {
        let reply = raw.get(path).await;
        assert_eq!(reply.body, format!("{{\"members\":[{own}]}}\n"));
        assert_eq!(reply.header("X-Etcd-Cluster-Id"), Some("8cc9da78b36d1115"));
        assert_eq!(reply.header("X-Etcd-Index"), None);
    }
    assert_eq!(raw.get("/v2/members/leader").await.body, format!("{own}\n"));
    is(
        &raw.get("/v2/members/abc").await,
        "HTTP/1.1 404 Not Found\n\
         Content-Length: 23\n\
         Content-Type: application/json\n\
         X-Etcd-Cluster-Id: 8cc9da78b36d1115\n\n\
         {\"message\":\"Not found\"}",
    );
    let refused = raw.ask("HEAD", "/v2/members", None).await;
    assert_eq!(refused.header("Allow"), Some("GET,POST,DELETE,PUT"));

    let (own, other) = ("http://localhost:2380", "http://a:1");
    for (method, id, urls, status, message) in [
        (
            "POST",
            "",
            own,
            "409 Conflict",
            "membership: peerURL exists",
        ),
        (
            "PUT",
            ID,
            "http://a",
            "400 Bad Request",
            "URL address does not have the form \"host:port\": http://a",
        ),
        (
            "PUT",
            ID,
            "http://a:1/",
            "400 Bad Request",
            "URL must not contain a path: http://a:1/",
        ),
        (
            "PUT",
            ID,
            "ftp://a:1",
            "400 Bad Request",
            "URL scheme must be http, https, unix, or unixs: ftp://a:1",
        ),
        ("PUT", "0123", other, "404 Not Found", "No such member: 123"),
        ("PUT", "xyz", other, "404 Not Found", "No such member: xyz"),
        (
            "PUT",
            "123/4",
            other,
            "404 Not Found",
            "No such member: 123/4",
        ),
        (
            "DELETE",
            "+12",
            other,
            "404 Not Found",
            "No such member: +12",
        ),
        ("DELETE", "1f", other, "404 Not Found", "No such member: 1f"),
        (
            "DELETE",
            ID,
            other,
            "500 Internal Server Error",
            "Internal Server Error",
        ),
    ] {
        let reply = change(
            &mut raw,
            method,
            id,
            &format!("{{\"peerURLs\":[\"{urls}\"]}}"),
        )
        .await;
        let message = serde_json::json!({ "message": message }).to_string();
        assert_eq!(
            (reply.status, reply.body),
            (format!("HTTP/1.1 {status}"), message),
            "{urls}"
        );
    }
    for (body, message) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("{}", "no valid URLs given"),
        ("null", "no valid URLs given"),
        ("{\"peerURLs\":null}", "no valid URLs given"),
    ] {
        let reply = change(&mut raw, "PUT", ID, body).await;
        assert_eq!(
            reply.body,
            format!("{{\"message\":\"{message}\"}}"),
            "{body}"
        );
    }
    let reply = raw
        .ask("PUT", &format!("/v2/members/{ID}"), Some("{}"))
        .await;
    assert_eq!(reply.status, "HTTP/1.1 415 Unsupported Media Type");
    assert_eq!(
        reply.body,
        r#"{"message":"Bad Content-Type application/x-www-form-urlencoded, accept application/json"}"#
    );
    let reply = raw.ask("DELETE", "/v2/members", None).await;
    assert_eq!(reply.status, "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(reply.header("Allow"), None);

    // Another member is more than there can be here.
    let reply = change(&mut raw, "POST", "", "{\"peerURLs\":[\"http://a:1\"]}").await;
    assert_eq!(reply.status, "HTTP/1.1 501 Not Implemented");

    let reply = change(
        &mut raw,
        "PUT",
        ID,
        "{\"peerURLs\":[\"http://b:2\",\"http://a:1\"]}",
    )
    .await;
    is(
        &reply,
        "HTTP/1.1 204 No Content\nX-Etcd-Cluster-Id: 8cc9da78b36d1115\n\n",
    );
    let members = raw.get("/v2/members").await.body;
    assert!(
        members.contains(r#""peerURLs":["http://a:1","http://b:2"]"#),
        "{members}"
    );
    // It is noted in the tree, where users do not see it.
    assert_eq!(raw.get("/v2/keys").await.header("X-Etcd-Index"), Some("4"));
}

async fn change(raw: &mut Raw, method: &str, id: &str, body: &str) -> Reply {
    raw.send(format!(
        "{method} /v2/members/{id} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    raw.reply(true).await
}

#[tokio::test]
async fn machines_are_text() {
    let (_server, mut raw) = connect().await;
    is(
        &raw.get("/v2/machines").await,
        "HTTP/1.1 200 OK\n\
         Content-Length: 21\n\
         Content-Type: text/plain; charset=utf-8\n\n\
         http://127.0.0.1:2379",
    );
    let reply = raw.ask("HEAD", "/v2/machines", None).await;
    assert_eq!(reply.header("Content-Length"), Some("21"));
    let reply = raw.ask("POST", "/v2/machines", None).await;
    assert_eq!(reply.header("Allow"), Some("GET,HEAD"));
    assert_eq!(raw.get("/v2/machines/").await.status, NOT_FOUND);
}

#[tokio::test]
async fn statistics() {
    let (server, mut raw) = connect().await;
    let own = raw.get("/v2/stats/self").await;
    assert_eq!(own.header("X-Etcd-Cluster-Id"), None);
    let id = "ac7c97ef0ec193b0";
    let begin = format!(r#"{{"name":"a","id":"{id}","state":"StateLeader","startTime":"20"#);
    assert!(own.body.starts_with(&begin), "{}", own.body);
    let leader = format!(r#""leaderInfo":{{"leader":"{id}","uptime":""#);
    assert!(own.body.contains(&leader), "{}", own.body);
    let end = r#"Z"},"recvAppendRequestCnt":0,"sendAppendRequestCnt":0}"#;
    assert!(own.body.ends_with(end), "{}", own.body);

    let leader = raw.get("/v2/stats/leader").await;
    assert_eq!(
        leader.body,
        format!(r#"{{"leader":"{id}","followers":{{}}}}"#)
    );
    server.faults().lose_leader();
    let follower = raw.get("/v2/stats/leader").await;
    assert_eq!(follower.status, "HTTP/1.1 403 Forbidden");
    assert_eq!(follower.body, r#"{"message":"not current leader"}"#);
    server.faults().regain_leader();

    raw.put("/v2/keys/a", "value=1").await;
    raw.put("/v2/keys/a?prevExist=false", "value=1").await;
    let mut watch = Raw::connect(&server).await;
    watch
        .send("GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    watch.head().await;
    let store = raw.get("/v2/stats/store").await;
    for counter in ["\"setsSuccess\":", "\"createFail\":1", "\"watchers\":1}"] {
        assert!(store.body.contains(counter), "{}", store.body);
    }
    for path in [
        "/v2/stats",
        "/v2/stats/",
        "/v2/stats/self/",
        "/v2/stats/nope",
    ] {
        assert_eq!(raw.get(path).await.status, NOT_FOUND, "{path}");
    }
}
