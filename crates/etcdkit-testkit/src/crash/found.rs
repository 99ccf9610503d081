//! What a server shows after a start.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use etcdkit::{Client, KeyRange, Revision};

use crate::{scenario::replay, watch_checker::Event};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a server shows after a start.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its revision.
    pub revision: Revision,
    /// The compacted revision; 0 for none.
    pub compacted: Revision,
    /// Every event from the compacted revision on, or from the first one.
    pub events: Vec<Event>,
    /// The hashes at the revisions that were asked for.
    pub hashes: Vec<FoundHash>,
    /// The leases by their ids.
    pub leases: BTreeMap<i64, FoundLease>,
    /// The names of the users.
    pub users: BTreeSet<String>,
    /// The names of the roles.
    pub roles: BTreeSet<String>,
}

/// A `HashKV` answer.
#[derive(Clone, Copy, Debug)]
pub struct FoundHash {
    /// The revision that was asked for.
    pub revision: Revision,
    /// The compacted revision when it was made. The hash that a compaction left behind, as one does
    /// that a restart goes on with, was made before it.
    pub compacted: Revision,
    /// The hash.
    pub hash: u32,
}

/// A lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundLease {
    /// The time to live that it was granted.
    pub ttl: Duration,
    /// Its keys.
    pub keys: BTreeSet<Bytes>,
}

impl Found {
    /// Reads everything, while nobody writes. Hashes of at most so many revisions, spread evenly.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or not as it should.
    pub async fn read(client: &Client, endpoint: &str, hashes: usize) -> Result<Self, Failure> {
        let hash = client.maintenance().hash_kv(endpoint).await?;
        let revision = hash.header.revision;
        let compacted = hash.compact_revision.max(0);
        let mut found = Self {
            revision,
            compacted,
            events: Self::events(endpoint, compacted.max(1), revision).await?,
            ..Self::default()
        };
        let revisions = compacted.max(1)..=revision;
        let step = (revisions.clone().count() / hashes.max(1)).max(1);
        for revision in revisions.rev().step_by(step) {
            let asked = client.maintenance().hash_kv(endpoint).revision(revision);
            let answer = asked.await?;
            found.hashes.push(FoundHash {
                revision,
                compacted: answer.compact_revision.max(0),
                hash: answer.hash,
            });
        }
        for lease in client.leases().list().await?.leases {
            let state = client.leases().time_to_live(lease).keys().await?;
            let lease_found = FoundLease {
                ttl: state.granted_ttl,
                keys: state.keys.into_iter().collect(),
            };
            found.leases.insert(lease.0, lease_found);
        }
        found.users = client.auth().users().await?.users.into_iter().collect();
        found.roles = client.auth().roles().await?.roles.into_iter().collect();
        Ok(found)
    }

    /// What a watch from a revision on delivers up to another one.
    ///
    /// # Errors
    ///
    /// When it ends early.
    pub async fn events(
        endpoint: &str,
        from: Revision,
        until: Revision,
    ) -> Result<Vec<Event>, Failure> {
        // Nothing was ever written.
        if until <= 1 {
            return Ok(Vec::new());
        }
        let endpoints = [endpoint.to_owned()];
        let keys = KeyRange::all();
        let read = replay(&endpoints, &keys, from, until);
        tokio::time::timeout(Duration::from_secs(30), read).await?
    }
}
