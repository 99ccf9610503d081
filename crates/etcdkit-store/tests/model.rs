//! Random histories on the store and on a model that shares no code with it.
//!
//! The model is the plain list of all changes ever made. Every answer is worked out from the start
//! of that list, and so are the bytes behind `HashKV`, down to varints and checksum.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use etcdkit_store::{Store, check};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Write {
    /// Key, value, lease.
    Put(u8, Vec<u8>, i64),
    /// From the first key up to the second, exclusively.
    Delete(u8, u8),
}

#[derive(Clone, Debug)]
enum Step {
    Write(Write),
    Txn(Vec<Write>),
    /// So many revisions before the current one; negative is in the future.
    Compact(i64),
    /// Id and TTL.
    Grant(i64, i64),
    Renew(i64),
    Revoke(i64),
    /// So many seconds pass, and what expires is revoked.
    Pass(u64),
}

struct Change {
    main: i64,
    sub: i64,
    key: u8,
    value: Option<Vec<u8>>,
    created: i64,
    version: i64,
    lease: i64,
}

struct Model {
    changes: Vec<Change>,
    revision: i64,
    compacted: i64,
    /// Revision, compacted revision before, hash.
    remembered: Vec<(i64, i64, u32)>,
    /// In seconds.
    now: u64,
    /// By id: TTL and expiry.
    leases: BTreeMap<i64, (u64, u64)>,
}

impl Model {
    fn new() -> Self {
        Self {
            changes: Vec::new(),
            revision: 1,
            compacted: -1,
            remembered: Vec::new(),
            now: 0,
            leases: BTreeMap::new(),
        }
    }

    /// The newest change of a key up to a revision.
    fn last(&self, key: u8, at: i64) -> Option<&Change> {
        self.changes
            .iter()
            .rfind(|change| change.key == key && change.main <= at)
    }

    fn live(&self, at: i64) -> Vec<&Change> {
        let keys = KEYS.filter_map(|key| self.last(key, at));
        keys.filter(|change| change.value.is_some()).collect()
    }

    /// Whether every lease of the writes is there.
    fn allows(&self, writes: &[Write]) -> bool {
        writes.iter().all(|write| match write {
            Write::Put(_, _, lease) => *lease == 0 || self.leases.contains_key(lease),
            Write::Delete(..) => true,
        })
    }

    /// The keys whose newest value is with a lease.
    fn keys_of(&self, lease: i64) -> Vec<u8> {
        let live = self.live(self.revision).into_iter();
        live.filter(|change| change.lease == lease)
            .map(|change| change.key)
            .collect()
    }

    fn revoke(&mut self, lease: i64) -> Result<(), EtcdError> {
        let keys = self.keys_of(lease);
        self.leases.remove(&lease).ok_or(EtcdError::LeaseNotFound)?;
        let deletes: Vec<Write> = keys
            .into_iter()
            .map(|key| Write::Delete(key, key + 1))
            .collect();
        self.write(&deletes);
        Ok(())
    }

    /// Revokes one expired lease after the other, by expiry and then by id.
    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        while let Some((_, id)) = self
            .leases
            .iter()
            .filter(|(_, (_, expiry))| *expiry <= self.now)
            .map(|(id, (_, expiry))| (*expiry, *id))
            .min()
        {
            self.revoke(id).unwrap();
        }
    }

    fn write(&mut self, writes: &[Write]) {
        let main = self.revision + 1;
        let mut sub = 0;
        for write in writes {
            let changed: Vec<(u8, Option<Vec<u8>>, i64)> = match write {
                Write::Put(key, value, lease) => vec![(*key, Some(value.clone()), *lease)],
                Write::Delete(from, to) => {
                    let live = self.live(main).into_iter().map(|change| change.key);
                    live.filter(|key| (*from..*to).contains(key))
                        .map(|key| (key, None, 0))
                        .collect()
                }
            };
            for (key, value, lease) in changed {
                let before = self.last(key, main).filter(|change| change.value.is_some());
                let created = before.map_or(main, |change| change.created);
                let version = before.map_or(0, |change| change.version) + 1;
                self.changes.push(Change {
                    main,
                    sub,
                    key,
                    value,
                    created,
                    version,
                    lease,
                });
                sub += 1;
            }
        }
        if sub > 0 {
            self.revision = main;
        }
    }

    fn compact(&mut self, to: i64) -> Result<(), EtcdError> {
        if to <= self.compacted {
            return Err(EtcdError::Compacted);
        }
        if to > self.revision {
            return Err(EtcdError::FutureRevision);
        }
        let kept: Vec<&Change> = KEYS
            .filter_map(|key| self.last(key, to))
            .filter(|change| change.value.is_some() || change.main == to)
            .collect();
        let hash = self.hash_of(to, &kept);
        self.remembered.push((to, self.compacted, hash));
        self.compacted = to;
        Ok(())
    }

    fn hash(&self, asked: i64) -> Result<(u32, i64, i64), EtcdError> {
        let newest = self.remembered.iter().rev().take(10);
        if let Some((to, before, hash)) = newest.clone().find(|(to, ..)| *to == asked) {
            return Ok((*hash, *before, *to));
        }
        if asked > 0 && asked < self.compacted {
            return Err(EtcdError::Compacted);
        }
        if asked > self.revision {
            return Err(EtcdError::FutureRevision);
        }
        let at = if asked == 0 { self.revision } else { asked };
        Ok((self.hash_of(at, &self.live(at)), self.compacted, at))
    }

    fn hash_of(&self, at: i64, kept: &[&Change]) -> u32 {
        let mut bytes = b"key".to_vec();
        for change in self
            .changes
            .iter()
            .filter(|change| change.main <= at && self.stored(change))
        {
            let is_kept = kept.iter().any(|kept| std::ptr::eq(*kept, change));
            let old = change.main <= self.compacted;
            let border_tombstone = change.value.is_none() && change.main == self.compacted;
            if border_tombstone || (old && !kept.is_empty() && !is_kept) {
                continue;
            }
            change.marshal(&mut bytes);
        }
        crc32c(&bytes)
    }

    /// Whether the last compaction left a change.
    fn stored(&self, change: &Change) -> bool {
        change.main > self.compacted
            || (self
                .last(change.key, self.compacted)
                .is_some_and(|c| std::ptr::eq(c, change))
                && (change.value.is_some() || change.main == self.compacted))
    }
}

impl Change {
    fn marshal(&self, out: &mut Vec<u8>) {
        out.extend(self.main.to_be_bytes());
        out.push(b'_');
        out.extend(self.sub.to_be_bytes());
        let Some(value) = &self.value else {
            out.extend([b't', 0x0a, 1, self.key]);
            return;
        };
        out.extend([0x0a, 1, self.key]);
        for (tag, number) in [
            (0x10, self.created),
            (0x18, self.main),
            (0x20, self.version),
        ] {
            out.push(tag);
            varint(number as u64, out);
        }
        if !value.is_empty() {
            out.push(0x2a);
            varint(value.len() as u64, out);
            out.extend(value);
        }
        if self.lease != 0 {
            out.push(0x30);
            varint(self.lease as u64, out);
        }
    }
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (if crc & 1 == 1 { 0x82f6_3b78 } else { 0 });
        }
    }
    !crc
}

const KEYS: std::ops::RangeInclusive<u8> = b'a'..=b'g';

const LEASES: std::ops::RangeInclusive<i64> = -1..=2;

/// Mostly none; the ids of [`Step::Grant`] otherwise.
fn lease() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0i64), 2 => LEASES]
}

fn write() -> impl Strategy<Value = Write> {
    let value = proptest::collection::vec(any::<u8>(), 0..4);
    let long_value = (120usize..140).prop_map(|len| vec![b'v'; len]);
    prop_oneof![
        6 => (KEYS, value, lease()).prop_map(|(key, value, id)| Write::Put(key, value, id)),
        1 => (KEYS, long_value).prop_map(|(key, value)| Write::Put(key, value, 0)),
        3 => (KEYS, 0u8..4).prop_map(|(from, keys)| Write::Delete(from, from + keys)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => write().prop_map(Step::Write),
        4 => proptest::collection::vec(write(), 0..6).prop_map(Step::Txn),
        2 => (-1i64..12).prop_map(Step::Compact),
        3 => (LEASES, 0i64..20).prop_map(|(id, ttl)| Step::Grant(id, ttl)),
        1 => LEASES.prop_map(Step::Renew),
        1 => LEASES.prop_map(Step::Revoke),
        1 => (0u64..8).prop_map(Step::Pass),
    ]
}

fn put_request(key: u8, value: &[u8], lease: i64) -> PutRequest {
    PutRequest {
        key: vec![key].into(),
        value: value.to_vec().into(),
        lease,
        ..Default::default()
    }
}

fn delete_request(from: u8, to: u8) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: vec![from].into(),
        range_end: vec![to].into(),
        ..Default::default()
    }
}

fn run(store: &mut Store, model: &mut Model, step: &Step) {
    match step {
        Step::Write(write) => {
            let header = match write {
                Write::Put(key, value, lease) => store
                    .put(put_request(*key, value, *lease))
                    .map(|response| response.header),
                Write::Delete(from, to) => store
                    .delete_range(delete_request(*from, *to))
                    .map(|response| response.header),
            };
            if model.allows(std::slice::from_ref(write)) {
                model.write(std::slice::from_ref(write));
                assert_eq!(header.unwrap().unwrap().revision, model.revision);
            } else {
                assert_eq!(header, Err(EtcdError::LeaseNotFound));
            }
        }
        Step::Txn(writes) => {
            let success = writes.iter().map(|write| {
                let request = match write {
                    Write::Put(key, value, lease) => {
                        Request::RequestPut(put_request(*key, value, *lease))
                    }
                    Write::Delete(from, to) => {
                        Request::RequestDeleteRange(delete_request(*from, *to))
                    }
                };
                RequestOp {
                    request: Some(request),
                }
            });
            let txn = TxnRequest {
                success: success.collect(),
                ..Default::default()
            };
            if !model.allows(writes) {
                assert_eq!(store.txn(txn), Err(EtcdError::LeaseNotFound));
            } else if check::txn(&txn, check::DEFAULT_MAX_TXN_OPS).is_ok() {
                model.write(writes);
                assert_eq!(
                    store.txn(txn).unwrap().header.unwrap().revision,
                    model.revision
                );
            }
        }
        Step::Compact(back) => {
            let revision = model.revision - back;
            let request = CompactionRequest {
                revision,
                physical: false,
            };
            let answer = store.compact(&request).map(|_| ());
            assert_eq!(answer, model.compact(revision), "compaction of {revision}");
        }
        Step::Grant(id, ttl) => {
            let request = LeaseGrantRequest { id: *id, ttl: *ttl };
            let answer = store.lease_grant(&request, Duration::from_secs(model.now));
            let ttl = (*ttl).max(2);
            if *id == 0 {
                assert_eq!(answer, Err(EtcdError::LeaseNotFound));
            } else if model.leases.contains_key(id) {
                assert_eq!(answer, Err(EtcdError::LeaseExists));
            } else {
                assert_eq!(answer.unwrap().ttl, ttl);
                let expiry = model.now + ttl as u64;
                model.leases.insert(*id, (ttl as u64, expiry));
            }
        }
        Step::Renew(id) => {
            let request = LeaseKeepAliveRequest { id: *id };
            let answer = store.lease_keep_alive(&request, Duration::from_secs(model.now));
            let now = model.now;
            let ttl = model.leases.get_mut(id).map(|(ttl, expiry)| {
                *expiry = now + *ttl;
                *ttl
            });
            assert_eq!(answer.ttl, ttl.unwrap_or(0) as i64);
        }
        Step::Revoke(id) => {
            let answer = store.lease_revoke(&LeaseRevokeRequest { id: *id });
            let answer = answer.map(|revoked| revoked.header.unwrap().revision);
            assert_eq!(answer, model.revoke(*id).map(|()| model.revision));
        }
        Step::Pass(seconds) => {
            model.pass(*seconds);
            while let Some(id) = store.expired_lease(Duration::from_secs(model.now)) {
                store.lease_revoke(&LeaseRevokeRequest { id }).unwrap();
            }
        }
    }
}

fn compare_leases(store: &Store, model: &Model) {
    let listed: Vec<i64> = store
        .lease_leases()
        .leases
        .iter()
        .map(|lease| lease.id)
        .collect();
    let mut expected: Vec<(u64, i64)> = model.leases.iter().map(|(id, l)| (l.1, *id)).collect();
    expected.sort_unstable();
    let expected: Vec<i64> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!(listed, expected);
    for id in LEASES {
        let request = LeaseTimeToLiveRequest { id, keys: true };
        let found = store.lease_time_to_live(&request, Duration::from_secs(model.now));
        let Some((ttl, expiry)) = model.leases.get(&id) else {
            assert_eq!((found.ttl, found.granted_ttl), (-1, 0));
            continue;
        };
        assert_eq!(found.ttl as u64, expiry - model.now);
        assert_eq!(found.granted_ttl as u64, *ttl);
        assert_eq!(found.keys.concat(), model.keys_of(id));
    }
}

fn compare(store: &Store, model: &Model) {
    assert_eq!(store.revision(), model.revision);
    compare_leases(store, model);
    assert_eq!(store.compact_revision(), model.compacted);
    for revision in -1..=model.revision + 1 {
        let hash = store.hash_kv(revision);
        let hash = hash.map(|hash| (hash.hash, hash.compact_revision, hash.hash_revision));
        assert_eq!(hash, model.hash(revision), "hash of revision {revision}");
    }
    for revision in 1..=model.revision + 1 {
        let request = RangeRequest {
            key: vec![0].into(),
            range_end: vec![0].into(),
            revision,
            ..Default::default()
        };
        let found = store.range(&request);
        if revision > model.revision {
            assert_eq!(found, Err(EtcdError::FutureRevision));
        } else if revision < model.compacted {
            assert_eq!(found, Err(EtcdError::Compacted));
        } else {
            let found = found.unwrap();
            let expected = model.live(revision);
            assert_eq!(found.count, expected.len() as i64);
            assert_eq!(found.kvs.len(), expected.len());
            for (kv, change) in found.kvs.iter().zip(expected) {
                assert_eq!(kv.key, [change.key].as_slice());
                assert_eq!(Some(kv.value.as_ref()), change.value.as_deref());
                let numbers = (kv.create_revision, kv.mod_revision, kv.version, kv.lease);
                let expected = (change.created, change.main, change.version, change.lease);
                assert_eq!(numbers, expected);
            }
        }
    }
    let stored = model.changes.iter().filter(|change| model.stored(change));
    let mut bytes = Vec::new();
    stored.for_each(|change| change.marshal(&mut bytes));
    assert_eq!(
        store.size(),
        bytes.len() as u64,
        "size of the stored records"
    );
}

proptest! {
    #[test]
    fn the_store_answers_as_the_model(steps in proptest::collection::vec(step(), 1..50)) {
        let mut store = Store::new();
        let mut model = Model::new();
        for step in &steps {
            run(&mut store, &mut model, step);
            if matches!(step, Step::Compact(_)) {
                compare(&store, &model);
            }
        }
        compare(&store, &model);
    }
}
