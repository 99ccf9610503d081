//! Revisions that mean something in any history.
//!
//! A generated operation names revisions relative to where the store is, and they become numbers
//! only when it is sent. So a list that lost half of its operations still asks for "the revision
//! just compacted", and shrinks well.

use etcdkit_proto::etcdserverpb::{
    Compare, RangeRequest, RequestOp, TxnRequest, compare::TargetUnion, request_op::Request,
};

use super::operation::{Operation, Outcome};

/// Relative revisions are encoded as numbers around these, which no history reaches.
const CURRENT: i64 = 1 << 40;
const COMPACTED: i64 = 1 << 41;
const RETAINED: i64 = 1 << 42;
/// How far an encoded number may be from its base.
const REACH: i64 = 1 << 20;

/// The revision this far after (or, if negative, before) the current one.
pub(super) fn from_current(offset: i64) -> i64 {
    CURRENT + offset
}

/// The revision this far after (or, if negative, before) the last compacted one.
pub(super) fn from_compacted(offset: i64) -> i64 {
    COMPACTED + offset
}

/// The revision so many thousandths of the way from the oldest readable one to the current one.
pub(super) fn retained(thousandths: i64) -> i64 {
    RETAINED + thousandths
}

/// Where a store is, as its answers tell.
#[derive(Clone, Debug)]
pub(super) struct Position {
    revision: i64,
    compacted: i64,
}

impl Position {
    /// An empty store's.
    pub(super) fn start() -> Self {
        Self {
            revision: 1,
            compacted: -1,
        }
    }

    /// Follows the store through an operation that was sent.
    pub(super) fn observe(&mut self, sent: &Operation, outcome: &Outcome) {
        let Ok(answer) = outcome else { return };
        self.revision = answer.revision();
        if let Operation::Compact(request) = sent {
            self.compacted = request.revision;
        }
    }

    /// The operation with numbers in place of relative revisions.
    pub(super) fn resolve(&self, operation: &Operation) -> Operation {
        let mut operation = operation.clone();
        match &mut operation {
            Operation::Range(request) => self.resolve_range(request),
            Operation::Txn(request) => self.resolve_txn(request),
            Operation::Compact(request) => self.resolve_revision(&mut request.revision),
            Operation::HashKv(request) => self.resolve_revision(&mut request.revision),
            Operation::Put(_)
            | Operation::DeleteRange(_)
            | Operation::LeaseGrant(_)
            | Operation::LeaseRevoke(_)
            | Operation::LeaseTimeToLive(_)
            | Operation::LeaseLeases(_) => {}
        }
        operation
    }

    fn resolve_range(&self, request: &mut RangeRequest) {
        for revision in [
            &mut request.revision,
            &mut request.min_mod_revision,
            &mut request.max_mod_revision,
            &mut request.min_create_revision,
            &mut request.max_create_revision,
        ] {
            self.resolve_revision(revision);
        }
    }

    fn resolve_txn(&self, txn: &mut TxnRequest) {
        for Compare { target_union, .. } in &mut txn.compare {
            if let Some(
                TargetUnion::CreateRevision(revision) | TargetUnion::ModRevision(revision),
            ) = target_union
            {
                self.resolve_revision(revision);
            }
        }
        for RequestOp { request } in txn.success.iter_mut().chain(&mut txn.failure) {
            match request {
                Some(Request::RequestRange(request)) => self.resolve_range(request),
                Some(Request::RequestTxn(request)) => self.resolve_txn(request),
                _ => {}
            }
        }
    }

    fn resolve_revision(&self, revision: &mut i64) {
        let near = |base: i64| (base - REACH..base + REACH).contains(revision);
        if near(CURRENT) {
            *revision += self.revision - CURRENT;
        } else if near(COMPACTED) {
            *revision += self.compacted - COMPACTED;
        } else if near(RETAINED) {
            let oldest = self.compacted.max(1);
            *revision = oldest + (self.revision - oldest) * (*revision - RETAINED) / 1_000;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_revisions_follow_the_store_and_others_stay() {
        let position = Position {
            revision: 110,
            compacted: 10,
        };
        let resolved = |mut revision| {
            position.resolve_revision(&mut revision);
            revision
        };
        assert_eq!(resolved(from_current(1)), 111);
        assert_eq!(resolved(from_compacted(-1)), 9);
        assert_eq!(resolved(retained(0)), 10);
        assert_eq!(resolved(retained(500)), 60);
        assert_eq!(resolved(retained(1_000)), 110);
        for unchanged in [0, 5, -1, i64::MIN, i64::MAX] {
            assert_eq!(resolved(unchanged), unchanged);
        }
    }
}
