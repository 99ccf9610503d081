//! The task of a lock: takes a place, renews it, waits, holds, and leaves in the end.
//!
//! It is a task, and not part of the future that the program polls, for two reasons. Places must be
//! renewed whether the program polls or not; and a request to take a place must be seen to its end
//! even if the program no longer wants it, since what it leaves behind stands in everybody's way.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{
    backing::{Backing, Place, Waited},
    held::Held,
    lost::{LockLost, LockLostReason},
    tenure::Tenure,
};
use crate::{
    Outcome,
    exec::deadline_after,
    transport::backoff::Backoff,
    v2::{Error, ErrorKind, Result},
};

/// The pause before leaving is tried again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// How long the answer that somebody else has the lock may wait for one's own place to be gone.
const TIDY: Duration = Duration::from_secs(1);

/// What the guard asks the task for.
#[derive(Debug)]
pub(super) enum Order {
    /// To renew now, and from now on for this long each time.
    Renew(Option<Duration>, oneshot::Sender<Result<()>>),
    Release(oneshot::Sender<Result<()>>),
    /// To renew a last time, and leave it to whoever knows of it.
    Detach(oneshot::Sender<Result<()>>),
}

/// What is held, and the ways from the task and to it.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) held: Arc<Held>,
    /// Closed without a loss if the task ended with its runtime.
    pub(super) loss: watch::Receiver<Option<LockLost>>,
    /// The task releases when this is dropped.
    pub(super) orders: mpsc::Sender<Order>,
}

/// Acquires what the backing is for. `None` if somebody else has it, and waiting was not asked for or
/// the time to wait is over.
///
/// Dropping the future gives up the place in the background.
pub(super) async fn acquire<B: Backing>(
    backing: B,
    ttl: Duration,
    wait: Option<Duration>,
) -> Result<Option<Grant>> {
    let (asker, answer) = oneshot::channel();
    let until = wait.map(|wait| deadline_after(Instant::now(), wait));
    tokio::spawn(run(backing, ttl, until, asker));
    let answer = match until {
        None => answer.await,
        // What is under way then, and cannot be stopped, is left to the task.
        Some(until) => match timeout_at(until + TIDY, answer).await {
            Ok(answer) => answer,
            Err(_) => return Ok(None),
        },
    };
    answer.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Disconnected,
            "the runtime that acquired the lock has ended",
        ))
    })
}

async fn run<B: Backing>(
    backing: B,
    ttl: Duration,
    until: Option<Instant>,
    mut asker: oneshot::Sender<Result<Option<Grant>>>,
) {
    loop {
        let place = match backing.take(ttl).await {
            Ok(Some(place)) => place,
            nothing => {
                // A failed request may have left something.
                let left = timeout(TIDY, backing.leave(None)).await;
                let _ = asker.send(nothing.map(|_| None));
                if !matches!(left, Ok(Ok(()))) {
                    leave(&backing, None, Instant::now() + ttl).await;
                }
                return;
            }
        };
        let mut keeper = Keeper {
            backing: &backing,
            held: Arc::new(Held::new(Tenure::new(ttl, place.sent))),
            loss: watch::Sender::new(None),
            place,
        };
        let end = tokio::select! {
            biased;
            () = asker.closed() => Some(Ok(None)),
            () = passed(until) => Some(Ok(None)),
            end = keeper.stand() => end,
        };
        match end {
            // The place was lost: begin anew, at the end of the queue.
            None => keeper.leave().await,
            Some(Ok(Some(place))) => {
                keeper.place = place;
                keeper.hold(asker).await;
                return;
            }
            Some(nothing) => {
                let mut leaving = pin!(keeper.leave());
                let left = timeout(TIDY, &mut leaving).await;
                let _ = asker.send(nothing.map(|_| None));
                if left.is_err() {
                    leaving.await;
                }
                return;
            }
        }
        if asker.is_closed() {
            return;
        }
    }
}

async fn passed(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Gives a place up, again and again until that succeeds, it must have expired, or is no use.
async fn leave<B: Backing>(backing: &B, place: Option<&Place>, until: Instant) {
    let mut pauses = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
    while let Err(error) = backing.leave(place).await {
        if !error.is_temporary() || Instant::now() >= until {
            tracing::warn!(%error, "a place in a lock's queue is left to expire");
            return;
        }
        sleep(pauses.next(fastrand::f64())).await;
    }
}

/// A place, and the time that it is ours.
struct Keeper<'a, B> {
    backing: &'a B,
    place: Place,
    held: Arc<Held>,
    loss: watch::Sender<Option<LockLost>>,
}

impl<B: Backing> Keeper<'_, B> {
    /// Waits to be first, and renews meanwhile. `None` if the place is lost, and `Some(Ok(None))` if
    /// somebody else is first and waiting was not asked for.
    async fn stand(&self) -> Option<Result<Option<Place>>> {
        let ttl = self.held.tenure().ttl();
        let waited = tokio::select! {
            biased;
            lost = self.keep_alive(), if B::WAITERS_RENEW => {
                tracing::debug!(%lost, key = %self.place.key, "a place in a queue is lost");
                return None;
            }
            waited = self.backing.wait(&self.place, ttl) => waited,
        };
        match waited {
            Ok(Waited::First(place)) => Some(Ok(Some(place))),
            Ok(Waited::Gone) => None,
            Ok(Waited::Refused) => Some(Ok(None)),
            Err(error) => Some(Err(error)),
        }
    }

    /// Renews in time until the place is lost.
    async fn keep_alive(&self) -> LockLost {
        let mut cause = None;
        loop {
            let tenure = self.held.tenure();
            sleep_until(tenure.renewal()).await;
            let tenure = self.held.tenure();
            let now = Instant::now();
            if tenure.is_over(now) {
                return LockLost::new(LockLostReason::Expired, cause);
            }
            if now < tenure.renewal() {
                continue;
            }
            match self.renew(tenure.ttl()).await {
                Ok(()) => cause = None,
                Err(error) => match loss(&error) {
                    Some(reason) => return LockLost::new(reason, Some(error)),
                    None => cause = Some(error),
                },
            }
        }
    }

    async fn renew(&self, ttl: Duration) -> Result<()> {
        let sent = Instant::now();
        let attempt = self.held.tenure().attempt(sent);
        let result = self.backing.renew(&self.place, ttl, attempt).await;
        self.held.change(|tenure| match &result {
            Ok(()) => tenure.renewed(ttl, sent),
            Err(error) => {
                if error.outcome() == Outcome::Unknown {
                    tenure.doubted(ttl, sent);
                }
                tenure.failed(Instant::now());
            }
        });
        result
    }

    /// Holds what was queued for, until it is lost or given up.
    async fn hold(self, asker: oneshot::Sender<Result<Option<Grant>>>) {
        self.held.grant(&self.place);
        let (sender, mut orders) = mpsc::channel(1);
        // If nobody waits any more the grant is dropped here, which is the order to release.
        drop(asker.send(Ok(Some(Grant {
            held: Arc::clone(&self.held),
            loss: self.loss.subscribe(),
            orders: sender,
        }))));
        loop {
            let order = tokio::select! {
                biased;
                lost = self.keep_alive() => {
                    self.lose(lost);
                    // Others need not wait until the server lets it expire.
                    return self.leave().await;
                }
                order = orders.recv() => order,
            };
            match order {
                Some(Order::Renew(ttl, reply)) => {
                    let result = self.renew_now(ttl).await;
                    let is_lost = self.loss.borrow().is_some();
                    let _ = reply.send(result);
                    if is_lost {
                        return self.leave().await;
                    }
                }
                Some(Order::Release(reply)) => {
                    self.lose(LockLost::new(LockLostReason::Released, None));
                    let result = self.backing.leave(Some(&self.place)).await;
                    let failed = result.is_err();
                    let _ = reply.send(result);
                    if failed {
                        self.leave().await;
                    }
                    return;
                }
                Some(Order::Detach(reply)) => {
                    let result = self.renew_now(None).await;
                    let is_detached = result.is_ok();
                    self.lose(LockLost::new(LockLostReason::Detached, None));
                    let _ = reply.send(result);
                    if !is_detached {
                        self.leave().await;
                    }
                    return;
                }
                None => {
                    self.lose(LockLost::new(LockLostReason::Released, None));
                    return self.leave().await;
                }
            }
        }
    }

    async fn renew_now(&self, ttl: Option<Duration>) -> Result<()> {
        let ttl = ttl.unwrap_or_else(|| self.held.tenure().ttl());
        let result = self.renew(ttl).await;
        if let Err(error) = &result
            && let Some(reason) = loss(error)
        {
            self.lose(LockLost::new(reason, None));
        }
        result
    }

    /// Tells of the loss; the first one stays.
    fn lose(&self, lost: LockLost) {
        self.loss.send_if_modified(|loss| {
            let is_first = loss.is_none();
            loss.get_or_insert(lost);
            is_first
        });
    }

    fn leave(&self) -> impl Future<Output = ()> {
        leave(self.backing, Some(&self.place), self.held.tenure().gone())
    }
}

/// Why a place is lost after a renewal has failed like this; `None` if another one may succeed.
fn loss(error: &Error) -> Option<LockLostReason> {
    Some(match error.kind() {
        ErrorKind::KeyNotFound => LockLostReason::Gone,
        ErrorKind::CompareFailed => LockLostReason::Overwritten,
        ErrorKind::Unauthorized => LockLostReason::Unauthorized,
        _ => return None,
    })
}
