//! What contenders note.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Error, Revision};

use crate::{
    lock_checker::{Claim, Stamp},
    watch_checker::{Change, Outcome, Writes},
};

/// What came of a contest in which every promise was kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// How many guards were given.
    pub held: usize,
    /// How many of them were lost while they were held.
    pub lost: usize,
    /// How many contenders ended while they held.
    pub crashed: usize,
    /// How many attempts were given up.
    pub given_up: usize,
    /// How many attempts failed.
    pub failed: usize,
    /// How many fenced writes were applied.
    pub written: usize,
    /// How many fenced writes may have been applied, as far as their writers know.
    pub unknown: usize,
    /// How many writes the fence has kept off.
    pub refused: usize,
    /// The longest time that an attempt took that succeeded.
    pub longest: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} guards, {} lost, {} crashes, {} attempts given up and {} failed, longest wait {:.1?}; {} \
             fenced writes, {} of unknown outcome, {} refused",
            self.held,
            self.lost,
            self.crashed,
            self.given_up,
            self.failed,
            self.longest,
            self.written,
            self.unknown,
            self.refused
        )
    }
}

/// What the contenders and the test share.
#[derive(Debug)]
pub(super) struct Shared {
    done: AtomicBool,
    failed: AtomicBool,
    serial: AtomicU64,
    /// How many guards each contender has.
    holding: Vec<AtomicUsize>,
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) claims: Vec<Claim>,
    pub(super) writes: Writes,
    pub(super) report: Report,
}

impl Shared {
    pub(super) fn new(contenders: usize) -> Self {
        Self {
            done: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            serial: AtomicU64::new(0),
            holding: (0..contenders).map(|_| AtomicUsize::new(0)).collect(),
            records: Mutex::default(),
        }
    }

    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of it so far.
    pub(super) fn report(&self) -> Report {
        let records = self.records();
        Report {
            written: records.writes.applied(),
            unknown: records.writes.unknown(),
            ..records.report
        }
    }

    pub(super) fn stop(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed) || self.has_failed()
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether a contender has panicked.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// A contender that has a guard.
    pub(super) fn holder(&self) -> Option<usize> {
        let holds = |guards: &AtomicUsize| guards.load(Ordering::Relaxed) > 0;
        self.holding.iter().position(holds)
    }

    /// Notes that a contender has a guard, until what is returned is dropped.
    pub(super) fn hold(&self, contender: usize, token: Revision, waited: Duration) -> Holding<'_> {
        let report = &mut self.records().report;
        report.held += 1;
        report.longest = report.longest.max(waited);
        self.holding[contender].fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        Holding {
            shared: self,
            contender,
            claim: Claim {
                token,
                since: now,
                until: now,
            },
        }
    }

    /// A value that no other write has.
    pub(super) fn stamp(&self, token: Revision) -> String {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        Stamp { token, serial }.to_string()
    }

    /// Notes what became of a write. `Ok(None)` is one that the fence kept off.
    pub(super) fn wrote(&self, changes: Vec<Change>, result: &Result<Option<Revision>, Error>) {
        let mut records = self.records();
        let outcome = match result {
            Ok(Some(revision)) => Outcome::Applied(*revision),
            Ok(None) => {
                records.report.refused += 1;
                Outcome::NotApplied
            }
            Err(error) if error.outcome() == etcdkit::Outcome::Unknown => Outcome::Unknown,
            Err(_) => Outcome::NotApplied,
        };
        records.writes.add(changes, outcome);
    }
}

/// That a contender has a guard.
#[derive(Debug)]
pub(super) struct Holding<'a> {
    shared: &'a Shared,
    contender: usize,
    claim: Claim,
}

impl Holding<'_> {
    /// Asks the guard whether it still is one, and notes the moment before.
    pub(super) fn is_lost(&mut self, is_lost: impl FnOnce() -> bool) -> bool {
        let before = Instant::now();
        let lost = is_lost();
        if !lost {
            self.claim.until = before;
        }
        lost
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.shared.holding[self.contender].fetch_sub(1, Ordering::Relaxed);
        self.shared.records().claims.push(self.claim);
    }
}
