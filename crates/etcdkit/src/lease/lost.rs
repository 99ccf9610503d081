//! Why a lease is no longer kept.

use std::{fmt, sync::Arc};

use crate::{Error, LeaseId};

/// A lease is lost: keys attached to it may be gone, and what it protected is no longer ours.
///
/// Given by [`Lease::lost`](crate::Lease::lost).
#[derive(Clone, Debug)]
pub struct LeaseLost {
    id: LeaseId,
    reason: LostReason,
    cause: Option<Arc<Error>>,
}

/// Why a lease was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LostReason {
    /// No renewal was answered in time, by the client's own clock. The server may have let the lease
    /// run out, now or later. [`LeaseLost::cause`] tells what kept the renewals from being answered.
    Expired,
    /// The server answered that there is no such lease: it was revoked by somebody else, or had run out
    /// when the renewal came.
    NotFound,
    /// The handle has revoked it: by [`Lease::revoke`](crate::Lease::revoke), or when it was dropped.
    Revoked,
    /// The handle no longer keeps it alive ([`Lease::detach`](crate::Lease::detach)), so it will run out
    /// unless somebody else renews it.
    Detached,
    /// The user must not write the keys that are attached to the lease, and so cannot renew it. Since
    /// etcd 3.4.42, 3.5.28 and 3.6.9, with authentication on.
    PermissionDenied,
    /// A renewal was answered by a cluster other than the one that granted the lease: the client's
    /// endpoints are of different clusters, or another one took their place.
    OtherCluster,
    /// The client was closed, or the runtime that it worked on has ended, and renewals with it.
    Closed,
}

impl LostReason {
    /// The reason as a metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotFound => "not_found",
            Self::Revoked => "revoked",
            Self::Detached => "detached",
            Self::PermissionDenied => "permission_denied",
            Self::OtherCluster => "other_cluster",
            Self::Closed => "closed",
        }
    }
}

impl LeaseLost {
    pub(super) fn new(id: LeaseId, reason: LostReason, cause: Option<Arc<Error>>) -> Self {
        Self { id, reason, cause }
    }

    /// The lease's id.
    pub fn id(&self) -> LeaseId {
        self.id
    }

    /// Why it was lost.
    pub fn reason(&self) -> LostReason {
        self.reason
    }

    /// The failure behind it, where there was one: why the latest renewal was not answered.
    pub fn cause(&self) -> Option<&Error> {
        self.cause.as_deref()
    }
}

impl fmt::Display for LeaseLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease {} is lost: ", self.id)?;
        f.write_str(match self.reason {
            LostReason::Expired => "no renewal was answered in time",
            LostReason::NotFound => "the server does not know it any more",
            LostReason::Revoked => "it was revoked by its handle",
            LostReason::Detached => "it is no longer kept alive",
            LostReason::PermissionDenied => "the user must not write its keys",
            LostReason::OtherCluster => "another cluster answered",
            LostReason::Closed => "the client has ended",
        })?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LeaseLost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let cause = self.cause.as_deref();
        cause.map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
