//! List: the ids of all leases.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Call, Client, Header, LeaseId, Result,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
};

static METHOD: Method = Method {
    name: "lease list",
    path: PathAndQuery::from_static("/etcdserverpb.Lease/LeaseLeases"),
};

/// A request for the list of leases; made by [`Leases::list`](crate::Leases::list), sent when
/// awaited.
///
/// One member answers from what it has, which may lag behind the cluster, and also when there is no
/// leader. With authentication on, servers since etcd 3.4.42, 3.5.28 and 3.6.9 want permission to read
/// all keys that are attached to leases.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct ListLeases<'a> {
    client: &'a Client,
    timeout: Option<Duration>,
}

impl<'a> ListLeases<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        let timeout = None;
        Self { client, timeout }
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for ListLeases<'_> {
    type Output = Result<LeaseList>;
    type IntoFuture = Call<LeaseList>;

    fn into_future(self) -> Call<LeaseList> {
        let request = Request {
            method: &METHOD,
            frame: Frame::of(&pb::LeaseLeasesRequest {}),
            class: Class::Local,
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, LeaseList::decode)
    }
}

/// The leases that a member knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseList {
    /// The answer's header.
    pub header: Header,
    /// The ids, those of the leases that run out first in front.
    pub leases: Vec<LeaseId>,
}

impl LeaseList {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::LeaseLeasesResponse::decode(reply)?;
        let ids = response.leases.into_iter().map(|lease| LeaseId(lease.id));
        Ok(Self {
            header: response.header.into(),
            leases: ids.collect(),
        })
    }
}
