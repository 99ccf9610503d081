//! Hashes over what a member stores, to compare members by.

use std::{borrow::Cow, future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use super::maintenance::ask;
use crate::{Call, Client, Header, Result, Revision, exec::Method};

static HASH_KV: Method = Method {
    name: "hash kv",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/HashKV"),
};

static HASH: Method = Method {
    name: "hash",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Hash"),
};

/// A request for the hash over a member's keys; made by [`Maintenance::hash_kv`](crate::Maintenance::hash_kv), sent when
/// awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct GetHashKv<'a> {
    client: &'a Client,
    endpoint: Cow<'a, str>,
    revision: Revision,
    timeout: Option<Duration>,
}

impl<'a> GetHashKv<'a> {
    pub(super) fn new(client: &'a Client, endpoint: Cow<'a, str>) -> Self {
        Self {
            client,
            endpoint,
            revision: 0,
            timeout: None,
        }
    }
}

impl GetHashKv<'_> {
    /// Hashes everything up to a revision; 0 (the default) is the member's newest.
    pub fn revision(mut self, revision: Revision) -> Self {
        self.revision = revision;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for GetHashKv<'_> {
    type Output = Result<HashKv>;
    type IntoFuture = Call<HashKv>;

    fn into_future(self) -> Call<HashKv> {
        let message = pb::HashKvRequest {
            revision: self.revision,
        };
        ask(
            self.client,
            &self.endpoint,
            &HASH_KV,
            &message,
            self.timeout,
            HashKv::decode,
        )
    }
}

/// The hash over a member's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashKv {
    /// The answer's header.
    pub header: Header,
    /// The hash: CRC-32C over all revisions of all keys between compaction and the revision asked
    /// for.
    pub hash: u32,
    /// The revision that the member was last compacted at; -1 if it never was.
    pub compact_revision: Revision,
    /// The revision that was hashed. 0 before etcd 3.6.
    pub hash_revision: Revision,
}

impl HashKv {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::HashKvResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            hash: response.hash,
            compact_revision: response.compact_revision,
            hash_revision: response.hash_revision,
        })
    }
}

/// A request for the hash over a member's whole backend; made by [`Maintenance::hash`](crate::Maintenance::hash), sent when
/// awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct GetHash<'a> {
    client: &'a Client,
    endpoint: Cow<'a, str>,
    timeout: Option<Duration>,
}

impl<'a> GetHash<'a> {
    pub(super) fn new(client: &'a Client, endpoint: Cow<'a, str>) -> Self {
        Self {
            client,
            endpoint,
            timeout: None,
        }
    }
}

impl GetHash<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for GetHash<'_> {
    type Output = Result<Hash>;
    type IntoFuture = Call<Hash>;

    fn into_future(self) -> Call<Hash> {
        ask(
            self.client,
            &self.endpoint,
            &HASH,
            &pb::HashRequest {},
            self.timeout,
            Hash::decode,
        )
    }
}

/// The hash over a member's whole backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hash {
    /// The answer's header.
    pub header: Header,
    /// The hash: CRC-32C over all that the backend stores, keys and bookkeeping.
    pub hash: u32,
}

impl Hash {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::HashResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            hash: response.hash,
        })
    }
}
