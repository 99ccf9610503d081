//! Defragmentation of one member's backend.

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
use tokio::time::timeout;

use crate::{
    Call, Client, Header, Result,
    exec::{Method, Request},
    policy::Class,
    transport::pick::Tried,
    wire::Frame,
};

static DEFRAGMENT: Method = Method {
    name: "defragment",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Defragment"),
};

/// A backend of the recommended size is rewritten in a minute or two even on a slow disk.
const USUAL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A request to defragment a member's backend; made by
/// [`Maintenance::defragment`](crate::Maintenance::defragment), sent when awaited.
///
/// The answer comes when it is done: about a second for every 100 MB in use, ten times that on a slow
/// disk. A member that cannot be reached is found out within the client's request timeout all the
/// same, and one that dies meanwhile by pings.
///
/// Dropping the future, or the end of its time, does not stop the member.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct Defragment<'a> {
    client: &'a Client,
    endpoint: Cow<'a, str>,
    timeout: Duration,
}

impl<'a> Defragment<'a> {
    pub(super) fn new(client: &'a Client, endpoint: Cow<'a, str>) -> Self {
        Self {
            client,
            endpoint,
            timeout: USUAL_LIMIT,
        }
    }
}

impl Defragment<'_> {
    /// Limits the time for the whole call. Default ten minutes, whatever the client's request
    /// timeout is.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl IntoFuture for Defragment<'_> {
    type Output = Result<Defragmented>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Defragmented>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let found = self.client.core.at(&self.endpoint);
        let limit = self.timeout;
        Box::pin(async move {
            let (core, place) = found.map_err(|error| error.with_operation(DEFRAGMENT.name))?;
            let patience = core.config.request_timeout.min(limit);
            let chosen = core.pool.chosen(Tried::default(), Some(place));
            let late = || core.pool.unreachable(Some(place)).with_story(0, patience);
            let connection = timeout(patience, chosen)
                .await
                .unwrap_or_else(|_| Err(late()))
                .map_err(|error| error.with_operation(DEFRAGMENT.name))?;
            let _avoided = connection.pulse.health.avoid();
            let request = Request {
                method: &DEFRAGMENT,
                frame: Frame::of(&pb::DefragmentRequest {}),
                class: Class::LocalWrite,
                timeout: Some(limit),
                only: Some(place),
            };
            Call::new(&core, request, Defragmented::decode)
                .patient(patience)
                .await
        })
    }
}

/// The answer to a request to [defragment](crate::Maintenance::defragment).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Defragmented {
    /// The answer's header; all zero, because servers up to 3.7 send none.
    pub header: Header,
}

impl Defragmented {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::DefragmentResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
        })
    }
}
