//! The reply's own message, in its wire encoding and without a line end.

use std::io::{self, Write};

use etcdkit::{
    Alarm, AlarmKind, DeleteResponse, Header, KeyValue, Member, OpResponse, PutResponse,
    RangeResponse, TxnResponse,
};
use etcdkit_proto::{
    authpb,
    etcdserverpb::{self as pb, response_op::Response},
    mvccpb,
};
use prost::Message;

use super::{Event, Permission, Reply};

pub(super) fn write(out: &mut dyn Write, reply: Reply<'_>) -> io::Result<()> {
    let bytes = match reply {
        Reply::Put(put) => wire_put(put).encode_to_vec(),
        Reply::Range(range) => wire_range(range).encode_to_vec(),
        Reply::Delete(delete) => wire_delete(delete).encode_to_vec(),
        Reply::Txn(txn) => wire_txn(txn).encode_to_vec(),
        Reply::Members(list) => pb::MemberListResponse {
            header: wire_header(&list.header),
            members: list.members.iter().map(wire_member).collect(),
        }
        .encode_to_vec(),
        Reply::Watch(watch) => pb::WatchResponse {
            header: wire_header(watch.header),
            events: watch.events.iter().map(wire_event).collect(),
            canceled: watch.canceled.is_some(),
            compact_revision: watch.compact_revision,
            ..Default::default()
        }
        .encode_to_vec(),
        Reply::LeaseGrant(lease) => pb::LeaseGrantResponse {
            header: wire_header(lease.header),
            id: lease.id.0,
            ttl: lease.ttl,
            ..Default::default()
        }
        .encode_to_vec(),
        Reply::LeaseKeepAlive(lease) => pb::LeaseKeepAliveResponse {
            header: wire_header(lease.header),
            id: lease.id.0,
            ttl: lease.ttl,
        }
        .encode_to_vec(),
        Reply::TimeToLive(lease) => {
            let keys = lease.keys.unwrap_or_default().iter();
            pb::LeaseTimeToLiveResponse {
                header: wire_header(lease.header),
                id: lease.id.0,
                ttl: lease.ttl,
                granted_ttl: lease.granted_ttl,
                keys: keys.map(|key| key.to_vec().into()).collect(),
            }
            .encode_to_vec()
        }
        Reply::Leases(header, ids) => pb::LeaseLeasesResponse {
            header: wire_header(header),
            leases: ids.iter().map(|id| pb::LeaseStatus { id: id.0 }).collect(),
        }
        .encode_to_vec(),
        Reply::MemberAdd(added) => pb::MemberAddResponse {
            header: wire_header(added.header),
            member: Some(wire_member(added.member)),
            members: added.members.iter().map(wire_member).collect(),
        }
        .encode_to_vec(),
        // The replies to all other changes of members have the same fields.
        Reply::MemberChange(done, members) => pb::MemberRemoveResponse {
            header: wire_header(done.header),
            members: members.iter().map(wire_member).collect(),
        }
        .encode_to_vec(),
        Reply::Alarms(list) => pb::AlarmResponse {
            header: wire_header(&list.header),
            alarms: list.alarms.iter().map(wire_alarm).collect(),
        }
        .encode_to_vec(),
        Reply::Downgrade(done, version) => pb::DowngradeResponse {
            header: wire_header(done.header),
            version: version.to_owned(),
        }
        .encode_to_vec(),
        // Replies without a field of their own are all alike.
        Reply::Done(done) => pb::AuthRoleAddResponse {
            header: wire_header(done.header),
        }
        .encode_to_vec(),
        // Lists of names, whatever they name, have the same fields.
        Reply::RoleList(list) | Reply::UserList(list) | Reply::User(_, list) => {
            pb::AuthRoleListResponse {
                header: wire_header(list.header),
                roles: list.names.to_vec(),
            }
            .encode_to_vec()
        }
        Reply::Role(role) => pb::AuthRoleGetResponse {
            header: wire_header(role.header),
            perm: role.permissions.iter().map(wire_permission).collect(),
        }
        .encode_to_vec(),
        Reply::AuthStatus(status) => pb::AuthStatusResponse {
            header: wire_header(status.header),
            enabled: status.enabled,
            auth_revision: status.revision,
        }
        .encode_to_vec(),
        // There is no such message, so that they are refused before.
        Reply::Health(_) | Reply::Status(_) | Reply::HashKv(_) | Reply::Snapshot(_) => Vec::new(),
    };
    out.write_all(&bytes)
}

fn wire_header(header: &Header) -> Option<pb::ResponseHeader> {
    (*header != Header::default()).then(|| pb::ResponseHeader {
        cluster_id: header.cluster_id,
        member_id: header.member_id.into(),
        revision: header.revision,
        raft_term: header.raft_term,
    })
}

fn wire_kv(kv: &KeyValue) -> mvccpb::KeyValue {
    mvccpb::KeyValue {
        key: kv.key.clone(),
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        value: kv.value.clone(),
        lease: kv.lease.map_or(0, i64::from),
    }
}

fn wire_event(event: &Event<'_>) -> mvccpb::Event {
    mvccpb::Event {
        r#type: event.kind.number(),
        kv: Some(wire_kv(event.kv)),
        prev_kv: event.prev_kv.map(wire_kv),
    }
}

fn wire_member(member: &Member) -> pb::Member {
    pb::Member {
        id: member.id.into(),
        name: member.name.clone(),
        peer_ur_ls: member.peer_urls.clone(),
        client_ur_ls: member.client_urls.clone(),
        is_learner: member.is_learner,
    }
}

fn wire_alarm(alarm: &Alarm) -> pb::AlarmMember {
    pb::AlarmMember {
        member_id: alarm.member_id.into(),
        alarm: alarm_number(alarm.kind),
    }
}

/// An alarm by its number in messages.
pub(super) fn alarm_number(kind: AlarmKind) -> i32 {
    match kind {
        AlarmKind::NoSpace => pb::AlarmType::Nospace.into(),
        AlarmKind::Corrupt => pb::AlarmType::Corrupt.into(),
        AlarmKind::Other(number) => number,
        _ => pb::AlarmType::None.into(),
    }
}

fn wire_permission(permission: &Permission) -> authpb::Permission {
    authpb::Permission {
        perm_type: permission.access.number(),
        key: permission.key.clone().into(),
        range_end: permission.range_end.clone().into(),
    }
}

fn wire_put(put: &PutResponse) -> pb::PutResponse {
    pb::PutResponse {
        header: wire_header(&put.header),
        prev_kv: put.prev_kv.as_ref().map(wire_kv),
    }
}

fn wire_range(range: &RangeResponse) -> pb::RangeResponse {
    pb::RangeResponse {
        header: wire_header(&range.header),
        kvs: range.kvs.iter().map(wire_kv).collect(),
        more: range.more,
        count: range.count,
    }
}

fn wire_delete(delete: &DeleteResponse) -> pb::DeleteRangeResponse {
    pb::DeleteRangeResponse {
        header: wire_header(&delete.header),
        deleted: delete.deleted,
        prev_kvs: delete.prev_kvs.iter().map(wire_kv).collect(),
    }
}

fn wire_txn(txn: &TxnResponse) -> pb::TxnResponse {
    let response = |response: &OpResponse| match response {
        OpResponse::Put(put) => Some(Response::ResponsePut(wire_put(put))),
        OpResponse::Range(range) => Some(Response::ResponseRange(wire_range(range))),
        OpResponse::Delete(delete) => Some(Response::ResponseDeleteRange(wire_delete(delete))),
        OpResponse::Txn(txn) => Some(Response::ResponseTxn(wire_txn(txn))),
        _ => None,
    };
    pb::TxnResponse {
        header: wire_header(&txn.header),
        succeeded: txn.succeeded,
        responses: txn
            .responses
            .iter()
            .map(|op| pb::ResponseOp {
                response: response(op),
            })
            .collect(),
    }
}
