//! JSON with the field names and omissions of etcdctl, which prints its protobuf structs as they are:
//! bytes in base64, numbers as numbers, and nothing for zero values.

use std::io::{self, Write};

use base64::{display::Base64Display, prelude::BASE64_STANDARD};
use etcdkit::{
    DeleteResponse, Header, KeyValue, Member, OpResponse, PutResponse, RangeResponse, TxnResponse,
};
use serde::{Serialize, Serializer};

use super::Reply;
use crate::golang::to_json;

pub(super) fn write(out: &mut dyn Write, reply: Reply<'_>, hex: bool) -> io::Result<()> {
    match reply {
        Reply::Put(put) => to_json(out, &JsonPut::from(put)),
        Reply::Range(range) => to_json(out, &JsonRange::from(range)),
        Reply::Delete(delete) => to_json(out, &JsonDelete::from(delete)),
        Reply::Txn(txn) => to_json(out, &JsonTxn::from(txn)),
        Reply::Members(list) if hex => to_json(
            out,
            &HexMembers {
                header: HexHeader::from(&list.header),
                members: list.members.iter().map(HexMember::from).collect(),
            },
        ),
        Reply::Members(list) => to_json(
            out,
            &JsonMembers {
                header: JsonHeader::some(&list.header),
                members: list.members.iter().map(JsonMember::from).collect(),
            },
        ),
        Reply::Health(endpoints) => list(out, endpoints, |health| JsonHealth {
            endpoint: &health.endpoint,
            health: health.error.is_none(),
            took: &health.took,
            error: health.error.as_deref().unwrap_or_default(),
        }),
        Reply::Status(endpoints) => list(out, endpoints, |at| {
            let status = &at.reply;
            JsonAtStatus {
                endpoint: &at.endpoint,
                status: JsonStatus {
                    header: JsonHeader::some(&status.header),
                    version: &status.version,
                    db_size: status.db_size,
                    leader: status.leader.map_or(0, u64::from),
                    raft_index: status.raft_index,
                    raft_term: status.raft_term,
                    raft_applied_index: status.raft_applied_index,
                    errors: &status.errors,
                    db_size_in_use: status.db_size_in_use,
                    is_learner: status.is_learner,
                    storage_version: &status.storage_version,
                    db_size_quota: status.db_size_quota,
                    downgrade_info: status.downgrade.as_ref().map(|info| JsonDowngrade {
                        enabled: info.enabled,
                        target_version: &info.target_version,
                    }),
                },
            }
        }),
        Reply::HashKv(endpoints) => list(out, endpoints, |at| JsonAtHash {
            endpoint: &at.endpoint,
            hash_kv: JsonHash {
                header: JsonHeader::some(&at.reply.header),
                hash: at.reply.hash,
                compact_revision: at.reply.compact_revision,
                hash_revision: at.reply.hash_revision,
            },
        }),
    }
}

/// A list, which is `null` for etcdctl when it is empty.
fn list<'a, T, J: Serialize>(
    out: &mut dyn Write,
    items: &'a [T],
    convert: impl FnMut(&'a T) -> J,
) -> io::Result<()> {
    let items: Vec<J> = items.iter().map(convert).collect();
    to_json(out, &(!items.is_empty()).then_some(items))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes, &BASE64_STANDARD))
}

fn none(bytes: &&[u8]) -> bool {
    bytes.is_empty()
}

#[derive(Serialize)]
struct JsonHeader {
    #[serde(skip_serializing_if = "is_default")]
    cluster_id: u64,
    #[serde(skip_serializing_if = "is_default")]
    member_id: u64,
    #[serde(skip_serializing_if = "is_default")]
    revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    raft_term: u64,
}

impl JsonHeader {
    /// Nothing for a header that the server left out.
    fn some(header: &Header) -> Option<Self> {
        (!is_default(header)).then(|| Self {
            cluster_id: header.cluster_id,
            member_id: header.member_id.into(),
            revision: header.revision,
            raft_term: header.raft_term,
        })
    }
}

#[derive(Serialize)]
struct JsonKeyValue<'a> {
    #[serde(serialize_with = "base64", skip_serializing_if = "none")]
    key: &'a [u8],
    #[serde(skip_serializing_if = "is_default")]
    create_revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    mod_revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    version: i64,
    #[serde(serialize_with = "base64", skip_serializing_if = "none")]
    value: &'a [u8],
    #[serde(skip_serializing_if = "is_default")]
    lease: i64,
}

impl<'a> From<&'a KeyValue> for JsonKeyValue<'a> {
    fn from(kv: &'a KeyValue) -> Self {
        Self {
            key: &kv.key,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            value: &kv.value,
            lease: kv.lease.map_or(0, i64::from),
        }
    }
}

#[derive(Serialize)]
struct JsonPut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_kv: Option<JsonKeyValue<'a>>,
}

impl<'a> From<&'a PutResponse> for JsonPut<'a> {
    fn from(put: &'a PutResponse) -> Self {
        Self {
            header: JsonHeader::some(&put.header),
            prev_kv: put.prev_kv.as_ref().map(JsonKeyValue::from),
        }
    }
}

#[derive(Serialize)]
struct JsonRange<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kvs: Vec<JsonKeyValue<'a>>,
    #[serde(skip_serializing_if = "is_default")]
    more: bool,
    #[serde(skip_serializing_if = "is_default")]
    count: i64,
}

impl<'a> From<&'a RangeResponse> for JsonRange<'a> {
    fn from(range: &'a RangeResponse) -> Self {
        Self {
            header: JsonHeader::some(&range.header),
            kvs: range.kvs.iter().map(JsonKeyValue::from).collect(),
            more: range.more,
            count: range.count,
        }
    }
}

#[derive(Serialize)]
struct JsonDelete<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "is_default")]
    deleted: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prev_kvs: Vec<JsonKeyValue<'a>>,
}

impl<'a> From<&'a DeleteResponse> for JsonDelete<'a> {
    fn from(delete: &'a DeleteResponse) -> Self {
        Self {
            header: JsonHeader::some(&delete.header),
            deleted: delete.deleted,
            prev_kvs: delete.prev_kvs.iter().map(JsonKeyValue::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct JsonTxn<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "is_default")]
    succeeded: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    responses: Vec<JsonResponse<'a>>,
}

#[derive(Serialize)]
struct JsonResponse<'a> {
    #[serde(rename = "Response")]
    response: JsonOp<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum JsonOp<'a> {
    ResponseRange(JsonRange<'a>),
    ResponsePut(JsonPut<'a>),
    ResponseDeleteRange(JsonDelete<'a>),
    ResponseTxn(JsonTxn<'a>),
    #[serde(untagged)]
    Unknown {},
}

impl<'a> From<&'a TxnResponse> for JsonTxn<'a> {
    fn from(txn: &'a TxnResponse) -> Self {
        let op = |response: &'a OpResponse| match response {
            OpResponse::Put(put) => JsonOp::ResponsePut(put.into()),
            OpResponse::Range(range) => JsonOp::ResponseRange(range.into()),
            OpResponse::Delete(delete) => JsonOp::ResponseDeleteRange(delete.into()),
            OpResponse::Txn(txn) => JsonOp::ResponseTxn(txn.into()),
            _ => JsonOp::Unknown {},
        };
        let responses = txn.responses.iter().map(|response| JsonResponse {
            response: op(response),
        });
        Self {
            header: JsonHeader::some(&txn.header),
            succeeded: txn.succeeded,
            responses: responses.collect(),
        }
    }
}

#[derive(Serialize)]
struct JsonMembers<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<JsonMember<'a>>,
}

#[derive(Serialize)]
struct JsonMember<'a> {
    #[serde(rename = "ID", skip_serializing_if = "is_default")]
    id: u64,
    #[serde(flatten)]
    rest: MemberDetails<'a>,
}

#[derive(Serialize)]
struct MemberDetails<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "peerURLs", skip_serializing_if = "<[_]>::is_empty")]
    peer_urls: &'a [String],
    #[serde(rename = "clientURLs", skip_serializing_if = "<[_]>::is_empty")]
    client_urls: &'a [String],
    #[serde(rename = "isLearner", skip_serializing_if = "is_default")]
    is_learner: bool,
}

impl<'a> From<&'a Member> for MemberDetails<'a> {
    fn from(member: &'a Member) -> Self {
        Self {
            name: &member.name,
            peer_urls: &member.peer_urls,
            client_urls: &member.client_urls,
            is_learner: member.is_learner,
        }
    }
}

impl<'a> From<&'a Member> for JsonMember<'a> {
    fn from(member: &'a Member) -> Self {
        Self {
            id: member.id.into(),
            rest: member.into(),
        }
    }
}

/// With `--hex`, etcdctl prints the ids of members as text, and all of them.
#[derive(Serialize)]
struct HexMembers<'a> {
    header: HexHeader,
    members: Vec<HexMember<'a>>,
}

#[derive(Serialize)]
struct HexHeader {
    cluster_id: String,
    member_id: String,
    #[serde(skip_serializing_if = "is_default")]
    revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    raft_term: u64,
}

impl From<&Header> for HexHeader {
    fn from(header: &Header) -> Self {
        Self {
            cluster_id: format!("{:x}", header.cluster_id),
            member_id: header.member_id.to_string(),
            revision: header.revision,
            raft_term: header.raft_term,
        }
    }
}

#[derive(Serialize)]
struct HexMember<'a> {
    #[serde(rename = "ID")]
    id: String,
    #[serde(flatten)]
    rest: MemberDetails<'a>,
}

impl<'a> From<&'a Member> for HexMember<'a> {
    fn from(member: &'a Member) -> Self {
        Self {
            id: member.id.to_string(),
            rest: member.into(),
        }
    }
}

#[derive(Serialize)]
struct JsonHealth<'a> {
    endpoint: &'a str,
    health: bool,
    took: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JsonAtStatus<'a> {
    endpoint: &'a str,
    status: JsonStatus<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonStatus<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    db_size: i64,
    #[serde(skip_serializing_if = "is_default")]
    leader: u64,
    #[serde(skip_serializing_if = "is_default")]
    raft_index: u64,
    #[serde(skip_serializing_if = "is_default")]
    raft_term: u64,
    #[serde(skip_serializing_if = "is_default")]
    raft_applied_index: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [String],
    #[serde(skip_serializing_if = "is_default")]
    db_size_in_use: i64,
    #[serde(skip_serializing_if = "is_default")]
    is_learner: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    storage_version: &'a str,
    #[serde(skip_serializing_if = "is_default")]
    db_size_quota: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    downgrade_info: Option<JsonDowngrade<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonDowngrade<'a> {
    #[serde(skip_serializing_if = "is_default")]
    enabled: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    target_version: &'a str,
}

#[derive(Serialize)]
struct JsonAtHash<'a> {
    #[serde(rename = "Endpoint")]
    endpoint: &'a str,
    #[serde(rename = "HashKV")]
    hash_kv: JsonHash,
}

#[derive(Serialize)]
struct JsonHash {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    #[serde(skip_serializing_if = "is_default")]
    hash: u32,
    #[serde(skip_serializing_if = "is_default")]
    compact_revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    hash_revision: i64,
}
