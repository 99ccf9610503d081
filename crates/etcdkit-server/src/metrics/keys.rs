//! How often the keys of v2 were asked for, and how often in vain.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};

use super::Counter;

/// What `/v2/keys` answers.
const METHODS: [&str; 5] = ["DELETE", "GET", "HEAD", "POST", "PUT"];

/// Requests that were understood and allowed.
#[derive(Debug, Default)]
pub(crate) struct KeysRequests {
    /// Without those that only wait.
    received: [Counter; METHODS.len()],
    /// Failures are rare enough for a lock.
    failed: Mutex<BTreeMap<(usize, u16), u64>>,
}

impl KeysRequests {
    pub(crate) fn receive(&self, method: &Method) {
        if let Some(counter) = index(method).and_then(|index| self.received.get(index)) {
            counter.add(1);
        }
    }

    pub(crate) fn fail(&self, method: &Method, status: StatusCode) {
        if let Some(index) = index(method) {
            *self.failures().entry((index, status.as_u16())).or_default() += 1;
        }
    }

    /// By method; those that were never used are left out, as etcd does it.
    pub(super) fn received(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = METHODS.iter().zip(&self.received);
        let counts = counts.map(|(method, counter)| (*method, counter.get()));
        counts.filter(|(_, count)| *count > 0)
    }

    /// By method and status.
    pub(super) fn failed(&self) -> Vec<(&'static str, u16, u64)> {
        let failures = self.failures();
        let failures = failures.iter().filter_map(|((index, status), count)| {
            let method = METHODS.get(*index)?;
            Some((*method, *status, *count))
        });
        failures.collect()
    }

    fn failures(&self) -> MutexGuard<'_, BTreeMap<(usize, u16), u64>> {
        // A number is never half changed.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn index(method: &Method) -> Option<usize> {
    METHODS.iter().position(|known| method == known)
}
