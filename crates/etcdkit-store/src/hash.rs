//! `HashKV`: one number for a whole history.

use std::collections::VecDeque;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::HashKvResponse;

use crate::record::Record;
use crate::revision::Revision;
use crate::store::{Store, header};

/// How many compactions etcd remembers the hash of.
const REMEMBERED: usize = 10;

/// A hash and the revisions it stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyValueHash {
    pub(crate) hash: u32,
    /// The compacted revision at the time of hashing.
    pub(crate) compact_revision: i64,
    /// The last revision that was hashed.
    pub(crate) revision: i64,
}

/// The hashes that the last compactions made of what they were about to compact, oldest first.
///
/// Members that compacted at different times compare their histories by them (etcd 3.5).
#[derive(Debug, Default)]
pub(crate) struct CompactionHashes {
    hashes: VecDeque<KeyValueHash>,
}

impl CompactionHashes {
    pub(crate) fn remember(&mut self, hash: KeyValueHash) {
        if self.hashes.len() == REMEMBERED {
            self.hashes.pop_front();
        }
        self.hashes.push_back(hash);
    }

    fn find(&self, revision: i64) -> Option<KeyValueHash> {
        self.hashes
            .iter()
            .copied()
            .find(|hash| hash.revision == revision)
    }
}

impl Store {
    /// Hashes the records up to a revision; 0 means the current one.
    ///
    /// Two members that give the same hash for the same revision and compacted revision hold the
    /// same history. If the revision is one of the last ten compacted ones, the answer is the hash
    /// made by that compaction. So after a compaction of revision 0, which hashed nothing, a
    /// request for "the current revision" finds that hash: etcd's behaviour since 3.5. A negative
    /// revision gives the hash of no record.
    ///
    /// # Errors
    ///
    /// `Compacted` below the last compacted revision, `FutureRevision` above the current one.
    pub fn hash_kv(&self, revision: i64) -> Result<HashKvResponse, EtcdError> {
        let hash = match self.compaction_hashes.find(revision) {
            Some(remembered) => remembered,
            None => self.hash_at(revision)?,
        };
        Ok(HashKvResponse {
            header: header(self.published),
            hash: hash.hash,
            compact_revision: hash.compact_revision,
            hash_revision: hash.revision,
        })
    }

    fn hash_at(&self, revision: i64) -> Result<KeyValueHash, EtcdError> {
        if revision > 0 && revision < self.compacted {
            return Err(EtcdError::Compacted);
        }
        if revision > self.published {
            return Err(EtcdError::FutureRevision);
        }
        let revision = if revision == 0 {
            self.published
        } else {
            revision
        };
        let mut any_live = false;
        let mut live: Vec<Revision> = Vec::new();
        for (change, _) in self.index.all_live(revision) {
            any_live = true;
            if change.main <= self.compacted {
                live.push(change);
            }
        }
        live.sort_unstable();
        let hash = of_records(self.log.up_to(revision), self.compacted, &live, any_live);
        Ok(KeyValueHash {
            hash,
            compact_revision: self.compacted,
            revision,
        })
    }
}

/// The CRC-32C of `key`, the name of etcd's bucket, and of every record's key and value.
///
/// Of the records up to the compacted revision only those in the sorted list `kept` count, since
/// another member may have dropped the others already; but all of them count when no key is kept at
/// all. A tombstone at the compacted revision never counts, since members before 3.5.16 drop it.
pub(crate) fn of_records(records: &[Record], compacted: i64, kept: &[Revision], any: bool) -> u32 {
    let mut kept = kept.iter().peekable();
    let mut hash = crc32c::crc32c(b"key");
    for record in records {
        let revision = record.revision();
        if revision.main <= compacted {
            let is_kept = kept.next_if(|kept| **kept == revision).is_some();
            if (any && !is_kept) || (record.is_tombstone() && revision.main == compacted) {
                continue;
            }
        }
        hash = crc32c::crc32c_append(hash, record.key().as_slice());
        hash = crc32c::crc32c_append(hash, record.value());
    }
    hash
}
