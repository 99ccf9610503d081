//! Reads, writes and compactions: few keys, many edges.

use bytes::Bytes;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, HashKvRequest, PutRequest, RangeRequest,
};

use super::{Generator, Theme, lease::LEASES, txn::Writes};
use crate::differential::{
    calls::Call,
    position::{from_compacted, from_current, retained},
};

/// So few that operations meet, and so chosen that prefixes, zero bytes and the last byte occur. At most
/// twelve: up to that many elements Go's unstable sort is stable, so ties have an order.
pub(super) const KEYS: [&[u8]; 12] = [
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

pub(super) const VALUES: [&[u8]; 7] = [b"", b"\0", b"1", b"2", b"v", b"w", b"a longer value"];

/// Values around the limits of a request: accepted; above etcd's 1.5 MiB; above gRPC's 2 MiB.
const LARGE_VALUES: [usize; 3] = [1_500_000, 1_572_864, 2_200_000];

impl Generator {
    pub(super) fn kv_call(&mut self) -> Call {
        match self.random.u32(..100) {
            0..18 => Call::Range(self.range(false)),
            18..45 => Call::Put(self.put()),
            45..57 => Call::DeleteRange(self.delete_range(Writes::AnyDeletes)),
            57..94 => Call::Txn(self.txn()),
            // Calls that wait in queues watch the key before theirs, unseen. Whether a compaction
            // ends such a watch depends on how soon it comes.
            94..98 if self.theme != Theme::Queues => Call::Compact(self.compaction()),
            _ => hash_kv(self.revision_to_read()),
        }
    }

    pub(super) fn key(&mut self) -> Bytes {
        if self.chance(1) {
            return Bytes::new();
        }
        Bytes::from_static(self.pick(&KEYS))
    }

    pub(super) fn range_end(&mut self, key: &[u8]) -> Bytes {
        match self.random.u32(..10) {
            0..4 => Bytes::new(),
            4 => Bytes::from_static(b"\0"),
            5..9 => Bytes::from_static(self.pick(&KEYS)),
            _ => prefix_end(key),
        }
    }

    pub(super) fn value(&mut self) -> Bytes {
        if self.random.u32(..400) == 0 {
            return Bytes::from(vec![b'x'; self.pick(&LARGE_VALUES)]);
        }
        Bytes::from_static(self.pick(&VALUES))
    }

    /// A revision near one that matters, or at the edge of the type.
    pub(super) fn revision_to_read(&mut self) -> i64 {
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
    pub(super) fn bound(&mut self) -> i64 {
        if self.chance(90) {
            return 0;
        }
        self.revision_to_read()
    }

    pub(super) fn range(&mut self, in_txn: bool) -> RangeRequest {
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

    pub(super) fn put(&mut self) -> PutRequest {
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

    pub(super) fn delete_range(&mut self, writes: Writes) -> DeleteRangeRequest {
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

    pub(super) fn compaction(&mut self) -> CompactionRequest {
        CompactionRequest {
            revision: match self.random.u32(..4) {
                0 => self.revision_to_read(),
                _ => retained(self.random.i64(0..=1_000)),
            },
            // Real servers finish a compaction later otherwise, and HashKV shows whether they have.
            physical: true,
        }
    }
}

pub(super) fn hash_kv(revision: i64) -> Call {
    Call::HashKv(HashKvRequest { revision })
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
    fn the_end_of_a_prefix_carries() {
        assert_eq!(prefix_end(b"a"), "b");
        assert_eq!(prefix_end(b"a\xff"), "b");
        assert_eq!(prefix_end(b"\xff\xff"), "\0");
        assert_eq!(prefix_end(b""), "\0");
    }
}
