//! JSON with the field names and omissions of etcdctl, which prints its protobuf structs as they are:
//! bytes in base64, numbers as numbers, and nothing for zero values.

mod auth;
mod endpoints;
mod kv;
mod lease;
mod members;

use std::io::{self, Write};

use base64::{display::Base64Display, prelude::BASE64_STANDARD};
use etcdkit::Header;
use serde::{Serialize, Serializer};

use self::{
    auth::{JsonAuthStatus, JsonNames, JsonRole},
    endpoints::{JsonAlarms, JsonAtHash, JsonAtStatus, JsonHealth, JsonSnapshot, JsonVersion},
    kv::{JsonDelete, JsonPut, JsonRange, JsonTxn, JsonWatch},
    lease::{JsonLease, JsonLeases, JsonTimeToLive},
    members::{HexMembers, JsonMembers},
};
use super::Reply;
use crate::golang::to_json;

pub(super) fn write(out: &mut dyn Write, reply: Reply<'_>, hex: bool) -> io::Result<()> {
    match reply {
        Reply::Put(put) => to_json(out, &JsonPut::from(put)),
        Reply::Range(range) => to_json(out, &JsonRange::from(range)),
        Reply::Delete(delete) => to_json(out, &JsonDelete::from(delete)),
        Reply::Txn(txn) => to_json(out, &JsonTxn::from(txn)),
        Reply::Watch(watch) => to_json(out, &JsonWatch::from(watch)),
        Reply::LeaseGrant(lease) => to_json(out, &JsonLease::granted(&lease)),
        Reply::LeaseKeepAlive(lease) => to_json(out, &JsonLease::kept(&lease)),
        Reply::TimeToLive(lease) => to_json(out, &JsonTimeToLive::from(&lease)),
        Reply::Leases(header, ids) => to_json(out, &JsonLeases::new(header, ids)),
        // Of all replies, only those of these commands heed --hex.
        Reply::Members(list) if hex => {
            to_json(out, &HexMembers::new(&list.header, None, &list.members))
        }
        Reply::Members(list) => to_json(out, &JsonMembers::new(&list.header, None, &list.members)),
        Reply::MemberAdd(added) => {
            let (header, member) = (added.header, Some(added.member));
            match hex {
                true => to_json(out, &HexMembers::new(header, member, added.members)),
                false => to_json(out, &JsonMembers::new(header, member, added.members)),
            }
        }
        Reply::MemberChange(done, members) if hex => {
            to_json(out, &HexMembers::new(done.header, None, members))
        }
        Reply::MemberChange(done, members) => {
            to_json(out, &JsonMembers::new(done.header, None, members))
        }
        Reply::Health(endpoints) => list(out, endpoints, JsonHealth::from),
        Reply::Status(endpoints) => list(out, endpoints, JsonAtStatus::from),
        Reply::HashKv(endpoints) => list(out, endpoints, JsonAtHash::from),
        Reply::Alarms(list) => to_json(out, &JsonAlarms::from(list)),
        Reply::Downgrade(done, version) => {
            let header = JsonHeader::some(done.header);
            to_json(out, &JsonVersion { header, version })
        }
        Reply::Done(done) => {
            let header = JsonHeader::some(done.header);
            to_json(out, &JsonDone { header })
        }
        Reply::RoleList(roles) | Reply::User(_, roles) => {
            to_json(out, &JsonNames::of_roles(&roles))
        }
        Reply::UserList(users) => to_json(out, &JsonNames::of_users(&users)),
        Reply::Role(role) => to_json(out, &JsonRole::from(&role)),
        Reply::AuthStatus(status) => to_json(out, &JsonAuthStatus::from(&status)),
        Reply::Snapshot(status) => to_json(out, &JsonSnapshot::from(status)),
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
        (!is_default(header)).then(|| Self::from(header))
    }
}

impl From<&Header> for JsonHeader {
    fn from(header: &Header) -> Self {
        Self {
            cluster_id: header.cluster_id,
            member_id: header.member_id.into(),
            revision: header.revision,
            raft_term: header.raft_term,
        }
    }
}

/// A reply that has nothing but a header.
#[derive(Serialize)]
struct JsonDone {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
}
