//! How long to wait for an event before asking anew: pure, with the time passed in.

use std::time::Duration;

use tokio::time::Instant;

/// A server remembers the last thousand changes of the whole store. Whoever asks anew before half of
/// them are other people's can be cut off at any time and still go on where it was.
const CHANGES: f64 = 400.0;

const SHORTEST: Duration = Duration::from_secs(1);
/// However often the caller wants it, or servers would do nothing else.
const LEAST: Duration = Duration::from_millis(50);
const FIRST: Duration = Duration::from_secs(10);

/// Measures how fast the store changes, by the index that each answer begins with.
#[derive(Debug)]
pub(super) struct Pace {
    longest: Duration,
    last: Option<(u64, Instant)>,
    wait: Duration,
}

impl Pace {
    pub(super) fn new(longest: Duration) -> Self {
        let longest = longest.max(LEAST);
        Self {
            longest,
            last: None,
            wait: FIRST.min(longest),
        }
    }

    /// The store had this index. While little is known the waits become longer by and by.
    pub(super) fn saw(&mut self, index: u64, now: Instant) {
        let Some((last, at)) = self.last.replace((index, now)) else {
            return;
        };
        let passed = now.saturating_duration_since(at);
        let changes = index.saturating_sub(last);
        #[allow(clippy::cast_precision_loss)] // an estimate
        let fair = match changes {
            0 => self.longest,
            _ => Duration::try_from_secs_f64(passed.as_secs_f64() * CHANGES / changes as f64)
                .unwrap_or(self.longest),
        };
        let calmer = self.wait.saturating_mul(2).max(FIRST);
        self.wait = fair.min(calmer).max(SHORTEST).min(self.longest);
    }

    /// How long to wait for an event.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(180);

    #[test]
    fn waits_grow_while_nothing_happens() {
        let (mut pace, mut now) = (Pace::new(LONGEST), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..7 {
            pace.saw(7, now);
            waits.push(pace.wait().as_secs());
            now += pace.wait();
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 180, 180]);
    }

    #[test]
    fn a_busy_store_is_asked_before_it_forgets() {
        let (mut pace, now) = (Pace::new(LONGEST), Instant::now());
        pace.saw(0, now);
        pace.saw(1_000, now + Duration::from_secs(10));
        assert_eq!(pace.wait(), Duration::from_secs(4));
        pace.saw(1_000_000, now + Duration::from_secs(14));
        assert_eq!(pace.wait(), SHORTEST);
    }

    #[test]
    fn nobody_asks_without_end() {
        assert_eq!(Pace::new(Duration::ZERO).wait(), LEAST);
    }

    #[test]
    fn the_longest_wait_is_the_callers() {
        let longest = Duration::from_millis(300);
        let (mut pace, now) = (Pace::new(longest), Instant::now());
        assert_eq!(pace.wait(), longest);
        pace.saw(1, now);
        pace.saw(2, now + longest);
        assert_eq!(pace.wait(), longest);
    }
}
