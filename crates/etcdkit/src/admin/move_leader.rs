//! Moving the leadership to another member.

use std::{
    borrow::Cow,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::{task::JoinSet, time::Instant};

use super::{Status, status::GetStatus};
use crate::{
    Call, Client, Error, ErrorKind, Header, MemberId, Result,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
};

static MOVE_LEADER: Method = Method {
    name: "move leader",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/MoveLeader"),
};

/// A request to move the leadership; made by
/// [`Maintenance::move_leader`](crate::Maintenance::move_leader), sent when awaited.
///
/// Only the leader can do it. It is found by asking all of the client's endpoints for their status.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct MoveLeader<'a> {
    client: &'a Client,
    target: MemberId,
    endpoint: Option<Cow<'a, str>>,
    timeout: Option<Duration>,
}

impl<'a> MoveLeader<'a> {
    pub(super) fn new(client: &'a Client, target: MemberId) -> Self {
        Self {
            client,
            target,
            endpoint: None,
            timeout: None,
        }
    }

    /// The leader's endpoint: no other is asked.
    pub fn endpoint(mut self, endpoint: impl Into<Cow<'a, str>>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for MoveLeader<'_> {
    type Output = Result<LeaderMoved>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<LeaderMoved>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let client = self.client.clone();
        let target = self.target;
        let endpoint = self.endpoint.map(Cow::into_owned);
        let timeout = self.timeout.unwrap_or(client.core.config.request_timeout);
        Box::pin(async move {
            let moving = move_leader(&client, endpoint, target, timeout);
            moving
                .await
                .map_err(|error| error.with_operation(MOVE_LEADER.name))
        })
    }
}

async fn move_leader(
    client: &Client,
    endpoint: Option<String>,
    target: MemberId,
    timeout: Duration,
) -> Result<LeaderMoved> {
    let started = Instant::now();
    let (endpoint, from) = match endpoint {
        Some(endpoint) => {
            let status = GetStatus::new(client, endpoint.as_str().into()).timeout(timeout);
            let id = status.await?.header.member_id;
            (endpoint, id)
        }
        None => find_leader(client, timeout).await?,
    };
    let (core, place) = client.core.at(&endpoint)?;
    let request = Request {
        method: &MOVE_LEADER,
        frame: Frame::of(&pb::MoveLeaderRequest {
            target_id: target.0,
        }),
        class: Class::Write,
        timeout: Some(timeout.saturating_sub(started.elapsed())),
        only: Some(place),
    };
    let header = Call::new(&core, request, decode).await?;
    Ok(LeaderMoved {
        header,
        from,
        to: target,
    })
}

fn decode(reply: Bytes) -> Result<Header, prost::DecodeError> {
    Ok(pb::MoveLeaderResponse::decode(reply)?.header.into())
}

/// The endpoint whose member says that it leads itself. All are asked at once, and the first to say
/// so ends the search, so that dead ones hold nobody up.
async fn find_leader(client: &Client, timeout: Duration) -> Result<(String, MemberId)> {
    let mut answers = JoinSet::new();
    for endpoint in client.endpoints() {
        let (client, endpoint) = (client.clone(), endpoint.to_owned());
        answers.spawn(async move {
            let status = GetStatus::new(&client, endpoint.as_str().into()).timeout(timeout);
            (status.await, endpoint)
        });
    }
    let (mut elsewhere, mut failure) = (None, None);
    while let Some(answer) = answers.join_next().await {
        match answer {
            Ok((Ok(Status { header, leader, .. }), endpoint)) => match leader {
                Some(leader) if leader == header.member_id => return Ok((endpoint, leader)),
                Some(leader) => elsewhere = Some(leader),
                None => {}
            },
            Ok((Err(error), _)) => failure = Some(error),
            // Only a runtime that shuts down cancels it.
            Err(_) => {}
        }
    }
    let what = match elsewhere {
        Some(leader) => format!("no endpoint of the client is the leader's, member {leader}"),
        None => match failure {
            Some(error) => return Err(error),
            None => {
                return Err(Error::new(
                    ErrorKind::NoLeader,
                    "no endpoint knows a leader",
                ));
            }
        },
    };
    Err(Error::new(ErrorKind::NotLeader, what))
}

/// The answer to a request to [move the leadership](crate::Maintenance::move_leader).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaderMoved {
    /// The answer's header; all zero, because servers up to 3.7 send none.
    pub header: Header,
    /// The member that led until now.
    pub from: MemberId,
    /// The member that leads now.
    pub to: MemberId,
}
