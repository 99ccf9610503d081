//! The time that leases live in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The time since the server started, with what tests added to it. Never runs backwards.
pub(crate) struct Clock {
    started: Instant,
    added_millis: AtomicU64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            added_millis: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed().saturating_add(self.added())
    }

    /// The time of day that others know too, since 1970, with what tests added to it.
    pub(crate) fn unix_time(&self) -> Duration {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default().saturating_add(self.added())
    }

    fn added(&self) -> Duration {
        Duration::from_millis(self.added_millis.load(Ordering::Relaxed))
    }

    /// Moves the time on, in whole milliseconds.
    pub(crate) fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        // The closure never refuses.
        let _ = self
            .added_millis
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |added| {
                Some(added.saturating_add(millis))
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_passes_and_is_moved_on() {
        let clock = Clock::start();
        tokio::time::advance(Duration::from_secs(2)).await;
        clock.advance(Duration::from_secs(30));
        assert_eq!(clock.now(), Duration::from_secs(32));
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert!(clock.now() >= Duration::from_millis(u64::MAX));
    }
}
