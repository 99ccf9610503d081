//! Cluster: who is a member, and who is to be one.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use super::membership::{AddMember, ChangeMember};
use crate::{
    Call, Client, Header, IntoEndpoints, MemberId, Result,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
};

pub(crate) static MEMBER_LIST: Method = Method {
    name: "member list",
    path: PathAndQuery::from_static("/etcdserverpb.Cluster/MemberList"),
};

impl Client {
    /// The cluster's members.
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster { client: self }
    }
}

/// What can be asked and changed about the members of a cluster; made by [`Client::cluster`].
///
/// Changes are agreed on by the cluster, one at a time: make one, see the new member serve, then
/// make the next. Servers refuse changes that would cost the cluster its quorum
/// ([`MemberNotEnoughStarted`](crate::ErrorKind::MemberNotEnoughStarted),
/// [`Unhealthy`](crate::ErrorKind::Unhealthy)), unless they run with `--strict-reconfig-check=false`.
/// With authentication on, changes need the root role.
#[derive(Clone, Copy, Debug)]
pub struct Cluster<'a> {
    client: &'a Client,
}

impl<'a> Cluster<'a> {
    /// Lists the members. Awaiting the result sends the request.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// for member in client.cluster().members().await?.members {
    ///     println!("{} {} {:?}", member.id, member.name, member.client_urls);
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn members(&self) -> ListMembers<'a> {
        ListMembers {
            client: self.client,
            serializable: false,
            timeout: None,
        }
    }

    /// Adds a member that will listen to other members at these URLs: one or several, such as
    /// `"http://10.0.0.4:2380"`. Awaiting the result sends the request.
    ///
    /// The new member counts as a voter from now on, although it does not run yet: start it with
    /// `--initial-cluster-state=existing` and an `--initial-cluster` that names all the
    /// [members](crate::MemberAdded::members) and itself. [`learner`](AddMember::learner) is the safer
    /// way.
    ///
    /// # Errors
    ///
    /// [`MemberBadUrls`](crate::ErrorKind::MemberBadUrls) before sending if there is no URL or one is
    /// not `http://host:port`, `https://host:port`, `unix:path` or `unixs:path`;
    /// from the server [`PeerUrlExists`](crate::ErrorKind::PeerUrlExists) if a member has one of them
    /// ([`MemberExists`](crate::ErrorKind::MemberExists) if it was added within the same second),
    /// [`MemberNotEnoughStarted`](crate::ErrorKind::MemberNotEnoughStarted) and
    /// [`Unhealthy`](crate::ErrorKind::Unhealthy).
    ///
    /// When the [outcome](crate::Error::outcome) is unknown, list the members before trying again:
    /// a member with these URLs is the one that was added.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: etcdkit::Client) -> etcdkit::Result<()> {
    /// let added = client.cluster().add("http://10.0.0.4:2380").learner().await?;
    /// println!("{} of {} members", added.member.id, added.members.len());
    ///
    /// // Once it runs and has caught up:
    /// client.cluster().promote(added.member.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add(&self, peer_urls: impl IntoEndpoints) -> AddMember<'a> {
        AddMember::new(self.client, peer_urls.into_endpoints())
    }

    /// Makes a learner a voter. Awaiting the result sends the request. Since etcd 3.4.
    ///
    /// It is sent again if the answer was lost. If the member then [is a
    /// voter](crate::ErrorKind::MemberNotLearner), or the list of members shows that, it counts as
    /// promoted.
    ///
    /// # Errors
    ///
    /// [`LearnerNotReady`](crate::ErrorKind::LearnerNotReady) while it has not caught up with the
    /// leader: try again later. [`MemberNotLearner`](crate::ErrorKind::MemberNotLearner),
    /// [`MemberNotFound`](crate::ErrorKind::MemberNotFound).
    ///
    /// When the [outcome](crate::Error::outcome) is unknown, promote it again.
    pub fn promote(&self, id: MemberId) -> ChangeMember<'a> {
        ChangeMember::promote(self.client, id)
    }

    /// Changes where the other members reach a member: one URL or several, as with
    /// [`add`](Self::add). Awaiting the result sends the request.
    ///
    /// The member itself has to be restarted with its new URLs.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), and [`MemberNotFound`](crate::ErrorKind::MemberNotFound). When the
    /// [outcome](crate::Error::outcome) is unknown, list the members before trying again.
    pub fn update(&self, id: MemberId, peer_urls: impl IntoEndpoints) -> ChangeMember<'a> {
        ChangeMember::update(self.client, id, peer_urls.into_endpoints())
    }

    /// Removes a member, which then stops on its own. Awaiting the result sends the request.
    ///
    /// An id is used once: the same machine can only come back as a new member, with empty data.
    ///
    /// The member that goes may be the one that is asked, and stop before it has answered. So a removal
    /// whose answer was lost is sent again, to another endpoint where there is one. If the member is
    /// then not found, or the list of members no longer has it, it counts as removed.
    ///
    /// # Errors
    ///
    /// [`MemberNotFound`](crate::ErrorKind::MemberNotFound), also if it had been removed before;
    /// [`MemberNotEnoughStarted`](crate::ErrorKind::MemberNotEnoughStarted) and
    /// [`Unhealthy`](crate::ErrorKind::Unhealthy) where the rest would be no quorum.
    ///
    /// When the [outcome](crate::Error::outcome) is unknown, such as when the client knows no endpoint
    /// but that of the member that goes, remove it again, by way of another member.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: etcdkit::Client) -> etcdkit::Result<()> {
    /// let members = client.cluster().members().await?.members;
    /// if let Some(old) = members.iter().find(|member| member.name == "host-3") {
    ///     client.cluster().remove(old.id).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove(&self, id: MemberId) -> ChangeMember<'a> {
        ChangeMember::remove(self.client, id)
    }
}

/// A request for the list of members; made by [`Cluster::members`], sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct ListMembers<'a> {
    client: &'a Client,
    serializable: bool,
    timeout: Option<Duration>,
}

impl ListMembers<'_> {
    /// Takes the list of the member that answers, even if it is out of date or there is no leader.
    /// Servers before 3.5 always answer like this.
    pub fn serializable(mut self) -> Self {
        self.serializable = true;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for ListMembers<'_> {
    type Output = Result<MemberList>;
    type IntoFuture = Call<MemberList>;

    fn into_future(self) -> Call<MemberList> {
        let request = Request {
            method: &MEMBER_LIST,
            frame: Frame::of(&pb::MemberListRequest {
                linearizable: !self.serializable,
            }),
            class: match self.serializable {
                true => Class::Local,
                false => Class::Read,
            },
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, MemberList::decode)
    }
}

/// The members of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberList {
    /// The answer's header; its revision is 0.
    pub header: Header,
    /// The members, in the order of their ids.
    pub members: Vec<Member>,
}

impl MemberList {
    pub(super) fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::MemberListResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            members: response.members.into_iter().map(Member::from).collect(),
        })
    }
}

/// A member of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The member's id.
    pub id: MemberId,
    /// The member's name; empty until it has been started for the first time.
    pub name: String,
    /// Where other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until it has been started for the first time.
    pub client_urls: Vec<String>,
    /// Whether it learns without a vote. Since etcd 3.4.
    pub is_learner: bool,
}

impl From<pb::Member> for Member {
    fn from(member: pb::Member) -> Self {
        Self {
            id: MemberId(member.id),
            name: member.name,
            peer_urls: member.peer_ur_ls,
            client_urls: member.client_ur_ls,
            is_learner: member.is_learner,
        }
    }
}
