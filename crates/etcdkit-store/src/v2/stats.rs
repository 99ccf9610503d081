//! What was done how often.

use std::sync::atomic::{AtomicU64, Ordering};

use etcdkit_proto::v2::{ErrorCode, KeysError, StoreStats};

/// The counters of a store. Those of reads are apart, as many may read at once.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) written: StoreStats,
    reads: AtomicU64,
    failed_reads: AtomicU64,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Set,
    Create,
    Update,
    Delete,
    CompareAndSwap,
    CompareAndDelete,
}

impl Stats {
    pub(super) fn recovered(stats: StoreStats) -> Self {
        Self {
            reads: stats.gets_success.into(),
            failed_reads: stats.gets_fail.into(),
            written: stats,
        }
    }

    pub(super) fn read<T>(&self, answer: &Result<T, KeysError>) {
        let counter = if answer.is_ok() {
            &self.reads
        } else {
            &self.failed_reads
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wrote<T>(&mut self, what: Counted, answer: &Result<T, KeysError>) {
        let code = answer.as_ref().err().and_then(KeysError::code);
        let counters = &mut self.written;
        // etcd tries to make the parents before anything else, and counts that as a set.
        if matches!(what, Counted::Create) && code == Some(ErrorCode::NotADirectory) {
            counters.sets_fail += 1;
        }
        let is_success = code.is_none_or(|code| is_taken_for_success(what, code));
        let [success, fail] = match what {
            Counted::Set => [&mut counters.sets_success, &mut counters.sets_fail],
            Counted::Create => [&mut counters.create_success, &mut counters.create_fail],
            Counted::Update => [&mut counters.update_success, &mut counters.update_fail],
            Counted::Delete => [&mut counters.delete_success, &mut counters.delete_fail],
            Counted::CompareAndSwap => [
                &mut counters.compare_and_swap_success,
                &mut counters.compare_and_swap_fail,
            ],
            Counted::CompareAndDelete => [
                &mut counters.compare_and_delete_success,
                &mut counters.compare_and_delete_fail,
            ],
        };
        *(if is_success { success } else { fail }) += 1;
    }

    pub(super) fn expired(&mut self) {
        self.written.expire_count += 1;
    }

    pub(super) fn to_shown(&self) -> StoreStats {
        StoreStats {
            gets_success: self.reads.load(Ordering::Relaxed),
            gets_fail: self.failed_reads.load(Ordering::Relaxed),
            ..self.written
        }
    }
}

/// Some refusals go past the place where etcd 3.5 counts failures.
fn is_taken_for_success(what: Counted, code: ErrorCode) -> bool {
    use ErrorCode::{CompareFailed, NotAFile, RootIsReadOnly};
    match what {
        Counted::Set | Counted::Create => false,
        Counted::Update => matches!(code, RootIsReadOnly | NotAFile),
        Counted::Delete | Counted::CompareAndSwap => code == RootIsReadOnly,
        Counted::CompareAndDelete => matches!(code, NotAFile | CompareFailed),
    }
}
