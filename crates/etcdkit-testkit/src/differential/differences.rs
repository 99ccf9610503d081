//! The deliberate differences between the embedded server and real etcds: all of them.
//!
//! The embedded server follows 3.6 where versions differ. Not listed, because no test
//! sends them, are requests that crash real servers; `generate.rs` says which.

use super::operation::{Answer, Operation, Outcome};
use crate::etcd::Version;

/// A way in which the embedded server is meant to answer differently.
#[derive(Debug)]
pub struct Difference {
    /// A short name for reports.
    pub name: &'static str,
    /// Why it is right.
    pub reason: &'static str,
    /// The first version of etcd that answers as the embedded server does, if any does.
    pub until: Option<Version>,
    excuses: fn(&Operation, real: &Outcome, embedded: &Outcome) -> bool,
}

impl Difference {
    fn applies(
        &self,
        version: Version,
        operation: &Operation,
        real: &Outcome,
        embedded: &Outcome,
    ) -> bool {
        self.until.is_none_or(|until| version < until) && (self.excuses)(operation, real, embedded)
    }
}

/// The list.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "unknown sort order",
        reason: "3.6 refuses it; before, it meant unsorted",
        until: Some(Version::new(3, 6, 0)),
        excuses: |operation, _, embedded| {
            matches!(operation, Operation::Range(request) if !(0..3).contains(&request.sort_order))
                && is_error(embedded, "etcdserver: invalid sort option")
        },
    },
    Difference {
        name: "first error of a transaction",
        reason: "of several wrong operations 3.6 reports the first; before, puts went before reads",
        until: Some(Version::new(3, 6, 0)),
        excuses: |operation, real, embedded| {
            let from_put = |outcome| {
                is_error(outcome, "etcdserver: key not found")
                    || is_error(outcome, "etcdserver: requested lease not found")
            };
            let from_read = |outcome| {
                is_error(
                    outcome,
                    "etcdserver: mvcc: required revision has been compacted",
                ) || is_error(
                    outcome,
                    "etcdserver: mvcc: required revision is a future revision",
                )
            };
            matches!(operation, Operation::Txn(_)) && from_put(real) && from_read(embedded)
        },
    },
    Difference {
        name: "hash_revision",
        reason: "the field exists since 3.6; before, it is 0",
        until: Some(Version::new(3, 6, 0)),
        excuses: |_, real, embedded| match (real, embedded) {
            (Ok(Answer::HashKv(real)), Ok(Answer::HashKv(embedded))) => {
                let mut embedded = *embedded;
                embedded.hash_revision = 0;
                *real == embedded
            }
            _ => false,
        },
    },
    Difference {
        name: "HashKV at the compacted revision",
        reason: "3.4 refuses the compacted revision itself, and remembers no hashes of compactions",
        until: Some(Version::new(3, 5, 0)),
        excuses: |operation, real, embedded| {
            matches!(operation, Operation::HashKv(request) if request.revision > 0)
                && is_error(
                    real,
                    "etcdserver: mvcc: required revision has been compacted",
                )
                && embedded.is_ok()
        },
    },
    Difference {
        name: "HashKV after compacting revision 0",
        reason: "since 3.5 a request for revision 0, the current one, then finds the empty hash of \
                 that compaction",
        until: Some(Version::new(3, 5, 0)),
        excuses: |operation, real, embedded| match (operation, embedded) {
            (Operation::HashKv(request), Ok(Answer::HashKv(embedded))) => {
                request.revision == 0 && embedded.hash == HASH_OF_NOTHING && real.is_ok()
            }
            _ => false,
        },
    },
];

/// The CRC-32C of `key`, the name of the bucket that [`HashKV`](Operation::HashKv) covers.
const HASH_OF_NOTHING: u32 = 1_084_519_789;

/// The deliberate difference that explains these two answers, if there is one.
pub(super) fn explain(
    version: Version,
    operation: &Operation,
    real: &Outcome,
    embedded: &Outcome,
) -> Option<&'static Difference> {
    DIFFERENCES
        .iter()
        .find(|difference| difference.applies(version, operation, real, embedded))
}

fn is_error(outcome: &Outcome, text: &str) -> bool {
    matches!(outcome, Err((_, message)) if message == text)
}
