//! Cluster: who is a member.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Call, Client, Header, MemberId, Result,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
};

static MEMBER_LIST: Method = Method {
    name: "member list",
    path: PathAndQuery::from_static("/etcdserverpb.Cluster/MemberList"),
};

impl Client {
    /// The cluster's members.
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster { client: self }
    }
}

/// What can be asked about the members of a cluster; made by [`Client::cluster`].
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
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
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
