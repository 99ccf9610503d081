//! `etcdserverpb.Lease`.

use std::sync::Arc;

use etcdkit_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use etcdkit_store::Store;
use futures_core::Stream;
use futures_util::stream::try_unfold;

use crate::grpc::{Requests, Status};
use crate::node::Node;

/// Grants a lease; its id is chosen here if the client left it 0, positive as etcd's.
pub(crate) async fn grant(
    node: &Node,
    mut request: LeaseGrantRequest,
) -> Result<LeaseGrantResponse, Status> {
    let now = node.clock.now();
    let mut response = node
        .applier
        .apply(move |store| {
            if request.id == 0 {
                request.id = unused_id(store);
            }
            store.lease_grant(&request, now)
        })
        .await?;
    // It may be the next to expire.
    node.expiry_changed.notify_one();
    node.sign(&mut response.header);
    Ok(response)
}

fn unused_id(store: &Store) -> i64 {
    loop {
        let id = fastrand::i64(1..);
        if !store.lease_exists(id) {
            return id;
        }
    }
}

pub(crate) async fn revoke(
    node: &Node,
    request: LeaseRevokeRequest,
) -> Result<LeaseRevokeResponse, Status> {
    let mut response = node
        .applier
        .apply(move |store| store.lease_revoke(&request))
        .await?;
    node.sign(&mut response.header);
    Ok(response)
}

/// Renews leases as requests come, and answers in their order. Ends when the peer ends its side, as
/// in etcd.
pub(crate) fn keep_alive(
    node: &Arc<Node>,
    requests: Requests<LeaseKeepAliveRequest>,
) -> impl Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send + 'static {
    try_unfold(
        (Arc::clone(node), requests),
        async |(node, mut requests)| {
            let Some(request) = requests.next().await? else {
                return Ok(None);
            };
            let mut response = renew(&node, &request)?;
            node.sign(&mut response.header);
            Ok(Some((response, (node, requests))))
        },
    )
}

fn renew(node: &Node, request: &LeaseKeepAliveRequest) -> Result<LeaseKeepAliveResponse, Status> {
    let now = node.clock.now();
    node.applier
        .apply_unlogged(|store| Ok(store.lease_keep_alive(request, now)))
}

pub(crate) async fn time_to_live(
    node: &Node,
    request: LeaseTimeToLiveRequest,
) -> Result<LeaseTimeToLiveResponse, Status> {
    let now = node.clock.now();
    let mut response = node
        .applier
        .read(|store| Ok(store.lease_time_to_live(&request, now)))?;
    node.sign(&mut response.header);
    Ok(response)
}

pub(crate) async fn leases(
    node: &Node,
    _: LeaseLeasesRequest,
) -> Result<LeaseLeasesResponse, Status> {
    let mut response = node.applier.read(|store| Ok(store.lease_leases()))?;
    node.sign(&mut response.header);
    Ok(response)
}
