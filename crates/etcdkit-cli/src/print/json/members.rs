//! Members, and changes of them.

use etcdkit::{Header, Member};
use serde::Serialize;

use super::{JsonHeader, is_default};

#[derive(Serialize)]
pub(super) struct JsonMembers<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<JsonHeader>,
    /// The one that was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<JsonMember<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<JsonMember<'a>>,
}

impl<'a> JsonMembers<'a> {
    pub(super) fn new(header: &Header, added: Option<&'a Member>, all: &'a [Member]) -> Self {
        Self {
            header: JsonHeader::some(header),
            member: added.map(JsonMember::from),
            members: all.iter().map(JsonMember::from).collect(),
        }
    }
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
pub(super) struct HexMembers<'a> {
    header: HexHeader,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<HexMember<'a>>,
    members: Vec<HexMember<'a>>,
}

impl<'a> HexMembers<'a> {
    pub(super) fn new(header: &Header, added: Option<&'a Member>, all: &'a [Member]) -> Self {
        Self {
            header: header.into(),
            member: added.map(HexMember::from),
            members: all.iter().map(HexMember::from).collect(),
        }
    }
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
