//! Transactions: decide, check, apply.

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::response_op::Response;
use etcdkit_proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, ResponseOp,
    TxnRequest, TxnResponse,
};

use crate::check::MAX_TXN_DEPTH;
use crate::compare;
use crate::span::Span;
use crate::store::{Store, header};
use crate::write::Write;

impl Store {
    /// Runs a transaction at the next revision, unseen by reads until [`publish`](Self::publish).
    ///
    /// All conditions, those of nested transactions too, are decided on the state before the
    /// transaction. Then the operations on the path taken are checked on that state. Only then is
    /// anything applied; later operations see what earlier ones did.
    ///
    /// # Errors
    ///
    /// On the path taken: `FutureRevision`, `Compacted`, `LeaseNotFound`, `KeyNotFound` as for the
    /// single requests. A negative revision counts as compacted here, but for −1 before the first
    /// compaction.
    pub fn stage_txn(&mut self, request: TxnRequest) -> Result<TxnResponse, EtcdError> {
        let taken = decide(self, request, MAX_TXN_DEPTH)?;
        Checker {
            store: self,
            emptied_from: None,
        }
        .txn(&taken)?;
        let mut write = Write::begin(self);
        let mut response = apply(&mut write, taken);
        response.header = header(write.end());
        Ok(response)
    }
}

/// A transaction after its conditions are decided: what is left is the path taken.
struct Taken {
    succeeded: bool,
    ops: Vec<TakenOp>,
}

enum TakenOp {
    Range(RangeRequest),
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(Taken),
}

fn decide(store: &Store, request: TxnRequest, max_depth: usize) -> Result<Taken, EtcdError> {
    let depth_left = max_depth.checked_sub(1).ok_or(EtcdError::TooManyOps)?;
    let succeeded = request
        .compare
        .iter()
        .all(|compare| compare::holds(store, compare));
    let ops = if succeeded {
        request.success
    } else {
        request.failure
    };
    let ops = ops
        .into_iter()
        .map(|op| decide_op(store, op, depth_left))
        .collect::<Result<_, _>>()?;
    Ok(Taken { succeeded, ops })
}

fn decide_op(store: &Store, op: RequestOp, max_depth: usize) -> Result<TakenOp, EtcdError> {
    match op.request {
        Some(Request::RequestRange(range)) => Ok(TakenOp::Range(range)),
        Some(Request::RequestPut(put)) => Ok(TakenOp::Put(put)),
        Some(Request::RequestDeleteRange(delete)) => Ok(TakenOp::DeleteRange(delete)),
        Some(Request::RequestTxn(txn)) => decide(store, txn, max_depth).map(TakenOp::Txn),
        None => Err(EtcdError::KeyNotFound),
    }
}

/// Finds what would go wrong on the path taken, in the order of its operations.
struct Checker<'a> {
    store: &'a Store,
    /// The lowest key from which on an earlier operation deletes every key. The rule against
    /// changing a key twice keeps puts out of all other deletes before them.
    emptied_from: Option<&'a [u8]>,
}

impl<'a> Checker<'a> {
    fn txn(&mut self, taken: &'a Taken) -> Result<(), EtcdError> {
        for op in &taken.ops {
            match op {
                TakenOp::Range(range) => self.range(range)?,
                TakenOp::Put(put) => self.put(put)?,
                TakenOp::DeleteRange(delete) => self.delete_range(delete),
                TakenOp::Txn(taken) => self.txn(taken)?,
            }
        }
        Ok(())
    }

    fn range(&self, range: &RangeRequest) -> Result<(), EtcdError> {
        if range.revision == 0 {
            return Ok(());
        }
        if range.revision > self.store.staged {
            return Err(EtcdError::FutureRevision);
        }
        if range.revision < self.store.staged_compacted {
            return Err(EtcdError::Compacted);
        }
        Ok(())
    }

    fn put(&self, put: &PutRequest) -> Result<(), EtcdError> {
        if put.ignore_value || put.ignore_lease {
            let emptied = self
                .emptied_from
                .is_some_and(|start| start <= put.key.as_ref());
            if emptied || !self.store.exists(&put.key) {
                return Err(EtcdError::KeyNotFound);
            }
        }
        if !self.store.leases.allow(put.lease) {
            return Err(EtcdError::LeaseNotFound);
        }
        Ok(())
    }

    fn delete_range(&mut self, delete: &'a DeleteRangeRequest) {
        let span = Span::new(&delete.key, &delete.range_end);
        if span.is_open() && self.emptied_from.is_none_or(|start| span.start < start) {
            self.emptied_from = Some(span.start);
        }
    }
}

/// A nested transaction's header stays empty, as etcd's does.
fn apply(write: &mut Write<'_>, taken: Taken) -> TxnResponse {
    let responses = taken.ops.into_iter().map(|op| {
        let response = match op {
            TakenOp::Range(range) => Response::ResponseRange(write.range(&range)),
            TakenOp::Put(put) => Response::ResponsePut(write.put(put)),
            TakenOp::DeleteRange(delete) => {
                Response::ResponseDeleteRange(write.delete_range(&delete))
            }
            TakenOp::Txn(taken) => Response::ResponseTxn(apply(write, taken)),
        };
        ResponseOp {
            response: Some(response),
        }
    });
    TxnResponse {
        responses: responses.collect(),
        header: Some(ResponseHeader::default()),
        succeeded: taken.succeeded,
    }
}
