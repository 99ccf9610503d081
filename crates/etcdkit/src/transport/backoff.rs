//! How long to wait before trying again.

use std::time::Duration;

/// Waiting times that double from `first` to `most`, each cut by a random part of up to a half, so
/// that clients that failed together do not come back together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            next: first,
        }
    }

    /// The next waiting time; `random` is in 0.0..1.0.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.most);
        full.mul_f64(1.0 - random / 2.0)
    }

    /// Starts over after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_start_over() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(50), millis(300));
        let full: Vec<_> = (0..5).map(|_| backoff.next(0.0)).collect();
        assert_eq!(
            full,
            [
                millis(50),
                millis(100),
                millis(200),
                millis(300),
                millis(300)
            ]
        );
        backoff.reset();
        assert_eq!(backoff.next(0.5), millis(50).mul_f64(0.75));
    }
}
