//! One renewal, on the stream that all leases share.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use etcdkit_proto::{EtcdError, etcdserverpb as pb};
use tokio::time::{Instant, timeout};

use super::{
    Pending,
    grant::seconds,
    hub::Refused,
    lost::{LeaseLost, LostReason},
    task::METHOD,
};
use crate::{Client, Error, ErrorKind, Header, LeaseId, Outcome, Result, client::Core};

/// A single renewal that was not asked for yet: made by
/// [`Leases::keep_alive_once`](crate::Leases::keep_alive_once), sent when awaited.
///
/// # Errors
///
/// [`LeaseNotFound`](crate::ErrorKind::LeaseNotFound) if the lease has run out, was revoked or
/// never granted; [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if it has keys that the user
/// must not write (since etcd 3.4.42, 3.5.28 and 3.6.9).
///
/// A renewal is sent again, on another endpoint where there is one, until its time is over.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct KeepAliveOnce<'a> {
    client: &'a Client,
    id: LeaseId,
    timeout: Option<Duration>,
}

impl<'a> KeepAliveOnce<'a> {
    pub(super) fn new(client: &'a Client, id: LeaseId) -> Self {
        Self {
            client,
            id,
            timeout: None,
        }
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for KeepAliveOnce<'_> {
    type Output = Result<LeaseKeepAlive>;
    type IntoFuture = Pending<LeaseKeepAlive>;

    fn into_future(self) -> Pending<LeaseKeepAlive> {
        let core = Arc::clone(&self.client.core);
        let (id, timeout) = (self.id, self.timeout);
        Box::pin(async move { Ok(renew(&core, id, timeout).await?.answer) })
    }
}

/// The answer to a renewal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseKeepAlive {
    /// The answer's header.
    pub header: Header,
    /// The lease's id.
    pub id: LeaseId,
    /// The time to live that the lease has again.
    pub ttl: Duration,
}

impl From<pb::LeaseKeepAliveResponse> for LeaseKeepAlive {
    fn from(response: pb::LeaseKeepAliveResponse) -> Self {
        Self {
            header: response.header.into(),
            id: LeaseId(response.id),
            ttl: seconds(response.ttl),
        }
    }
}

/// A lease that was renewed.
#[derive(Clone, Debug)]
pub(super) struct Renewed {
    pub(super) answer: LeaseKeepAlive,
    /// The lease cannot run out before this.
    pub(super) until: Instant,
}

pub(super) async fn renew(
    core: &Arc<Core>,
    id: LeaseId,
    within: Option<Duration>,
) -> Result<Renewed> {
    let started = Instant::now();
    let within = within.unwrap_or(core.config.request_timeout);
    let asked = Asked { core, id };
    let answer = core.leases.ask(core, id);
    let answer = timeout(within, answer).await;
    drop(asked);
    let error = match answer {
        Ok(Ok(Ok(renewed))) => return Ok(renewed),
        Ok(Ok(Err(Refused::Lost(LostReason::NotFound)))) => Error::etcd(EtcdError::LeaseNotFound),
        Ok(Ok(Err(Refused::Lost(LostReason::PermissionDenied)))) => {
            Error::etcd(EtcdError::PermissionDenied)
        }
        Ok(Ok(Err(Refused::Lost(LostReason::Closed)))) => Error::closed(),
        Ok(Ok(Err(Refused::Lost(reason)))) => {
            let lost = LeaseLost::new(id, reason, None);
            Error::new(ErrorKind::LeaseNotFound, lost.to_string())
        }
        Ok(Ok(Err(Refused::Failed(cause)))) => because_of(cause),
        Ok(Err(_)) => Error::closed(),
        Err(_) => match core.leases.trouble() {
            Some(cause) => because_of(cause),
            None if core.streams.is_connected() => {
                let what = format!("no answer within {within:.1?}");
                Error::new(ErrorKind::Timeout, what).with_outcome(Outcome::Unknown)
            }
            None => core.streams.unreachable(None),
        },
    };
    Err(error
        .with_operation(METHOD.name)
        .with_story(1, started.elapsed()))
}

/// The failure of the stream, which was not for this renewal alone.
fn because_of(cause: Arc<Error>) -> Error {
    Error::new(cause.kind(), cause.message())
        .with_outcome(Outcome::Unknown)
        .with_source(cause)
}

/// Withdraws the question when its asker stops waiting.
struct Asked<'a> {
    core: &'a Arc<Core>,
    id: LeaseId,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.core.leases.unask(self.id);
    }
}
