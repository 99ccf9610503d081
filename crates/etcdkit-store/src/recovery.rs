//! A store from the entries of a file.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use etcdkit_proto::mvccpb::KeyValue;
use prost::Message;

use crate::backend::Bucket;
use crate::compact::{FINISHED, SCHEDULED};
use crate::hash::CompactionHashes;
use crate::lease::StoredLease;
use crate::record::Record;
use crate::revision::{RecordKey, Revision};
use crate::store::Store;

/// Takes the entries of all buckets, and makes a [`Store`] of them.
///
/// The entries are those of a backend that was given every [`Batch`](crate::Batch), or of a snapshot, also
/// one of a real etcd. A compaction that was interrupted is completed.
#[derive(Debug)]
pub struct Recovery {
    store: Store,
    last: Revision,
    leases: Vec<StoredLease>,
    scheduled: i64,
    finished: i64,
}

/// Why a revision cannot be that of a store.
const LAST: &str = "is of a revision that leaves none for the next change";

/// An entry that etcd would not have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryError {
    bucket: Bucket,
    key: Bytes,
    reason: &'static str,
}

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bucket,
            key,
            reason,
        } = self;
        write!(
            f,
            "entry {} of bucket {bucket} {reason}",
            key.escape_ascii()
        )
    }
}

impl std::error::Error for RecoveryError {}

impl Default for Recovery {
    fn default() -> Self {
        Self::new()
    }
}

impl Recovery {
    /// Nothing taken yet.
    pub fn new() -> Self {
        Self {
            store: Store::new(),
            last: Revision::default(),
            leases: Vec::new(),
            scheduled: -1,
            finished: -1,
        }
    }

    /// Takes an entry. Those of [`Bucket::Key`] must come in the order of their keys. Entries that
    /// are no matter of the store, such as members, are passed over.
    ///
    /// # Errors
    ///
    /// If the entry cannot be one of etcd's, or is out of order.
    pub fn take(&mut self, bucket: Bucket, key: &[u8], value: &[u8]) -> Result<(), RecoveryError> {
        let taken = match bucket {
            Bucket::Key => self.take_record(key, value),
            Bucket::Lease => match StoredLease::decode(value) {
                Ok(lease) if key == lease.id.to_be_bytes() => {
                    self.leases.push(lease);
                    Ok(())
                }
                _ => Err("does not hold the lease of its name"),
            },
            Bucket::Alarm => self
                .store
                .alarms
                .recover(key)
                .map_err(|_| "is not the name of an alarm"),
            Bucket::Auth => self
                .store
                .auth
                .recover_state(key, value)
                .ok_or("has a value that it cannot have"),
            Bucket::AuthUsers => self
                .store
                .auth
                .recover_user(value)
                .map_err(|_| "does not hold a user"),
            Bucket::AuthRoles => self
                .store
                .auth
                .recover_role(value)
                .map_err(|_| "does not hold a role"),
            Bucket::Meta => self.take_mark(key, value),
            Bucket::V2 => self.store.v2.recover(key, value),
            Bucket::Cluster | Bucket::Members | Bucket::MembersRemoved => Ok(()),
        };
        taken.map_err(|reason| RecoveryError {
            bucket,
            key: Bytes::copy_from_slice(key),
            reason,
        })
    }

    fn take_record(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let key = RecordKey::parse(key).ok_or("is not the name of a revision")?;
        let revision = key.revision();
        if revision <= self.last {
            return Err("is out of order");
        }
        if revision.main == i64::MAX {
            return Err(LAST);
        }
        self.last = revision;
        let value = Bytes::copy_from_slice(value);
        let kv = KeyValue::decode(value.clone()).map_err(|_| "does not hold a key and a value")?;
        // `etcdutl snapshot restore --bump-revision` stores nothing at the raised revision, which etcd
        // reads as a key without a name that nobody can ask for.
        let is_raise = value.is_empty();
        if !key.is_tombstone() && !is_raise && kv.mod_revision != revision.main {
            return Err("holds another revision than that of its name");
        }
        self.store.index.recover(revision, key.is_tombstone(), kv);
        self.store.log.push(Record::stored(key, value));
        Ok(())
    }

    fn take_mark(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let mark = if key == SCHEDULED.as_bytes() {
            &mut self.scheduled
        } else if key == FINISHED.as_bytes() {
            &mut self.finished
        } else {
            return Ok(());
        };
        let revision = RecordKey::parse(value).ok_or("does not hold a revision")?;
        *mark = revision.revision().main;
        if *mark == i64::MAX {
            return Err(LAST);
        }
        Ok(())
    }

    /// The store of all entries taken. Leases have their whole TTL from `now` on.
    ///
    /// The store notes changes from the start, as after [`Store::keep_journal`], so that what is left of
    /// an interrupted compaction is removed from the backend too.
    ///
    /// # Errors
    ///
    /// If there are leases that etcd would not have granted.
    pub fn finish(self, now: Duration) -> Result<Store, RecoveryError> {
        let Self {
            mut store,
            last,
            leases,
            scheduled,
            finished,
        } = self;
        for lease in leases {
            let recovered = store.leases.recover(lease, now);
            recovered.map_err(|_| RecoveryError {
                bucket: Bucket::Lease,
                key: Bytes::copy_from_slice(&lease.id.to_be_bytes()),
                reason: "holds a lease that cannot be granted",
            })?;
        }
        let revision = last.main.max(scheduled).max(finished).max(1);
        for (_, kv) in store.index.all_live(revision) {
            store.leases.attach(&kv.key, 0, kv.lease);
        }
        store.auth.recovered();
        if !store.v2.recovered() {
            return Err(RecoveryError {
                bucket: Bucket::V2,
                key: Bytes::new(),
                reason: "is missing: nodes, events and index do not belong together",
            });
        }
        store.staged = revision;
        store.taken = revision;
        store.published = revision;
        store.compacted = finished;
        store.staged_compacted = finished;
        store.keep_journal();
        if scheduled > finished {
            store.staged_compacted = scheduled;
            store.staged_compactions.push_back(scheduled);
            store.publish();
            // It is not that of the whole history: some of what was compacted may be gone already.
            store.compaction_hashes = CompactionHashes::default();
        }
        Ok(store)
    }
}
