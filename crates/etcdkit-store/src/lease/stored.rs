//! Leases in the bytes that etcd stores: the terms of each, but not its keys, which say themselves
//! what lease they have.

use std::time::Duration;

use bytes::Bytes;
use etcdkit_proto::EtcdError;
use prost::Message;

use super::table::Leases;
use crate::backend::{Bucket, Change, Entry};

/// What etcd stores of a lease; the message is not part of its API.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct StoredLease {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
    /// In seconds, as granted.
    #[prost(int64, tag = "2")]
    pub(crate) ttl: i64,
}

impl Leases {
    pub(crate) fn take_changes(&mut self, changes: &mut Vec<Change>) {
        for id in self.dirty.take() {
            changes.push(match self.get(id) {
                Some(lease) => Change::Put(entry(id, lease.ttl())),
                None => Change::Delete(Bucket::Lease, stored_key(id)),
            });
        }
    }

    pub(crate) fn entries(&self, entries: &mut Vec<Entry>) {
        entries.extend(self.iter().map(|(id, lease)| entry(id, lease.ttl())));
    }

    /// Takes a lease back from its stored form, with its whole TTL left.
    pub(crate) fn recover(&mut self, stored: StoredLease, now: Duration) -> Result<(), EtcdError> {
        self.grant(stored.id, stored.ttl, now).map(drop)
    }
}

fn entry(id: i64, ttl: i64) -> Entry {
    Entry {
        bucket: Bucket::Lease,
        key: stored_key(id),
        value: StoredLease { id, ttl }.encode_to_vec().into(),
    }
}

fn stored_key(id: i64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}
