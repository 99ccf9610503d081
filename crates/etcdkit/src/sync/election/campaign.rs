//! Standing for an election.

use std::{fmt, future::IntoFuture, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::Leadership;
use crate::{
    Compare, Op, Result,
    sync::{
        Held, Pending,
        queue::{Want, acquire},
        session::Via,
    },
};

/// A campaign that has not begun: made by [`Election::campaign`](super::Election::campaign), begun when awaited;
/// ready when it is won.
///
/// Candidates lead in the order in which they came. Before it is ready, one transaction has proven that the
/// candidate is there and that there is no older one. (etcd's Go client does not look at its own key
/// again, and may think that it leads when its lease has ended during the wait.)
///
/// Waiting outlasts lost connections, restarts, changes of the cluster's leader and compactions, for as long as
/// the lease lives.
///
/// # Errors
///
/// [`SessionLost`](crate::ErrorKind::SessionLost) as soon as the lease is lost;
/// [`NotHeld`](crate::ErrorKind::NotHeld) if somebody deletes the candidate's key;
/// [`Timeout`](crate::ErrorKind::Timeout) with [`wait_at_most`](Self::wait_at_most); and failures that
/// waiting does not cure, such as [`PermissionDenied`](crate::ErrorKind::PermissionDenied). Without a session of
/// its own also those of [`OpenSession`](crate::sync::OpenSession).
///
/// # Cancellation
///
/// Whatever the error, and when the future is dropped, the candidate is taken out of the queue, in the
/// background if need be.
///
/// # Panics
///
/// Polling panics outside of a tokio runtime.
#[must_use = "a campaign begins when awaited"]
pub struct Campaign {
    via: Via,
    want: Want,
    wait: Option<Duration>,
}

impl Campaign {
    pub(super) fn new(via: Via, want: Want) -> Self {
        let wait = None;
        Self { via, want, wait }
    }

    /// Waits for this long at the most; for ever otherwise. The time to open a session counts.
    pub fn wait_at_most(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    async fn run(self) -> Result<Leadership> {
        let Self { via, want, wait } = self;
        let value = want.value.clone();
        let began = Instant::now();
        let held = acquire(via, want, wait).await?;
        if held.is_shared() {
            // The session leads already, so the new value is proclaimed, as etcd's Go client does.
            let left = wait.map(|wait| wait.saturating_sub(began.elapsed()));
            propose(&held, value, left).await?;
        }
        Ok(Leadership::new(held))
    }
}

/// Gives the candidate a value, unless it has it.
async fn propose(held: &Held, value: Bytes, timeout: Option<Duration>) -> Result<()> {
    let key = held.key();
    let put = Op::put(key, &value).lease(held.session().id());
    let proposal = held.txn().when([Compare::value(key).ne(value)]).then([put]);
    let proposed = match timeout {
        Some(timeout) => proposal.timeout(timeout).await,
        None => proposal.await,
    };
    proposed
        .map(drop)
        .map_err(|error| error.with_operation("campaign"))
}

impl IntoFuture for Campaign {
    type Output = Result<Leadership>;
    type IntoFuture = Pending<Leadership>;

    fn into_future(self) -> Pending<Leadership> {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Campaign")
            .field("prefix", &self.want.prefix)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
