//! `v3lockpb.Lock`: locks for clients that cannot keep a queue themselves.

use std::sync::Arc;

use bytes::Bytes;
use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{DeleteRangeRequest, RangeRequest};
use etcdkit_proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};

use super::kv;
use super::queue::{Queue, first_created, without_code};
use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;

/// Waits for the lock. A caller that gives up leaves the queue. The header is that of the moment in
/// which the lock was the caller's.
pub(crate) async fn lock(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: LockRequest,
) -> Result<LockResponse, Status> {
    let queue = Queue { node, credentials };
    let lease = queue.lease_or_new(request.lease).await?;
    let (place, joined) = queue.join(&request.name, lease, Bytes::new()).await?;
    let first = queue.first(first_created(&request.name)).await?;
    let owner = first.kvs.first().map(|kv| kv.create_revision);
    if owner == Some(place.created) {
        return Ok(LockResponse {
            header: joined.header,
            key: place.key,
        });
    }
    queue.wait(&request.name, &place).await?;
    let own = queue
        .first(RangeRequest {
            key: place.key.clone(),
            ..Default::default()
        })
        .await?;
    // The lease may have ended meanwhile, and the key with it.
    if own.kvs.is_empty() {
        return Err(EtcdError::LockSessionExpired.into());
    }
    Ok(LockResponse {
        header: own.header,
        key: place.key,
    })
}

/// Deletes the key of a lock, whoever holds it; a missing one is no error.
pub(crate) async fn unlock(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: UnlockRequest,
) -> Result<UnlockResponse, Status> {
    let request = DeleteRangeRequest {
        key: request.key,
        ..Default::default()
    };
    let deleted = kv::delete_range(node, credentials, request).await;
    Ok(UnlockResponse {
        header: deleted.map_err(without_code)?.header,
    })
}
