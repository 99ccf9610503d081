//! What a handle and the keeper's task share of one lease.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::lost::{LeaseLost, LostReason};
use crate::{LeaseId, observe};

#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: LeaseId,
    state: Mutex<State>,
    lost: Notify,
    _counted: observe::Keeping,
}

#[derive(Debug)]
struct State {
    ttl: Duration,
    /// The lease lives at least until then, unless it is revoked.
    until: Instant,
    loss: Option<LeaseLost>,
}

impl Held {
    pub(super) fn new(id: LeaseId, ttl: Duration, until: Instant) -> Self {
        let loss = None;
        Self {
            id,
            state: Mutex::new(State { ttl, until, loss }),
            lost: Notify::new(),
            _counted: observe::Keeping::begin(),
        }
    }

    pub(super) fn ttl(&self) -> Duration {
        self.lock().ttl
    }

    pub(super) fn remaining(&self, now: Instant) -> Duration {
        let state = self.lock();
        match state.loss.as_ref().map(LeaseLost::reason) {
            None | Some(LostReason::Detached | LostReason::Closed) => {
                state.until.saturating_duration_since(now)
            }
            Some(_) => Duration::ZERO,
        }
    }

    /// The lease was renewed. Whether it was still in time.
    pub(super) fn renewed(&self, ttl: Duration, until: Instant) -> bool {
        let mut state = self.lock();
        if state.loss.is_some() {
            return false;
        }
        observe::lease_slack(state.until.saturating_duration_since(Instant::now()));
        (state.ttl, state.until) = (ttl, until);
        true
    }

    /// The first loss stays. Whether this is it.
    pub(super) fn lose(&self, loss: LeaseLost) -> bool {
        let mut state = self.lock();
        if state.loss.is_some() {
            return false;
        }
        let reason = loss.reason();
        state.loss = Some(loss);
        drop(state);
        // The other ends are those that the program has asked for.
        if !matches!(reason, LostReason::Revoked | LostReason::Detached) {
            observe::lease_lost(self.id.0, reason.label());
        }
        self.lost.notify_waiters();
        true
    }

    /// Why the lease is lost, if it is. Looks at the clock, so that it tells the truth even when the
    /// keeper's task has not had its turn; what it has once told stays.
    pub(super) fn loss(&self, now: Instant) -> Option<LeaseLost> {
        let state = self.lock();
        if state.loss.is_some() || now < state.until {
            return state.loss.clone();
        }
        drop(state);
        self.lose(LeaseLost::new(self.id, LostReason::Expired, None));
        self.lock().loss.clone()
    }

    /// Waits for the loss.
    pub(super) async fn lost(self: Arc<Self>) -> LeaseLost {
        loop {
            let mut lost = pin!(self.lost.notified());
            // Listens before it looks, or a loss in between would be missed.
            lost.as_mut().enable();
            if let Some(loss) = self.loss(Instant::now()) {
                return loss;
            }
            lost.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}
