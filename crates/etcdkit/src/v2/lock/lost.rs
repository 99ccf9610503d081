//! Why a lock is no longer held.

use std::{fmt, sync::Arc};

use crate::v2::Error;

/// A lock is lost, or a leadership: somebody else may have it now.
///
/// Given by [`Lock::lost`](crate::v2::Lock::lost) and
/// [`Leadership::lost`](crate::v2::Leadership::lost).
#[derive(Clone, Debug)]
pub struct LockLost {
    reason: LockLostReason,
    cause: Option<Arc<Error>>,
}

/// Why a lock was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockLostReason {
    /// No renewal was answered in time, by the client's own clock. The server lets the key expire about
    /// now. [`LockLost::cause`] tells what kept the renewals from being answered.
    Expired,
    /// The key is gone: it expired all the same, or somebody deleted it.
    Gone,
    /// Somebody has overwritten the key.
    Overwritten,
    /// The user may no longer write the key.
    Unauthorized,
    /// The guard has released it.
    Released,
    /// The guard no longer renews it ([`Lock::detach`](crate::v2::Lock::detach)).
    Detached,
    /// The runtime that renewed it has ended.
    Closed,
}

impl LockLost {
    pub(crate) fn new(reason: LockLostReason, cause: Option<Error>) -> Self {
        Self {
            reason,
            cause: cause.map(Arc::new),
        }
    }

    /// Why it was lost.
    pub fn reason(&self) -> LockLostReason {
        self.reason
    }

    /// The failure behind it, where there was one: how the latest renewal failed.
    pub fn cause(&self) -> Option<&Error> {
        self.cause.as_deref()
    }
}

impl fmt::Display for LockLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is lost: ")?;
        f.write_str(match self.reason {
            LockLostReason::Expired => "no renewal was answered in time",
            LockLostReason::Gone => "its key is gone",
            LockLostReason::Overwritten => "its key was overwritten",
            LockLostReason::Unauthorized => "the user may no longer write its key",
            LockLostReason::Released => "it was released",
            LockLostReason::Detached => "it is no longer renewed",
            LockLostReason::Closed => "the runtime has ended",
        })?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LockLost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let cause = self.cause.as_deref();
        cause.map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
