//! `etcdserverpb.Maintenance`.

use std::sync::Arc;

use etcdkit_proto::Code;
use etcdkit_proto::etcdserverpb::alarm_request::AlarmAction;
use etcdkit_proto::etcdserverpb::{
    AlarmRequest, AlarmResponse, DowngradeInfo, HashKvRequest, HashKvResponse, StatusRequest,
    StatusResponse,
};

use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;

/// etcd's quota when none is configured, in bytes.
const DEFAULT_QUOTA_BYTES: i64 = 2 * 1024 * 1024 * 1024;

/// The state of the member. In memory, the database is as large as what it holds.
pub(crate) async fn status(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: StatusRequest,
) -> Result<StatusResponse, Status> {
    node.require_user(credentials)?;
    let (revision, size) = node
        .applier
        .read(|store| Ok((store.revision(), store.size())))?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let applied = node.applier.applied_index();
    let identity = &node.identity;
    let mut response = StatusResponse {
        header: Some(node.header(revision)),
        version: identity.version.to_string(),
        db_size: size,
        db_size_in_use: size,
        leader: identity.member_id,
        raft_index: applied,
        raft_applied_index: applied,
        raft_term: identity.raft_term(),
        ..Default::default()
    };
    if identity.version.reports_storage() {
        response.storage_version = identity.version.of_cluster().to_string();
        response.db_size_quota = DEFAULT_QUOTA_BYTES;
        response.downgrade_info = Some(DowngradeInfo::default());
    }
    Ok(response)
}

/// The checksum of all stored revisions, equal to real etcd's after the same requests.
pub(crate) async fn hash_kv(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: HashKvRequest,
) -> Result<HashKvResponse, Status> {
    node.require_root(credentials)?;
    let mut response = node.applier.read(|store| store.hash_kv(request.revision))?;
    node.sign(&mut response.header);
    Ok(response)
}

/// Lists alarms, of which there are none, and so there is none to disarm either.
pub(crate) async fn alarm(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AlarmRequest,
) -> Result<AlarmResponse, Status> {
    if request.action == AlarmAction::Get as i32 {
        node.require_user(credentials)?;
    } else {
        node.require_root(credentials)?;
    }
    if request.action == AlarmAction::Activate as i32 {
        return Err(Status::new(
            Code::Unimplemented,
            "the embedded server raises no alarms, and none can be set",
        ));
    }
    // etcd logs even the question, which its raft index shows.
    let revision = node.applier.apply(|store| Ok(store.revision())).await?;
    Ok(AlarmResponse {
        header: Some(node.header(revision)),
        alarms: Vec::new(),
    })
}
