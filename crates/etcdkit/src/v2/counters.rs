//! What a client has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much a client and its clones have done, as [`Client::counters`](super::Client::counters) read
/// it. Each number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// HTTP requests that were sent, repeated and redirected ones included.
    pub requests: u64,
    /// How many of them were repetitions.
    pub retries: u64,
    /// How many of them followed a redirect.
    pub redirects: u64,
    /// Calls that ended in an error of the client or the server; a missing key is one.
    pub failures: u64,
    /// Bytes of forms and other bodies that were sent.
    pub bytes_sent: u64,
    /// Bytes of the bodies of answers, those of watches not counted.
    pub bytes_received: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counting {
    pub(super) requests: Count,
    pub(super) retries: Count,
    pub(super) redirects: Count,
    pub(super) failures: Count,
    pub(super) bytes_sent: Count,
    pub(super) bytes_received: Count,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counting {
    pub(super) fn now(&self) -> Counters {
        Counters {
            requests: self.requests.get(),
            retries: self.retries.get(),
            redirects: self.redirects.get(),
            failures: self.failures.get(),
            bytes_sent: self.bytes_sent.get(),
            bytes_received: self.bytes_received.get(),
        }
    }
}
