//! The reply's own message, in its wire encoding and without a line end.

use std::io::{self, Write};

use etcdkit::{
    DeleteResponse, Header, KeyValue, OpResponse, PutResponse, RangeResponse, TxnResponse,
};
use etcdkit_proto::{
    etcdserverpb::{self as pb, response_op::Response},
    mvccpb,
};
use prost::Message;

use super::Reply;

pub(super) fn write(out: &mut dyn Write, reply: Reply<'_>) -> io::Result<()> {
    let bytes = match reply {
        Reply::Put(put) => wire_put(put).encode_to_vec(),
        Reply::Range(range) => wire_range(range).encode_to_vec(),
        Reply::Delete(delete) => wire_delete(delete).encode_to_vec(),
        Reply::Txn(txn) => wire_txn(txn).encode_to_vec(),
        Reply::Members(list) => pb::MemberListResponse {
            header: wire_header(&list.header),
            members: list
                .members
                .iter()
                .map(|member| pb::Member {
                    id: member.id.into(),
                    name: member.name.clone(),
                    peer_ur_ls: member.peer_urls.clone(),
                    client_ur_ls: member.client_urls.clone(),
                    is_learner: member.is_learner,
                })
                .collect(),
        }
        .encode_to_vec(),
        // Made by etcdctl from several replies, so that there is no message; refused before.
        Reply::Health(_) | Reply::Status(_) | Reply::HashKv(_) => Vec::new(),
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
