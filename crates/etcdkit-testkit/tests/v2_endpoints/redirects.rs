//! Requests that servers send on.

use etcdkit::{
    Outcome,
    v2::{Client, ErrorKind},
};
use etcdkit_testkit::fake::http1::{FakeHttp, Reply, Request};

async fn leader() -> FakeHttp {
    FakeHttp::start(|_| Reply::value("the leader's"))
        .await
        .expect("a port")
}

/// A follower of etcd 0.x, which sends everything on.
async fn follower(leader: &str, status: u16) -> FakeHttp {
    let leader = leader.to_owned();
    let follower = FakeHttp::start(move |request: &Request| {
        Reply::redirect(status, format!("{leader}{}", request.target))
    });
    follower.await.expect("a port")
}

#[tokio::test]
async fn method_query_and_body_go_along() {
    for status in [301, 302, 307, 308] {
        let leader = leader().await;
        let follower = follower(&leader.endpoint(), status).await;
        let client = Client::connect(follower.endpoint())
            .await
            .expect("a client");
        client.set("/a", "b c").ttl(60).await.expect("an answer");
        client
            .compare_and_delete("/a")
            .prev_value("b c")
            .await
            .expect("an answer");
        let told: Vec<_> = leader
            .requests()
            .into_iter()
            .map(|request| (request.method, request.target, request.body))
            .collect();
        let [put, delete] = &told[..] else {
            panic!("{status}: {told:?}");
        };
        assert_eq!((put.0.as_str(), put.1.as_str()), ("PUT", "/v2/keys/a"));
        assert!(
            put.2.contains("value=b%20c") && put.2.contains("ttl=60"),
            "{}",
            put.2
        );
        assert_eq!(delete.0, "DELETE");
        assert_eq!(delete.1, "/v2/keys/a?prevValue=b%20c");
        assert_eq!(client.counters().redirects, 2);
    }
}

#[tokio::test]
async fn a_password_goes_to_members_only() {
    let leader = leader().await;
    let follower = follower(&leader.endpoint(), 307).await;
    let builder = || Client::builder().user("root", "pa55word");

    let client = builder().endpoint(follower.endpoint());
    let client = client.connect_lazy().expect("a client");
    client.set("/a", "b").await.expect("an answer");
    let client = builder().endpoints([follower.endpoint(), leader.endpoint()]);
    let client = client.connect_lazy().expect("a client");
    client.set("/a", "b").await.expect("an answer");

    let shown = |fake: &FakeHttp| {
        let requests = fake.requests();
        let shown = requests
            .iter()
            .map(|request| request.header("authorization").is_some());
        shown.collect::<Vec<_>>()
    };
    assert_eq!(shown(&follower), [true, true]);
    assert_eq!(shown(&leader), [false, true]);
}

#[tokio::test]
async fn circles_are_left_after_ten_rounds() {
    let circle = FakeHttp::start(|request| Reply::redirect(307, request.target.clone()));
    let circle = circle.await.expect("a port");
    let client = Client::connect(circle.endpoint()).await.expect("a client");
    let error = client.set("/a", "b").await.expect_err("a circle");
    assert_eq!(error.kind(), ErrorKind::TooManyRedirects);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(circle.requests().len(), 11);
}

#[tokio::test]
async fn nobody_is_sent_astray() {
    for location in ["ftp://127.0.0.1/x", "nonsense", "http://127.0.0.1:0/x"] {
        let astray = FakeHttp::start(move |_| Reply::redirect(307, location));
        let astray = astray.await.expect("a port");
        let client = Client::connect(astray.endpoint()).await.expect("a client");
        let error = client.set("/a", "b").await.expect_err("astray");
        assert_eq!(error.kind(), ErrorKind::BadRedirect, "{location}");
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(astray.requests().len(), 1);
    }
    let nowhere = FakeHttp::start(|_| Reply::Answer(307, Vec::new(), String::new()));
    let nowhere = nowhere.await.expect("a port");
    let client = Client::connect(nowhere.endpoint()).await.expect("a client");
    let error = client.set("/a", "b").await.expect_err("nowhere");
    assert_eq!(error.kind(), ErrorKind::BadRedirect);
}

#[tokio::test]
async fn a_leader_that_cuts_off_leaves_the_write_in_doubt() {
    let leader = FakeHttp::start(|_| Reply::close()).await.expect("a port");
    let follower = follower(&leader.endpoint(), 307).await;
    let client = Client::connect(follower.endpoint())
        .await
        .expect("a client");
    let error = client.set("/a", "b").await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(error.endpoint(), Some(leader.endpoint().as_str()));
    assert_eq!(leader.requests().len(), 1);
}
