//! Queues of keys, which the lock and the election service have in common.
//!
//! Whoever joins puts a key below a prefix, named after its lease, and comes first when all keys created
//! earlier are gone. The layout is that of etcd's clients, which join the same queues.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use etcdkit_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use etcdkit_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, RangeResponse,
    RequestOp, ResponseHeader, TxnRequest, TxnResponse, WatchCreateRequest, WatchResponse,
};
use etcdkit_proto::mvccpb::event::EventType;
use etcdkit_proto::{Code, EtcdError};
use futures_core::Stream;
use tokio_stream::StreamExt as _;

use super::{kv, lease, watch};
use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;

/// The TTL of the lease that etcd grants to whoever brings none, in seconds.
const SESSION_TTL: i64 = 60;

/// A queue, on behalf of a caller.
///
/// etcd's services are clients of its other services, and pass their refusals on without their code.
#[derive(Clone, Copy)]
pub(super) struct Queue<'a> {
    pub(super) node: &'a Arc<Node>,
    pub(super) credentials: &'a Credentials,
}

/// A key in a queue.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) key: Bytes,
    /// The revision that created the key, by which the queue is ordered.
    pub(super) created: i64,
}

impl Queue<'_> {
    /// The lease given, or a new one in place of 0.
    pub(super) async fn lease_or_new(self, id: i64) -> Result<i64, Status> {
        if id != 0 {
            return Ok(id);
        }
        let request = LeaseGrantRequest {
            id: 0,
            ttl: SESSION_TTL,
        };
        let granted = lease::grant(self.node, self.credentials, request).await;
        Ok(granted.map_err(without_code)?.id)
    }

    /// Puts the key of a lease, unless it is there. Returns its place, the answer, and whether the
    /// key is new.
    pub(super) async fn join(
        self,
        name: &[u8],
        lease: i64,
        value: Bytes,
    ) -> Result<(Place, TxnResponse), Status> {
        let mut key = prefix(name);
        // As Go writes a negative number in hexadecimal.
        let sign = if lease < 0 { "-" } else { "" };
        key.extend_from_slice(format!("{sign}{:x}", lease.unsigned_abs()).as_bytes());
        let key = Bytes::from(key);
        let put = PutRequest {
            key: key.clone(),
            value,
            lease,
            ..Default::default()
        };
        let get = RangeRequest {
            key: key.clone(),
            ..Default::default()
        };
        let response = self
            .txn(TxnRequest {
                compare: vec![created_at(&key, 0)],
                success: op(Request::RequestPut(put)),
                failure: op(Request::RequestRange(get)),
            })
            .await?;
        let created = match existing(&response) {
            Some(kv) => kv.create_revision,
            None => revision(response.header.as_ref()),
        };
        Ok((Place { key, created }, response))
    }

    /// Puts a value at a place, if it is still the same. Returns `None` if not.
    pub(super) async fn put(
        self,
        place: &Place,
        lease: i64,
        value: Bytes,
    ) -> Result<Option<ResponseHeader>, Status> {
        let put = PutRequest {
            key: place.key.clone(),
            value,
            lease,
            ..Default::default()
        };
        let response = self
            .txn(TxnRequest {
                compare: vec![created_at(&place.key, place.created)],
                success: op(Request::RequestPut(put)),
                ..Default::default()
            })
            .await?;
        Ok(response.header.filter(|_| response.succeeded))
    }

    /// Leaves a place, if it is still the same.
    pub(super) async fn leave(self, place: &Place) -> Result<Option<ResponseHeader>, Status> {
        Ok(self.txn(leaving(place)).await?.header)
    }

    /// Waits until every key that was created earlier is gone. Gives the place up when the caller
    /// does not wait any longer.
    pub(super) async fn wait(self, name: &[u8], place: &Place) -> Result<(), Status> {
        let mut leave = LeaveOnDrop {
            node: self.node,
            place: Some(place),
        };
        loop {
            let before = self
                .first(RangeRequest {
                    sort_order: SortOrder::Descend.into(),
                    max_create_revision: place.created - 1,
                    ..first_created(name)
                })
                .await?;
            let Some(other) = before.kvs.first() else {
                leave.place = None;
                return Ok(());
            };
            let from = revision(before.header.as_ref());
            self.until_deleted(other.key.clone(), from).await?;
        }
    }

    /// Reads the key that comes first, if there is one.
    pub(super) async fn first(self, request: RangeRequest) -> Result<RangeResponse, Status> {
        kv::range(self.node, self.credentials, request)
            .await
            .map_err(without_code)
    }

    async fn until_deleted(self, key: Bytes, from: i64) -> Result<(), Status> {
        let mut events = self.watch(key, Bytes::new(), from);
        while let Some(response) = events.next().await {
            let mut events = response?.events.into_iter();
            if events.any(|event| event.r#type == EventType::Delete as i32) {
                return Ok(());
            }
        }
        Err(EtcdError::Stopped.into())
    }

    /// The events of a range, until the server stops. Ends with an error when the watch does.
    pub(super) fn watch(
        self,
        key: Bytes,
        range_end: Bytes,
        start_revision: i64,
    ) -> Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>> {
        let request = WatchCreateRequest {
            key,
            range_end,
            start_revision,
            ..Default::default()
        };
        let responses = watch::events(self.node, self.credentials.clone(), request);
        Box::pin(responses.map(|response| {
            let response = response?;
            if !response.canceled {
                return Ok(response);
            }
            Err(if response.compact_revision > 0 {
                without_code(EtcdError::Compacted.into())
            } else {
                Status::new(Code::Unknown, response.cancel_reason)
            })
        }))
    }

    async fn txn(self, request: TxnRequest) -> Result<TxnResponse, Status> {
        kv::txn(self.node, self.credentials, request)
            .await
            .map_err(without_code)
    }
}

/// Leaves a place when the caller goes away while it waits, or the wait fails.
struct LeaveOnDrop<'a> {
    node: &'a Node,
    place: Option<&'a Place>,
}

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let left = self
            .node
            .applier
            .apply_detached(|store| store.stage_txn(leaving(place)));
        if let Err(status) = left {
            tracing::warn!(?status, "a place in a queue could not be given up");
        }
    }
}

/// What names the keys of a queue.
pub(super) fn prefix(name: &[u8]) -> Vec<u8> {
    [name, b"/"].concat()
}

/// The read of the key of a queue that was created first.
pub(super) fn first_created(name: &[u8]) -> RangeRequest {
    // The prefix ends with `/`, and `0` is the byte after it.
    let range_end = [name, b"0"].concat();
    RangeRequest {
        key: prefix(name).into(),
        range_end: range_end.into(),
        limit: 1,
        sort_order: SortOrder::Ascend.into(),
        sort_target: SortTarget::Create.into(),
        ..Default::default()
    }
}

pub(super) fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

/// The pair that [`Queue::join`] found in place of putting one.
pub(super) fn existing(response: &TxnResponse) -> Option<&etcdkit_proto::mvccpb::KeyValue> {
    use etcdkit_proto::etcdserverpb::response_op::Response;
    match response.responses.first()?.response.as_ref()? {
        Response::ResponseRange(found) => found.kvs.first(),
        _ => None,
    }
}

/// The same refusal as etcd's services of queues send it: of codes only that of a deadline is left.
pub(super) fn without_code(status: Status) -> Status {
    match status.code() {
        Code::DeadlineExceeded => status,
        _ => status.with_code(Code::Unknown),
    }
}

fn created_at(key: &Bytes, revision: i64) -> Compare {
    Compare {
        key: key.clone(),
        target: CompareTarget::Create.into(),
        result: CompareResult::Equal.into(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..Default::default()
    }
}

fn leaving(place: &Place) -> TxnRequest {
    let delete = DeleteRangeRequest {
        key: place.key.clone(),
        ..Default::default()
    };
    TxnRequest {
        compare: vec![created_at(&place.key, place.created)],
        success: op(Request::RequestDeleteRange(delete)),
        ..Default::default()
    }
}

fn op(request: Request) -> Vec<RequestOp> {
    vec![RequestOp {
        request: Some(request),
    }]
}
