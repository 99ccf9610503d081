//! The state of one member.

use std::{borrow::Cow, future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use super::maintenance::ask;
use crate::{Call, Client, Header, MemberId, Result, exec::Method};

static STATUS: Method = Method {
    name: "status",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Status"),
};

/// A request for a member's state; made by [`Maintenance::status`](crate::Maintenance::status), sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct GetStatus<'a> {
    client: &'a Client,
    endpoint: Cow<'a, str>,
    timeout: Option<Duration>,
}

impl<'a> GetStatus<'a> {
    pub(super) fn new(client: &'a Client, endpoint: Cow<'a, str>) -> Self {
        Self {
            client,
            endpoint,
            timeout: None,
        }
    }
}

impl GetStatus<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for GetStatus<'_> {
    type Output = Result<Status>;
    type IntoFuture = Call<Status>;

    fn into_future(self) -> Call<Status> {
        ask(
            self.client,
            &self.endpoint,
            &STATUS,
            &pb::StatusRequest {},
            self.timeout,
            Status::decode,
        )
    }
}

/// The state of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The answer's header.
    pub header: Header,
    /// The server's version, such as `3.5.30`.
    pub version: String,
    /// The size of the backend on disk, in bytes.
    pub db_size: i64,
    /// How much of [`db_size`](Self::db_size) holds data, in bytes; the rest can be won back by
    /// defragmenting. 0 before etcd 3.4.
    pub db_size_in_use: i64,
    /// The limit of [`db_size`](Self::db_size), in bytes. 0 before etcd 3.6.
    pub db_size_quota: i64,
    /// The leader that the member knows.
    pub leader: Option<MemberId>,
    /// Whether the member learns without a vote. `false` before etcd 3.4.
    pub is_learner: bool,
    /// The member's raft term.
    pub raft_term: u64,
    /// The index of the newest entry that is committed, as far as the member knows.
    pub raft_index: u64,
    /// The index of the newest entry that the member has applied. 0 before etcd 3.4.
    pub raft_applied_index: u64,
    /// What is wrong with the member, such as alarms or no leader. Empty before etcd 3.4.
    pub errors: Vec<String>,
    /// The version of the backend's format, such as `3.6.0`. Empty before etcd 3.6.
    pub storage_version: String,
    /// The state of a downgrade. `None` before etcd 3.6.
    pub downgrade: Option<Downgrade>,
}

/// The state of a downgrade of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Downgrade {
    /// Whether a downgrade is under way.
    pub enabled: bool,
    /// The version that it leads to.
    pub target_version: String,
}

impl Status {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::StatusResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            version: response.version,
            db_size: response.db_size,
            db_size_in_use: response.db_size_in_use,
            db_size_quota: response.db_size_quota,
            leader: (response.leader != 0).then_some(MemberId(response.leader)),
            is_learner: response.is_learner,
            raft_term: response.raft_term,
            raft_index: response.raft_index,
            raft_applied_index: response.raft_applied_index,
            errors: response.errors,
            storage_version: response.storage_version,
            downgrade: response.downgrade_info.map(|info| Downgrade {
                enabled: info.enabled,
                target_version: info.target_version,
            }),
        })
    }
}
