//! Applying changes at the next revision.

use bytes::Bytes;
use etcdkit_proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
};
use etcdkit_proto::mvccpb::KeyValue;

use crate::index::Change;
use crate::range;
use crate::record::Record;
use crate::revision::Revision;
use crate::span::Span;
use crate::store::{Store, header};

/// The changes of one request, which all get one main revision.
///
/// Nothing here fails: whatever can be wrong with a request is found before the first change.
pub(crate) struct Write<'a> {
    store: &'a mut Store,
    /// What the next change gets.
    next: Revision,
}

impl<'a> Write<'a> {
    pub(crate) fn begin(store: &'a mut Store) -> Self {
        let next = Revision {
            main: store.staged + 1,
            sub: 0,
        };
        Self { store, next }
    }

    /// Ends the request. Returns the revision after it, which is a new one only if anything
    /// changed.
    pub(crate) fn end(self) -> i64 {
        self.store.staged = self.revision();
        self.store.staged
    }

    /// The revision that the request has reached: the old one until its first change.
    fn revision(&self) -> i64 {
        if self.next.sub > 0 {
            self.next.main
        } else {
            self.next.main - 1
        }
    }

    fn take_next(&mut self) -> Revision {
        let revision = self.next;
        self.next.sub += 1;
        revision
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> RangeResponse {
        range::answer(&self.store.index, &self.store.log, request, self.revision())
    }

    pub(crate) fn put(&mut self, request: PutRequest) -> PutResponse {
        let Revision { main, sub } = self.take_next();
        let (record, prev_kv, leases) = self.store.index.update(&request.key, |current| {
            let (record, kv) = Record::of_put(
                sub,
                KeyValue {
                    key: request.key.clone(),
                    create_revision: current.map_or(main, |kv| kv.create_revision),
                    mod_revision: main,
                    version: current.map_or(1, |kv| kv.version + 1),
                    value: match current {
                        Some(current) if request.ignore_value => current.value.clone(),
                        _ => request.value,
                    },
                    lease: match current {
                        Some(current) if request.ignore_lease => current.lease,
                        _ => request.lease,
                    },
                },
            );
            let prev_kv = if request.prev_kv {
                current.cloned()
            } else {
                None
            };
            let leases = (current.map_or(0, |kv| kv.lease), kv.lease);
            (
                Change {
                    revision: record.revision(),
                    kv: Some(kv),
                },
                (record, prev_kv, leases),
            )
        });
        self.store.log.push(record);
        let (before, after) = leases;
        self.store.leases.attach(&request.key, before, after);
        PutResponse {
            header: header(main),
            prev_kv,
        }
    }

    pub(crate) fn delete_range(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let span = Span::new(&request.key, &request.range_end);
        let live = self.store.index.live(span, self.next.main);
        let (keys, prev_kvs): (Vec<Bytes>, Vec<KeyValue>) = if request.prev_kv {
            live.map(|kv| (kv.key.clone(), kv.clone())).unzip()
        } else {
            (live.map(|kv| kv.key.clone()).collect(), Vec::new())
        };
        for key in &keys {
            self.delete(key);
        }
        DeleteRangeResponse {
            header: header(self.revision()),
            deleted: keys.len() as i64,
            prev_kvs,
        }
    }

    /// Deletes a key, which exists.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        let revision = self.take_next();
        self.store.log.push(Record::of_delete(revision, key));
        let change = Change { revision, kv: None };
        let lease = self
            .store
            .index
            .update(key, |current| (change, current.map_or(0, |kv| kv.lease)));
        self.store.leases.attach(key, lease, 0);
    }
}
