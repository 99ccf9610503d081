//! Leaders that come back.

use std::pin::pin;

use etcdkit::ErrorKind;
use etcdkit_testkit::places::everywhere;

use crate::support::{TTL, leader, must_wait, nothing_left, soon};

#[tokio::test]
async fn a_leader_takes_up_its_leadership_after_a_restart() {
    everywhere(async |place| {
        let client = place.client().await;
        let session = client.session().ttl(TTL).await.expect("a session");
        let leads = soon(session.election("e").campaign("one")).await;
        let leads = leads.expect("it leads");
        let token = leads.fencing_token();
        // As a program that ends without a chance to clean up.
        let lease = session.detach();
        drop(leads);
        drop(client);

        let client = place.client().await;
        let session = client.session().resume(lease).await.expect("a session");
        assert_eq!(session.id(), lease);
        let election = session.election("e");
        let leads = soon(election.resume()).await.expect("an answer");
        let leads = leads.expect("it leads still");
        assert_eq!(leads.fencing_token(), token);
        leads.proclaim("one, again").await.expect("it leads");
        assert_eq!(leader(&client, "e").await.as_deref(), Some("one, again"));
        assert!(leads.resign().await.expect("resigned"));
        assert!(soon(election.resume()).await.expect("an answer").is_none());
        nothing_left(&client, "e/").await;
    })
    .await;
}

#[tokio::test]
async fn a_candidate_in_the_queue_has_no_leadership_to_take_up() {
    everywhere(async |place| {
        let client = place.client().await;
        let leads = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let leads = leads.expect("it leads");
        let lease = client.lease(TTL).await.expect("a lease").detach();
        let key = format!("e/{:x}", lease.0);
        client.put(&*key, "two").lease(lease).await.expect("a put");

        let session = client.session().resume(lease).await.expect("a session");
        let election = session.election("e");
        assert!(soon(election.resume()).await.expect("an answer").is_none());
        // It keeps its place, though, and takes it up by campaigning.
        let before = client.get(&*key).await.expect("a get").expect("its key");
        let mut waiting = pin!(election.campaign("two").into_future());
        must_wait(waiting.as_mut()).await;
        assert!(leads.resign().await.expect("resigned"));
        let leads = soon(waiting).await.expect("it leads");
        assert_eq!(leads.fencing_token(), before.create_revision);
        assert!(leads.resign().await.expect("resigned"));
    })
    .await;
}

#[tokio::test]
async fn a_leadership_is_taken_up_by_its_lease_only() {
    everywhere(async |place| {
        let client = place.client().await;
        let leads = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let leads = leads.expect("it leads");
        let session = client.session().ttl(TTL).await.expect("a session");
        let other = soon(session.election("e").resume()).await;
        assert!(other.expect("an answer").is_none());
        let error = client.election("e").resume().await.expect_err("no lease");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(leads.resign().await.expect("resigned"));
    })
    .await;
}

#[tokio::test]
async fn a_key_without_the_lease_is_no_leadership_until_it_is_attached() {
    everywhere(async |place| {
        let client = place.client().await;
        let session = client.session().ttl(TTL).await.expect("a session");
        let key = format!("e/{:x}", session.id().0);
        // Nothing would take this key away when the session is lost.
        client.put(&*key, "one").await.expect("a put");
        let election = session.election("e");
        assert!(soon(election.resume()).await.expect("an answer").is_none());
        let leads = soon(election.campaign("one")).await.expect("it leads");
        let kv = client.get(&*key).await.expect("a get").expect("its key");
        assert_eq!(kv.lease, Some(session.id()));
        assert_eq!(leads.fencing_token(), kv.create_revision);
        session.close().await.expect("closed");
        nothing_left(&client, "e/").await;
    })
    .await;
}
