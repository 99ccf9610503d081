//! `etcdserverpb.Maintenance`.

use std::sync::Arc;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::alarm_request::AlarmAction;
use etcdkit_proto::etcdserverpb::downgrade_request::DowngradeAction;
use etcdkit_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse,
    DowngradeRequest, DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest, HashResponse,
    MoveLeaderRequest, MoveLeaderResponse, StatusRequest, StatusResponse,
};

use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;

/// The state of the member. In memory the database is as large as what it holds, and otherwise as its file.
pub(crate) async fn status(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: StatusRequest,
) -> Result<StatusResponse, Status> {
    node.require_user(credentials)?;
    let (revision, size, alarms) = node.applier.read(|store| {
        let alarms = store.alarms().list(AlarmType::None.into());
        Ok((store.revision(), store.size(), alarms))
    })?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let database_size = i64::try_from(node.applier.size()).unwrap_or(i64::MAX);
    let applied = node.applier.applied_index();
    let identity = &node.identity;
    let mut response = StatusResponse {
        header: Some(node.header(revision)),
        version: identity.version.to_string(),
        db_size: database_size,
        db_size_in_use: size,
        leader: match node.leadership.is_lost() {
            true => 0,
            false => identity.member_id,
        },
        raft_index: applied,
        raft_applied_index: applied,
        raft_term: node.raft_term(),
        errors: alarms.iter().map(described).collect(),
        ..Default::default()
    };
    if node.leadership.is_lost() {
        response
            .errors
            .insert(0, EtcdError::NoLeader.text().to_owned());
    }
    if identity.version.reports_storage() {
        response.storage_version = identity.version.of_cluster().to_string();
        response.db_size_quota = node.limits.quota.bytes();
        response.downgrade_info = Some(node.downgrade.info());
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

/// An alarm in the words of Go's protobuf library, with the space at their end, without the member if
/// that is 0, and with a number for an unknown kind.
fn described(alarm: &AlarmMember) -> String {
    let name = match AlarmType::try_from(alarm.alarm) {
        Ok(kind) => kind.as_str_name().to_owned(),
        Err(_) => alarm.alarm.to_string(),
    };
    let member = match alarm.member_id {
        0 => String::new(),
        id => format!("memberID:{id} "),
    };
    format!("{member}alarm:{name} ")
}

/// A number that is the same while the data is. etcd's is the checksum of its whole file, which no
/// other server can have; this one is that of [`hash_kv`].
pub(crate) async fn hash(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: HashRequest,
) -> Result<HashResponse, Status> {
    node.require_root(credentials)?;
    let hash = node.applier.read(|store| store.hash_kv(0))?;
    Ok(HashResponse {
        header: hash.header.map(|header| node.header(header.revision)),
        hash: hash.hash,
    })
}

/// Lists, raises and takes back alarms. A raised one keeps clients from writing, as in etcd, also
/// when what raised it is over.
pub(crate) async fn alarm(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AlarmRequest,
) -> Result<AlarmResponse, Status> {
    let action = AlarmAction::try_from(request.action);
    if action == Ok(AlarmAction::Get) {
        node.require_user(credentials)?;
    } else {
        node.require_root(credentials)?;
    }
    let AlarmRequest {
        member_id, alarm, ..
    } = request;
    // etcd logs even the question, which its raft index shows.
    let (revision, alarms) = node
        .applier
        .apply(|store| {
            let alarms = store.alarms_mut();
            let alarms = match action {
                Ok(AlarmAction::Get) => alarms.list(alarm),
                Ok(AlarmAction::Activate) => {
                    alarms.activate(member_id, alarm).into_iter().collect()
                }
                Ok(AlarmAction::Deactivate) => {
                    alarms.deactivate(member_id, alarm).into_iter().collect()
                }
                Err(_) => Vec::new(),
            };
            Ok((store.revision(), alarms))
        })
        .await?;
    Ok(AlarmResponse {
        header: Some(node.header(revision)),
        alarms,
    })
}

/// In memory there is nothing to defragment. Like etcd's, the answer has no header.
pub(crate) async fn defragment(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: DefragmentRequest,
) -> Result<DefragmentResponse, Status> {
    node.require_root(credentials)?;
    node.applier.defragment().await?;
    Ok(DefragmentResponse::default())
}

/// The one member leads already, and no other can. Like etcd's, the answer has no header.
pub(crate) async fn move_leader(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: MoveLeaderRequest,
) -> Result<MoveLeaderResponse, Status> {
    node.require_root(credentials)?;
    if node.leadership.is_lost() {
        return Err(EtcdError::NotLeader.into());
    }
    if request.target_id == node.identity.member_id {
        Ok(MoveLeaderResponse::default())
    } else {
        Err(EtcdError::BadLeaderTransferee.into())
    }
}

/// Takes note of a downgrade to the minor version before, which changes nothing but what is said
/// about it.
pub(crate) async fn downgrade(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: DowngradeRequest,
) -> Result<DowngradeResponse, Status> {
    node.require_root(credentials)?;
    let cluster = node.identity.version.of_cluster();
    match DowngradeAction::try_from(request.action) {
        Ok(DowngradeAction::Validate) => {
            node.downgrade.validate(cluster, &request.version)?;
        }
        Ok(DowngradeAction::Enable) => node.downgrade.enable(cluster, &request.version)?,
        Ok(DowngradeAction::Cancel) => node.downgrade.cancel(),
        Err(_) => return Err(EtcdError::UnknownMethod.into()),
    }
    let revision = node.applier.apply(|store| Ok(store.revision())).await?;
    Ok(DowngradeResponse {
        header: Some(node.header(revision)),
        version: cluster.major_and_minor(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_described_as_go_does() {
        let of = |member_id, alarm| AlarmMember { member_id, alarm };
        let corrupt = AlarmType::Corrupt.into();
        assert_eq!(described(&of(7, corrupt)), "memberID:7 alarm:CORRUPT ");
        assert_eq!(described(&of(0, corrupt)), "alarm:CORRUPT ");
        assert_eq!(described(&of(7, 9)), "memberID:7 alarm:9 ");
    }
}
