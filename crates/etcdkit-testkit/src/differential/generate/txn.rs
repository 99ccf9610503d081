//! Transactions of every shape.

use bytes::Bytes;
use etcdkit_proto::etcdserverpb::{
    Compare, RangeRequest, RequestOp, TxnRequest,
    compare::{CompareTarget, TargetUnion},
    request_op::Request,
};

use super::{Generator, kv::VALUES};
use crate::differential::position::from_current;

/// What a transaction may contain, decided once for all its levels.
///
/// etcd's check for keys changed twice overlooks deletes with an open end, and a put after such a
/// delete makes it lose the put or crash later (seen with 3.4 and 3.5). So a transaction
/// has puts or open deletes, not both.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Writes {
    PutsAndClosedDeletes,
    AnyDeletes,
}

impl Generator {
    pub(super) fn txn(&mut self) -> TxnRequest {
        match self.random.u32(..60) {
            0 => self.crowded_txn(),
            1 => self.deep_txn(),
            _ => {
                let writes = match self.chance(20) {
                    true => Writes::AnyDeletes,
                    false => Writes::PutsAndClosedDeletes,
                };
                self.txn_of(writes, 3)
            }
        }
    }

    pub(super) fn txn_of(&mut self, writes: Writes, levels: usize) -> TxnRequest {
        TxnRequest {
            compare: (0..self.random.usize(..3))
                .map(|_| self.compare())
                .collect(),
            success: self.branch(writes, levels),
            failure: self.branch(writes, levels),
        }
    }

    pub(super) fn branch(&mut self, writes: Writes, levels: usize) -> Vec<RequestOp> {
        (0..self.random.usize(..4))
            .map(|_| self.op(writes, levels))
            .collect()
    }

    pub(super) fn op(&mut self, writes: Writes, levels: usize) -> RequestOp {
        let request = match self.random.u32(..100) {
            0 => None,
            1..40 if writes == Writes::PutsAndClosedDeletes => {
                Some(Request::RequestPut(self.put()))
            }
            1..65 => Some(Request::RequestRange(self.range(true))),
            65..82 => Some(Request::RequestDeleteRange(self.delete_range(writes))),
            _ if levels > 1 => Some(Request::RequestTxn(self.txn_of(writes, levels - 1))),
            _ => Some(Request::RequestRange(self.range(true))),
        };
        RequestOp { request }
    }

    /// As many operations or comparisons as a transaction may have, or one more or less.
    pub(super) fn crowded_txn(&mut self) -> TxnRequest {
        let read = RequestOp {
            request: Some(Request::RequestRange(RangeRequest {
                key: Bytes::from_static(b"a"),
                count_only: true,
                ..Default::default()
            })),
        };
        let outer = self.pick(&[1, 2, 63, 64, 127, 128, 129]);
        let nested = TxnRequest {
            failure: vec![read.clone(); self.pick(&[1, 63, 64, 65, 126, 127])],
            success: vec![read.clone(); self.pick(&[0, 1, 64, 126])],
            ..Default::default()
        };
        let mut success = vec![read; outer];
        if self.random.bool() {
            success.pop();
            success.push(RequestOp {
                request: Some(Request::RequestTxn(nested)),
            });
        }
        let compare = (0..self.pick(&[0, 1, 128, 129]))
            .map(|_| self.compare())
            .collect();
        TxnRequest {
            compare,
            success,
            failure: Vec::new(),
        }
    }

    /// A put inside many transactions.
    pub(super) fn deep_txn(&mut self) -> TxnRequest {
        let mut op = Request::RequestPut(self.put());
        for _ in 0..self.pick(&[5, 20, 30]) {
            op = Request::RequestTxn(TxnRequest {
                success: vec![RequestOp { request: Some(op) }],
                ..Default::default()
            });
        }
        TxnRequest {
            compare: vec![self.compare()],
            success: vec![RequestOp { request: Some(op) }],
            failure: Vec::new(),
        }
    }

    pub(super) fn compare(&mut self) -> Compare {
        let key = self.key();
        let range_end = match self.chance(30) {
            true => self.range_end(&key),
            false => Bytes::new(),
        };
        let target = match self.chance(3) {
            true => 11,
            false => self.random.i32(0..5),
        };
        // Usually the value belongs to the target.
        let kind = match self.chance(92) {
            true => target,
            false => self.random.i32(0..6),
        };
        let target_union = match CompareTarget::try_from(kind) {
            Ok(CompareTarget::Version) => Some(TargetUnion::Version(self.random.i64(-1..4))),
            Ok(CompareTarget::Create) => {
                Some(TargetUnion::CreateRevision(self.compared_revision()))
            }
            Ok(CompareTarget::Mod) => Some(TargetUnion::ModRevision(self.compared_revision())),
            Ok(CompareTarget::Value) => {
                Some(TargetUnion::Value(Bytes::from_static(self.pick(&VALUES))))
            }
            Ok(CompareTarget::Lease) => Some(TargetUnion::Lease(self.random.i64(-1..2))),
            Err(_) => None,
        };
        Compare {
            result: match self.chance(3) {
                true => self.pick(&[-1, 7]),
                false => self.random.i32(0..4),
            },
            target,
            key,
            range_end,
            target_union,
        }
    }

    pub(super) fn compared_revision(&mut self) -> i64 {
        match self.random.u32(..4) {
            0 => 0,
            1 => self.revision_to_read(),
            _ => from_current(-self.random.i64(0..20)),
        }
    }
}
