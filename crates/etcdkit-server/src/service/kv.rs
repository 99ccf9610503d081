//! `etcdserverpb.KV`.
//!
//! Each request is checked in etcd's order: whether there is room for it, what is wrong with it by itself, then whose
//! it is, its size, whether the caller may make it, and what the engine finds.

use std::sync::Arc;

use etcdkit_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use etcdkit_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, RangeStreamResponse, RequestOp, TxnRequest,
    TxnResponse, request_op::Request, response_op::Response,
};
use etcdkit_proto::{Code, EtcdError};
use etcdkit_store::{Store, check, quota};
use futures_core::Stream;
use prost::Message;
use prost::encoding::encoded_len_varint;

use super::range_stream::RangeStream;
use crate::gate::Credentials;
use crate::grpc::Status;
use crate::metrics::Metrics;
use crate::node::Node;

/// More keys than a reply should keep the other calls of its connection waiting for.
const MANY_KEYS: i64 = 64;

/// Whether a read may take long: of many keys, whose number is not limited.
pub(crate) fn may_be_long(request: &RangeRequest) -> bool {
    !request.range_end.is_empty() && !(1..=MANY_KEYS).contains(&request.limit)
}

pub(crate) async fn range(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: RangeRequest,
) -> Result<RangeResponse, Status> {
    check::range(&request)?;
    if !request.serializable {
        node.leadership.needed_to_read().await?;
    }
    let mut response = node.applier.read(|store| {
        check_read(node, store, credentials, &request)?;
        store.range(&request)
    })?;
    node.metrics.ranges.add(1);
    node.sign(&mut response.header);
    Ok(response)
}

/// etcd 3.7's range in parts. Refusals and texts are that version's, except that a sort target
/// without an order is refused too: etcd sorts each part by itself then, and loses keys.
pub(crate) async fn range_stream(
    node: &Arc<Node>,
    credentials: &Credentials,
    mut request: RangeRequest,
) -> Result<impl Stream<Item = Result<RangeStreamResponse, Status>> + Send + use<>, Status> {
    check::range(&request)?;
    let key_order = [SortOrder::None as i32, SortOrder::Ascend as i32];
    if request.sort_target != SortTarget::Key as i32 || !key_order.contains(&request.sort_order) {
        return Err(Status::new(
            Code::Unimplemented,
            "RangeStream does not support custom sort orders",
        ));
    }
    let filters = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    if filters.iter().any(|revision| *revision != 0) {
        return Err(Status::new(
            Code::Unimplemented,
            "RangeStream does not support revision filters",
        ));
    }
    if !request.serializable {
        node.leadership.needed_to_read().await?;
    }
    node.applier
        .read(|store| check_read(node, store, credentials, &request))?;
    node.metrics.ranges.add(1);
    request.sort_order = SortOrder::None.into();
    Ok(tokio_stream::iter(RangeStream::new(
        Arc::clone(node),
        request,
    )))
}

fn check_read(
    node: &Node,
    store: &Store,
    credentials: &Credentials,
    request: &RangeRequest,
) -> Result<(), EtcdError> {
    let caller = node.caller(store, credentials)?;
    let auth = store.auth();
    auth.check_read(&caller, &request.key, &request.range_end)?;
    auth.check_current(&caller)
}

pub(crate) async fn put(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: PutRequest,
) -> Result<PutResponse, Status> {
    node.require_room(quota::put_cost(&request))?;
    check::put(&request)?;
    let caller = node.identify(credentials)?;
    check_size(node, &request)?;
    let mut response = node
        .applier
        .apply(move |store| {
            store.alarms().check_space()?;
            store.check_put(&caller, &request)?;
            store.stage_put(request)
        })
        .await?;
    node.metrics.puts.add(1);
    node.sign(&mut response.header);
    Ok(response)
}

pub(crate) async fn delete_range(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: DeleteRangeRequest,
) -> Result<DeleteRangeResponse, Status> {
    check::delete_range(&request)?;
    let caller = node.identify(credentials)?;
    check_size(node, &request)?;
    let mut response = node
        .applier
        .apply(move |store| {
            store.alarms().check_intact()?;
            store.check_delete_range(&caller, &request)?;
            store.stage_delete_range(request)
        })
        .await?;
    node.metrics.deletes.add(1);
    node.sign(&mut response.header);
    Ok(response)
}

pub(crate) async fn txn(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: TxnRequest,
) -> Result<TxnResponse, Status> {
    let cost = quota::txn_cost(&request);
    node.require_room(cost)?;
    check::txn(&request, node.limits.max_txn_ops)?;
    let caller = node.identify(credentials)?;
    // etcd does not log a transaction that only reads, and limits the size of what it logs.
    let read_only = is_read_only(&request);
    if !read_only {
        check_size(node, &request)?;
    } else if !is_serializable(&request) {
        node.leadership.needed_to_read().await?;
    }
    let txn = move |store: &mut Store| {
        // Nested puts count (3.6; 3.5 overlooks them).
        if cost > 0 {
            store.alarms().check_space()?;
        } else if !read_only {
            store.alarms().check_intact()?;
        }
        store.check_txn(&caller, &request)?;
        if read_only {
            store.auth().check_current(&caller)?;
        }
        store.stage_txn(request)
    };
    let mut response = match read_only {
        true => node.applier.apply_unlogged(txn).await?,
        false => node.applier.apply(txn).await?,
    };
    count(&node.metrics, &response);
    node.sign(&mut response.header);
    Ok(response)
}

pub(crate) async fn compact(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: CompactionRequest,
) -> Result<CompactionResponse, Status> {
    let caller = node.identify(credentials)?;
    check_size(node, &request)?;
    let mut response = node
        .applier
        .apply(|store| {
            store.auth().check_root(&caller)?;
            store.alarms().check_intact()?;
            store.stage_compact(&request)
        })
        .await?;
    if request.physical {
        node.applier.compacted().await?;
    }
    node.sign(&mut response.header);
    Ok(response)
}

/// Counts what a transaction did.
fn count(metrics: &Metrics, response: &TxnResponse) {
    if response.responses.len() > 1 {
        metrics.txns.add(1);
    }
    for op in &response.responses {
        match &op.response {
            Some(Response::ResponseRange(_)) => metrics.ranges.add(1),
            Some(Response::ResponsePut(_)) => metrics.puts.add(1),
            Some(Response::ResponseDeleteRange(_)) => metrics.deletes.add(1),
            Some(Response::ResponseTxn(nested)) => count(metrics, nested),
            None => {}
        }
    }
}

/// etcd looks at the outermost operations only.
fn is_read_only(request: &TxnRequest) -> bool {
    ops(request).all(|op| matches!(op.request, Some(Request::RequestRange(_))))
}

/// Whether all reads of a transaction that only reads may be of a past state.
fn is_serializable(request: &TxnRequest) -> bool {
    ops(request)
        .all(|op| matches!(&op.request, Some(Request::RequestRange(range)) if range.serializable))
}

/// The outermost operations, of both branches.
fn ops(request: &TxnRequest) -> impl Iterator<Item = &RequestOp> {
    request.success.iter().chain(&request.failure)
}

/// Refuses what would exceed `max_request_bytes` in etcd's log.
fn check_size(node: &Node, request: &impl Message) -> Result<(), Status> {
    if logged_len(request.encoded_len(), node.identity.member_id) > node.limits.max_request_bytes {
        return Err(EtcdError::RequestTooLarge.into());
    }
    Ok(())
}

/// The length of the entry that etcd would log for a request: the request as a field of an
/// envelope whose header holds the request's id. The upper 16 bits of that id are the lower ones
/// of the member's.
fn logged_len(request_len: usize, member_id: u64) -> usize {
    let id = 1 + encoded_len_varint(member_id << 48);
    let header = 2 + encoded_len_varint(id as u64) + id;
    let request = 1 + encoded_len_varint(request_len as u64) + request_len;
    header + request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logged_length_counts_the_envelope() {
        let put = |value: usize| PutRequest {
            key: "k".into(),
            value: vec![0; value].into(),
            ..Default::default()
        };
        // Two length fields of a megabyte, a key of one byte, and an id of nine or ten bytes.
        assert_eq!(
            logged_len(put(1 << 20).encoded_len(), 1 << 8),
            (1 << 20) + 24
        );
        assert_eq!(
            logged_len(put(1 << 20).encoded_len(), 1 << 15),
            (1 << 20) + 25
        );
    }
}
