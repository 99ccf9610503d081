//! What is sent again, and where.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use etcdkit::{
    Outcome, RetryPolicy,
    v2::{Client, ErrorKind},
};
use etcdkit_testkit::fake::{
    SilentEndpoint,
    http1::{FakeHttp, Reply},
    refusing_endpoint,
};

/// What a loaded machine may add to a deadline.
const GRACE: Duration = Duration::from_secs(3);

const TIMED_OUT: &str = r#"{"errorCode":300,"message":"Raft Internal Error","cause":"etcdserver: request timed out","index":7}"#;

async fn live() -> FakeHttp {
    FakeHttp::start(|_| Reply::value("live"))
        .await
        .expect("a port")
}

async fn answering(reply: Reply) -> FakeHttp {
    let fake = FakeHttp::start(move |_| reply.clone()).await;
    fake.expect("a port")
}

#[tokio::test]
async fn dead_and_silent_endpoints_do_not_keep_reads_from_a_live_one() {
    let silent = SilentEndpoint::start().await.expect("a port");
    let live = live().await;
    let client = Client::builder()
        .endpoints([refusing_endpoint(), silent.endpoint(), live.endpoint()])
        .request_timeout(Duration::from_secs(4))
        .connect_lazy()
        .expect("a client");
    let found = client.get("/a").await.expect("an answer");
    assert_eq!(
        found.node.and_then(|node| node.value).as_deref(),
        Some("live")
    );

    // From here on it stays with the one that works: elsewhere each would take seconds.
    let start = Instant::now();
    for _ in 0..20 {
        client.get("/a").await.expect("an answer");
        client.set("/a", "b").await.expect("an answer");
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "it went elsewhere"
    );
    assert_eq!(live.requests().len(), 41);
}

#[tokio::test]
async fn connecting_fails_as_soon_as_all_endpoints_have_and_names_them() {
    let dead = [refusing_endpoint(), refusing_endpoint()];
    let start = Instant::now();
    let error = Client::connect(&dead[..])
        .await
        .expect_err("nobody is there");
    assert!(start.elapsed() < GRACE, "{:?}", start.elapsed());
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(error.attempts(), 0);
    for endpoint in &dead {
        assert!(error.to_string().contains(endpoint), "{error}");
    }
}

#[tokio::test]
async fn a_silent_endpoint_costs_a_write_its_time_and_leaves_it_in_doubt() {
    let silent = SilentEndpoint::start().await.expect("a port");
    let live = live().await;
    let client = Client::builder()
        .endpoints([silent.endpoint(), live.endpoint()])
        .request_timeout(Duration::from_secs(1))
        .connect_lazy()
        .expect("a client");
    let start = Instant::now();
    let error = client.set("/a", "b").await.expect_err("no answer");
    assert!(start.elapsed() < Duration::from_secs(1) + GRACE);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(error.attempts(), 1);
    assert_eq!(error.endpoint(), Some(silent.endpoint().as_str()));
    assert_eq!(live.requests(), [], "it was written elsewhere, too");

    // The endpoint is avoided now.
    client.set("/a", "b").await.expect("an answer");
}

#[tokio::test]
async fn a_write_cut_off_after_it_was_sent_is_in_doubt_and_a_read_is_asked_again() {
    let dying = answering(Reply::close()).await;
    let live = live().await;
    let endpoints = [dying.endpoint(), live.endpoint()];
    let client = Client::builder().endpoints(&endpoints[..]);
    let client = client.connect_lazy().expect("a client");
    let error = client.set("/a", "b").await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!((error.attempts(), dying.requests().len()), (1, 1));
    assert_eq!(live.requests(), []);

    let client = Client::builder().endpoints(&endpoints[..]);
    let client = client.connect_lazy().expect("a client");
    client.get("/a").await.expect("an answer");
    assert_eq!((dying.requests().len(), live.requests().len()), (2, 1));
    assert_eq!(client.counters().retries, 1);
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"action\":".to_vec();
    let dying = answering(Reply::Bytes(half)).await;
    let client = Client::connect(dying.endpoint()).await.expect("a client");
    let error = client.set("/a", "b").await.expect_err("half an answer");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.outcome(), Outcome::Unknown);

    let nonsense = answering(Reply::Bytes(b"SSH-2.0-OpenSSH\r\n".to_vec())).await;
    let client = Client::connect(nonsense.endpoint())
        .await
        .expect("a client");
    let error = client.set("/a", "b").await.expect_err("nonsense");
    assert_eq!(error.outcome(), Outcome::Unknown);
    let html = answering(Reply::json(200, "<html>")).await;
    let client = Client::connect(html.endpoint()).await.expect("a client");
    let error = client.get("/a").await.expect_err("nonsense");
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn what_was_never_sent_is_sent_elsewhere_even_if_it_writes() {
    let live = live().await;
    let client = Client::builder()
        .endpoints([refusing_endpoint(), live.endpoint()])
        .retry(RetryPolicy::never())
        .connect_lazy()
        .expect("a client");
    client.set("/a", "b").await.expect("an answer");
    assert_eq!(live.requests().len(), 1);
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_nothing() {
    let closing = FakeHttp::start(|_| match Reply::value("x") {
        Reply::Answer(status, headers, body) => Reply::AnswerAndClose(status, headers, body),
        other => other,
    });
    let closing = closing.await.expect("a port");
    let client = Client::builder()
        .endpoint(closing.endpoint())
        .connect_lazy()
        .expect("a client");
    for round in 1..=20 {
        let written = client.set("/a", "b").await;
        written.unwrap_or_else(|error| panic!("round {round}: {error}"));
        closing.closed(round).await;
    }
    assert_eq!(closing.requests().len(), 20);
    assert_eq!(client.counters().retries, 0);
}

#[tokio::test]
async fn a_member_in_trouble_is_left_but_its_writes_stay_in_doubt() {
    let member = answering(Reply::json(500, TIMED_OUT)).await;
    let live = live().await;
    let client = Client::builder().endpoints([member.endpoint(), live.endpoint()]);
    let client = client.connect_lazy().expect("a client");
    let error = client.create("/a", "b").await.expect_err("in doubt");
    assert_eq!(error.kind(), ErrorKind::RaftInternal);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(error.error_code(), Some(300));
    assert_eq!(error.cause_text(), Some("etcdserver: request timed out"));
    assert_eq!((error.index(), error.attempts()), (Some(7), 1));
    client.get("/a").quorum().await.expect("an answer");
    assert_eq!((member.requests().len(), live.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_proxy_without_members_has_done_nothing() {
    let message = r#"{"message":"httpproxy: zero endpoints currently available"}"#;
    let proxy = answering(Reply::json(503, message)).await;
    let live = live().await;
    let client = Client::builder().endpoints([proxy.endpoint(), live.endpoint()]);
    let client = client.connect_lazy().expect("a client");
    client.set("/a", "b").await.expect("an answer");
    assert_eq!((proxy.requests().len(), live.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_read_that_is_refused_for_good_is_not_repeated() {
    let missing = r#"{"errorCode":104,"message":"Not a directory","cause":"/a","index":7}"#;
    let fake = answering(Reply::json(400, missing)).await;
    let client = Client::connect(fake.endpoint()).await.expect("a client");
    let error = client.get("/a/b").await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::NotADirectory);
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn reads_are_repeated_until_a_member_recovers() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let recovering = FakeHttp::start(|_| match ASKED.fetch_add(1, Ordering::Relaxed) {
        0..3 => Reply::json(500, TIMED_OUT),
        _ => Reply::value("at last"),
    });
    let recovering = recovering.await.expect("a port");
    let client = Client::connect(recovering.endpoint()).await;
    let client = client.expect("a client");
    client.get("/a").quorum().await.expect("an answer");
    assert_eq!(recovering.requests().len(), 4);
    let member = answering(Reply::json(500, TIMED_OUT)).await;
    let once = Client::builder()
        .endpoint(member.endpoint())
        .retry(RetryPolicy::never())
        .connect_lazy()
        .expect("a client");
    let error = once.get("/a").quorum().await.expect_err("asked once");
    assert_eq!((error.attempts(), member.requests().len()), (1, 1));
}

#[tokio::test]
async fn an_answer_larger_than_allowed_is_refused() {
    let large = answering(Reply::value(&"x".repeat(10_000))).await;
    let client = Client::builder()
        .endpoint(large.endpoint())
        .max_receive_bytes(5_000)
        .connect_lazy()
        .expect("a client");
    let error = client.get("/a").await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
}
