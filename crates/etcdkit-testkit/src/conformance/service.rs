//! The locks and elections that servers hold.

use std::time::Duration;

use etcdkit::{Client, LeaseId};

use super::keys::Keys;

const SOON: Duration = Duration::from_secs(20);

/// How long something is watched that must not happen.
const A_WHILE: Duration = Duration::from_millis(200);

async fn lease(client: &Client) -> LeaseId {
    let granted = client.leases().grant(Duration::from_secs(60)).await;
    granted.expect("a lease").id
}

pub(super) async fn a_lock_is_held_by_one_at_a_time(client: &Client) {
    let keys = Keys::new();
    let name = keys.key("lock");
    let (first, second) = (lease(client).await, lease(client).await);
    let locks = client.lock_service();
    let held = locks.lock(&name, first).await.expect("the lock");
    assert_eq!(held.key, format!("{name}/{:x}", first.0));
    let again = locks.lock(&name, first).await.expect("it is held already");
    assert_eq!(again.key, held.key);

    let waiting = tokio::spawn({
        let (client, name) = (client.clone(), name.clone());
        async move { client.lock_service().lock(&name, second).await }
    });
    tokio::time::sleep(A_WHILE).await;
    assert!(!waiting.is_finished(), "both hold it");
    locks.unlock(held.key).await.expect("a release");
    let next = tokio::time::timeout(SOON, waiting).await.expect("in time");
    let next = next.expect("a task").expect("the lock");
    assert_eq!(next.key, format!("{name}/{:x}", second.0));
    // It is as short as its lease.
    client.leases().revoke(second).await.expect("a revocation");
    locks.lock(&name, first).await.expect("the lock");
}

pub(super) async fn one_candidate_leads_at_a_time(client: &Client) {
    let keys = Keys::new();
    let name = keys.key("election");
    let (first, second) = (lease(client).await, lease(client).await);
    let elections = client.election_service();
    let won = elections.campaign(&name, first, "one").await;
    let leader = won.expect("nobody else leads").leader;
    assert_eq!(leader.lease, first);
    assert_eq!(leader.key, format!("{name}/{:x}", first.0));
    let current = elections.leader(&name).await.expect("a leader");
    assert_eq!(
        (current.kv.key, current.kv.value),
        (leader.key.clone(), "one".into())
    );
    elections
        .proclaim(&leader, "uno")
        .await
        .expect("a proclamation");
    let current = elections.leader(&name).await.expect("a leader");
    assert_eq!(current.kv.value, "uno");

    let waiting = tokio::spawn({
        let (client, name) = (client.clone(), name.clone());
        async move {
            let elections = client.election_service();
            elections.campaign(&name, second, "two").await
        }
    });
    tokio::time::sleep(A_WHILE).await;
    assert!(!waiting.is_finished(), "both lead");
    elections.resign(&leader).await.expect("a resignation");
    let next = tokio::time::timeout(SOON, waiting).await.expect("in time");
    let next = next.expect("a task").expect("a victory").leader;
    let current = elections.leader(&name).await.expect("a leader");
    assert_eq!((current.kv.key, current.kv.value), (next.key, "two".into()));
}
