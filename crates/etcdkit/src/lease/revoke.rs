//! Revoke: end a lease.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use http::uri::PathAndQuery;
use prost::Message;

use super::Pending;
use crate::{
    Call, Client, ErrorKind, Header, LeaseId, Outcome, Result,
    client::Core,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
};

static METHOD: Method = Method {
    name: "lease revoke",
    path: PathAndQuery::from_static("/etcdserverpb.Lease/LeaseRevoke"),
};

/// A revocation that has not been sent yet: made by [`Leases::revoke`](crate::Leases::revoke), sent
/// when awaited.
///
/// # Errors
///
/// [`LeaseNotFound`](crate::ErrorKind::LeaseNotFound) if the lease has run out or was revoked
/// before, [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if it has keys that the user must
/// not delete.
///
/// A revocation is sent again also when the answer to the first attempt was lost. If the lease is
/// then gone, it counts as revoked.
#[derive(Debug)]
#[must_use = "a lease is revoked when awaited"]
pub struct RevokeLease<'a> {
    client: &'a Client,
    id: LeaseId,
    timeout: Option<Duration>,
}

impl<'a> RevokeLease<'a> {
    pub(super) fn new(client: &'a Client, id: LeaseId) -> Self {
        let timeout = None;
        Self {
            client,
            id,
            timeout,
        }
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for RevokeLease<'_> {
    type Output = Result<LeaseRevoke>;
    type IntoFuture = Pending<LeaseRevoke>;

    fn into_future(self) -> Pending<LeaseRevoke> {
        revoke(&self.client.core, self.id, self.timeout)
    }
}

pub(super) fn revoke(
    core: &Arc<Core>,
    id: LeaseId,
    timeout: Option<Duration>,
) -> Pending<LeaseRevoke> {
    let request = Request {
        method: &METHOD,
        frame: Frame::of(&pb::LeaseRevokeRequest { id: id.0 }),
        class: Class::Idempotent,
        timeout,
        only: None,
    };
    let call = Call::new(core, request, LeaseRevoke::decode);
    Box::pin(async move {
        match call.await {
            Err(error)
                if error.kind() == ErrorKind::LeaseNotFound
                    && error.outcome() == Outcome::Unknown =>
            {
                Ok(LeaseRevoke::default())
            }
            result => result,
        }
    })
}

/// The answer to a [revocation](crate::Leases::revoke).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseRevoke {
    /// The answer's header; its revision is that of the deletion of the lease's keys. All zero if the
    /// answer was lost and a second attempt found the lease gone.
    pub header: Header,
}

impl LeaseRevoke {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(Self {
            header: pb::LeaseRevokeResponse::decode(reply)?.header.into(),
        })
    }
}
