//! Revoking leases whose time is over, storing what others have left, and removing keys of the v2 API that
//! have had theirs.

mod v2;

use std::sync::Arc;
use std::time::Duration;

use etcdkit_proto::etcdserverpb::LeaseRevokeRequest;

use crate::grpc::Status;
use crate::node::Node;

/// The longest sleep between two looks at the leases; timers need not reach centuries ahead.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Revokes leases when they expire, makes their checkpoints, and removes keys of v2, for as long as it runs.
pub(crate) async fn run(node: Arc<Node>) {
    let mut ticks = v2::Ticks::default();
    loop {
        let sleep = match look(&node, &mut ticks) {
            Ok(sleep) => sleep,
            Err(status) => {
                tracing::error!(?status, "leases and keys do not expire any more");
                return;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = node.expiry_changed.notified() => {}
        }
    }
}

/// Does everything that is due now.
pub(crate) fn catch_up(node: &Node) -> Result<(), Status> {
    look_at_leases(node)?;
    v2::remove_due(node)
}

/// Does what is due of leases, and of keys of v2 if it is time for them. Returns how long nothing else will be.
fn look(node: &Node, ticks: &mut v2::Ticks) -> Result<Duration, Status> {
    look_at_leases(node)?;
    let tick = ticks.look(node)?.unwrap_or(LONGEST_SLEEP);
    Ok(until_next(node)?.min(tick))
}

/// Does what is due of leases.
fn look_at_leases(node: &Node) -> Result<(), Status> {
    revoke_expired(node)?;
    let now = node.clock.now();
    while node
        .applier
        .read(|store| Ok(store.next_lease_checkpoint()))?
        .is_some_and(|next| next <= now)
    {
        node.applier.apply_detached(|store| {
            store.checkpoint_leases(now);
            Ok(())
        })?;
    }
    Ok(())
}

/// Revokes every lease that is due, each as a request of its own, as etcd does.
fn revoke_expired(node: &Node) -> Result<(), Status> {
    if node.stands_still() {
        return Ok(());
    }
    let now = node.clock.now();
    while let Some(id) = node.applier.read(|store| Ok(store.expired_lease(now)))? {
        node.applier.apply_detached(|store| {
            // A client may have revoked or renewed it in between.
            match store.expired_lease(now) {
                Some(still) if still == id => {
                    store.stage_lease_revoke(&LeaseRevokeRequest { id })?;
                    node.metrics.leases_revoked.add(1);
                    node.metrics.leases_expired.add(1);
                    Ok(())
                }
                _ => Ok(()),
            }
        })?;
    }
    Ok(())
}

fn until_next(node: &Node) -> Result<Duration, Status> {
    if node.stands_still() {
        return Ok(LONGEST_SLEEP);
    }
    let next = node.applier.read(|store| {
        let next = [store.next_lease_expiry(), store.next_lease_checkpoint()];
        Ok(next.into_iter().flatten().min())
    })?;
    let sleep = next.map_or(LONGEST_SLEEP, |next| next.saturating_sub(node.clock.now()));
    Ok(sleep.min(LONGEST_SLEEP))
}
