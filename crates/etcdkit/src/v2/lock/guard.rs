//! A lock that is held.

use std::{fmt, future::Future, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{
    keeper::{Grant, Order},
    lost::{LockLost, LockLostReason},
};
use crate::v2::{Error, ErrorKind, Result, Ttl};

/// A lock that is held; made by awaiting [`Client::lock`](crate::v2::Client::lock).
///
/// # Held
///
/// Its key is renewed each time a third of its time to live has passed, by a task on the runtime that
/// the lock was acquired on. Renewals survive members that fail and connections that break for as long
/// as the time to live allows.
///
/// # Lost
///
/// A lock can be lost all the same: see [`lost`](Self::lost). The guard counts from the time when the
/// last successful renewal was *sent*, by the monotonic clock, less an eighth of the time to live and at
/// most two seconds for clocks of servers that differ. So it takes the lock for lost before a server
/// gives it to somebody else, unless the clocks of the members differ by more than that, or this process
/// stood still and has not looked again. Where this matters, let what the lock protects check
/// [`index`](Self::index), which is higher for each later holder, and refuse lower ones.
///
/// # Dropped
///
/// A guard that is dropped releases the lock in the background. If that does not reach the server, say
/// because the program ends, the key expires. [`release`](Self::release) tells how it went.
#[must_use = "a lock is released when its guard is dropped"]
pub struct Lock {
    grant: Grant,
    name: String,
    value: String,
}

impl Lock {
    pub(super) fn new(grant: Grant, name: String, value: String) -> Self {
        Self { grant, name, value }
    }

    /// The lock's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was said with it; empty if nothing was.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The fencing index: that of the store when the lock was queued for, which grows from holder to
    /// holder. Also what [`Client::renew_lock`](crate::v2::Client::renew_lock) and
    /// [`Client::release_lock`](crate::v2::Client::release_lock) take.
    pub fn index(&self) -> u64 {
        self.grant.held.place().map_or(0, |place| place.index)
    }

    /// The key that exists while the lock is held; `None` with the server's
    /// [lock module](crate::v2::OpenLock::via_modules), which keeps its keys to itself.
    pub fn key(&self) -> Option<&str> {
        let place = self.grant.held.place()?;
        (!place.key.is_empty()).then_some(&place.key)
    }

    /// How long the lock is held at least if no further renewal gets through; zero once it is lost.
    pub fn remaining(&self) -> Duration {
        match self.grant.loss.borrow().is_some() {
            true => Duration::ZERO,
            false => self.grant.held.tenure().remaining(Instant::now()),
        }
    }

    /// Why the lock is lost; `None` as long as it is not. By the clock, so also where the runtime is
    /// too busy for [`lost`](Self::lost) to be told in time.
    pub fn loss(&self) -> Option<LockLost> {
        if let Some(lost) = &*self.grant.loss.borrow() {
            return Some(lost.clone());
        }
        let is_over = self.grant.held.tenure().is_over(Instant::now());
        is_over.then(|| LockLost::new(LockLostReason::Expired, None))
    }

    /// Whether the lock is lost.
    pub fn is_lost(&self) -> bool {
        self.loss().is_some()
    }

    /// Waits until the lock is lost, and tells why; at once if it is. Can be awaited in any number of
    /// places. Dropping the future has no effect, and the future does not keep the lock held.
    pub fn lost(&self) -> impl Future<Output = LockLost> + Send + 'static + use<> {
        let mut loss = self.grant.loss.clone();
        async move {
            match loss.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(lost)) => lost.clone(),
                // The task went without a word.
                _ => LockLost::new(LockLostReason::Closed, None),
            }
        }
    }

    /// Renews the lock now, besides the renewals that happen anyway, which also proves that it is held
    /// at a time after the call began.
    ///
    /// # Errors
    ///
    /// [`KeyNotFound`](ErrorKind::KeyNotFound) or [`CompareFailed`](ErrorKind::CompareFailed) if the
    /// lock is lost, which it then is for the guard, too. After other errors it is held as before.
    pub async fn renew(&self) -> Result<()> {
        self.order(|reply| Order::Renew(None, reply)).await
    }

    /// As [`renew`](Self::renew), with another time to live from now on. At least two seconds.
    ///
    /// # Errors
    ///
    /// As for [`renew`](Self::renew), and [`InvalidRequest`](ErrorKind::InvalidRequest).
    pub async fn renew_for(&self, ttl: impl Into<Ttl>) -> Result<()> {
        let ttl = super::time_to_live(ttl.into())?;
        self.order(|reply| Order::Renew(Some(ttl), reply)).await
    }

    /// Releases the lock, and waits for the server to confirm it. A lock that is lost already is no
    /// error.
    ///
    /// # Errors
    ///
    /// When the server could not be told. It is told again in the background; should this fail, too,
    /// the lock's key expires.
    pub async fn release(self) -> Result<()> {
        self.order(Order::Release).await
    }

    /// Renews the lock a last time, and leaves it held without a guard: until its time to live is over,
    /// unless somebody [renews](crate::v2::Client::renew_lock) or
    /// [releases](crate::v2::Client::release_lock) it by its index, which is given back.
    ///
    /// # Errors
    ///
    /// As for [`renew`](Self::renew); the lock is then released.
    pub async fn detach(self) -> Result<u64> {
        self.order(Order::Detach).await?;
        Ok(self.index())
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<Result<()>>) -> Order) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let is_sent = self.grant.orders.send(order(reply)).await.is_ok();
        if is_sent && let Ok(result) = answer.await {
            return result;
        }
        match self.loss() {
            // The key was removed then, or has expired.
            Some(lost) => Err(Error::new(ErrorKind::KeyNotFound, lost.to_string())),
            None => Err(Error::new(
                ErrorKind::Disconnected,
                "the runtime that the lock was acquired on has ended",
            )),
        }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("name", &self.name)
            .field("index", &self.index())
            .field("remaining", &self.remaining())
            .field("loss", &self.loss())
            .finish_non_exhaustive()
    }
}
