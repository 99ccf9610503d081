//! Compaction.

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{CompactionRequest, CompactionResponse};

use crate::hash::{self, KeyValueHash};
use crate::store::{Store, header};

impl Store {
    /// Forgets what was overwritten or deleted up to a revision, which stays readable itself.
    ///
    /// Everything is done when it returns, whether or not `physical` is set.
    ///
    /// # Errors
    ///
    /// `Compacted` up to the last compacted revision, `FutureRevision` above the current one.
    /// Revision 0 is accepted as long as nothing was compacted.
    pub fn compact(
        &mut self,
        request: &CompactionRequest,
    ) -> Result<CompactionResponse, EtcdError> {
        let revision = request.revision;
        if revision <= self.compacted {
            return Err(EtcdError::Compacted);
        }
        if revision > self.published {
            return Err(EtcdError::FutureRevision);
        }
        let previous = std::mem::replace(&mut self.compacted, revision);
        let kept = self.index.compact(revision);
        let hash = hash::of_records(self.log.up_to(revision), previous, &kept, !kept.is_empty());
        self.compaction_hashes.remember(KeyValueHash {
            hash,
            compact_revision: previous,
            revision,
        });
        self.log.compact(revision, &kept);
        Ok(CompactionResponse {
            header: header(self.published),
        })
    }
}
