//! When to compact what: pure, with the time passed in.
//!
//! The rules are those of etcd's `v3compactor`, the same from 3.3 to 3.7.

use std::collections::VecDeque;
use std::time::Duration;

use super::AutoCompaction;

/// How often etcd looks at the revision in the mode `revision`.
const REVISION_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Longer retentions are compacted this often; shorter ones as often as they are long.
const LONGEST_PERIOD: Duration = Duration::from_secs(60 * 60);

/// How often the revision is noted in a period.
const NOTES: u32 = 10;

/// Below it a server would do nothing else.
const SHORTEST_RETENTION: Duration = Duration::from_millis(10);

/// As long as etcd's durations can be, about 292 years.
const LONGEST_RETENTION: Duration = Duration::from_nanos(i64::MAX as u64);

/// A series of turns, at each of which a revision may be due.
#[derive(Debug)]
pub(super) struct Schedule {
    mode: Mode,
    interval: Duration,
    next: Duration,
    /// The last one compacted here; 0 if there is none.
    last_revision: i64,
}

#[derive(Debug)]
enum Mode {
    /// Forgets what was overwritten longer ago than the retention.
    Periodic {
        /// The revisions at the last turns, the oldest first.
        notes: VecDeque<i64>,
        most_notes: usize,
        /// The time since `last_success` at which a compaction is due.
        due_after: Duration,
        period: Duration,
        /// When the last compaction succeeded, or the start.
        last_success: Duration,
    },
    /// Keeps so many revisions.
    Revision { retention: i64 },
}

impl Schedule {
    /// The schedule from `now` on, with the store at this revision; none if nothing is ever due.
    pub(super) fn new(mode: AutoCompaction, now: Duration, current: i64) -> Option<Self> {
        let (mode, interval) = match mode {
            AutoCompaction::Off => return None,
            AutoCompaction::Periodic(retention) if retention.is_zero() => return None,
            AutoCompaction::Revision(retention) if retention <= 0 => return None,
            AutoCompaction::Periodic(retention) => {
                let retention = retention.clamp(SHORTEST_RETENTION, LONGEST_RETENTION);
                let period = retention.min(LONGEST_PERIOD);
                let interval = period / NOTES;
                let notes = retention.as_nanos() / interval.as_nanos();
                let mode = Mode::Periodic {
                    notes: VecDeque::from([current]),
                    most_notes: usize::try_from(notes)
                        .unwrap_or(usize::MAX)
                        .saturating_add(1),
                    due_after: retention,
                    period,
                    last_success: now,
                };
                (mode, interval)
            }
            AutoCompaction::Revision(retention) => {
                (Mode::Revision { retention }, REVISION_INTERVAL)
            }
        };
        Some(Self {
            mode,
            interval,
            next: now.saturating_add(interval),
            last_revision: 0,
        })
    }

    /// When the next turn is.
    pub(super) fn next(&self) -> Duration {
        self.next
    }

    /// Takes a turn with the store at this revision. Returns the revision to compact, if one is due; it
    /// stays due until [`compacted`](Self::compacted) says that it is done.
    pub(super) fn turn(&mut self, now: Duration, current: i64) -> Option<i64> {
        self.next = now.saturating_add(self.interval);
        let revision = match &mut self.mode {
            Mode::Revision { retention } => {
                Some(current.saturating_sub(*retention)).filter(|revision| *revision > 0)
            }
            Mode::Periodic {
                notes,
                most_notes,
                due_after,
                period,
                last_success,
            } => {
                let is_due = now.saturating_sub(*last_success) >= *due_after;
                let oldest = notes.front().copied().filter(|_| is_due);
                // etcd waits as long as the retention for the first one only, also if that fails.
                if oldest.is_some_and(|revision| revision != self.last_revision) {
                    *due_after = *period;
                }
                notes.push_back(current);
                if notes.len() > *most_notes {
                    notes.pop_front();
                }
                oldest
            }
        };
        revision.filter(|revision| *revision != self.last_revision)
    }

    /// A revision that was due has been compacted.
    pub(super) fn compacted(&mut self, now: Duration, revision: i64) {
        self.last_revision = revision;
        if let Mode::Periodic { last_success, .. } = &mut self.mode {
            *last_success = now;
        }
    }

    /// Leaves out turns up to `now` at which nothing can be due any more if the revision does not
    /// change, so that years can be skipped.
    pub(super) fn skip_uneventful(&mut self, now: Duration) {
        let eventful = match &self.mode {
            // All notes are replaced, and the last of them is compacted one period later.
            Mode::Periodic { most_notes, .. } => most_notes.saturating_add(2 * NOTES as usize),
            Mode::Revision { .. } => 1,
        };
        let eventful = u32::try_from(eventful).unwrap_or(u32::MAX);
        let from = now.saturating_sub(self.interval.saturating_mul(eventful));
        // The turns stay where they were, so that the last one is not late.
        if let Some(skipped) = from.checked_sub(self.next) {
            let late = skipped.as_nanos() % self.interval.as_nanos();
            let late = u64::try_from(late).unwrap_or_default();
            self.next = from.saturating_sub(Duration::from_nanos(late));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Takes all turns up to a time, with the revision that the time says. Returns when what was
    /// compacted.
    fn compactions(
        schedule: &mut Schedule,
        until: Duration,
        revision: impl Fn(Duration) -> i64,
    ) -> Vec<(Duration, i64)> {
        let mut done = Vec::new();
        while schedule.next() <= until {
            let now = schedule.next();
            if let Some(due) = schedule.turn(now, revision(now)) {
                schedule.compacted(now, due);
                done.push((now, due));
            }
        }
        done
    }

    /// A revision that rises by one each minute.
    fn minutes(now: Duration) -> i64 {
        (now.as_secs() / 60) as i64
    }

    fn periodic(retention: Duration, current: i64) -> Schedule {
        Schedule::new(AutoCompaction::Periodic(retention), Duration::ZERO, current).unwrap()
    }

    #[test]
    fn nothing_is_due_when_it_is_off() {
        for off in [
            AutoCompaction::Off,
            AutoCompaction::Periodic(Duration::ZERO),
            AutoCompaction::Revision(0),
            AutoCompaction::Revision(-5),
        ] {
            assert!(Schedule::new(off, Duration::ZERO, 1).is_none(), "{off:?}");
        }
    }

    #[test]
    fn a_short_retention_is_compacted_once_in_it() {
        // The turns are a minute apart. From the second compaction on, the oldest of eleven notes was
        // made eleven turns before, as with etcd.
        let mut schedule = periodic(10 * MINUTE, 100);
        assert_eq!(
            compactions(&mut schedule, 31 * MINUTE, |now| 100 + minutes(now)),
            [(10 * MINUTE, 100), (20 * MINUTE, 109), (30 * MINUTE, 119)]
        );
    }

    #[test]
    fn a_long_retention_is_compacted_every_hour() {
        // A turn every six minutes, 241 notes in a day.
        let mut schedule = periodic(24 * 60 * MINUTE, 1);
        let done = compactions(&mut schedule, 26 * 60 * MINUTE, |now| 1 + minutes(now));
        assert_eq!(
            done,
            [
                (24 * 60 * MINUTE, 1),
                (25 * 60 * MINUTE, 1 + 54),
                (26 * 60 * MINUTE, 1 + 114),
            ]
        );
    }

    #[test]
    fn what_is_compacted_is_not_compacted_again() {
        let mut schedule = periodic(10 * MINUTE, 7);
        let done = compactions(&mut schedule, 1000 * MINUTE, |_| 7);
        assert_eq!(done, [(10 * MINUTE, 7)]);
    }

    #[test]
    fn a_failed_compaction_is_tried_at_the_next_turn() {
        let mut schedule = periodic(10 * MINUTE, 100);
        let mut due = Vec::new();
        while schedule.next() <= 12 * MINUTE {
            let now = schedule.next();
            due.extend(schedule.turn(now, 100 + minutes(now)).map(|due| (now, due)));
        }
        // The window moves on nevertheless.
        assert_eq!(
            due,
            [(10 * MINUTE, 100), (11 * MINUTE, 100), (12 * MINUTE, 101)]
        );
    }

    #[test]
    fn a_late_turn_puts_the_next_ones_off() {
        let mut schedule = periodic(10 * MINUTE, 5);
        assert_eq!(schedule.turn(90 * MINUTE, 6), Some(5));
        assert_eq!(schedule.next(), 91 * MINUTE);
    }

    #[test]
    fn so_many_revisions_are_kept() {
        let mode = AutoCompaction::Revision(1000);
        let mut schedule = Schedule::new(mode, 3 * MINUTE, 1).unwrap();
        let done = compactions(&mut schedule, 30 * MINUTE, |now| match minutes(now) {
            ..10 => 1000,
            10..20 => 1500,
            _ => 6000,
        });
        assert_eq!(
            done,
            [(13 * MINUTE, 500), (23 * MINUTE, 5000)],
            "every five minutes, unless there is nothing to do"
        );
    }

    #[test]
    fn skipping_time_comes_to_the_same() {
        for mode in [
            AutoCompaction::Periodic(10 * MINUTE),
            AutoCompaction::Periodic(100 * 60 * MINUTE),
            AutoCompaction::Revision(3),
        ] {
            let new = || {
                let mut schedule = Schedule::new(mode, Duration::ZERO, 0).unwrap();
                compactions(&mut schedule, 7 * MINUTE, minutes);
                schedule
            };
            let until = 365 * 24 * 60 * MINUTE;
            let (mut slow, mut fast) = (new(), new());
            let compacted = compactions(&mut slow, until, |_| 50);
            fast.skip_uneventful(until);
            let fast_compacted = compactions(&mut fast, until, |_| 50);
            assert_eq!(
                compacted.last().map(|(_, revision)| *revision),
                fast_compacted.last().map(|(_, revision)| *revision),
                "{mode:?}"
            );
            assert_eq!(slow.next(), fast.next(), "{mode:?}");
        }
    }

    #[test]
    fn the_shortest_and_the_longest_time_are_no_trouble() {
        let mut schedule = periodic(Duration::from_nanos(1), 1);
        assert_eq!(schedule.interval, Duration::from_millis(1));
        let late = Duration::from_millis(u64::MAX);
        schedule.skip_uneventful(late);
        assert!(schedule.next() > late - Duration::from_secs(1));
        let mut longest = periodic(Duration::MAX, 1);
        assert_eq!(longest.turn(Duration::from_secs(9_000_000_000), 2), None);
        longest.skip_uneventful(Duration::from_millis(u64::MAX));
    }
}
