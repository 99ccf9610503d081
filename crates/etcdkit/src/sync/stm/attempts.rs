//! How often to try, and how long to wait in between: pure.

use std::time::Duration;

/// So many conflicts in a row are answered by trying again at once, with what the losing commit has
/// read: among few writers, that is the fastest for all of them.
const AT_ONCE: u32 = 4;

/// After so many attempts it begins again with some at once. Who has lost often would otherwise pause
/// for longest, while those who have come later win.
const ROUND: u32 = 9;

/// How often the waiting time doubles within a round.
const DOUBLINGS: u32 = 3;

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
        let in_round = self.made.saturating_sub(1) % ROUND;
        let Some(doublings) = in_round.checked_sub(AT_ONCE) else {
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
    fn some_conflicts_are_answered_at_once_and_further_ones_after_longer_and_longer() {
        let longest = |made| after(made, TOOK, 1.0).unwrap();
        for round in 0..3 {
            let before = round * ROUND;
            for made in 1..=AT_ONCE {
                assert_eq!(longest(before + made), Duration::ZERO);
            }
            let pauses: Vec<_> = (AT_ONCE + 1..=ROUND)
                .map(|made| longest(before + made))
                .collect();
            assert_eq!(pauses, [TOOK, TOOK * 2, TOOK * 4, TOOK * 8, TOOK * 8]);
        }
    }

    #[test]
    fn a_pause_is_cut_at_random_and_never_endless() {
        assert_eq!(after(ROUND, TOOK, 0.0), Some(Duration::ZERO));
        assert_eq!(after(ROUND, TOOK, 0.5), Some(TOOK * 4));
        assert!(after(ROUND, Duration::MAX, 0.999).unwrap() <= LONGEST);
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
