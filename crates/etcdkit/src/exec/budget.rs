//! How many retries a client may make in all.

use std::sync::atomic::{AtomicU32, Ordering};

/// Limits retries to a share of the calls that succeed, so that a cluster in trouble is not also
/// hit by everything twice.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicU32);

impl RetryBudget {
    /// Ten successes pay for one retry, and a hundred retries can be saved up.
    const RETRY: u32 = 10;
    const MOST: u32 = 100 * Self::RETRY;

    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(Self::MOST))
    }

    pub(crate) fn deposit(&self) {
        if self.0.load(Ordering::Relaxed) < Self::MOST {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn withdraw(&self) -> bool {
        let take = |saved: u32| saved.checked_sub(Self::RETRY);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_paid_for_by_successes() {
        let budget = RetryBudget::new();
        assert_eq!((0..1000).filter(|_| budget.withdraw()).count(), 100);
        (0..9).for_each(|_| budget.deposit());
        assert!(!budget.withdraw());
        budget.deposit();
        assert!(budget.withdraw());
    }
}
