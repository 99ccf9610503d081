//! The leases of copies that expire: none is left without a copy.
//!
//! A migration can be killed between granting a lease and writing the keys that need it, and a key that is
//! copied anew leaves its old lease. So each lease is noted before it is granted, and every pass begins by
//! revoking those that no copy has.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use super::notes::Notes;
use crate::{Client, ErrorKind, LeaseId, Result};

/// Grants leases with these times to live, in seconds, that began to count so many seconds ago.
pub(super) async fn grant(
    client: &Client,
    notes: &Notes,
    ttls: BTreeSet<u64>,
    passed: u64,
) -> Result<HashMap<u64, LeaseId>> {
    let chosen = ttls
        .into_iter()
        .map(|ttl| (ttl, LeaseId(fastrand::i64(1..))));
    let chosen: HashMap<_, _> = chosen.collect();
    if !chosen.is_empty() {
        notes.add_leases(client, chosen.values().copied()).await?;
    }
    for (ttl, id) in &chosen {
        let left = Duration::from_secs(ttl.saturating_sub(passed).max(1));
        client.leases().grant(left).id(*id).await?;
    }
    Ok(chosen)
}

/// What a dry run has in place of leases.
pub(super) fn none(ttls: BTreeSet<u64>) -> HashMap<u64, LeaseId> {
    ttls.into_iter().map(|ttl| (ttl, LeaseId(0))).collect()
}

/// Revokes those of the noted leases that no copy has, nor any key of somebody else.
///
/// A grant whose run was killed and that arrives only after this is not found; its lease runs out.
pub(super) async fn revoke_unused(
    client: &Client,
    notes: &Notes,
    noted: Vec<LeaseId>,
    used: &HashSet<LeaseId>,
) -> Result<()> {
    for lease in noted.into_iter().filter(|lease| !used.contains(lease)) {
        let life = match client.leases().time_to_live(lease).keys().await {
            Ok(life) => life,
            // It has keys that this user must not even know of.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(error),
        };
        if !life.keys.is_empty() {
            continue;
        }
        if life.ttl.is_some() {
            match client.leases().revoke(lease).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::LeaseNotFound => {}
                Err(error) => return Err(error),
            }
        }
        notes.remove_lease(client, lease).await?;
    }
    Ok(())
}
