//! Whether the member has a leader. The one member of an embedded server leads itself, unless a test
//! takes the leader away.
//!
//! What waits how long, and what it is told, is that of a member of three whose others are gone.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use etcdkit_proto::{Code, EtcdError};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::grpc::Status;

/// How long etcd lets a request wait for the others: five seconds and two election timeouts of one second.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(7);

/// The leader that the member knows, or not.
#[derive(Debug)]
pub(crate) struct Leadership {
    lost: AtomicBool,
    /// How often a leader was elected after the first time.
    elections: AtomicU64,
    request_timeout_millis: AtomicU64,
    /// How many requests wait for a leader, and how many have done so in vain.
    waiting: AtomicU64,
    given_up: AtomicU64,
    /// Told when a leader was elected.
    elected: Notify,
    stopping: watch::Receiver<bool>,
}

impl Leadership {
    pub(crate) fn new(stopping: watch::Receiver<bool>) -> Self {
        let leadership = Self {
            lost: AtomicBool::new(false),
            elections: AtomicU64::new(0),
            request_timeout_millis: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            elected: Notify::new(),
            stopping,
        };
        leadership.set_request_timeout(REQUEST_TIMEOUT);
        leadership
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// How often a leader was elected after the first time.
    pub(crate) fn elections(&self) -> u64 {
        self.elections.load(Ordering::Relaxed)
    }

    /// How many requests wait for a leader now.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many requests have waited for a leader in vain.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    pub(crate) fn set_request_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.request_timeout_millis.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// Ends a time without a leader, or begins a new term after one.
    pub(crate) fn elect(&self) {
        self.elections.fetch_add(1, Ordering::Relaxed);
        self.lost.store(false, Ordering::Release);
        self.elected.notify_waiters();
    }

    /// Returns when there is a leader that takes a write. Nothing was written when this fails.
    pub(crate) async fn needed_to_write(&self) -> Result<(), Status> {
        if !self.is_lost() {
            return Ok(());
        }
        // etcd passes on what Go says of a proposal that nobody takes.
        self.wait(|| Status::new(Code::DeadlineExceeded, "context deadline exceeded"))
            .await
    }

    /// Returns when a read can be sure to see all writes. One that has waited for a leader is told to come
    /// again, as in etcd: its question went to the one before.
    pub(crate) async fn needed_to_read(&self) -> Result<(), Status> {
        if !self.is_lost() {
            return Ok(());
        }
        self.wait(|| EtcdError::ServerTimeout.into()).await?;
        Err(EtcdError::LeaderChanged.into())
    }

    /// Returns when there is a leader that keeps the time of leases.
    pub(crate) async fn needed_for_leases(&self) -> Result<(), Status> {
        if !self.is_lost() {
            return Ok(());
        }
        self.wait(|| EtcdError::NoLeader.into()).await
    }

    async fn wait(&self, too_late: impl FnOnce() -> Status) -> Result<(), Status> {
        let _waiting = Waiting::begin(&self.waiting);
        let mut stopping = self.stopping.clone();
        let limit = Duration::from_millis(self.request_timeout_millis.load(Ordering::Relaxed));
        tokio::select! {
            elected = timeout(limit, self.elected()) => elected.map_err(|_| {
                self.given_up.fetch_add(1, Ordering::Relaxed);
                too_late()
            }),
            _ = stopping.wait_for(|stopping| *stopping) => Err(EtcdError::Stopped.into()),
        }
    }

    async fn elected(&self) {
        let mut elected = pin!(self.elected.notified());
        loop {
            // An election after this is not missed.
            elected.as_mut().enable();
            if !self.lost.load(Ordering::Acquire) {
                return;
            }
            elected.as_mut().await;
            elected.set(self.elected.notified());
        }
    }
}

/// Counts a request while it waits, also one whose caller does not wait any longer.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicU64) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn leadership() -> (watch::Sender<bool>, Arc<Leadership>) {
        let (stop, stopping) = watch::channel(false);
        (stop, Arc::new(Leadership::new(stopping)))
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_as_long_as_in_etcd() {
        let (_stop, leadership) = leadership();
        leadership.lose();
        let began = tokio::time::Instant::now();
        let written = leadership.needed_to_write().await;
        assert_eq!(written.unwrap_err().code(), Code::DeadlineExceeded);
        assert_eq!(began.elapsed(), Duration::from_secs(7));
        leadership.set_request_timeout(Duration::from_millis(10));
        let read = leadership.needed_to_read().await;
        assert_eq!(read, Err(EtcdError::ServerTimeout.into()));
        let renewed = leadership.needed_for_leases().await;
        assert_eq!(renewed, Err(EtcdError::NoLeader.into()));
        assert_eq!(began.elapsed(), Duration::from_millis(7_020));
    }

    #[tokio::test(start_paused = true)]
    async fn an_election_lets_writes_go_on_and_sends_reads_away() {
        let (_stop, leadership) = leadership();
        leadership.lose();
        let write = tokio::spawn({
            let leadership = Arc::clone(&leadership);
            async move { leadership.needed_to_write().await }
        });
        let read = tokio::spawn({
            let leadership = Arc::clone(&leadership);
            async move { leadership.needed_to_read().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        leadership.elect();
        assert_eq!(write.await.unwrap(), Ok(()));
        assert_eq!(read.await.unwrap(), Err(EtcdError::LeaderChanged.into()));
        assert_eq!(leadership.needed_to_read().await, Ok(()));
        assert_eq!(leadership.elections(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_keeps_nobody_waiting() {
        let (stop, leadership) = leadership();
        leadership.lose();
        stop.send_replace(true);
        let written = leadership.needed_to_write().await;
        assert_eq!(written, Err(EtcdError::Stopped.into()));
    }
}
