//! Changes of a cluster's members.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::Instant;

use super::{Member, MemberList, peer_url};
use crate::{
    Call, Client, Error, ErrorKind, Header, MemberId, Outcome, Result,
    exec::{Method, Request},
    policy::Class,
    transport::backoff::Backoff,
    wire::Frame,
};

static ADD: Method = Method {
    name: "member add",
    path: PathAndQuery::from_static("/etcdserverpb.Cluster/MemberAdd"),
};

static PROMOTE: Method = Method {
    name: "member promote",
    path: PathAndQuery::from_static("/etcdserverpb.Cluster/MemberPromote"),
};

static UPDATE: Method = Method {
    name: "member update",
    path: PathAndQuery::from_static("/etcdserverpb.Cluster/MemberUpdate"),
};

static REMOVE: Method = Method {
    name: "member remove",
    path: PathAndQuery::from_static("/etcdserverpb.Cluster/MemberRemove"),
};

/// A request to add a member; made by [`Cluster::add`](crate::Cluster::add), sent when awaited.
///
/// It is sent again on its own only when it certainly had no effect.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct AddMember<'a> {
    client: &'a Client,
    peer_urls: Vec<String>,
    learner: bool,
    timeout: Option<Duration>,
}

impl<'a> AddMember<'a> {
    pub(super) fn new(client: &'a Client, peer_urls: Vec<String>) -> Self {
        Self {
            client,
            peer_urls,
            learner: false,
            timeout: None,
        }
    }
}

impl AddMember<'_> {
    /// Adds it without a vote: it receives the data and puts no quorum at risk meanwhile.
    /// [`promote`](crate::Cluster::promote) makes it a voter later. Since etcd 3.4.
    ///
    /// A cluster has one learner at a time, unless its members allow more
    /// (`--experimental-max-learners`, since 3.6 `--max-learners`); otherwise it answers
    /// [`TooManyLearners`](crate::ErrorKind::TooManyLearners).
    pub fn learner(mut self) -> Self {
        self.learner = true;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for AddMember<'_> {
    type Output = Result<MemberAdded>;
    type IntoFuture = Call<MemberAdded>;

    fn into_future(self) -> Call<MemberAdded> {
        if let Err(error) = peer_url::check(&self.peer_urls) {
            return Call::failed(error.with_operation(ADD.name));
        }
        let request = Request {
            method: &ADD,
            frame: Frame::of(&pb::MemberAddRequest {
                peer_ur_ls: self.peer_urls,
                is_learner: self.learner,
            }),
            class: Class::Write,
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, MemberAdded::decode)
    }
}

/// The answer to the [addition](crate::Cluster::add) of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberAdded {
    /// The answer's header; its revision is 0.
    pub header: Header,
    /// The member that was added; its name and client URLs are empty until it runs.
    pub member: Member,
    /// All members, with the one that was added.
    pub members: Vec<Member>,
}

impl MemberAdded {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::MemberAddResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            member: response.member.map(Member::from).unwrap_or_default(),
            members: response.members.into_iter().map(Member::from).collect(),
        })
    }
}

/// A request to promote, update or remove a member; made by [`Cluster`](crate::Cluster), sent when
/// awaited. The answer lists the members as they are afterwards.
///
/// A promotion or removal is sent again also when the answer to the first attempt was lost: it is
/// final, and an id is used once, so asking twice changes nothing more. Only when it is not known in
/// the end whether it was made is the [outcome](crate::Error::outcome) of the error unknown. An update
/// is sent again only when it certainly had no effect, since an update by another may be newer.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct ChangeMember<'a> {
    client: &'a Client,
    change: Change,
    timeout: Option<Duration>,
}

#[derive(Debug)]
enum Change {
    Promote(MemberId),
    Update(MemberId, Vec<String>),
    Remove(MemberId),
}

impl<'a> ChangeMember<'a> {
    pub(super) fn promote(client: &'a Client, id: MemberId) -> Self {
        Self::new(client, Change::Promote(id))
    }

    pub(super) fn update(client: &'a Client, id: MemberId, peer_urls: Vec<String>) -> Self {
        Self::new(client, Change::Update(id, peer_urls))
    }

    pub(super) fn remove(client: &'a Client, id: MemberId) -> Self {
        Self::new(client, Change::Remove(id))
    }

    fn new(client: &'a Client, change: Change) -> Self {
        Self {
            client,
            change,
            timeout: None,
        }
    }
}

impl ChangeMember<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for ChangeMember<'_> {
    type Output = Result<MemberList>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<MemberList>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let (method, frame, last) = match self.change {
            Change::Promote(id) => {
                let request = pb::MemberPromoteRequest { id: id.0 };
                (&PROMOTE, Frame::of(&request), Some(Final::Promoted(id)))
            }
            Change::Remove(id) => {
                let request = pb::MemberRemoveRequest { id: id.0 };
                (&REMOVE, Frame::of(&request), Some(Final::Removed(id)))
            }
            Change::Update(id, peer_ur_ls) => {
                if let Err(error) = peer_url::check(&peer_ur_ls) {
                    return Box::pin(Call::failed(error.with_operation(UPDATE.name)));
                }
                let id = id.0;
                let request = pb::MemberUpdateRequest { id, peer_ur_ls };
                (&UPDATE, Frame::of(&request), None)
            }
        };
        let core = &self.client.core;
        let timeout = self.timeout.unwrap_or(core.config.request_timeout);
        let request = Request {
            method,
            frame,
            class: match last {
                Some(_) => Class::Idempotent,
                None => Class::Write,
            },
            timeout: Some(timeout),
            only: None,
        };
        // The answers to all changes and to the list have the same fields under the same numbers.
        let call = Call::new(core, request, MemberList::decode);
        let Some(last) = last else {
            return Box::pin(call);
        };
        let client = self.client.clone();
        Box::pin(async move {
            let started = Instant::now();
            match call.await {
                Err(error) if error.outcome() == Outcome::Unknown => {
                    let left = || timeout.saturating_sub(started.elapsed());
                    last.look(&client, left, error).await
                }
                result => result,
            }
        })
    }
}

/// A state of a member that it never leaves. Whoever finds it there need not know who brought it about,
/// and asking for it again harms nobody.
#[derive(Clone, Copy, Debug)]
enum Final {
    Promoted(MemberId),
    /// Members remember removed ids for ever, and make ids of the time, so none comes back.
    Removed(MemberId),
}

impl Final {
    fn is_reached(self, members: &[Member]) -> bool {
        let find = |id| members.iter().find(|member| member.id == id);
        match self {
            Self::Promoted(id) => find(id).is_some_and(|member| !member.is_learner),
            Self::Removed(id) => find(id).is_none(),
        }
    }

    /// Whether an attempt that was refused like this came after one that was carried out.
    fn is_said_by(self, refusal: &Error) -> bool {
        match self {
            Self::Promoted(_) => refusal.kind() == ErrorKind::MemberNotLearner,
            Self::Removed(_) => refusal.kind() == ErrorKind::MemberNotFound,
        }
    }

    /// Looks up what an attempt that failed like this, or one before it, has done.
    async fn look(
        self,
        client: &Client,
        left: impl Fn() -> Duration,
        error: Error,
    ) -> Result<MemberList> {
        let mut pauses = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        loop {
            match client.cluster().members().timeout(left()).await {
                Ok(list) if self.is_reached(&list.members) => return Ok(list),
                // Before 3.5 members list what they know themselves, which may be from before.
                Ok(_) if self.is_said_by(&error) => {}
                Ok(_) | Err(_) => return Err(error),
            }
            let pause = pauses.next(fastrand::f64()).min(left());
            tokio::time::sleep(pause).await;
        }
    }
}
