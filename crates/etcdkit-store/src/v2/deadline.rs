//! When something ends.

use std::time::Duration;

use time::OffsetDateTime;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// 2000-01-01: what is created with an earlier end has none, in etcd.
const EARLIEST: Deadline = Deadline(946_684_800 * NANOS_PER_SECOND);

/// A point in time, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(i64);

impl Deadline {
    /// So many seconds after `now`, which counts from 1970.
    ///
    /// The sum wraps around as etcd's does. So a long time to live, from 9223372036 seconds on for certain, may
    /// end before it begins: keys that are made with it have no end at all. `None` if it wraps to nothing.
    pub fn after(ttl: u64, now: Duration) -> Option<Self> {
        let ttl = ttl.cast_signed().wrapping_mul(NANOS_PER_SECOND);
        match nanos(now).wrapping_add(ttl) {
            0 => None,
            at => Some(Self(at)),
        }
    }

    pub(super) fn of_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    pub(super) fn nanos(self) -> i64 {
        self.0
    }

    /// Itself, unless it is so long ago that etcd takes it for none.
    pub(super) fn if_credible(self) -> Option<Self> {
        (self >= EARLIEST).then_some(self)
    }

    /// Whether it has come.
    pub fn is_due(self, now: Duration) -> bool {
        self.0 <= nanos(now)
    }

    /// How long it is until then; zero if it has come.
    pub fn until(self, now: Duration) -> Duration {
        let left = self.0.saturating_sub(nanos(now));
        Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }

    /// The seconds until then, rounded up; negative when it is overdue.
    pub(super) fn ttl(self, now: Duration) -> i64 {
        let left = self.0.saturating_sub(nanos(now));
        left / NANOS_PER_SECOND + i64::from(left % NANOS_PER_SECOND > 0)
    }

    pub(super) fn date(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(self.0.into()).ok()
    }
}

fn nanos(now: Duration) -> i64 {
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_millis(1_800_000_000_500);

    #[test]
    fn seconds_left_are_rounded_up_and_become_negative() {
        let deadline = Deadline::after(2, NOW).unwrap();
        for (later, ttl) in [
            (0, 2),
            (1, 2),
            (1_000, 1),
            (1_999, 1),
            (2_000, 0),
            (2_900, 0),
        ] {
            let now = NOW + Duration::from_millis(later);
            assert_eq!(deadline.ttl(now), ttl, "{later}");
            assert_eq!(deadline.is_due(now), later >= 2_000);
        }
        assert_eq!(deadline.ttl(NOW + Duration::from_secs(36)), -34);
        assert_eq!(deadline.until(NOW), Duration::from_secs(2));
        assert_eq!(deadline.until(NOW * 2), Duration::ZERO);
    }

    #[test]
    fn what_overflows_is_long_ago_or_anything() {
        let limit = Deadline::after(9_223_372_036, NOW).unwrap();
        assert_eq!(limit.if_credible(), None, "the sum overflows");
        let wrapped = Deadline::after(9_223_372_037, Duration::ZERO).unwrap();
        assert_eq!(wrapped.if_credible(), None);
        // Seconds whose nanoseconds wrap all the way round are a few again.
        let round = Deadline::after(18_446_744_074, NOW).unwrap();
        assert_eq!(round.ttl(NOW), 1);
        assert_eq!(Deadline::after(0, Duration::ZERO), None);
        assert!(Deadline::after(0, NOW).unwrap().if_credible().is_some());
    }
}
