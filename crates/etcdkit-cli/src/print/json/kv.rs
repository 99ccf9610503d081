//! Keys, and events about them.

use etcdkit::{DeleteResponse, KeyValue, OpResponse, PutResponse, RangeResponse, TxnResponse};
use serde::Serialize;

use super::{JsonHeader, base64, is_default, none};
use crate::print::{Event, Events};

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
pub(super) struct JsonPut<'a> {
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
pub(super) struct JsonRange<'a> {
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
pub(super) struct JsonDelete<'a> {
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
pub(super) struct JsonTxn<'a> {
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

/// What a watch brought. Its names are those of a structure of etcd's client, not of a message.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JsonWatch<'a> {
    header: JsonHeader,
    /// Empty for progress, and missing at the end of a watch.
    events: Option<Vec<JsonEvent<'a>>>,
    compact_revision: i64,
    canceled: bool,
    created: bool,
    cancel_reason: &'a str,
}

#[derive(Serialize)]
struct JsonEvent<'a> {
    #[serde(rename = "type", skip_serializing_if = "is_default")]
    kind: i32,
    kv: JsonKeyValue<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_kv: Option<JsonKeyValue<'a>>,
}

impl<'a> From<Events<'a>> for JsonWatch<'a> {
    fn from(watch: Events<'a>) -> Self {
        let event = |event: &Event<'a>| JsonEvent {
            kind: event.kind.number(),
            kv: event.kv.into(),
            prev_kv: event.prev_kv.map(JsonKeyValue::from),
        };
        Self {
            header: watch.header.into(),
            events: watch
                .canceled
                .is_none()
                .then(|| watch.events.iter().map(event).collect()),
            compact_revision: watch.compact_revision,
            canceled: watch.canceled.is_some(),
            created: false,
            cancel_reason: match watch.compact_revision {
                0 => watch.canceled.unwrap_or_default(),
                // The revision says enough.
                _ => "",
            },
        }
    }
}
