//! What `/metrics` tells: counters that the server keeps, and what it looks up when asked.
//!
//! A call costs two additions, of its beginning and its end; everything that can be looked up instead, is.

mod calls;
#[cfg(feature = "durable")]
mod histogram;
mod keys;
mod page;
mod process;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::calls::Tally;
pub(crate) use self::page::page;

use self::calls::Calls;
#[cfg(feature = "durable")]
use self::histogram::Histogram;
use self::keys::KeysRequests;

/// What the server counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) calls: Calls,

    pub(crate) ranges: Counter,
    pub(crate) puts: Counter,
    pub(crate) deletes: Counter,
    /// Transactions of more than one operation.
    pub(crate) txns: Counter,
    /// Events sent to watchers.
    pub(crate) events: Counter,

    pub(crate) leases_granted: Counter,
    pub(crate) leases_renewed: Counter,
    /// Those that expired, too.
    pub(crate) leases_revoked: Counter,
    pub(crate) leases_expired: Counter,

    /// Requests for keys of v2.
    pub(crate) keys: KeysRequests,

    pub(crate) health_checks_passed: Counter,
    pub(crate) health_checks_failed: Counter,

    /// How long commits to the disk took; a server in memory has none.
    #[cfg(feature = "durable")]
    pub(crate) commits: Histogram,
}

/// A number that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
