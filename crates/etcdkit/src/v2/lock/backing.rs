//! What keeping a lock needs of the place where it is kept.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use crate::v2::Result;

/// A place in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The key, where the queue is of keys.
    pub(crate) key: String,
    /// The index of the store when it was taken.
    pub(crate) index: u64,
    /// When the request was sent that took or renewed it: it is ours for its time to live from then on.
    pub(crate) sent: Instant,
}

/// How waiting has ended.
#[derive(Debug)]
pub(crate) enum Waited {
    /// The place is the first: what is queued for is ours.
    First(Place),
    /// The place is gone.
    Gone,
    /// Somebody else has it, and waiting was not asked for.
    Refused,
}

/// Where a lock is kept.
pub(crate) trait Backing: Send + Sync + 'static {
    /// Whether those who wait have to renew their places.
    const WAITERS_RENEW: bool;

    /// Takes the last place in the queue. `None` if somebody else has what is queued for and waiting
    /// was not asked for. Not to be cancelled: the place would remain.
    fn take(&self, ttl: Duration) -> impl Future<Output = Result<Option<Place>>> + Send;

    /// Waits until the place is the first. May be cancelled.
    fn wait(&self, place: &Place, ttl: Duration) -> impl Future<Output = Result<Waited>> + Send;

    /// Lets the place be ours for this time from now on.
    fn renew(
        &self,
        place: &Place,
        ttl: Duration,
        timeout: Duration,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Gives the place up, and what a lost answer may have left besides. A place that is gone is no
    /// error. May be repeated.
    fn leave(&self, place: Option<&Place>) -> impl Future<Output = Result<()>> + Send;
}
