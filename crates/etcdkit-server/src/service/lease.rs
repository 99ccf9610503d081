//! `etcdserverpb.Lease`.

use std::sync::Arc;

use etcdkit_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use etcdkit_store::{Store, quota};
use futures_core::Stream;
use futures_util::stream::try_unfold;

use crate::gate::Credentials;
use crate::grpc::{Requests, Status};
use crate::node::Node;

/// Grants a lease; its id is chosen here if the client left it 0, positive as etcd's.
pub(crate) async fn grant(
    node: &Arc<Node>,
    credentials: &Credentials,
    mut request: LeaseGrantRequest,
) -> Result<LeaseGrantResponse, Status> {
    node.require_room(quota::LEASE_GRANT_COST)?;
    node.require_user(credentials)?;
    let now = node.clock.now();
    let mut response = node
        .applier
        .apply(move |store| {
            store.alarms().check_space()?;
            if request.id == 0 {
                request.id = unused_id(store);
            }
            store.lease_grant(&request, now)
        })
        .await?;
    node.metrics.leases_granted.add(1);
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
    node: &Arc<Node>,
    credentials: &Credentials,
    request: LeaseRevokeRequest,
) -> Result<LeaseRevokeResponse, Status> {
    let caller = node.identify(credentials)?;
    let mut response = node
        .applier
        .apply(move |store| {
            store.auth().check_user(&caller)?;
            store.alarms().check_intact()?;
            store.check_lease_write(&caller, request.id)?;
            store.stage_lease_revoke(&request)
        })
        .await?;
    node.metrics.leases_revoked.add(1);
    node.sign(&mut response.header);
    Ok(response)
}

/// Renews leases as requests come, and answers in their order. Ends when the peer ends its side, as
/// in etcd.
pub(crate) fn keep_alive(
    node: Arc<Node>,
    credentials: Credentials,
    requests: Requests<LeaseKeepAliveRequest>,
) -> impl Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send + 'static {
    try_unfold(
        (node, credentials, requests),
        async |(node, credentials, mut requests)| {
            let Some(request) = requests.next().await? else {
                return Ok(None);
            };
            node.leadership.needed_for_leases().await?;
            let mut response = renew(&node, &credentials, &request).await?;
            node.sign(&mut response.header);
            Ok(Some((response, (node, credentials, requests))))
        },
    )
}

/// A refusal ends the stream, as in etcd.
async fn renew(
    node: &Node,
    credentials: &Credentials,
    request: &LeaseKeepAliveRequest,
) -> Result<LeaseKeepAliveResponse, Status> {
    let now = node.clock.now();
    let (response, had_checkpoint) = node.applier.stage(|store| {
        let caller = node.caller(store, credentials)?;
        store.auth().check_user(&caller)?;
        store.check_lease_write(&caller, request.id)?;
        let had_checkpoint = store.has_lease_checkpoint(request.id);
        Ok((store.lease_keep_alive(request, now), had_checkpoint))
    })?;
    if had_checkpoint {
        // A restart must not find the lease as it was before the renewal.
        node.applier.ask(|_| Ok(())).await?;
    }
    if response.ttl > 0 {
        node.metrics.leases_renewed.add(1);
    }
    Ok(response)
}

/// The keys of a lease need read permission, the rest none.
pub(crate) async fn time_to_live(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: LeaseTimeToLiveRequest,
) -> Result<LeaseTimeToLiveResponse, Status> {
    node.leadership.needed_for_leases().await?;
    let now = node.clock.now();
    let mut response = node
        .applier
        .ask(|store| {
            let caller = node.caller(store, credentials)?;
            store.auth().check_user(&caller)?;
            if request.keys {
                store.check_lease_read(&caller, request.id)?;
            }
            Ok(store.lease_time_to_live(&request, now))
        })
        .await?;
    node.sign(&mut response.header);
    Ok(response)
}

/// Listing leases needs read permission on the keys of them all.
pub(crate) async fn leases(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: LeaseLeasesRequest,
) -> Result<LeaseLeasesResponse, Status> {
    let mut response = node
        .applier
        .ask(|store| {
            let caller = node.caller(store, credentials)?;
            store.auth().check_user(&caller)?;
            let response = store.lease_leases();
            for lease in &response.leases {
                store.check_lease_read(&caller, lease.id)?;
            }
            Ok(response)
        })
        .await?;
    node.sign(&mut response.header);
    Ok(response)
}
