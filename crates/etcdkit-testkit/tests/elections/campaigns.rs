//! Standing for an election.

use std::{pin::pin, time::Duration};

use etcdkit::{Client, ErrorKind, Op, Outcome, sync::HoldLostReason};
use etcdkit_testkit::{
    patience::{meanwhile, until},
    places::{at_once, calm_cluster, everywhere, versions},
    queue::queue_of,
};
use tokio::{task::JoinSet, time::Instant};

use crate::support::{TTL, leader, must_wait, next, nothing_left, soon, values};

#[tokio::test]
async fn a_candidate_waits_until_the_leader_resigns() {
    everywhere(async |place| {
        let client = place.client().await;
        let first = soon(client.election("e").ttl(TTL).campaign("one"));
        let first = first.await.expect("it leads");
        let election = client.election("e").ttl(TTL);
        let mut second = pin!(election.campaign("two").into_future());
        must_wait(second.as_mut()).await;
        assert_eq!(leader(&client, "e").await.as_deref(), Some("one"));
        assert!(first.resign().await.expect("resigned"));
        let second = soon(second).await.expect("it leads");
        assert_eq!(leader(&client, "e").await.as_deref(), Some("two"));
        assert!(!second.is_lost());
        assert!(second.resign().await.expect("resigned"));
        assert_eq!(leader(&client, "e").await, None);
        nothing_left(&client, "e/").await;
    })
    .await;
}

/// Each candidate leads once, alone, and with a greater token than the one before.
async fn take_turns(clients: Vec<Client>) {
    let watcher = &clients[0];
    let mut leaders = JoinSet::new();
    for (number, client) in clients.iter().cloned().enumerate() {
        leaders.spawn(async move {
            let election = client.election("turns").ttl(TTL);
            let leadership = election.campaign(format!("{number}")).await;
            let leadership = leadership.expect("it leads");
            let alone = leadership
                .txn()
                .when([etcdkit::Compare::missing("at work")])
                .then([Op::put("at work", "")]);
            assert!(
                alone.await.expect("it leads still").succeeded,
                "another one is at work"
            );
            let done = leadership.delete("at work").await;
            assert_eq!(done.expect("it leads still").deleted, 1);
            let token = leadership.fencing_token();
            assert!(leadership.resign().await.expect("resigned"));
            token
        });
    }
    let mut tokens = Vec::new();
    while let Some(token) = soon(leaders.join_next()).await {
        tokens.push(token.expect("no panic"));
    }
    assert_eq!(tokens.len(), clients.len());
    nothing_left(watcher, "turns/").await;
}

#[tokio::test]
async fn five_candidates_lead_one_after_the_other() {
    everywhere(async |place| {
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(place.client().await);
        }
        take_turns(clients).await;
    })
    .await;
}

#[tokio::test]
async fn five_candidates_on_three_members_lead_one_after_the_other() {
    at_once(versions(), async |etcd| {
        let cluster = calm_cluster(&etcd).await;
        let endpoints = cluster.endpoints();
        let mut clients = Vec::new();
        for number in 0..5 {
            let endpoint = &endpoints[number % endpoints.len()];
            clients.push(Client::connect(endpoint).await.expect("a client"));
        }
        take_turns(clients).await;
    })
    .await;
}

#[tokio::test]
async fn who_campaigns_again_proclaims() {
    everywhere(async |place| {
        let client = place.client().await;
        let session = client.session().ttl(TTL).await.expect("a session");
        let election = session.election("e");
        let first = soon(election.campaign("one")).await.expect("it leads");
        let again = soon(election.campaign("two")).await.expect("it leads");
        assert_eq!(values(&client, "e/").await, ["two"]);
        assert_eq!(first.fencing_token(), again.fencing_token());
        assert_eq!(first.key(), again.key());
        let key = format!("e/{:x}", session.id().0);
        assert_eq!(first.key(), key.as_bytes());
        // They are one leadership, which ends with the last of them.
        assert!(first.resign().await.expect("an answer"));
        again.proclaim("three").await.expect("it leads still");
        assert_eq!(leader(&client, "e").await.as_deref(), Some("three"));
        assert!(again.resign().await.expect("resigned"));

        // After a resignation it is a new candidate, at the end of the queue.
        let rival = soon(client.election("e").ttl(TTL).campaign("rival")).await;
        let rival = rival.expect("it leads");
        let mut third = pin!(election.campaign("four").into_future());
        must_wait(third.as_mut()).await;
        assert!(rival.resign().await.expect("resigned"));
        let third = soon(third).await.expect("it leads");
        assert_eq!(leader(&client, "e").await.as_deref(), Some("four"));
        drop(third);
        nothing_left(&client, "e/").await;
    })
    .await;
}

#[tokio::test]
async fn a_candidate_that_waits_has_the_value_it_gave_last() {
    everywhere(async |place| {
        let client = place.client().await;
        let rival = soon(client.election("e").ttl(TTL).campaign("rival")).await;
        let rival = rival.expect("it leads");
        // What a program has left behind that campaigned with this lease before.
        let lease = client.lease(TTL).await.expect("a lease");
        let key = format!("e/{:x}", lease.id().0);
        let put = client.put(&*key, "old").lease(&lease).await;
        put.expect("a put");
        let session = client.session().lease(lease).await.expect("a session");
        let election = session.election("e");
        let mut waiting = pin!(election.campaign("new").into_future());
        let is_new = async || {
            let kv = client.get(&*key).await.expect("a get");
            kv.expect("a candidate").value == "new"
        };
        meanwhile(waiting.as_mut(), "the value", until("it", is_new)).await;
        assert!(rival.resign().await.expect("resigned"));
        let leads = soon(waiting).await.expect("it leads");
        assert!(leads.resign().await.expect("resigned"));
    })
    .await;
}

#[tokio::test]
async fn names_that_begin_alike_are_different_elections() {
    everywhere(async |place| {
        let client = place.client().await;
        for key in ["e", "e-other/1", "ee/1", "e0"] {
            client.put(key, "").await.expect("a put");
        }
        let one = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let two = soon(client.election("ee/1").ttl(TTL).campaign("two")).await;
        let (one, two) = (one.expect("it leads"), two.expect("it leads"));
        assert_eq!(leader(&client, "e").await.as_deref(), Some("one"));
        assert_eq!(leader(&client, "ee/1").await.as_deref(), Some("two"));
        drop((one, two));
        nothing_left(&client, "e/").await;
        nothing_left(&client, "ee/1/").await;
    })
    .await;
}

#[tokio::test]
async fn elections_in_a_namespace_are_elections_of_its_own() {
    everywhere(async |place| {
        let client = place.client().await;
        let (a, b) = (client.namespaced("a/"), client.namespaced("b/"));
        let one = soon(a.election("e").ttl(TTL).campaign("one")).await;
        let two = soon(b.election("e").ttl(TTL).campaign("two")).await;
        let (one, two) = (one.expect("it leads"), two.expect("it leads"));
        assert!(one.key().starts_with(b"e/"));
        assert_eq!(values(&client, "a/e/").await, ["one"]);
        assert_eq!(leader(&client, "a/e").await.as_deref(), Some("one"));
        two.put("mine", "").await.expect("it leads");
        assert!(client.get("b/mine").await.expect("a get").is_some());
        assert!(one.resign().await.expect("resigned"));
        assert!(two.resign().await.expect("resigned"));
    })
    .await;
}

#[tokio::test]
async fn a_campaign_that_is_given_up_leaves_no_candidate() {
    everywhere(async |place| {
        let client = place.client().await;
        let session = client.session().ttl(TTL).await.expect("a session");
        let leads = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let leads = leads.expect("it leads");

        let began = Instant::now();
        let limit = Duration::from_millis(300);
        for election in [session.election("e"), client.election("e").ttl(TTL)] {
            let error = soon(election.campaign("two").wait_at_most(limit)).await;
            let error = error.expect_err("it cannot lead");
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
            queue_of(&client, "e", 1).await;
        }
        assert!(began.elapsed() >= 2 * limit);

        for election in [session.election("e"), client.election("e").ttl(TTL)] {
            let mut waiting = Box::pin(election.campaign("three").into_future());
            meanwhile(waiting.as_mut(), "a place", queue_of(&client, "e", 2)).await;
            drop(waiting);
            queue_of(&client, "e", 1).await;
        }
        assert_eq!(leader(&client, "e").await.as_deref(), Some("one"));
        drop(leads);
        nothing_left(&client, "e/").await;
    })
    .await;
}

#[tokio::test]
async fn a_candidate_whose_lease_has_ended_never_leads() {
    everywhere(async |place| {
        let client = place.client().await;
        let leads = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let leads = leads.expect("it leads");
        let session = client.session().ttl(TTL).await.expect("a session");
        let election = session.election("e");
        let mut waiting = pin!(election.campaign("two").into_future());
        must_wait(waiting.as_mut()).await;
        // By somebody else, so that the session has to find out.
        let other = place.client().await;
        other.leases().revoke(session.id()).await.expect("revoked");
        let error = soon(waiting).await.expect_err("it has no candidate");
        let kinds = [ErrorKind::NotHeld, ErrorKind::SessionLost];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert!(leads.resign().await.expect("resigned"));
        assert_eq!(leader(&client, "e").await, None);
        let error = soon(election.campaign("three"))
            .await
            .expect_err("no lease");
        assert_eq!(error.kind(), ErrorKind::SessionLost, "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_candidate_whose_key_is_deleted_never_leads() {
    everywhere(async |place| {
        let client = place.client().await;
        let leads = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let leads = leads.expect("it leads");
        let session = client.session().ttl(TTL).await.expect("a session");
        let election = session.election("e");
        let mut waiting = pin!(election.campaign("two").into_future());
        meanwhile(waiting.as_mut(), "a place", queue_of(&client, "e", 2)).await;
        let key = format!("e/{:x}", session.id().0);
        client.delete(key).await.expect("a delete");
        let error = soon(waiting).await.expect_err("it has no candidate");
        assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
        // The session is well, and may stand again.
        drop(leads);
        let again = soon(election.campaign("three")).await.expect("it leads");
        assert!(again.resign().await.expect("resigned"));
    })
    .await;
}

#[tokio::test]
async fn a_leader_whose_key_is_deleted_is_told_and_writes_nothing_more() {
    everywhere(async |place| {
        let client = place.client().await;
        let leads = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let leads = leads.expect("it leads");
        leads.put("work", "1").await.expect("it leads");
        client.delete(leads.key()).await.expect("a delete");
        let lost = soon(leads.lost()).await;
        assert!(matches!(lost.reason(), HoldLostReason::Deleted), "{lost}");
        assert!(leads.is_lost());
        for error in [
            leads.put("work", "2").await.expect_err("not held"),
            leads.proclaim("two").await.map(drop).expect_err("not held"),
            leads.delete("work").await.map(drop).expect_err("not held"),
        ]
        .into_iter()
        {
            assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
            assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
        }
        let work = client.get("work").await.expect("a get");
        assert_eq!(work.expect("written").value, "1");
        assert_eq!(leader(&client, "e").await, None);
        assert!(!leads.resign().await.expect("it is none any more"));
    })
    .await;
}

#[tokio::test]
async fn a_leader_whose_lease_has_ended_is_told_and_writes_nothing_more() {
    everywhere(async |place| {
        let client = place.client().await;
        let session = client.session().ttl(TTL).await.expect("a session");
        let leads = soon(session.election("e").campaign("one")).await;
        let leads = leads.expect("it leads");
        let second = client.election("e").ttl(TTL);
        let mut second = pin!(second.campaign("two").into_future());
        must_wait(second.as_mut()).await;
        let other = place.client().await;
        other.leases().revoke(session.id()).await.expect("revoked");
        let second = soon(second).await.expect("it leads");
        let error = leads.proclaim("one").await.map(drop);
        let error = error.expect_err("another one leads");
        assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
        assert_eq!(leader(&client, "e").await.as_deref(), Some("two"));
        let lost = soon(leads.lost()).await;
        let reasons = matches!(
            lost.reason(),
            HoldLostReason::Deleted | HoldLostReason::Session(_)
        );
        assert!(reasons, "{lost}");
        assert!(second.resign().await.expect("resigned"));
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_is_dropped_has_resigned() {
    everywhere(async |place| {
        let client = place.client().await;
        let mut leaders = client.election("e").observe().await.expect("a stream");
        assert_eq!(next(&mut leaders).await, None);
        let session = client.session().ttl(TTL).await.expect("a session");
        for election in [session.election("e"), client.election("e").ttl(TTL)] {
            let leads = soon(election.campaign("one")).await.expect("it leads");
            assert_eq!(next(&mut leaders).await.as_deref(), Some("one"));
            drop(leads);
            assert_eq!(next(&mut leaders).await, None);
        }
        assert!(!session.is_lost());
    })
    .await;
}
