//! Locks: fair queues over the key space, renewed while they are held.

mod backing;
mod bid;
mod guard;
mod held;
mod keeper;
mod keys;
mod lost;
mod modules;
mod named;
mod open;
mod queue;
mod stamp;
mod tenure;

use std::{future::Future, time::Duration};

pub(super) use self::{bid::Bid, keys::read, modules::Module, named::Named, queue::Queue};
pub use self::{
    guard::Lock,
    lost::{LockLost, LockLostReason},
    named::{LockHolder, LockPlace},
    open::{OpenLock, TryLock},
};
use super::{Call, Error, Result, Ttl, path};

/// Where locks are, hidden from listings of the root.
const LOCKS: &str = "/_locks";

/// A renewal must be able to fail once and be made again, between ticks of half a second at which a
/// server lets keys expire.
const TTL_LEAST: u64 = 2;

/// What a deletion compares with must fit into a URL.
const VALUE_MOST: usize = 1024;

/// A call that consists of requests, whose errors are told as those of the whole.
pub(super) fn told_as<T>(
    operation: &'static str,
    steps: impl Future<Output = Result<T>> + Send + 'static,
) -> Call<T> {
    Call::new(async move {
        let done = steps.await;
        done.map_err(|error| error.with_operation(operation))
    })
}

/// A time to live that a lock can have.
pub(super) fn time_to_live(ttl: Ttl) -> Result<Duration> {
    match ttl.seconds() {
        Ok(seconds) if seconds < TTL_LEAST => Err(Error::invalid_request(format!(
            "a lock's time to live is {TTL_LEAST} s at least, and better 15 s on a cluster"
        ))),
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(what) => Err(Error::invalid_request(what)),
    }
}

/// A value that a lock can have.
pub(super) fn check_value(value: &str) -> Result<()> {
    match value.len() > VALUE_MOST {
        true => Err(Error::invalid_request(format!(
            "a lock's value has {VALUE_MOST} bytes at most, and this one {}",
            value.len()
        ))),
        false => Ok(()),
    }
}

/// The directory of a queue.
pub(super) fn directory(parent: &str, name: &str) -> Result<String> {
    let directory = path::clean(&format!("{parent}/{name}"));
    let parent = path::clean(parent);
    let is_below = directory.len() > parent.len() && directory.starts_with(&parent);
    match is_below && !name.is_empty() {
        true => Ok(directory),
        false => Err(Error::invalid_request(format!(
            "{name:?} is no name for what is locked"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_below_its_parent() {
        assert_eq!(directory(LOCKS, "a").unwrap(), "/_locks/a");
        assert_eq!(directory("locks/", "a//b").unwrap(), "/locks/a/b");
        for name in ["", "/", ".", "..", "../a", "../_locks"] {
            assert!(directory(LOCKS, name).is_err(), "{name}");
        }
    }

    #[test]
    fn times_are_long_enough_for_renewals() {
        assert!(time_to_live(1.into()).is_err());
        assert!(time_to_live((-5).into()).is_err());
        assert_eq!(time_to_live(2.into()).unwrap(), Duration::from_secs(2));
    }
}
