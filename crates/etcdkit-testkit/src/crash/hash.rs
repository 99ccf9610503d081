//! `HashKV` worked out from a list of events.

use std::collections::HashMap;

use bytes::Bytes;
use etcdkit::Revision;
use etcdkit_proto::mvccpb;
use prost::Message;

use crate::watch_checker::Event;

/// The records that etcd stores of a history, and their hash at any revision.
///
/// etcd hashes, after its bucket's name, every stored pair: the revision, which is two numbers of
/// eight bytes with `_` between them and, of a deletion, `t` behind them; and the marshalled pair, of
/// which a deletion has only the key.
#[derive(Debug)]
pub struct HashModel {
    records: Vec<Record>,
}

#[derive(Debug)]
struct Record {
    revision: Revision,
    key: Bytes,
    is_delete: bool,
    bytes: Vec<u8>,
}

impl HashModel {
    /// Of all events since the first revision, in their order.
    pub fn new<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut records: Vec<Record> = Vec::new();
        let mut sub = 0i64;
        for event in events {
            let revision = event.revision();
            let last = records.last().map(|record| record.revision);
            sub = if last == Some(revision) { sub + 1 } else { 0 };
            records.push(Record {
                revision,
                key: event.kv.key.clone(),
                is_delete: event.is_delete,
                bytes: marshalled(event, sub),
            });
        }
        Self { records }
    }

    /// The hash at a revision, when the history is compacted at another.
    pub fn at(&self, revision: Revision, compacted: Revision) -> u32 {
        let upto = |limit: Revision| {
            let end = self
                .records
                .partition_point(|record| record.revision <= limit);
            &self.records[..end]
        };
        let newest = |records: &[Record]| -> HashMap<Bytes, usize> {
            let entries = records.iter().enumerate();
            entries
                .map(|(index, record)| (record.key.clone(), index))
                .collect()
        };
        let is_live = |index: &usize| !self.records[*index].is_delete;
        // What the compaction left, and what a compaction at the asked revision would leave.
        let left = newest(upto(compacted));
        let mut kept = newest(upto(revision));
        kept.retain(|_, index| is_live(index));
        let mut hash = crc32c::crc32c(b"key");
        for (index, record) in upto(revision).iter().enumerate() {
            let is_hashed = record.revision > compacted
                || (!record.is_delete
                    && left.get(&record.key) == Some(&index)
                    && (kept.is_empty() || kept.get(&record.key) == Some(&index)));
            if is_hashed {
                hash = crc32c::crc32c_append(hash, &record.bytes);
            }
        }
        hash
    }
}

fn marshalled(event: &Event, sub: i64) -> Vec<u8> {
    let mut bytes = event.revision().to_be_bytes().to_vec();
    bytes.push(b'_');
    bytes.extend(sub.to_be_bytes());
    let kv = &event.kv;
    let mut stored = mvccpb::KeyValue {
        key: kv.key.clone(),
        ..Default::default()
    };
    if event.is_delete {
        bytes.push(b't');
    } else {
        stored.value = kv.value.clone();
        stored.create_revision = kv.create_revision;
        stored.mod_revision = kv.mod_revision;
        stored.version = kv.version;
        stored.lease = kv.lease.map_or(0, |lease| lease.0);
    }
    bytes.extend(stored.encode_to_vec());
    bytes
}
