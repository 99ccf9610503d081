//! A store with its watchers, and a list of all changes that was made without the store's help.

use std::collections::BTreeMap;

use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RequestOp, TxnRequest, WatchCreateRequest,
    WatchResponse,
};
use etcdkit_store::{Next, Store, StreamId, Watchers};

const MAX_BYTES: usize = 2 * 1024 * 1024;

/// A change: revision, key, the value after it, and the value before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) revision: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) before: Option<Vec<u8>>,
}

/// The store, its watchers, and all that ever changed.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) watchers: Watchers,
    pub(crate) changes: Vec<Change>,
    live: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            store: Store::new(),
            watchers: Watchers::default(),
            changes: Vec::new(),
            live: BTreeMap::new(),
        }
    }

    pub(crate) fn publish(&mut self, before: i64) -> Vec<StreamId> {
        let mut woken = Vec::new();
        let records = self.store.published_after(before);
        self.watchers
            .published(records, |stream| woken.push(stream));
        woken
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Vec<StreamId> {
        self.txn(&[(key, Some(value))])
    }

    /// Puts, and deletes keys without a value, at one revision.
    pub(crate) fn txn(&mut self, writes: &[(&[u8], Option<&[u8]>)]) -> Vec<StreamId> {
        let revision = self.store.revision() + 1;
        let mut ops = Vec::new();
        for (key, value) in writes {
            let key = key.to_vec();
            ops.push(RequestOp {
                request: Some(match value {
                    Some(value) => Request::RequestPut(PutRequest {
                        key: key.clone().into(),
                        value: value.to_vec().into(),
                        ..Default::default()
                    }),
                    None => Request::RequestDeleteRange(DeleteRangeRequest {
                        key: key.clone().into(),
                        ..Default::default()
                    }),
                }),
            });
            let before = match value {
                Some(value) => self.live.insert(key.clone(), value.to_vec()),
                None => match self.live.remove(&key) {
                    None => continue,
                    before => before,
                },
            };
            self.changes.push(Change {
                revision,
                key,
                value: value.map(<[u8]>::to_vec),
                before,
            });
        }
        let before = self.store.revision();
        let txn = TxnRequest {
            success: ops,
            ..Default::default()
        };
        self.store.txn(txn).unwrap();
        self.publish(before)
    }

    pub(crate) fn compact(&mut self, revision: i64) {
        let request = CompactionRequest {
            revision,
            physical: true,
        };
        self.store.compact(&request).unwrap();
    }

    pub(crate) fn watch(&mut self, stream: StreamId, request: WatchCreateRequest) {
        self.watchers.create(&self.store, stream, request);
    }

    /// The next response of a stream, if there is one.
    pub(crate) fn next(&mut self, stream: StreamId) -> Option<WatchResponse> {
        loop {
            match self.watchers.next(&self.store, stream, MAX_BYTES) {
                Next::Response(response) => return Some(response),
                Next::Working => {}
                Next::Idle => return None,
            }
        }
    }

    pub(crate) fn all(&mut self, stream: StreamId) -> Vec<WatchResponse> {
        std::iter::from_fn(|| self.next(stream)).collect()
    }
}

pub(crate) fn revision(response: &WatchResponse) -> i64 {
    response.header.unwrap().revision
}
