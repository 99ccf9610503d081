//! Leases.

use std::time::{Duration, Instant};

use etcdkit::{Client, ErrorKind, LeaseId, LostReason};

use super::keys::{Keys, kind};

const SECOND: Duration = Duration::from_secs(1);

/// An id that nobody else has taken.
fn new_id() -> LeaseId {
    LeaseId(fastrand::i64(1..))
}

/// A lease that outlives its case unless it is ended.
async fn grant(client: &Client) -> LeaseId {
    let granted = client.leases().grant(60 * SECOND).await;
    granted.expect("a lease").id
}

async fn keys_of(client: &Client, lease: LeaseId) -> Vec<Vec<u8>> {
    let found = client.leases().time_to_live(lease).keys().await;
    let found = found.expect("an answer").keys;
    let mut keys: Vec<Vec<u8>> = found.iter().map(|key| key.to_vec()).collect();
    keys.sort();
    keys
}

async fn put_with(client: &Client, key: &str, lease: LeaseId) {
    client.put(key, "").lease(lease).await.expect("a put");
}

pub(super) async fn a_lease_lives_as_long_as_granted(client: &Client) {
    let granted = client.leases().grant(100 * SECOND).await.expect("a lease");
    assert!(granted.id.0 > 0);
    assert_eq!(granted.ttl, 100 * SECOND);
    let found = client.leases().time_to_live(granted.id).await;
    let found = found.expect("an answer");
    assert_eq!((found.id, found.granted_ttl), (granted.id, granted.ttl));
    let left = found.ttl.expect("it lives");
    assert!(left <= granted.ttl && left >= 90 * SECOND, "{left:?}");
    assert!(found.keys.is_empty(), "they were not asked for");
}

pub(super) async fn ids_can_be_chosen_once(client: &Client) {
    let id = new_id();
    let granted = client.leases().grant(60 * SECOND).id(id).await;
    assert_eq!(granted.expect("a lease").id, id);
    let again = client.leases().grant(60 * SECOND).id(id).await;
    assert_eq!(kind(again), ErrorKind::LeaseExists);
    client.leases().revoke(id).await.expect("a revocation");
    let again = client.leases().grant(60 * SECOND).id(id).await;
    assert_eq!(again.expect("it is free again").id, id);
}

pub(super) async fn times_to_live_have_limits(client: &Client) {
    let longest = Duration::from_secs(9_000_000_000);
    let granted = client.leases().grant(longest).await.expect("a lease");
    assert_eq!(granted.ttl, longest);
    let longer = client.leases().grant(longest + SECOND).await;
    assert_eq!(kind(longer), ErrorKind::LeaseTtlTooLarge);
    let none = client.leases().grant(Duration::ZERO).await;
    assert_eq!(kind(none), ErrorKind::InvalidRequest);
}

pub(super) async fn keys_go_with_their_lease(client: &Client) {
    let keys = Keys::new();
    let lease = grant(client).await;
    keys.fill(client, &["stays"]).await;
    for name in ["a", "b"] {
        put_with(client, &keys.key(name), lease).await;
    }
    let kv = client.get(keys.key("a")).await.expect("a get");
    let kv = kv.expect("the key");
    assert_eq!(kv.lease, Some(lease));
    let revoked = client.leases().revoke(lease).await.expect("a revocation");
    assert!(revoked.header.revision > kv.mod_revision);
    assert_eq!(keys.existing(client).await, ["stays"]);
    let after = keys.fill(client, &["after"]).await[0];
    assert_eq!(after, kv.mod_revision + 3, "both went at one revision");
}

pub(super) async fn a_lease_without_keys_ends_without_a_revision(client: &Client) {
    let keys = Keys::new();
    let lease = grant(client).await;
    let before = keys.fill(client, &["a"]).await[0];
    client.leases().revoke(lease).await.expect("a revocation");
    assert_eq!(keys.fill(client, &["a"]).await[0], before + 1);
}

pub(super) async fn a_missing_lease_is_missed(client: &Client) {
    let (keys, id) = (Keys::new(), new_id());
    assert_eq!(
        kind(client.leases().revoke(id).await),
        ErrorKind::LeaseNotFound
    );
    assert_eq!(
        kind(client.leases().keep_alive_once(id).await),
        ErrorKind::LeaseNotFound
    );
    let put = client.put(keys.key("a"), "").lease(id).await;
    assert_eq!(kind(put), ErrorKind::LeaseNotFound);
    let found = client.leases().time_to_live(id).keys().await;
    let found = found.expect("no error");
    assert_eq!((found.ttl, found.granted_ttl), (None, Duration::ZERO));
    assert!(found.keys.is_empty());
}

pub(super) async fn a_key_belongs_to_the_lease_of_its_last_put(client: &Client) {
    let keys = Keys::new();
    let (first, second) = (grant(client).await, grant(client).await);
    let names = ["deleted", "detached", "kept", "moved"];
    let all = names.map(|name| keys.key(name));
    for key in &all {
        put_with(client, key, first).await;
    }
    assert_eq!(
        keys_of(client, first).await,
        all.each_ref().map(String::as_bytes)
    );
    let [deleted, detached, kept, moved] = &all;
    client.delete(deleted).await.expect("a delete");
    client.put(detached, "").await.expect("a put");
    client.put(kept, "2").ignore_lease().await.expect("a put");
    put_with(client, moved, second).await;
    assert_eq!(keys_of(client, first).await, [kept.as_bytes()]);
    assert_eq!(keys_of(client, second).await, [moved.as_bytes()]);

    client.leases().revoke(first).await.expect("a revocation");
    assert_eq!(keys.existing(client).await, ["detached", "moved"]);
    client.leases().revoke(second).await.expect("a revocation");
    assert_eq!(keys.existing(client).await, ["detached"]);
}

pub(super) async fn the_list_has_those_that_live(client: &Client) {
    let (first, second) = (grant(client).await, grant(client).await);
    let start = Instant::now();
    // A member lists what it knows of, which in a cluster may be a moment old.
    let becomes = async |wanted: [bool; 2]| {
        loop {
            let list = client.leases().list().await.expect("a list").leases;
            if [list.contains(&first), list.contains(&second)] == wanted {
                return;
            }
            assert!(start.elapsed() < 10 * SECOND, "{wanted:?}: {list:?}");
        }
    };
    becomes([true, true]).await;
    client.leases().revoke(first).await.expect("a revocation");
    becomes([false, true]).await;
}

pub(super) async fn a_renewal_starts_the_time_anew(client: &Client) {
    let lease = grant(client).await;
    let renewed = client.leases().keep_alive_once(lease).await;
    let renewed = renewed.expect("a renewal");
    assert_eq!((renewed.id, renewed.ttl), (lease, 60 * SECOND));
}

pub(super) async fn keys_go_when_their_lease_runs_out(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    let start = Instant::now();
    let granted = client.leases().grant(SECOND).await.expect("a lease");
    assert!(granted.ttl >= SECOND);
    put_with(client, &key, granted.id).await;
    let watch = client.watch(&key).filter_puts().prev_kv().await;
    let mut watch = watch.expect("a watch");
    let event = tokio::time::timeout(granted.ttl + 10 * SECOND, watch.find(|_| true)).await;
    let event = event.expect("an end in time").expect("no end");
    let event = event.expect("a deletion");
    assert!(start.elapsed() >= granted.ttl, "not before its time");
    let kv = event.prev_kv().expect("the pair before");
    assert_eq!(kv.lease, Some(granted.id));
    assert!(keys.existing(client).await.is_empty());
    let found = client.leases().time_to_live(granted.id).await;
    assert_eq!(found.expect("an answer").ttl, None);
}

pub(super) async fn a_held_lease_outlives_its_time(client: &Client) {
    let keys = Keys::new();
    let lease = client.lease(SECOND).await.expect("a lease");
    let key = keys.key("a");
    client.put(&key, "").lease(&lease).await.expect("a put");
    let start = Instant::now();
    while start.elapsed() < lease.ttl() + 2 * SECOND {
        assert!(lease.remaining() > Duration::ZERO);
        assert!(lease.remaining() <= lease.ttl());
        assert_eq!(keys.existing(client).await, ["a"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!lease.is_lost());
    lease.revoke().await.expect("a revocation");
    assert!(keys.existing(client).await.is_empty());
}

pub(super) async fn a_dropped_lease_takes_its_keys_along(client: &Client) {
    let keys = Keys::new();
    let key = keys.key("a");
    let lease = client.lease(60 * SECOND).await.expect("a lease");
    client.put(&key, "").lease(&lease).await.expect("a put");
    let watch = client.watch(&key).filter_puts().await;
    let mut watch = watch.expect("a watch");
    drop(lease);
    let gone = tokio::time::timeout(10 * SECOND, watch.find(|_| true)).await;
    gone.expect("at once").expect("no end").expect("a deletion");
}

pub(super) async fn a_lease_that_others_end_is_lost(client: &Client) {
    let lease = client.lease(3 * SECOND).await.expect("a lease");
    client.leases().revoke(&lease).await.expect("a revocation");
    let lost = tokio::time::timeout(lease.ttl() + 10 * SECOND, lease.lost()).await;
    let lost = lost.expect("it is noticed");
    assert_eq!(lost.id(), lease.id());
    assert_eq!(lost.reason(), LostReason::NotFound);
    assert_eq!(lease.remaining(), Duration::ZERO);
}
