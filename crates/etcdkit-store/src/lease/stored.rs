//! Leases in the bytes that etcd stores: the terms of each, but not its keys, which say themselves
//! what lease they have.

use std::time::Duration;

use bytes::Bytes;
use etcdkit_proto::EtcdError;
use prost::Message;

use super::table::{Lease, Leases};
use crate::backend::{Bucket, Change, Entry};

/// What etcd stores of a lease; the message is not part of its API.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct StoredLease {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
    /// In seconds, as granted.
    #[prost(int64, tag = "2")]
    pub(crate) ttl: i64,
    /// In seconds, as of the last checkpoint; 0 without one.
    #[prost(int64, tag = "3")]
    pub(crate) remaining_ttl: i64,
}

impl Leases {
    pub(crate) fn take_changes(&mut self, changes: &mut Vec<Change>) {
        for id in self.dirty.take() {
            changes.push(match self.get(id) {
                Some(lease) => Change::Put(entry(id, lease)),
                None => Change::Delete(Bucket::Lease, stored_key(id)),
            });
        }
    }

    pub(crate) fn entries(&self, entries: &mut Vec<Entry>) {
        entries.extend(self.iter().map(|(id, lease)| entry(id, lease)));
    }

    /// Takes a lease back from its stored form, with what its last checkpoint left of it, or else its
    /// whole TTL.
    pub(crate) fn recover(&mut self, stored: StoredLease, now: Duration) -> Result<(), EtcdError> {
        let StoredLease {
            id,
            ttl,
            remaining_ttl,
        } = stored;
        self.grant(id, ttl, now)?;
        if (1..ttl).contains(&remaining_ttl) {
            self.set_remaining(id, remaining_ttl, now);
        }
        Ok(())
    }
}

fn entry(id: i64, lease: &Lease) -> Entry {
    let stored = StoredLease {
        id,
        ttl: lease.ttl(),
        remaining_ttl: lease.checkpoint(),
    };
    Entry {
        bucket: Bucket::Lease,
        key: stored_key(id),
        value: stored.encode_to_vec().into(),
    }
}

fn stored_key(id: i64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}
