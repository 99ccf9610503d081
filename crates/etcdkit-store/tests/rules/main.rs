//! etcd's rules, one by one, as real servers showed them.

#![allow(clippy::unwrap_used)]

mod check;
mod compact;
mod range;
mod txn;
mod write;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp,
    TxnRequest,
};
use etcdkit_store::Store;

fn put(key: &'static str, value: &'static str) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    }
}

fn get(key: &'static str) -> RangeRequest {
    RangeRequest {
        key: key.into(),
        ..Default::default()
    }
}

fn range(key: &'static str, range_end: &'static str) -> RangeRequest {
    RangeRequest {
        range_end: range_end.into(),
        ..get(key)
    }
}

fn delete(key: &'static str, range_end: &'static str) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: key.into(),
        range_end: range_end.into(),
        prev_kv: false,
    }
}

fn op(request: impl Into<Op>) -> RequestOp {
    RequestOp {
        request: Some(request.into().0),
    }
}

/// What [`op`] takes.
struct Op(Request);

impl From<PutRequest> for Op {
    fn from(request: PutRequest) -> Self {
        Self(Request::RequestPut(request))
    }
}

impl From<RangeRequest> for Op {
    fn from(request: RangeRequest) -> Self {
        Self(Request::RequestRange(request))
    }
}

impl From<DeleteRangeRequest> for Op {
    fn from(request: DeleteRangeRequest) -> Self {
        Self(Request::RequestDeleteRange(request))
    }
}

impl From<TxnRequest> for Op {
    fn from(request: TxnRequest) -> Self {
        Self(Request::RequestTxn(request))
    }
}

fn then(success: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        success,
        ..Default::default()
    }
}

fn compact(store: &mut Store, revision: i64) -> Result<(), EtcdError> {
    store
        .compact(&CompactionRequest {
            revision,
            physical: false,
        })
        .map(|_| ())
}

/// A store with `a` to `e` at the revisions 2 to 6, and `b` put twice more at 7 and 8.
fn filled() -> Store {
    let mut store = Store::new();
    for (key, value) in [
        ("a", "5"),
        ("b", "4"),
        ("c", "3"),
        ("d", "2"),
        ("e", "1"),
        ("b", "6"),
        ("b", "0"),
    ] {
        store.put(put(key, value)).unwrap();
    }
    store
}

fn keys(response: &RangeResponse) -> String {
    let keys = response
        .kvs
        .iter()
        .map(|kv| String::from_utf8_lossy(&kv.key));
    keys.collect::<Vec<_>>().join(" ")
}
