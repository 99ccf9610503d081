//! Maintenance: the state of single members.

use std::{borrow::Cow, future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Call, Client, Header, MemberId, Result, Revision,
    exec::{Decode, Method, Request},
    policy::Class,
    wire::Frame,
};

static STATUS: Method = Method {
    name: "status",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Status"),
};

static HASH_KV: Method = Method {
    name: "hash kv",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/HashKV"),
};

static ALARM: Method = Method {
    name: "alarm list",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Alarm"),
};

impl Client {
    /// The state of members and their stores.
    pub fn maintenance(&self) -> Maintenance<'_> {
        Maintenance { client: self }
    }
}

/// What can be asked about the state of members; made by [`Client::maintenance`].
///
/// Questions about one member go to the endpoint given and to no other. It need not be one of the
/// client's endpoints: others are dialled for the question, with the client's settings.
#[derive(Clone, Copy, Debug)]
pub struct Maintenance<'a> {
    client: &'a Client,
}

impl<'a> Maintenance<'a> {
    /// Asks the member behind an endpoint for its state. Awaiting the result sends the request.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the endpoint is not one, and whatever
    /// keeps that endpoint from answering: no other is asked.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// for endpoint in client.endpoints() {
    ///     let status = client.maintenance().status(endpoint).await?;
    ///     println!("{endpoint}: etcd {}, {} bytes", status.version, status.db_size);
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn status(&self, endpoint: impl Into<Cow<'a, str>>) -> GetStatus<'a> {
        GetStatus {
            client: self.client,
            endpoint: endpoint.into(),
            timeout: None,
        }
    }

    /// Asks the member behind an endpoint for a hash over its keys. Awaiting the result sends the
    /// request. Since etcd 3.3.
    ///
    /// Members that agree have the same hash at the same revision, provided that they were
    /// compacted at the same revision.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the endpoint is not one,
    /// [`Compacted`](crate::ErrorKind::Compacted) and
    /// [`FutureRevision`](crate::ErrorKind::FutureRevision) with a
    /// [revision](GetHashKv::revision), and whatever keeps that endpoint from answering.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let revision = client.put("key", "value").await?.header.revision;
    /// let hash = client
    ///     .maintenance()
    ///     .hash_kv(server.endpoint())
    ///     .revision(revision)
    ///     .await?;
    /// println!("{:08x} at revision {revision}", hash.hash);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn hash_kv(&self, endpoint: impl Into<Cow<'a, str>>) -> GetHashKv<'a> {
        GetHashKv {
            client: self.client,
            endpoint: endpoint.into(),
            revision: 0,
            timeout: None,
        }
    }

    /// Lists the cluster's alarms. Awaiting the result sends the request.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = etcdkit::Client::builder().endpoint("http://127.0.0.1:2379").connect_lazy()?;
    /// for alarm in client.maintenance().alarms().await?.alarms {
    ///     println!("{:?} on member {}", alarm.kind, alarm.member_id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn alarms(&self) -> ListAlarms<'a> {
        ListAlarms {
            client: self.client,
            timeout: None,
        }
    }
}

/// Sends a question to one endpoint.
fn ask<T>(
    client: &Client,
    endpoint: &str,
    method: &'static Method,
    message: &impl Message,
    timeout: Option<Duration>,
    decode: Decode<T>,
) -> Call<T> {
    let (core, place) = match client.core.at(endpoint) {
        Ok(found) => found,
        Err(error) => return Call::failed(error.with_operation(method.name)),
    };
    let request = Request {
        method,
        frame: Frame::of(message),
        class: Class::Local,
        timeout,
        only: Some(place),
    };
    Call::new(&core, request, decode)
}

/// A request for a member's state; made by [`Maintenance::status`], sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct GetStatus<'a> {
    client: &'a Client,
    endpoint: Cow<'a, str>,
    timeout: Option<Duration>,
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

/// A request for the hash over a member's keys; made by [`Maintenance::hash_kv`], sent when
/// awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct GetHashKv<'a> {
    client: &'a Client,
    endpoint: Cow<'a, str>,
    revision: Revision,
    timeout: Option<Duration>,
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

/// A request for the list of alarms; made by [`Maintenance::alarms`], sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct ListAlarms<'a> {
    client: &'a Client,
    timeout: Option<Duration>,
}

impl ListAlarms<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for ListAlarms<'_> {
    type Output = Result<AlarmList>;
    type IntoFuture = Call<AlarmList>;

    fn into_future(self) -> Call<AlarmList> {
        let request = Request {
            method: &ALARM,
            // All fields zero: get, of any member, of any kind.
            frame: Frame::of(&pb::AlarmRequest::default()),
            class: Class::Read,
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, AlarmList::decode)
    }
}

/// The alarms of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlarmList {
    /// The answer's header.
    pub header: Header,
    /// The alarms that are on.
    pub alarms: Vec<Alarm>,
}

/// An alarm that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Alarm {
    /// The member that raised it.
    pub member_id: MemberId,
    /// What it is about.
    pub kind: AlarmKind,
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlarmKind {
    /// The backend quota is used up: the cluster refuses writes until space is freed and the alarm
    /// disarmed.
    NoSpace,
    /// Members disagree about the data. Since etcd 3.3.
    Corrupt,
    /// A kind that this version of the client does not know, by its number.
    Other(i32),
}

impl AlarmList {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::AlarmResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            alarms: response.alarms.into_iter().map(Alarm::from).collect(),
        })
    }
}

impl From<pb::AlarmMember> for Alarm {
    fn from(alarm: pb::AlarmMember) -> Self {
        Self {
            member_id: MemberId(alarm.member_id),
            kind: match pb::AlarmType::try_from(alarm.alarm) {
                Ok(pb::AlarmType::Nospace) => AlarmKind::NoSpace,
                Ok(pb::AlarmType::Corrupt) => AlarmKind::Corrupt,
                Ok(pb::AlarmType::None) | Err(_) => AlarmKind::Other(alarm.alarm),
            },
        }
    }
}
