//! `etcdserverpb.Cluster` for a cluster of one.

use std::sync::Arc;

use etcdkit_proto::etcdserverpb::{Member, MemberListRequest, MemberListResponse};

use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;

/// The one member. Like etcd's, the header has no revision.
pub(crate) async fn member_list(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: MemberListRequest,
) -> Result<MemberListResponse, Status> {
    node.require_user(credentials)?;
    let identity = &node.identity;
    Ok(MemberListResponse {
        header: Some(node.header(0)),
        members: vec![Member {
            id: identity.member_id,
            name: identity.name.clone(),
            peer_ur_ls: identity.peer_urls.clone(),
            client_ur_ls: identity.client_urls.clone(),
            is_learner: false,
        }],
    })
}
