//! The election service.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::{EtcdError, v3electionpb as pb};
use http::uri::PathAndQuery;
use prost::Message;

use super::OpenObserve;
use crate::{
    Blob, Call, Client, Error, Header, KeyValue, LeaseId, Result, Revision,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
    wrap::namespace::{Foreign, Leave, Namespace},
};

static CAMPAIGN: Method = Method {
    name: "campaign",
    path: PathAndQuery::from_static("/v3electionpb.Election/Campaign"),
};

static PROCLAIM: Method = Method {
    name: "proclaim",
    path: PathAndQuery::from_static("/v3electionpb.Election/Proclaim"),
};

static LEADER: Method = Method {
    name: "leader",
    path: PathAndQuery::from_static("/v3electionpb.Election/Leader"),
};

static RESIGN: Method = Method {
    name: "resign",
    path: PathAndQuery::from_static("/v3electionpb.Election/Resign"),
};

impl Client {
    /// The server's election service; see [`service`](crate::service) for what it is and is not.
    pub fn election_service(&self) -> ElectionService<'_> {
        ElectionService { client: self }
    }
}

/// The server's election service; made by [`Client::election_service`].
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().start().await?;
/// # let client = etcdkit::Client::connect(server.endpoint()).await?;
/// use std::time::Duration;
///
/// let lease = client.lease(Duration::from_secs(10)).await?;
/// let elections = client.election_service();
/// let leader = elections.campaign("workers", &lease, "host-7").await?.leader;
/// elections.proclaim(&leader, "host-7, at work").await?;
/// let kv = elections.leader("workers").await?.kv;
/// assert_eq!(kv.value, "host-7, at work");
/// elections.resign(&leader).await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ElectionService<'a> {
    client: &'a Client,
}

impl<'a> ElectionService<'a> {
    /// Stands for the election of a name with a lease, and waits until it is won. Awaiting the result
    /// sends the request.
    ///
    /// The value is what others see of the leader. A lease that stands already changes its value, and
    /// keeps its place. With lease 0 the server grants one of 60 s, which nobody keeps alive.
    ///
    /// # Errors
    ///
    /// [`LeaseNotFound`](crate::ErrorKind::LeaseNotFound) if there is no such lease.
    ///
    /// A server does not look whether the lease still exists when the wait is over: it may report a
    /// win with a lease that has ended meanwhile. Verify it with [`proclaim`](Self::proclaim), which
    /// fails then.
    pub fn campaign(
        &self,
        name: impl Into<Blob<'a>>,
        lease: impl Into<LeaseId>,
        value: impl Into<Blob<'a>>,
    ) -> Campaign<'a> {
        Campaign {
            client: self.client,
            name: name.into(),
            lease: lease.into(),
            value: value.into(),
            timeout: None,
        }
    }

    /// Changes the value of a leader, who is still one then. Awaiting the result sends the request.
    ///
    /// # Errors
    ///
    /// [`ElectionNotLeader`](crate::ErrorKind::ElectionNotLeader) if the key does not lead any more;
    /// before sending, [`EmptyKey`](crate::ErrorKind::EmptyKey) for a leader without a key.
    pub fn proclaim(&self, leader: &'a LeaderKey, value: impl Into<Blob<'a>>) -> Proclaim<'a> {
        Proclaim {
            client: self.client,
            leader,
            value: value.into(),
            timeout: None,
        }
    }

    /// Asks who leads. Awaiting the result sends the request.
    ///
    /// # Errors
    ///
    /// [`ElectionNoLeader`](crate::ErrorKind::ElectionNoLeader) if nobody stands for the election.
    pub fn leader(&self, name: impl Into<Blob<'a>>) -> CurrentLeader<'a> {
        CurrentLeader {
            client: self.client,
            name: name.into(),
            timeout: None,
        }
    }

    /// Listens to who leads, and to what leaders proclaim. Awaiting the result sends the request; it
    /// gives a [stream](super::Observe).
    pub fn observe(&self, name: impl Into<Blob<'a>>) -> OpenObserve<'a> {
        OpenObserve::new(self.client, name.into())
    }

    /// Gives the leadership up, so that the next in the queue has it. Awaiting the result sends the
    /// request.
    ///
    /// A key that does not lead any more is no error. The lease goes on.
    ///
    /// # Errors
    ///
    /// Before sending, [`EmptyKey`](crate::ErrorKind::EmptyKey) for a leader without a key.
    pub fn resign(&self, leader: &'a LeaderKey) -> Resign<'a> {
        Resign {
            client: self.client,
            leader,
            timeout: None,
        }
    }
}

/// What a leader is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderKey {
    /// The election's name.
    pub name: Bytes,
    /// The key that exists while it leads.
    pub key: Bytes,
    /// The revision that created the key. A transaction on the condition that this is still its
    /// [create revision](crate::Compare::create_revision) is applied only while it leads.
    pub revision: Revision,
    /// The lease that the key is attached to.
    pub lease: LeaseId,
}

impl LeaderKey {
    fn to_wire(&self, namespace: &Namespace) -> pb::LeaderKey {
        pb::LeaderKey {
            name: namespace.own_key(self.name.clone()),
            key: namespace.own_key(self.key.clone()),
            rev: self.revision,
            lease: self.lease.0,
        }
    }
}

impl From<pb::LeaderKey> for LeaderKey {
    fn from(leader: pb::LeaderKey) -> Self {
        Self {
            name: leader.name,
            key: leader.key,
            revision: leader.rev,
            lease: LeaseId(leader.lease),
        }
    }
}

impl Leave for LeaderKey {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.key = namespace.strip(std::mem::take(&mut self.key))?;
        // An election may be named by the namespace alone.
        let prefix = namespace.prefix().len();
        match self.name.starts_with(namespace.prefix()) {
            true => self.name = self.name.split_off(prefix),
            false => return Err(Foreign),
        }
        Ok(())
    }
}

/// A request to stand for an election; made by [`ElectionService::campaign`], sent when awaited.
///
/// Dropping its future cancels it on the wire, and the server takes the candidate out of the queue.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct Campaign<'a> {
    client: &'a Client,
    name: Blob<'a>,
    lease: LeaseId,
    value: Blob<'a>,
    timeout: Option<Duration>,
}

impl Campaign<'_> {
    /// Limits the time for the whole call. Without it the wait has no end while the member answers
    /// pings; the client's request timeout only limits how long it may take to reach one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Campaign<'_> {
    type Output = Result<Campaigned>;
    type IntoFuture = Call<Campaigned>;

    fn into_future(self) -> Call<Campaigned> {
        let core = &self.client.core;
        let namespace = &self.client.namespace;
        let request = Request {
            method: &CAMPAIGN,
            frame: Frame::of(&pb::CampaignRequest {
                name: namespace.own_key(self.name.into_bytes()),
                lease: self.lease.0,
                value: self.value.into_bytes(),
            }),
            class: Class::Steps,
            timeout: Some(self.timeout.unwrap_or(Duration::MAX)),
            only: None,
        };
        Call::new(core, request, Campaigned::decode)
            .patient(core.config.request_timeout)
            .within(namespace)
    }
}

/// An election that was [won](ElectionService::campaign).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Campaigned {
    /// The answer's header.
    pub header: Header,
    /// What the leader is known by: what [`proclaim`](ElectionService::proclaim) and
    /// [`resign`](ElectionService::resign) take.
    pub leader: LeaderKey,
}

impl Campaigned {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::CampaignResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            leader: response.leader.map(LeaderKey::from).unwrap_or_default(),
        })
    }
}

impl Leave for Campaigned {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.leader.leave(namespace)
    }
}

/// A request to change a leader's value; made by [`ElectionService::proclaim`], sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct Proclaim<'a> {
    client: &'a Client,
    leader: &'a LeaderKey,
    value: Blob<'a>,
    timeout: Option<Duration>,
}

impl Proclaim<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Proclaim<'_> {
    type Output = Result<Header>;
    type IntoFuture = Call<Header>;

    fn into_future(self) -> Call<Header> {
        if self.leader.key.is_empty() {
            return Call::failed(Error::etcd(EtcdError::EmptyKey).with_operation(PROCLAIM.name));
        }
        let request = Request {
            method: &PROCLAIM,
            frame: Frame::of(&pb::ProclaimRequest {
                leader: Some(self.leader.to_wire(&self.client.namespace)),
                value: self.value.into_bytes(),
            }),
            class: Class::Steps,
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, |reply| {
            Ok(pb::ProclaimResponse::decode(reply)?.header.into())
        })
    }
}

/// A question for the leader; made by [`ElectionService::leader`], sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct CurrentLeader<'a> {
    client: &'a Client,
    name: Blob<'a>,
    timeout: Option<Duration>,
}

impl CurrentLeader<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for CurrentLeader<'_> {
    type Output = Result<LeaderResponse>;
    type IntoFuture = Call<LeaderResponse>;

    fn into_future(self) -> Call<LeaderResponse> {
        let namespace = &self.client.namespace;
        let request = Request {
            method: &LEADER,
            frame: Frame::of(&pb::LeaderRequest {
                name: namespace.own_key(self.name.into_bytes()),
            }),
            class: Class::Read,
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, LeaderResponse::decode).within(namespace)
    }
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaderResponse {
    /// The answer's header.
    pub header: Header,
    /// The leader's key, with the value that it has proclaimed.
    pub kv: KeyValue,
}

impl LeaderResponse {
    pub(super) fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::LeaderResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            kv: response.kv.unwrap_or_default().into(),
        })
    }
}

impl Leave for LeaderResponse {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.kv.leave(namespace)
    }
}

/// A request to give up the leadership; made by [`ElectionService::resign`], sent when awaited.
///
/// It names the revision that made the leader, so it can be repeated, and is, like a read.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct Resign<'a> {
    client: &'a Client,
    leader: &'a LeaderKey,
    timeout: Option<Duration>,
}

impl Resign<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Resign<'_> {
    type Output = Result<Header>;
    type IntoFuture = Call<Header>;

    fn into_future(self) -> Call<Header> {
        if self.leader.key.is_empty() {
            return Call::failed(Error::etcd(EtcdError::EmptyKey).with_operation(RESIGN.name));
        }
        let request = Request {
            method: &RESIGN,
            frame: Frame::of(&pb::ResignRequest {
                leader: Some(self.leader.to_wire(&self.client.namespace)),
            }),
            class: Class::Idempotent,
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, |reply| {
            Ok(pb::ResignResponse::decode(reply)?.header.into())
        })
    }
}
