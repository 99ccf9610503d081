//! The store: its state and its entry points.

use std::collections::VecDeque;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
    ResponseHeader, TxnRequest, TxnResponse,
};
use etcdkit_proto::mvccpb::KeyValue;

use crate::alarm::Alarms;
use crate::auth::Auth;
use crate::hash::CompactionHashes;
use crate::index::Index;
use crate::journal::Dirty;
use crate::lease::Leases;
use crate::log::Log;
use crate::range;
use crate::record::Record;
use crate::revision::RecordKey;
use crate::span::Span;
use crate::v2;
use crate::write::Write;

/// Multi-version keys and values, with etcd's semantics.
///
/// Headers of responses carry only the revision; the ids of cluster and member and the Raft term
/// are the server's to add. A failed request changes nothing.
#[derive(Debug)]
pub struct Store {
    pub(crate) index: Index,
    pub(crate) log: Log,
    pub(crate) leases: Leases,
    pub(crate) auth: Auth,
    pub(crate) alarms: Alarms,
    pub(crate) compaction_hashes: CompactionHashes,
    /// The newest revision that reads see.
    pub(crate) published: i64,
    /// The newest revision that writes see.
    pub(crate) staged: i64,
    /// The newest revision that a backend was given.
    pub(crate) taken: i64,
    /// What reads are refused below.
    pub(crate) compacted: i64,
    /// What writes are refused below.
    pub(crate) staged_compacted: i64,
    /// The compactions after `compacted`, which run once they are published.
    pub(crate) staged_compactions: VecDeque<i64>,
    pub(crate) dirty_compaction: Dirty<()>,
    /// The records that compaction dropped, and a backend still has.
    pub(crate) garbage: VecDeque<RecordKey>,
    pub(crate) v2: v2::Tree,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store, at revision 1 as a new etcd is.
    pub fn new() -> Self {
        Self {
            index: Index::default(),
            log: Log::default(),
            leases: Leases::default(),
            auth: Auth::default(),
            alarms: Alarms::default(),
            compaction_hashes: CompactionHashes::default(),
            published: 1,
            staged: 1,
            taken: 1,
            compacted: -1,
            staged_compacted: -1,
            staged_compactions: VecDeque::new(),
            dirty_compaction: Dirty::default(),
            garbage: VecDeque::new(),
            v2: v2::Tree::default(),
        }
    }

    /// The newest revision that reads see.
    pub fn revision(&self) -> i64 {
        self.published
    }

    /// The last compacted revision; −1 if there was no compaction yet.
    pub fn compact_revision(&self) -> i64 {
        self.compacted
    }

    /// The bytes of all stored records with their keys, history included; what etcd reports as the
    /// database size, without the overhead of etcd's file.
    pub fn size(&self) -> u64 {
        self.log.bytes()
    }

    /// Reads keys.
    ///
    /// # Errors
    ///
    /// `FutureRevision` and `Compacted` if the revision asked for does not exist yet or any more. 0
    /// and negative revisions mean the current one.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, EtcdError> {
        self.check_readable(request.revision)?;
        Ok(range::answer(
            &self.index,
            &self.log,
            request,
            self.published,
        ))
    }

    /// Reads keys up to the limit without counting the rest, for whoever reads a long range part by
    /// part: `count` then says nothing.
    ///
    /// # Errors
    ///
    /// Those of [`range`](Self::range).
    pub fn range_uncounted(&self, request: &RangeRequest) -> Result<RangeResponse, EtcdError> {
        self.check_readable(request.revision)?;
        Ok(range::answer_uncounted(
            &self.index,
            request,
            self.published,
        ))
    }

    fn check_readable(&self, revision: i64) -> Result<(), EtcdError> {
        if revision > self.published {
            return Err(EtcdError::FutureRevision);
        }
        if revision > 0 && revision < self.compacted {
            return Err(EtcdError::Compacted);
        }
        Ok(())
    }

    /// Sets a key and publishes the change.
    ///
    /// # Errors
    ///
    /// Those of [`stage_put`](Self::stage_put).
    pub fn put(&mut self, request: PutRequest) -> Result<PutResponse, EtcdError> {
        let response = self.stage_put(request)?;
        self.publish();
        Ok(response)
    }

    /// Deletes keys and publishes the change. The revision stays if there is nothing to delete.
    ///
    /// # Errors
    ///
    /// None now; the `Result` is for symmetry with the other writes.
    pub fn delete_range(
        &mut self,
        request: DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse, EtcdError> {
        let response = self.stage_delete_range(request)?;
        self.publish();
        Ok(response)
    }

    /// Runs a transaction and publishes its changes, all at one revision.
    ///
    /// # Errors
    ///
    /// Those of [`stage_txn`](Self::stage_txn).
    pub fn txn(&mut self, request: TxnRequest) -> Result<TxnResponse, EtcdError> {
        let response = self.stage_txn(request)?;
        self.publish();
        Ok(response)
    }

    /// Sets a key at the next revision, unseen by reads until [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// `LeaseNotFound`; `KeyNotFound` if `ignore_value` or `ignore_lease` is set on a missing key.
    pub fn stage_put(&mut self, request: PutRequest) -> Result<PutResponse, EtcdError> {
        if !self.leases.allow(request.lease) {
            return Err(EtcdError::LeaseNotFound);
        }
        if (request.ignore_value || request.ignore_lease) && !self.exists(&request.key) {
            return Err(EtcdError::KeyNotFound);
        }
        let mut write = Write::begin(self);
        let response = write.put(request);
        write.end();
        Ok(response)
    }

    /// Deletes keys at the next revision, unseen by reads until [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// None now; the `Result` is for symmetry with the other writes.
    pub fn stage_delete_range(
        &mut self,
        request: DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse, EtcdError> {
        let mut write = Write::begin(self);
        let response = write.delete_range(&request);
        write.end();
        Ok(response)
    }

    /// The keys of the v2 API.
    pub fn v2(&self) -> &v2::Tree {
        &self.v2
    }

    /// The keys of the v2 API, to be changed.
    pub fn v2_mut(&mut self) -> &mut v2::Tree {
        &mut self.v2
    }

    /// Lets reads see every staged change.
    pub fn publish(&mut self) {
        self.publish_up_to(self.staged_position(), |_, _| {});
    }

    /// The published records after a revision, in order.
    pub fn published_after(&self, revision: i64) -> &[Record] {
        self.log.between(revision, self.published)
    }

    /// A key at a readable revision.
    pub(crate) fn kv_at(&self, key: &[u8], revision: i64) -> Option<&KeyValue> {
        if revision < self.compacted {
            return None;
        }
        self.index.get(key, revision)
    }

    /// What the writes staged so far left of a key.
    pub(crate) fn exists(&self, key: &[u8]) -> bool {
        self.index.get(key, self.staged).is_some()
    }

    /// The keys that a comparison looks at.
    pub(crate) fn staged_live(&self, span: Span<'_>) -> impl Iterator<Item = &KeyValue> {
        self.index.live(span, self.staged)
    }
}

/// A header that says nothing but the revision.
pub(crate) fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        revision,
        ..Default::default()
    })
}
