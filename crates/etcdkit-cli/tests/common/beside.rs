//! Doing things beside each other that wait most of their time, as for programs and for leases.

use std::{panic, thread};

/// Runs all of these at once, each on a thread of its own, and gives their results in the same order.
/// What panics in one of them is the caller's panic.
pub(crate) fn beside_each_other<J, T>(jobs: impl IntoIterator<Item = J>) -> Vec<T>
where
    J: FnOnce() -> T + Send,
    T: Send,
{
    thread::scope(|scope| {
        let running: Vec<_> = jobs.into_iter().map(|job| scope.spawn(job)).collect();
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended
            .map(|result| result.unwrap_or_else(|cause| panic::resume_unwind(cause)))
            .collect()
    })
}
