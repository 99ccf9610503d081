//! Random operations: few keys, many edges.

use bytes::Bytes;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, HashKvRequest, LeaseGrantRequest,
    LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest,
    RequestOp, TxnRequest,
    compare::{CompareTarget, TargetUnion},
    request_op::Request,
};

use super::{
    operation::Operation,
    position::{from_compacted, from_current, retained},
};

/// So few that operations meet, and so chosen that prefixes, zero bytes and the last byte occur. At most
/// twelve: up to that many elements Go's unstable sort is stable, so ties have an order.
const KEYS: [&[u8]; 12] = [
    b"\0",
    b"a",
    b"a\0",
    b"aa",
    b"ab",
    b"b",
    b"b\xff",
    b"c",
    b"ca",
    b"k",
    b"\xff",
    b"\xff\xff",
];

const VALUES: [&[u8]; 7] = [b"", b"\0", b"1", b"2", b"v", b"w", b"a longer value"];

/// Ids of leases; each is granted and revoked again and again. Grants of 0 would get ids of the
/// servers' choice.
const LEASES: [i64; 4] = [1, 2, 3, -1];

/// TTLs in seconds: none ends while a case runs, since no two servers would agree on the moment.
const TTLS: [i64; 5] = [600, 601, 3_600, 9_000_000_000, 9_000_000_001];

/// Values around the limits of a request: accepted; above etcd's 1.5 MiB; above gRPC's 2 MiB.
const LARGE_VALUES: [usize; 3] = [1_500_000, 1_572_864, 2_200_000];

/// Every so many operations the whole history is compared.
const HASH_INTERVAL: usize = 50;

/// Makes operations from a seed. Their revisions are relative; see `position.rs`.
#[derive(Debug)]
pub(super) struct Generator {
    random: fastrand::Rng,
    made: usize,
}

/// What a transaction may contain, decided once for all its levels.
///
/// etcd's check for keys changed twice overlooks deletes with an open end, and a put after such a
/// delete makes it lose the put or crash later (seen with 3.4 and 3.5). So a transaction
/// has puts or open deletes, not both.
#[derive(Clone, Copy, PartialEq)]
enum Writes {
    PutsAndClosedDeletes,
    AnyDeletes,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            made: 0,
        }
    }

    pub(super) fn next(&mut self) -> Operation {
        self.made += 1;
        if self.made.is_multiple_of(HASH_INTERVAL) {
            return hash_kv(0);
        }
        match self.random.u32(..100) {
            0..18 => Operation::Range(self.range(false)),
            18..26 => self.lease_operation(),
            26..50 => Operation::Put(self.put()),
            50..60 => Operation::DeleteRange(self.delete_range(Writes::AnyDeletes)),
            60..94 => Operation::Txn(self.txn()),
            94..98 => Operation::Compact(self.compaction()),
            _ => hash_kv(self.revision_to_read()),
        }
    }

    /// The questions that end a case: the whole history, and what it was at older revisions.
    pub(super) fn last_operations(&mut self) -> Vec<Operation> {
        let mut revisions = vec![
            0,
            -1,
            from_compacted(-1),
            from_compacted(0),
            from_compacted(1),
            from_current(0),
            from_current(1),
        ];
        revisions.extend((0..8).map(|_| retained(self.random.i64(0..=1_000))));
        let everything = Operation::Range(RangeRequest {
            key: Bytes::from_static(b"\0"),
            range_end: Bytes::from_static(b"\0"),
            ..Default::default()
        });
        revisions
            .into_iter()
            .map(hash_kv)
            .chain([everything])
            .collect()
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(..100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.usize(..from.len())]
    }

    fn key(&mut self) -> Bytes {
        if self.chance(1) {
            return Bytes::new();
        }
        Bytes::from_static(self.pick(&KEYS))
    }

    fn range_end(&mut self, key: &[u8]) -> Bytes {
        match self.random.u32(..10) {
            0..4 => Bytes::new(),
            4 => Bytes::from_static(b"\0"),
            5..9 => Bytes::from_static(self.pick(&KEYS)),
            _ => prefix_end(key),
        }
    }

    fn value(&mut self) -> Bytes {
        if self.random.u32(..400) == 0 {
            return Bytes::from(vec![b'x'; self.pick(&LARGE_VALUES)]);
        }
        Bytes::from_static(self.pick(&VALUES))
    }

    /// A revision near one that matters, or at the edge of the type.
    fn revision_to_read(&mut self) -> i64 {
        match self.random.u32(..12) {
            0..5 => retained(self.random.i64(0..=1_000)),
            5 => from_current(0),
            6 => from_current(1),
            7 => from_compacted(0),
            8 => from_compacted(-1),
            9 => from_compacted(1),
            10 => 1,
            _ => self.pick(&[0, -1, -2, i64::MIN, i64::MAX]),
        }
    }

    /// Mostly no bound; else one that splits the stored revisions.
    fn bound(&mut self) -> i64 {
        if self.chance(90) {
            return 0;
        }
        self.revision_to_read()
    }

    fn range(&mut self, in_txn: bool) -> RangeRequest {
        let key = self.key();
        let mut request = RangeRequest {
            range_end: self.range_end(&key),
            key,
            limit: match self.random.u32(..8) {
                0 => self.pick(&[-1, i64::MIN, i64::MAX]),
                1..4 => self.random.i64(1..5),
                _ => 0,
            },
            revision: match self.chance(25) {
                true => self.revision_to_read(),
                false => 0,
            },
            sort_order: match self.chance(40) {
                true => self.random.i32(0..3),
                false => 0,
            },
            sort_target: match self.chance(40) {
                true => self.random.i32(0..5),
                false => 0,
            },
            serializable: self.random.bool(),
            keys_only: self.chance(15),
            count_only: self.chance(10),
            min_mod_revision: self.bound(),
            max_mod_revision: self.bound(),
            min_create_revision: self.bound(),
            max_create_revision: self.bound(),
        };
        // Only outside transactions: there servers before 3.6 take it and 3.6 refuses, so the
        // histories would part. An unknown sort target is never sent: servers before 3.6 crash.
        if !in_txn && self.chance(2) {
            request.sort_order = 9;
        }
        request
    }

    fn put(&mut self) -> PutRequest {
        PutRequest {
            key: self.key(),
            value: self.value(),
            lease: match self.random.u32(..25) {
                0 => self.pick(&[9, i64::MIN, i64::MAX]),
                1..6 => self.pick(&LEASES),
                _ => 0,
            },
            prev_kv: self.random.bool(),
            ignore_value: self.chance(6),
            ignore_lease: self.chance(6),
        }
    }

    fn lease_operation(&mut self) -> Operation {
        let id = self.pick(&LEASES);
        match self.random.u32(..10) {
            0..5 => Operation::LeaseGrant(LeaseGrantRequest {
                id,
                ttl: self.pick(&TTLS),
            }),
            5 | 6 => Operation::LeaseRevoke(LeaseRevokeRequest { id }),
            7 | 8 => Operation::LeaseTimeToLive(LeaseTimeToLiveRequest {
                id,
                keys: self.chance(80),
            }),
            _ => Operation::LeaseLeases(LeaseLeasesRequest {}),
        }
    }

    fn delete_range(&mut self, writes: Writes) -> DeleteRangeRequest {
        let key = self.key();
        let mut range_end = self.range_end(&key);
        if writes == Writes::PutsAndClosedDeletes && range_end == b"\0"[..] {
            range_end = Bytes::new();
        }
        DeleteRangeRequest {
            key,
            range_end,
            prev_kv: self.random.bool(),
        }
    }

    fn compaction(&mut self) -> CompactionRequest {
        CompactionRequest {
            revision: match self.random.u32(..4) {
                0 => self.revision_to_read(),
                _ => retained(self.random.i64(0..=1_000)),
            },
            // Real servers finish a compaction later otherwise, and HashKV shows whether they have.
            physical: true,
        }
    }

    fn txn(&mut self) -> TxnRequest {
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

    fn txn_of(&mut self, writes: Writes, levels: usize) -> TxnRequest {
        TxnRequest {
            compare: (0..self.random.usize(..3))
                .map(|_| self.compare())
                .collect(),
            success: self.branch(writes, levels),
            failure: self.branch(writes, levels),
        }
    }

    fn branch(&mut self, writes: Writes, levels: usize) -> Vec<RequestOp> {
        (0..self.random.usize(..4))
            .map(|_| self.op(writes, levels))
            .collect()
    }

    fn op(&mut self, writes: Writes, levels: usize) -> RequestOp {
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
    fn crowded_txn(&mut self) -> TxnRequest {
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
    fn deep_txn(&mut self) -> TxnRequest {
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

    fn compare(&mut self) -> Compare {
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

    fn compared_revision(&mut self) -> i64 {
        match self.random.u32(..4) {
            0 => 0,
            1 => self.revision_to_read(),
            _ => from_current(-self.random.i64(0..20)),
        }
    }
}

fn hash_kv(revision: i64) -> Operation {
    Operation::HashKv(HashKvRequest { revision })
}

/// The first key after all that start with `prefix`: etcd's rule.
fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(b"\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_operations() {
        let run = |seed| {
            let mut generator = Generator::new(seed);
            (0..200).map(|_| generator.next()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn the_end_of_a_prefix_carries() {
        assert_eq!(prefix_end(b"a"), "b");
        assert_eq!(prefix_end(b"a\xff"), "b");
        assert_eq!(prefix_end(b"\xff\xff"), "\0");
        assert_eq!(prefix_end(b""), "\0");
    }
}
