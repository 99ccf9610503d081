//! Leaders that are late: what they send arrives after their time.

use std::time::Duration;

use etcdkit::{Client, ErrorKind, Op, Outcome, sync::HoldLostReason};
use etcdkit_server::Server;
use etcdkit_testkit::{
    proxy::{Conditions, Proxy},
    queue::queue_of,
};

use crate::support::{TTL, leader, next, soon};

/// An embedded server, and two ways to it, of which one can be blocked.
struct Stage {
    server: Server,
    proxy: Proxy,
    near: Client,
    far: Client,
}

impl Stage {
    async fn new() -> Self {
        let server = Server::builder().start().await.expect("a server");
        let proxy = Proxy::start(&server.endpoint()).await.expect("a proxy");
        let near = Client::connect(server.endpoint()).await.expect("a client");
        let far = Client::connect(proxy.endpoint()).await.expect("a client");
        Self {
            server,
            proxy,
            near,
            far,
        }
    }

    /// Lets the leases of everybody end whom the server cannot hear.
    async fn outlive(&self, near: &[&etcdkit::sync::Session]) {
        for _ in 0..4 {
            self.server.advance_time(TTL / 2);
            for session in near {
                let renewed = self.near.leases().keep_alive_once(session.id()).await;
                renewed.expect("a renewal");
            }
        }
    }
}

#[tokio::test]
async fn a_write_that_arrives_after_the_leadership_has_ended_is_not_done() {
    let stage = Stage::new().await;
    let one = soon(stage.far.election("e").ttl(TTL).campaign("one")).await;
    let one = one.expect("it leads");
    one.put("work", "by one").await.expect("it leads");
    let session = stage.near.session().ttl(TTL).await.expect("a session");
    let waiting = tokio::spawn({
        let election = session.election("e");
        async move { election.campaign("two").await }
    });
    queue_of(&stage.near, "e", 2).await;
    let mut leaders = stage.near.election("e").observe().await.expect("a stream");
    assert_eq!(next(&mut leaders).await.as_deref(), Some("one"));

    stage.proxy.set_both(Conditions::black_hole());
    let late = async {
        let op = Op::put("work", "by one, too late");
        one.txn().then([op]).timeout(Duration::from_secs(60)).await
    };
    let meanwhile = async {
        stage.outlive(&[&session]).await;
        let two = soon(waiting).await.expect("no panic").expect("it leads");
        two.put("work", "by two").await.expect("it leads");
        stage.proxy.set_both(Conditions::pass());
        two
    };
    let (late, two) = tokio::join!(late, meanwhile);
    let error = late.expect_err("another one leads");
    // What was on its way is refused; what was not sent for lack of time need not be.
    assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    let work = stage.near.get("work").await.expect("a get");
    assert_eq!(work.expect("written").value, "by two");
    assert_eq!(next(&mut leaders).await.as_deref(), Some("two"));
    let lost = soon(one.lost()).await;
    let is_expected = matches!(
        lost.reason(),
        HoldLostReason::Session(_) | HoldLostReason::Deleted
    );
    assert!(is_expected, "{lost}");
    assert!(!two.is_lost());
}

#[tokio::test]
async fn observers_are_told_that_the_last_leader_has_run_out() {
    let stage = Stage::new().await;
    let one = soon(stage.far.election("e").ttl(TTL).campaign("one")).await;
    let one = one.expect("it leads");
    let mut leaders = stage.near.election("e").observe().await.expect("a stream");
    assert_eq!(next(&mut leaders).await.as_deref(), Some("one"));
    stage.proxy.set_both(Conditions::black_hole());
    stage.outlive(&[]).await;
    assert_eq!(next(&mut leaders).await, None);
    assert_eq!(leader(&stage.near, "e").await, None);
    stage.proxy.set_both(Conditions::pass());
    soon(one.lost()).await;
    let again = soon(stage.far.election("e").ttl(TTL).campaign("again")).await;
    let again = again.expect("it leads");
    assert_eq!(next(&mut leaders).await.as_deref(), Some("again"));
    assert!(again.fencing_token() > one.fencing_token());
}

#[tokio::test]
async fn a_candidate_that_comes_late_does_not_lead_by_a_lease_that_has_ended() {
    let stage = Stage::new().await;
    let session = stage.near.session().ttl(TTL).await.expect("a session");
    let leads = soon(session.election("e").campaign("one")).await;
    let leads = leads.expect("it leads");
    let waiting = tokio::spawn({
        let election = stage.far.election("e").ttl(TTL);
        async move { election.campaign("two").await }
    });
    queue_of(&stage.near, "e", 2).await;
    stage.proxy.set_both(Conditions::black_hole());
    stage.outlive(&[&session]).await;
    queue_of(&stage.near, "e", 1).await;
    assert!(leads.resign().await.expect("resigned"));
    stage.proxy.set_both(Conditions::pass());
    let error = soon(waiting).await.expect("no panic");
    let error = error.expect_err("its lease had ended");
    let kinds = [ErrorKind::NotHeld, ErrorKind::SessionLost];
    assert!(kinds.contains(&error.kind()), "{error}");
    queue_of(&stage.near, "e", 0).await;
}
