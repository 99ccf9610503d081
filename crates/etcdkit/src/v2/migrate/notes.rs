//! What a migration notes in v3 of what it has done.

use std::collections::HashSet;

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    MigrationError,
    plan::{Note, Version},
};
use crate::{Client, Compare, KeyRange, KeyValue, LeaseId, Op, OpResponse, Result};

/// Where the notes are.
#[derive(Clone, Debug)]
pub(super) struct Notes {
    prefix: String,
}

impl Notes {
    pub(super) fn at(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// Makes sure that the notes are of this migration, and notes what it is if there are none. A dry
    /// run notes nothing.
    pub(super) async fn claim(
        &self,
        client: &Client,
        wanted: &str,
        dry_run: bool,
    ) -> Result<(), MigrationError> {
        let key = format!("{}of", self.prefix);
        let found = match dry_run {
            true => client.get(key.as_str()).await?.map(|kv| kv.value),
            false => {
                let claim = client
                    .txn()
                    .when([Compare::missing(key.as_str())])
                    .then([Op::put(key.as_str(), wanted)])
                    .or_else([Op::get(key.as_str())]);
                match claim.await?.responses.into_iter().next() {
                    Some(OpResponse::Range(found)) => {
                        found.kvs.into_iter().next().map(|kv| kv.value)
                    }
                    _ => None,
                }
            }
        };
        match found {
            Some(found) if found != wanted => Err(MigrationError::OtherMigration {
                state: self.prefix.clone(),
                found: String::from_utf8_lossy(&found).into_owned(),
                wanted: wanted.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The keys that there are notes about, and the leases that these have.
    pub(super) async fn load(&self, client: &Client) -> Result<(HashSet<Bytes>, HashSet<LeaseId>)> {
        let prefix = self.key_of(&[]);
        let scan = client.scan(KeyRange::prefix(prefix.clone()));
        let mut scan = scan.keys_only().linearizable();
        let (mut targets, mut leases) = (HashSet::new(), HashSet::new());
        while let Some(kv) = scan.try_next().await? {
            let target = kv.key.get(prefix.len()..).unwrap_or_default();
            targets.insert(Bytes::copy_from_slice(target));
            leases.extend(kv.lease);
        }
        Ok((targets, leases))
    }

    /// All leases that were noted.
    pub(super) async fn leases(&self, client: &Client) -> Result<Vec<LeaseId>> {
        let prefix = self.of_leases();
        let scan = client.scan(KeyRange::prefix(prefix.as_str()));
        let mut scan = scan.keys_only().linearizable();
        let mut leases = Vec::new();
        while let Some(kv) = scan.try_next().await? {
            let id = kv.key.get(prefix.len()..).unwrap_or_default();
            let id = str::from_utf8(id).ok().and_then(|id| id.parse().ok());
            leases.extend(id.map(LeaseId));
        }
        Ok(leases)
    }

    /// Notes leases that are about to be granted.
    pub(super) async fn add_leases(
        &self,
        client: &Client,
        leases: impl Iterator<Item = LeaseId>,
    ) -> Result<()> {
        let notes = leases.map(|lease| Op::put(self.of_lease(lease), ""));
        client.txn().then(notes).await.map(drop)
    }

    pub(super) async fn remove_lease(&self, client: &Client, lease: LeaseId) -> Result<()> {
        client.delete(self.of_lease(lease)).await.map(drop)
    }

    fn of_lease(&self, lease: LeaseId) -> String {
        format!("{}{}", self.of_leases(), lease.0)
    }

    fn of_leases(&self) -> String {
        format!("{}lease:", self.prefix)
    }

    /// The key of the note about a key.
    pub(super) fn key_of(&self, target: &[u8]) -> Bytes {
        let mut key = BytesMut::new();
        key.put_slice(self.prefix.as_bytes());
        key.put_slice(b"key:");
        key.put_slice(target);
        key.freeze()
    }

    /// Removes all notes.
    pub(super) async fn forget(&self, client: &Client) -> Result<()> {
        let notes = Op::delete(KeyRange::prefix(self.key_of(&[])));
        let leases = Op::delete(KeyRange::prefix(self.of_leases()));
        let of = Op::delete(format!("{}of", self.prefix));
        client.txn().then([notes, leases, of]).await.map(drop)
    }
}

pub(super) fn write(version: Version) -> String {
    format!("{} {}", version.index, version.expires)
}

/// What a note says.
pub(super) fn parse(kv: &KeyValue) -> Note {
    Note {
        version: read(&kv.value),
        mod_revision: kv.mod_revision,
    }
}

/// What cannot be read is of no version that there is, so the key is written anew.
fn read(text: &[u8]) -> Version {
    let mut numbers = str::from_utf8(text).unwrap_or_default().split(' ');
    let mut number = || numbers.next().and_then(|text| text.parse().ok());
    Version {
        index: number().unwrap_or(0),
        expires: number().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_were_written() {
        for (index, expires) in [(7, 0), (u64::MAX, 1_795_262_400)] {
            let version = Version { index, expires };
            assert_eq!(read(write(version).as_bytes()), version);
        }
        for text in ["", "x", "\u{0}"] {
            assert_eq!(read(text.as_bytes()), Version::default());
        }
        assert_eq!(read(b"\xff").index, 0);
    }
}
