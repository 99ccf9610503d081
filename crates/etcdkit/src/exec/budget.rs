//! How many retries a client may make in all.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

/// Limits the rate of retries to a share of the calls that succeed, and to a trickle when none does,
/// so that a cluster in trouble is not also hit by everything many times over. A retry that cannot be
/// paid for waits; it is not given up.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    saved: AtomicU32,
    /// Up to when the trickle has been paid out.
    paid_until: Mutex<Instant>,
}

/// Ten successes pay for one retry, and a hundred retries can be saved up.
const RETRY: u32 = 10;
const MOST: u32 = 100 * RETRY;
/// Ten retries a second come for nothing.
const TRICKLE_PER_SECOND: u32 = 10 * RETRY;

impl RetryBudget {
    pub(crate) fn new() -> Self {
        Self {
            saved: AtomicU32::new(MOST),
            paid_until: Mutex::new(Instant::now()),
        }
    }

    pub(crate) fn deposit(&self) {
        if self.saved.load(Ordering::Relaxed) < MOST {
            self.saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives back what a retry cost, because it succeeded. When a cluster recovers, the first calls
    /// that get through thus let all those through that still wait.
    pub(crate) fn refund(&self) {
        if self.saved.load(Ordering::Relaxed) < MOST {
            self.saved.fetch_add(RETRY, Ordering::Relaxed);
        }
    }

    /// Whether a retry may be made at this time; if so it is paid for.
    pub(crate) fn withdraw(&self, now: Instant) -> bool {
        self.trickle(now);
        let take = |saved: u32| saved.checked_sub(RETRY);
        self.saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    fn trickle(&self, now: Instant) {
        let mut paid_until = self
            .paid_until
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let earned = now.saturating_duration_since(*paid_until).as_secs_f64()
            * f64::from(TRICKLE_PER_SECOND);
        if earned >= f64::from(RETRY) {
            *paid_until = now;
            let add = |saved: u32| Some(saved.saturating_add(earned as u32).min(MOST));
            let _ = self
                .saved
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn retries_are_paid_for_by_successes() {
        let (budget, now) = (RetryBudget::new(), Instant::now());
        assert_eq!((0..1000).filter(|_| budget.withdraw(now)).count(), 100);
        (0..9).for_each(|_| budget.deposit());
        assert!(!budget.withdraw(now));
        budget.deposit();
        assert!(budget.withdraw(now));
    }

    #[test]
    fn a_retry_that_succeeds_costs_nothing() {
        let (budget, now) = (RetryBudget::new(), Instant::now());
        while budget.withdraw(now) {}
        budget.refund();
        assert!(budget.withdraw(now));
        assert!(!budget.withdraw(now));
    }

    #[test]
    fn some_retries_come_with_time() {
        let (budget, now) = (RetryBudget::new(), Instant::now());
        while budget.withdraw(now) {}
        let later = now + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| budget.withdraw(later)).count(), 10);
        let much_later = now + Duration::from_secs(3600);
        assert_eq!(
            (0..1000).filter(|_| budget.withdraw(much_later)).count(),
            100
        );
    }
}
