//! Our locks and elections, and the server's services.

use std::time::Duration;

use etcdkit::{LeaseId, sync::HoldLostReason};
use etcdkit_testkit::queue::queue_of;

use crate::site::{Site, each_site, queues, soon};

async fn lease(site: &Site) -> LeaseId {
    let grant = site.client.leases().grant(Duration::from_secs(60)).await;
    grant.expect("a lease").id
}

#[tokio::test]
async fn our_lock_and_the_services_exclude_each_other() {
    each_site(async |site| {
        let service = site.client.lock_service();
        let ours = site.client.lock("l").await.expect("the lock");
        let id = lease(site).await;
        let mut waiting = Box::pin(service.lock("l", id).into_future());
        queues(site, &mut waiting, ("l", 2)).await;
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        let theirs = soon(waiting).await.expect("the lock");

        let holder = site.client.lock("l").holder().await.expect("an answer");
        let holder = holder.expect("a holder");
        assert_eq!((holder.key, holder.lease), (theirs.key.clone(), Some(id)));
        let mut waiting = Box::pin(site.client.lock("l").into_future());
        queues(site, &mut waiting, ("l", 2)).await;
        service.unlock(theirs.key).await.expect("a release");
        let ours = soon(waiting).await.expect("the lock");
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        queue_of(&site.client, "l", 0).await;
    })
    .await;
}

#[tokio::test]
async fn the_lock_of_a_session_is_the_services_with_the_same_lease() {
    each_site(async |site| {
        let service = site.client.lock_service();
        let session = site.client.session().await.expect("a session");
        let ours = session.lock("l").await.expect("the lock");
        let again = service.lock("l", session.id()).await;
        let again = again.expect("it is held with this lease already");
        assert_eq!(again.key, ours.key(), "{site}");
        service.unlock(again.key).await.expect("a release");
        let lost = soon(ours.lost()).await;
        assert!(
            matches!(lost.reason(), HoldLostReason::Deleted),
            "{site}: {lost}"
        );
        assert!(!ours.unlock().await.expect("an answer"), "{site}");

        let theirs = service.lock("l", session.id()).await;
        let theirs = theirs.expect("the lock");
        let ours = session.lock("l").await.expect("it has been entered");
        assert_eq!(theirs.key, ours.key(), "{site}");
        assert!(ours.unlock().await.expect("an answer"), "{site}");
        queue_of(&site.client, "l", 0).await;
    })
    .await;
}

#[tokio::test]
async fn our_leader_and_the_services_follow_each_other() {
    each_site(async |site| {
        let service = site.client.election_service();
        let ours = site.client.election("e").campaign("ours").await;
        let ours = ours.expect("a win");
        let seen = service.leader("e").await.expect("a leader").kv;
        assert_eq!((&seen.key, &*seen.value), (ours.key(), &b"ours"[..]));
        assert_eq!(seen.create_revision, ours.fencing_token(), "{site}");
        let id = lease(site).await;
        let mut waiting = Box::pin(service.campaign("e", id, "theirs").into_future());
        queues(site, &mut waiting, ("e", 2)).await;
        ours.proclaim("ours, still").await.expect("it leads");
        let seen = service.leader("e").await.expect("a leader").kv;
        assert_eq!(seen.value, "ours, still", "{site}");
        assert!(ours.resign().await.expect("an answer"), "{site}");
        let theirs = soon(waiting).await.expect("a win").leader;

        let election = site.client.election("e");
        let leader = election.leader().await.expect("an answer");
        let leader = leader.expect("a leader").into_kv();
        assert_eq!(
            (leader.key, leader.lease, &leader.value[..]),
            (theirs.key.clone(), Some(id), &b"theirs"[..]),
            "{site}"
        );
        let mut waiting = Box::pin(election.campaign("ours").into_future());
        queues(site, &mut waiting, ("e", 2)).await;
        service.resign(&theirs).await.expect("an end");
        let ours = soon(waiting).await.expect("a win");
        assert!(ours.resign().await.expect("an answer"), "{site}");
        queue_of(&site.client, "e", 0).await;
    })
    .await;
}
