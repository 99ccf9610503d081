//! Grant: make a lease.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use bytes::Bytes;
use etcdkit_proto::{EtcdError, etcdserverpb as pb};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::Instant;

use super::{Pending, time_to_live::GetTimeToLive};
use crate::{
    Call, Client, Error, ErrorKind, Header, LeaseId, Outcome, Result,
    client::Core,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
};

static METHOD: Method = Method {
    name: "lease grant",
    path: PathAndQuery::from_static("/etcdserverpb.Lease/LeaseGrant"),
};

/// The longest time to live that etcd grants, in seconds.
const LONGEST_TTL: i64 = 9_000_000_000;

/// How far the age of a lease can be misjudged, since servers tell whole seconds.
const ROUNDING: Duration = Duration::from_secs(2);

/// A lease that has not been granted yet: made by [`Leases::grant`](crate::Leases::grant), sent when
/// awaited.
///
/// # Errors
///
/// Before sending: [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a time to live of zero,
/// [`LeaseTtlTooLarge`](crate::ErrorKind::LeaseTtlTooLarge) above 9,000,000,000 s. From the server:
/// [`LeaseExists`](crate::ErrorKind::LeaseExists) for a [chosen id](Self::id) that is taken,
/// [`NoSpace`](crate::ErrorKind::NoSpace).
///
/// A grant is sent again also when the answer to the first attempt was lost, which is safe because
/// the client, and not the server, chooses the id: the second attempt then meets the lease of the
/// first, and asks for its time to live. When the outcome stays
/// [unknown](crate::Outcome::Unknown), a lease that nobody knows of may be left, and runs out.
#[derive(Debug)]
#[must_use = "a lease is granted when awaited"]
pub struct GrantLease<'a> {
    client: &'a Client,
    ttl: Duration,
    id: LeaseId,
    timeout: Option<Duration>,
}

impl<'a> GrantLease<'a> {
    pub(super) fn new(client: &'a Client, ttl: Duration) -> Self {
        Self {
            client,
            ttl,
            id: LeaseId(0),
            timeout: None,
        }
    }

    /// Grants the lease under this id; 0, the default, takes a random positive one.
    ///
    /// When an answer was lost and the lease turns out to exist, it is taken for the one just
    /// granted if it is as young as that and lives as long; another client that grants the same id
    /// at the same time cannot be told apart.
    pub fn id(mut self, id: impl Into<LeaseId>) -> Self {
        self.id = id.into();
        self
    }

    /// Limits the time for the whole request; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for GrantLease<'_> {
    type Output = Result<LeaseGrant>;
    type IntoFuture = Pending<LeaseGrant>;

    fn into_future(self) -> Pending<LeaseGrant> {
        let granting = Granting::new(&self.client.core, self.ttl, self.id, self.timeout);
        Box::pin(async move { Ok(granting?.run().await?.grant) })
    }
}

/// The answer to a [grant](crate::Leases::grant).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseGrant {
    /// The answer's header.
    pub header: Header,
    /// The lease's id.
    pub id: LeaseId,
    /// The time to live that was granted, which may be more than was asked for.
    pub ttl: Duration,
}

impl LeaseGrant {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::LeaseGrantResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            id: LeaseId(response.id),
            ttl: seconds(response.ttl),
        })
    }
}

/// Whole seconds from the wire; what is negative is no time at all, and nothing lives longer than etcd
/// lets it.
pub(super) fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.clamp(0, LONGEST_TTL).unsigned_abs())
}

/// A grant with all that is needed to see it through.
pub(super) struct Granting {
    core: Arc<Core>,
    ttl: i64,
    /// 0 takes a random one.
    pub(super) chosen: LeaseId,
    timeout: Duration,
}

/// A lease that was granted.
pub(super) struct Granted {
    pub(super) grant: LeaseGrant,
    /// The lease cannot have run out before this.
    pub(super) until: Instant,
}

impl Granting {
    pub(super) fn new(
        core: &Arc<Core>,
        ttl: Duration,
        chosen: LeaseId,
        timeout: Option<Duration>,
    ) -> Result<Self> {
        let refuse = |error: Error| Err(error.with_operation(METHOD.name));
        if ttl.is_zero() {
            return refuse(Error::invalid_request(
                "a lease with a time to live of zero; give at least a second",
            ));
        }
        let rounded_up = u64::from(ttl.subsec_nanos() > 0);
        let ttl = ttl.as_secs().saturating_add(rounded_up);
        let ttl = match i64::try_from(ttl) {
            Ok(ttl) if ttl <= LONGEST_TTL => ttl,
            _ => return refuse(Error::etcd(EtcdError::LeaseTtlTooLarge)),
        };
        Ok(Self {
            core: Arc::clone(core),
            ttl,
            chosen,
            timeout: timeout.unwrap_or(core.config.request_timeout),
        })
    }

    pub(super) async fn run(&self) -> Result<Granted> {
        let started = Instant::now();
        loop {
            let id = match self.chosen {
                LeaseId(0) => LeaseId(fastrand::i64(1..)),
                chosen => chosen,
            };
            let sent = Instant::now();
            let error = match self
                .call(id, self.timeout.saturating_sub(started.elapsed()))
                .await
            {
                Ok(grant) => {
                    let until = sent + grant.ttl;
                    return Ok(Granted { grant, until });
                }
                Err(error) => error,
            };
            match (error.kind(), error.outcome()) {
                // An earlier attempt may have made the lease.
                (ErrorKind::LeaseExists, Outcome::Unknown) => {
                    let left = self.timeout.saturating_sub(started.elapsed());
                    match self.find(id, sent, left).await? {
                        Found::Ours(granted) => return Ok(granted),
                        Found::Foreign => return Err(error.with_outcome(Outcome::NotApplied)),
                        // It has run out in the meantime.
                        Found::Nothing => {}
                    }
                }
                // Somebody else has the id that was drawn.
                (ErrorKind::LeaseExists, Outcome::NotApplied) if self.chosen == LeaseId(0) => {}
                _ => return Err(error),
            }
        }
    }

    fn call(&self, id: LeaseId, timeout: Duration) -> Call<LeaseGrant> {
        let request = Request {
            method: &METHOD,
            frame: Frame::of(&pb::LeaseGrantRequest {
                ttl: self.ttl,
                id: id.0,
            }),
            class: Class::Idempotent,
            timeout: Some(timeout),
            only: None,
        };
        Call::new(&self.core, request, LeaseGrant::decode)
    }

    /// Whether the lease is the one that was asked for first at `sent`.
    async fn find(&self, id: LeaseId, sent: Instant, timeout: Duration) -> Result<Found> {
        let asked = Instant::now();
        let state = GetTimeToLive::call(&self.core, id, false, Some(timeout)).await?;
        let Some(left) = state.ttl else {
            return Ok(Found::Nothing);
        };
        let age = state.granted_ttl.saturating_sub(left);
        let is_ours = state.granted_ttl >= seconds(self.ttl) && age <= sent.elapsed() + ROUNDING;
        if !is_ours && self.chosen != LeaseId(0) {
            return Ok(Found::Foreign);
        }
        let grant = LeaseGrant {
            header: state.header,
            id,
            ttl: state.granted_ttl,
        };
        let until = asked + left;
        Ok(Found::Ours(Granted { grant, until }))
    }
}

enum Found {
    Ours(Granted),
    Foreign,
    Nothing,
}
