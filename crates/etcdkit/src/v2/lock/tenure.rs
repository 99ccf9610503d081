//! When a place in a queue is to be renewed, and when it must be taken for lost: pure, with the time
//! passed in.

use std::time::Duration;

use tokio::time::Instant;

/// A place is renewed when a third of its time has passed.
const RENEWALS_PER_TTL: u32 = 3;

/// This part of the time to live, within bounds, is kept as a margin. The member that takes a renewal
/// turns it into a time of day, and the leader removes the key by its own clock: the place is ours for
/// less time than agreed if the leader's clock is ahead.
const MARGINS_PER_TTL: u32 = 8;
const MARGIN_MOST: Duration = Duration::from_secs(2);

/// One attempt to renew takes this part of the time to live at most, so that there is time for others
/// on other members.
const ATTEMPTS_PER_TTL: u32 = 6;
const ATTEMPT_MOST: Duration = Duration::from_secs(3);

/// But not less than it takes until the next attempt avoids the endpoint.
const ATTEMPT_LEAST: Duration = Duration::from_millis(550);

/// The pause after a renewal that failed.
const PAUSES_PER_TTL: u32 = 40;
const PAUSE_MOST: Duration = Duration::from_millis(500);

/// The time for which a place is ours, by the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    ttl: Duration,
    /// When the last request that succeeded was *sent*: no server began to count before that.
    sent: Instant,
    /// When to renew it.
    next: Instant,
    /// When it may be over already, because a renewal for less time may have been carried out.
    doubtful: Option<Instant>,
}

impl Tenure {
    /// Begins with a request sent at this time.
    pub(crate) fn new(ttl: Duration, sent: Instant) -> Self {
        Self {
            ttl,
            sent,
            next: sent + ttl / RENEWALS_PER_TTL,
            doubtful: None,
        }
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// When the place must be taken for lost.
    pub(crate) fn deadline(&self) -> Instant {
        let margin = (self.ttl / MARGINS_PER_TTL).min(MARGIN_MOST);
        let deadline = self.sent + (self.ttl - margin);
        self.doubtful
            .map_or(deadline, |sooner| sooner.min(deadline))
    }

    /// When the server has removed the key for certain, so that nothing of it is left to clean up.
    pub(crate) fn gone(&self) -> Instant {
        self.sent + self.ttl * 2
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.deadline()
    }

    /// How much time is left.
    pub(crate) fn remaining(&self, now: Instant) -> Duration {
        self.deadline().saturating_duration_since(now)
    }

    /// When to renew, which is not after the deadline.
    pub(crate) fn renewal(&self) -> Instant {
        self.next.min(self.deadline())
    }

    /// How long an attempt to renew may take that is made now.
    pub(crate) fn attempt(&self, now: Instant) -> Duration {
        let fair = (self.ttl / ATTEMPTS_PER_TTL).clamp(ATTEMPT_LEAST, ATTEMPT_MOST);
        fair.min(self.remaining(now))
    }

    /// A renewal that was sent at this time has succeeded, for this long.
    pub(crate) fn renewed(&mut self, ttl: Duration, sent: Instant) {
        let renewed = Self::new(ttl, sent);
        // An answer may come after that to a later request.
        if sent >= self.sent {
            *self = renewed;
        }
    }

    /// Nobody knows whether a renewal that was sent at this time was carried out, for this long.
    pub(crate) fn doubted(&mut self, ttl: Duration, sent: Instant) {
        let deadline = Self::new(ttl, sent).deadline();
        let sooner = self.doubtful.map_or(deadline, |other| other.min(deadline));
        self.doubtful = Some(sooner);
    }

    /// A renewal has failed, in a way that another one may not.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.next = now + (self.ttl / PAUSES_PER_TTL).min(PAUSE_MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn time_counts_from_when_a_renewal_was_sent() {
        let start = Instant::now();
        let mut tenure = Tenure::new(secs(12), start);
        assert_eq!(tenure.renewal(), start + secs(4));
        assert_eq!(tenure.deadline(), start + Duration::from_millis(10_500));
        // Answered at 7, but sent at 4.
        tenure.renewed(secs(12), start + secs(4));
        assert_eq!(tenure.renewal(), start + secs(8));
        assert!(!tenure.is_over(start + secs(14)));
        assert!(tenure.is_over(start + Duration::from_millis(14_500)));
    }

    #[test]
    fn a_late_answer_does_not_take_time_away() {
        let start = Instant::now();
        let mut tenure = Tenure::new(secs(12), start);
        tenure.renewed(secs(12), start + secs(5));
        tenure.renewed(secs(12), start + secs(4));
        assert_eq!(tenure, Tenure::new(secs(12), start + secs(5)));
    }

    #[test]
    fn there_is_time_for_several_attempts() {
        for ttl in [2, 15, 60, 3_600] {
            let start = Instant::now();
            let mut tenure = Tenure::new(secs(ttl), start);
            let mut attempts = 0;
            while !tenure.is_over(tenure.renewal()) {
                let now = tenure.renewal();
                attempts += 1;
                tenure.failed(now + tenure.attempt(now));
            }
            let least = if ttl == 2 { 2 } else { 3 };
            assert!(attempts >= least, "{attempts} attempts in {ttl} s");
            assert_eq!(tenure.renewal(), tenure.deadline());
        }
    }

    #[test]
    fn an_attempt_ends_with_the_tenure() {
        let start = Instant::now();
        let tenure = Tenure::new(secs(8), start);
        assert_eq!(tenure.deadline(), start + secs(7));
        let late = start + Duration::from_millis(6_900);
        assert_eq!(tenure.attempt(late), Duration::from_millis(100));
        assert_eq!(tenure.remaining(start + secs(9)), Duration::ZERO);
    }

    #[test]
    fn a_renewal_for_less_time_counts_even_if_its_answer_is_lost() {
        let start = Instant::now();
        let mut tenure = Tenure::new(secs(100), start);
        let sent = start + secs(1);
        tenure.doubted(secs(100), sent);
        assert_eq!(tenure.deadline(), start + secs(98));
        tenure.doubted(secs(8), sent);
        tenure.doubted(secs(16), sent);
        tenure.failed(start + secs(2));
        assert_eq!(tenure.deadline(), start + secs(8));
        assert!(tenure.renewal() < tenure.deadline());
        // The next one that succeeds is what counts.
        tenure.renewed(secs(100), start + secs(3));
        assert_eq!(tenure, Tenure::new(secs(100), start + secs(3)));
    }

    #[test]
    fn the_margin_is_bounded() {
        let start = Instant::now();
        let tenure = Tenure::new(secs(3_600), start);
        assert_eq!(tenure.deadline(), start + secs(3_598));
    }
}
