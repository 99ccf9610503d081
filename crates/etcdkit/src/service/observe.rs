//! Listening to an election.

use std::{
    fmt,
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use etcdkit_proto::v3electionpb as pb;
use futures_core::Stream;
use http::uri::PathAndQuery;

use super::LeaderResponse;
use crate::{
    Blob, Client, Error, ErrorKind, Result,
    exec::{Method, Replies, Request},
    policy::Class,
    wire::Frame,
    wrap::namespace::{Leave, Namespace},
};

static OBSERVE: Method = Method {
    name: "observe",
    path: PathAndQuery::from_static("/v3electionpb.Election/Observe"),
};

/// A request to listen to an election; made by
/// [`ElectionService::observe`](super::ElectionService::observe), sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct OpenObserve<'a> {
    client: &'a Client,
    name: Blob<'a>,
    timeout: Option<Duration>,
}

impl<'a> OpenObserve<'a> {
    pub(super) fn new(client: &'a Client, name: Blob<'a>) -> Self {
        Self {
            client,
            name,
            timeout: None,
        }
    }
}

impl OpenObserve<'_> {
    /// Limits the time to reach a member; the client's request timeout otherwise. The stream itself
    /// has no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn open(self) -> Result<Observe> {
        let namespace = self.client.namespace.clone();
        let request = Request {
            method: &OBSERVE,
            frame: Frame::of(&pb::LeaderRequest {
                name: namespace.own_key(self.name.into_bytes()),
            }),
            class: Class::Read,
            timeout: self.timeout,
            only: None,
        };
        let mut replies = Replies::open(&self.client.core, request).await?;
        // While nobody stands for the election there is nothing to say.
        replies.limit_silence(Duration::MAX);
        Ok(Observe {
            replies: Some(Box::new(replies)),
            namespace,
        })
    }
}

impl<'a> IntoFuture for OpenObserve<'a> {
    type Output = Result<Observe>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Observe>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

/// Who leads an election, again and again: a [`Stream`] made by
/// [`ElectionService::observe`](super::ElectionService::observe).
///
/// It begins with the leader there is, if any, and goes on with every new one and all that leaders
/// proclaim. That nobody leads is not told, and changes in quick succession may be left out. Dropping
/// it cancels it on the wire.
///
/// # Errors
///
/// An error ends the stream, and so may the server, without one, when it stops or loses its own place
/// (etcd does so after a compaction): observe again. A member that has lost its leader ends it with
/// [`NoLeader`](crate::ErrorKind::NoLeader), one that dies with
/// [`Disconnected`](crate::ErrorKind::Disconnected).
///
/// # Panics
///
/// Polling panics outside of a tokio runtime.
pub struct Observe {
    replies: Option<Box<Replies>>,
    namespace: Namespace,
}

impl Observe {
    /// The next leader, or what the leader proclaims next; `None` if the server has ended the stream.
    ///
    /// Cancel-safe: nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// As [`Observe`]; the stream has ended then.
    pub async fn try_next(&mut self) -> Result<Option<LeaderResponse>> {
        poll_fn(|cx| self.poll_leader(cx)).await
    }

    fn poll_leader(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<LeaderResponse>>> {
        let Some(replies) = &mut self.replies else {
            return Poll::Ready(Ok(None));
        };
        let leader = match ready!(replies.poll_next(cx)) {
            Ok(Some(reply)) => self.decode(reply).map(Some),
            Ok(None) => Ok(None),
            Err(broken) => Err(broken.error),
        };
        if !matches!(leader, Ok(Some(_))) {
            self.replies = None;
        }
        Poll::Ready(leader)
    }

    fn decode(&self, reply: bytes::Bytes) -> Result<LeaderResponse> {
        let wrong =
            |what: String| Error::new(ErrorKind::Protocol, what).with_operation(OBSERVE.name);
        let mut leader = LeaderResponse::decode(reply).map_err(|error| {
            let what = format!("the server sent something else than etcd's answer: {error}");
            wrong(what).with_source(error)
        })?;
        if !self.namespace.is_empty() {
            leader
                .leave(&self.namespace)
                .map_err(|foreign| wrong(format!("the server sent {foreign}")))?;
        }
        Ok(leader)
    }
}

impl Stream for Observe {
    type Item = Result<LeaderResponse>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_leader(cx).map(Result::transpose)
    }
}

impl fmt::Debug for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observe")
            .field("ended", &self.replies.is_none())
            .finish_non_exhaustive()
    }
}
