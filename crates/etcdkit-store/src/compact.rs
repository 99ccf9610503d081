//! Compaction.
//!
//! It is decided when it is staged, and done when it is published. A backend then removes the records
//! in parts; marks of how far that is are those of etcd, so that a start after an interruption can
//! complete it.

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{CompactionRequest, CompactionResponse};

use crate::backend::{Bucket, Change, Entry};
use crate::hash::{self, KeyValueHash};
use crate::revision::{RecordKey, Revision};
use crate::store::{Store, header};

/// The names of etcd's marks: what was asked for, and what was completed.
pub(crate) const SCHEDULED: &str = "scheduledCompactRev";
pub(crate) const FINISHED: &str = "finishedCompactRev";

impl Store {
    /// Forgets what was overwritten or deleted up to a revision, which stays readable itself.
    ///
    /// Everything is done when it returns, whether or not `physical` is set; only a backend that
    /// was given the records still has to remove them.
    ///
    /// # Errors
    ///
    /// Those of [`stage_compact`](Self::stage_compact).
    pub fn compact(
        &mut self,
        request: &CompactionRequest,
    ) -> Result<CompactionResponse, EtcdError> {
        let response = self.stage_compact(request)?;
        self.publish();
        Ok(response)
    }

    /// Decides to forget what was overwritten or deleted up to a revision. It happens with
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// `Compacted` up to the last compacted revision, `FutureRevision` above the current one.
    /// Revision 0 is accepted as long as nothing was compacted.
    pub fn stage_compact(
        &mut self,
        request: &CompactionRequest,
    ) -> Result<CompactionResponse, EtcdError> {
        let revision = request.revision;
        if revision <= self.staged_compacted {
            return Err(EtcdError::Compacted);
        }
        if revision > self.staged {
            return Err(EtcdError::FutureRevision);
        }
        self.staged_compacted = revision;
        self.staged_compactions.push_back(revision);
        self.dirty_compaction.mark(&());
        Ok(CompactionResponse {
            header: header(self.staged),
        })
    }

    /// Does what was decided, up to a compaction whose revision is published.
    pub(crate) fn run_compactions(&mut self, up_to: i64) {
        while let Some(next) = self.staged_compactions.front().copied()
            && next <= up_to
        {
            self.staged_compactions.pop_front();
            self.run_compaction(next);
        }
    }

    fn run_compaction(&mut self, revision: i64) {
        let previous = std::mem::replace(&mut self.compacted, revision);
        let kept = self.index.compact(revision);
        let hash = hash::of_records(self.log.up_to(revision), previous, &kept, !kept.is_empty());
        self.compaction_hashes.remember(KeyValueHash {
            hash,
            compact_revision: previous,
            revision,
        });
        let keeps_journal = self.dirty_compaction.is_watched();
        let garbage = &mut self.garbage;
        self.log.compact(revision, &kept, |record| {
            if keeps_journal {
                garbage.push_back(record.key());
            }
        });
        // What is complete at once is to be noted as such.
        self.dirty_compaction.mark(&());
    }

    /// What was decided since the last time, and whether it is complete.
    pub(crate) fn take_compaction_marks(&mut self) -> Vec<Change> {
        if self.dirty_compaction.take().is_empty() {
            return Vec::new();
        }
        let marks = self.compaction_marks();
        marks.map(Change::Put).collect()
    }

    /// The marks as they are now.
    pub(crate) fn compaction_marks(&self) -> impl Iterator<Item = Entry> + use<> {
        let scheduled =
            (self.staged_compacted >= 0).then(|| mark(SCHEDULED, self.staged_compacted));
        let is_complete = self.compacted >= 0 && self.garbage.is_empty();
        let finished = is_complete.then(|| mark(FINISHED, self.compacted));
        scheduled.into_iter().chain(finished)
    }
}

fn mark(name: &'static str, revision: i64) -> Entry {
    let revision = Revision {
        main: revision,
        sub: 0,
    };
    Entry {
        bucket: Bucket::Meta,
        key: name.into(),
        value: RecordKey::new(revision, false).as_slice().to_vec().into(),
    }
}
