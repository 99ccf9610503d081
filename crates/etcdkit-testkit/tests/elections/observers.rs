//! Following an election.

use etcdkit::Client;
use etcdkit_testkit::{
    places::everywhere,
    proxy::{Conditions, Proxy},
    queue::queue_of,
};

use crate::support::{TTL, next, nothing_left, soon};

#[tokio::test]
async fn observers_see_leaders_what_they_proclaim_and_when_there_is_none() {
    everywhere(async |place| {
        let client = place.client().await;
        let mut leaders = client.election("e").observe().await.expect("a stream");
        assert_eq!(next(&mut leaders).await, None, "{}", place);
        let one = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let one = one.expect("it leads");
        assert_eq!(next(&mut leaders).await.as_deref(), Some("one"));
        let first = one.proclaim("one, at work").await.expect("it leads");
        let observed = soon(leaders.try_next()).await.expect("goes on");
        let observed = observed.expect("goes on");
        assert_eq!(observed.revision, first.header.revision);
        let leader = observed.leader.expect("a leader");
        assert_eq!(leader.value, "one, at work");
        assert_eq!(leader.fencing_token(), one.fencing_token());
        assert_eq!(leader.lease, Some(one.session().id()));
        one.proclaim("one, at work").await.expect("it leads");
        assert_eq!(next(&mut leaders).await.as_deref(), Some("one, at work"));
        assert!(one.resign().await.expect("resigned"));
        assert_eq!(next(&mut leaders).await, None);
        nothing_left(&client, "e/").await;
    })
    .await;
}

#[tokio::test]
async fn a_leader_found_can_guard_the_writes_of_others() {
    everywhere(async |place| {
        let client = place.client().await;
        let leads = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let leads = leads.expect("it leads");
        let found = client.election("e").leader().await.expect("an answer");
        let found = found.expect("a leader");
        let write = || {
            let op = etcdkit::Op::put("for the leader", "");
            client.txn().when([found.fence()]).then([op])
        };
        assert!(write().await.expect("an answer").succeeded);
        leads.proclaim("one, at work").await.expect("it leads");
        assert!(write().await.expect("an answer").succeeded);
        assert!(leads.resign().await.expect("resigned"));
        assert!(!write().await.expect("an answer").succeeded);
    })
    .await;
}

#[tokio::test]
async fn observers_and_candidates_outlast_a_compaction_and_a_lost_connection() {
    everywhere(async |place| {
        let client = place.client().await;
        let proxy = Proxy::start(place.endpoint()).await.expect("a proxy");
        let behind = Client::connect(proxy.endpoint()).await.expect("a client");
        let one = soon(client.election("e").ttl(TTL).campaign("one")).await;
        let one = one.expect("it leads");
        let mut leaders = behind.election("e").observe().await.expect("a stream");
        assert_eq!(next(&mut leaders).await.as_deref(), Some("one"));
        let waiting = tokio::spawn({
            let behind = behind.clone();
            async move { behind.election("e").ttl(TTL).campaign("two").await }
        });
        queue_of(&client, "e", 2).await;

        proxy.freeze();
        let resigned = one.resign().await;
        assert!(resigned.expect("resigned"));
        let newest = client.put("elsewhere", "").await.expect("a put");
        let newest = newest.header.revision;
        client.compact(newest).await.expect("a compaction");
        proxy.cut();
        proxy.set_both(Conditions::pass());

        assert_eq!(next(&mut leaders).await.as_deref(), Some("two"));
        let two = soon(waiting).await.expect("no panic").expect("it leads");
        assert!(!two.is_lost());
        drop(two);
        assert_eq!(next(&mut leaders).await, None);
    })
    .await;
}
