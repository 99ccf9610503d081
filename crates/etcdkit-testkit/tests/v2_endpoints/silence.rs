//! Connections and endpoints that have gone silent: what that costs a read, and what a write.

use std::time::{Duration, Instant};

use etcdkit::{
    Outcome,
    v2::{Client, ClientBuilder, ErrorKind},
};
use etcdkit_testkit::{
    fake::{
        SilentEndpoint,
        http1::{FakeHttp, Reply},
    },
    proxy::{Conditions, Direction, Proxy},
};

/// A limit that only something that waits for ever reaches.
const PATIENCE: Duration = Duration::from_secs(60);

async fn live() -> FakeHttp {
    FakeHttp::start(|_| Reply::value("live"))
        .await
        .expect("a port")
}

fn patient(endpoint: String) -> ClientBuilder {
    Client::builder()
        .endpoint(endpoint)
        .request_timeout(PATIENCE)
}

#[tokio::test]
async fn a_write_is_not_sent_over_a_connection_that_may_have_been_forgotten_while_idle() {
    let live = live().await;
    let proxy = Proxy::start(&live.endpoint()).await.expect("a port");
    let client = patient(proxy.endpoint()).connect_lazy().expect("a client");
    client.set("/a", "b").await.expect("written");
    let before = proxy.connections();
    proxy.freeze();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    client.set("/a", "d").await.expect("written");
    assert_eq!(proxy.connections(), before + 1);
    assert_eq!(live.requests().len(), 2);
}

#[tokio::test]
async fn a_read_on_a_connection_that_went_silent_is_asked_again_on_a_new_one() {
    let live = live().await;
    let proxy = Proxy::start(&live.endpoint()).await.expect("a port");
    let client = patient(proxy.endpoint())
        .request_timeout(Duration::from_secs(20))
        .connect_lazy()
        .expect("a client");
    let twice = tokio::join!(client.get("/a"), client.get("/a"));
    twice.0.and(twice.1).expect("answers");
    assert_eq!(proxy.connections(), 2);

    proxy.freeze();
    client.get("/a").await.expect("an answer");
    assert_eq!(
        proxy.connections(),
        3,
        "the other connection went the same way"
    );
}

#[tokio::test]
async fn an_endpoint_has_the_time_of_an_attempt_to_answer() {
    let silent = SilentEndpoint::start().await.expect("a port");
    let live = live().await;
    let client = patient(silent.endpoint())
        .endpoint(live.endpoint())
        .attempt_timeout(Duration::from_millis(300))
        .connect_lazy()
        .expect("a client");
    let start = Instant::now();
    let error = client.set("/a", "b").await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(error.endpoint(), Some(silent.endpoint().as_str()));
    assert!(live.requests().is_empty(), "it was written elsewhere, too");
    client.get("/a").await.expect("an answer");
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());

    let alone = patient(silent.endpoint())
        .request_timeout(Duration::from_secs(5))
        .attempt_timeout(Duration::from_millis(100))
        .connect_lazy()
        .expect("a client");
    let error = alone.get("/a").await.expect_err("no answer");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.attempts() > 1, "{error}");
}

#[tokio::test]
async fn whoever_has_begun_to_answer_is_heard_out() {
    const SIZE: usize = 1_280 << 10;
    let large = FakeHttp::start(|_| Reply::value(&"x".repeat(SIZE)));
    let large = large.await.expect("a port");
    let proxy = Proxy::start(&large.endpoint()).await.expect("a port");
    // Which takes 5 s.
    let slow = Conditions::pass().bandwidth(SIZE as u64 / 5);
    proxy.set(Direction::ToClient, slow);
    let client = patient(proxy.endpoint())
        .attempt_timeout(Duration::from_secs(3))
        .connect_lazy()
        .expect("a client");
    let found = client.get("/a").value().await.expect("all of it");
    assert_eq!(found.map(|value| value.len()), Some(SIZE));
    assert_eq!(large.requests().len(), 1);
}

#[tokio::test]
async fn a_watch_does_not_listen_to_what_is_not_etcd() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
    let html = FakeHttp::start(|_| Reply::Bytes(page.to_vec())).await;
    let html = html.expect("a port");
    let client = patient(html.endpoint()).connect_lazy().expect("a client");
    for opened in [
        client.watch("/a").stream().await.map(drop),
        client.watch("/a").next().await.map(drop),
        client.watch("/a").from_index(7).next().await.map(drop),
    ] {
        let error = opened.expect_err("nonsense");
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(error.to_string().contains("X-Etcd-Index"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_without_members_is_no_list_of_members() {
    let odd = FakeHttp::start(|_| Reply::json(200, "{}")).await;
    let odd = odd.expect("a port");
    let client = patient(odd.endpoint()).connect_lazy().expect("a client");
    let error = client.members().list().await.expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}
