//! The lock and election services.

use std::time::Duration;

use etcdkit::{
    Client, ErrorKind, LeaseId, Outcome,
    service::{LeaderResponse, Observe},
};
use tokio::time::timeout;

use super::keys::{Keys, kind};
use crate::queue::queue_of;

/// How long something is waited for that is under way.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long something is watched that must not happen.
const A_WHILE: Duration = Duration::from_millis(100);

async fn grant(client: &Client) -> LeaseId {
    let granted = client.leases().grant(Duration::from_secs(60)).await;
    granted.expect("a lease").id
}

pub(super) async fn one_lease_at_a_time_has_a_lock(client: &Client) {
    let name = Keys::new().key("lock");
    let locks = client.lock_service();
    let (first, second) = (grant(client).await, grant(client).await);
    let locked = locks.lock(&name, first).await.expect("the lock");
    assert_eq!(locked.key, format!("{name}/{:x}", first.0));
    let kv = client.get(&locked.key).await.expect("a get");
    assert_eq!(kv.expect("the key").lease, Some(first));
    let again = locks.lock(&name, first).await.expect("it has it already");
    assert_eq!(again.key, locked.key);

    let mut waiting = Box::pin(locks.lock(&name, second).into_future());
    let early = timeout(A_WHILE, &mut waiting).await;
    assert!(early.is_err(), "both have it: {early:?}");
    queue_of(client, &name, 2).await;
    let released = locks.unlock(&locked.key).await.expect("a release");
    let next = timeout(PATIENCE, waiting).await.expect("in time");
    let next = next.expect("the lock");
    assert_eq!(next.key, format!("{name}/{:x}", second.0));
    assert!(next.header.revision >= released.revision);
    locks
        .unlock(&locked.key)
        .await
        .expect("no error, if no use");
    queue_of(client, &name, 1).await;
    locks.unlock(&next.key).await.expect("a release");
    queue_of(client, &name, 0).await;
}

pub(super) async fn a_lock_goes_with_its_lease(client: &Client) {
    let name = Keys::new().key("lock");
    let locks = client.lock_service();
    let missing = locks.lock(&name, LeaseId(fastrand::i64(1..))).await;
    assert_eq!(kind(missing), ErrorKind::LeaseNotFound);
    let (first, second) = (grant(client).await, grant(client).await);
    locks.lock(&name, first).await.expect("the lock");
    let waiting = tokio::spawn(locks.lock(&name, second).into_future());
    queue_of(client, &name, 2).await;
    client.leases().revoke(first).await.expect("a revocation");
    let locked = timeout(PATIENCE, waiting).await.expect("in time");
    locked.expect("a task").expect("the lock");
    client.leases().revoke(second).await.expect("a revocation");
    queue_of(client, &name, 0).await;
}

pub(super) async fn who_gives_up_leaves_the_queue(client: &Client) {
    let name = Keys::new().key("lock");
    let locks = client.lock_service();
    let (first, second) = (grant(client).await, grant(client).await);
    locks.lock(&name, first).await.expect("the lock");
    let late = locks.lock(&name, second).timeout(A_WHILE).await;
    let error = late.expect_err("it is taken");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::Unknown)
    );
    queue_of(client, &name, 1).await;
    let dropped = tokio::spawn(locks.lock(&name, second).into_future());
    queue_of(client, &name, 2).await;
    dropped.abort();
    queue_of(client, &name, 1).await;
}

/// The next leader that an observer is told of.
async fn next(observe: &mut Observe) -> LeaderResponse {
    let next = timeout(PATIENCE, observe.try_next()).await;
    let next = next.expect("in time").expect("a leader");
    next.expect("the stream goes on")
}

pub(super) async fn leaders_win_proclaim_and_resign(client: &Client) {
    let name = Keys::new().key("election");
    let elections = client.election_service();
    let nobody = elections.leader(&name).await;
    assert_eq!(kind(nobody), ErrorKind::ElectionNoLeader);
    let mut observe = elections.observe(&name).await.expect("a stream");
    let (first, second) = (grant(client).await, grant(client).await);
    let won = elections.campaign(&name, first, "a").await.expect("a win");
    let leader = won.leader;
    assert_eq!(leader.name, name);
    assert_eq!(leader.key, format!("{name}/{:x}", first.0));
    assert_eq!(leader.lease, first);
    let kv = elections.leader(&name).await.expect("a leader").kv;
    assert_eq!(
        (&kv.key, kv.create_revision),
        (&leader.key, leader.revision)
    );
    assert_eq!(next(&mut observe).await.kv.value, "a");

    let campaign = tokio::spawn(elections.campaign(&name, second, "b").into_future());
    queue_of(client, &name, 2).await;
    let proclaimed = elections.proclaim(&leader, "a2").await.expect("it leads");
    let seen = next(&mut observe).await.kv;
    assert_eq!(
        (&seen.value[..], seen.mod_revision),
        (&b"a2"[..], proclaimed.revision)
    );
    assert!(!campaign.is_finished(), "two lead");
    elections.resign(&leader).await.expect("an end");
    let won = timeout(PATIENCE, campaign).await.expect("in time");
    let won = won.expect("a task").expect("a win").leader;
    assert_eq!(won.lease, second);
    assert_eq!(next(&mut observe).await.kv.value, "b");

    let late = elections.proclaim(&leader, "a3").await;
    assert_eq!(kind(late), ErrorKind::ElectionNotLeader);
    elections
        .resign(&leader)
        .await
        .expect("no error, if no use");
    let kv = elections.leader(&name).await.expect("a leader").kv;
    assert_eq!(kv.value, "b");
    elections.resign(&won).await.expect("an end");
    queue_of(client, &name, 0).await;
}

pub(super) async fn a_candidate_may_change_its_mind(client: &Client) {
    let name = Keys::new().key("election");
    let elections = client.election_service();
    let lease = grant(client).await;
    let first = elections.campaign(&name, lease, "a").await.expect("a win");
    let again = elections.campaign(&name, lease, "b").await.expect("a win");
    assert_eq!(again.leader, first.leader, "it keeps its place");
    let kv = elections.leader(&name).await.expect("a leader").kv;
    assert_eq!(kv.value, "b");
    client.leases().revoke(lease).await.expect("a revocation");
    let nobody = elections.leader(&name).await;
    assert_eq!(kind(nobody), ErrorKind::ElectionNoLeader);
}
