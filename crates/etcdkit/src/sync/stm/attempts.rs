//! How often to try, and how long to wait in between: pure.

use std::time::Duration;

/// So many conflicts in a row are answered by trying again at once, with what the losing commit has
/// read: among few writers, that is the fastest for all of them.
const AT_ONCE: u32 = 4;

/// How often the waiting time doubles from there on.
const DOUBLINGS: u32 = 5;

/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(1);

/// The attempts of one transaction.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    made: u32,
    most: u32,
}

impl Attempts {
    pub(super) fn new(most: u32) -> Self {
        Self {
            made: 0,
            most: most.max(1),
        }
    }

    /// Begins one; its number, from 1 on.
    pub(super) fn begin(&mut self) -> u32 {
        self.made = self.made.saturating_add(1);
        self.made
    }

    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// How long to wait for the next attempt after one that has met others and took this long; `None`
    /// if there is to be none. `random` is in 0.0..1.0.
    ///
    /// The waiting time grows with the attempt's own duration, since that is how long others have to
    /// come in between: what is right beside the server is too short across an ocean.
    pub(super) fn pause(&self, took: Duration, random: f64) -> Option<Duration> {
        if self.made >= self.most {
            return None;
        }
        let Some(doublings) = self.made.checked_sub(AT_ONCE + 1) else {
            return Some(Duration::ZERO);
        };
        let longest = took.saturating_mul(1 << doublings.min(DOUBLINGS));
        Some(longest.min(LONGEST).mul_f64(random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(10);

    fn after(made: u32, took: Duration, random: f64) -> Option<Duration> {
        let mut attempts = Attempts::new(100);
        for number in 1..=made {
            assert_eq!(attempts.begin(), number);
        }
        attempts.pause(took, random)
    }

    #[test]
    fn the_first_conflicts_are_answered_at_once_and_later_ones_after_longer_and_longer() {
        for made in 1..=AT_ONCE {
            assert_eq!(after(made, TOOK, 0.9), Some(Duration::ZERO));
        }
        let longest = |more| after(AT_ONCE + more, TOOK, 1.0).unwrap();
        assert_eq!(longest(1), TOOK);
        assert_eq!(longest(2), TOOK * 2);
        assert_eq!(longest(1 + DOUBLINGS), TOOK * 32);
        assert_eq!(longest(50), TOOK * 32, "no longer than that");
    }

    #[test]
    fn a_pause_is_cut_at_random_and_never_endless() {
        assert_eq!(after(50, TOOK, 0.0), Some(Duration::ZERO));
        assert_eq!(after(50, TOOK, 0.5), Some(TOOK * 16));
        assert_eq!(
            after(50, Duration::MAX, 0.999).map(|it| it <= LONGEST),
            Some(true)
        );
    }

    #[test]
    fn attempts_end_and_there_is_always_one() {
        assert!(after(99, TOOK, 0.5).is_some());
        assert_eq!(after(100, TOOK, 0.5), None);
        let mut attempts = Attempts::new(0);
        attempts.begin();
        assert_eq!((attempts.made(), attempts.pause(TOOK, 0.5)), (1, None));
    }
}
