//! The lock and election services of etcd's servers, call by call.
//!
//! The server does here what clients otherwise do with leases, transactions and watches. That makes
//! them easy to use from anywhere, and leaves open what only a client can see to: nobody keeps the
//! lease alive but the caller, nobody tells that it was lost, and a write that relies on the lock has
//! to say so itself, by a [condition](crate::Compare) that the key still exists.
//!
//! All of them work on the same keys as etcd's own clients and `etcdctl lock` and `elect` do, so that
//! either excludes the other. Since etcd 3.2.
//!
//! # What is known when a call fails
//!
//! Locking and campaigning take several steps on the server. They are sent again on their own only if
//! the server certainly did not begin. When the [outcome](crate::Error::outcome) is unknown the key
//! may exist, or come into existence within seconds; at the latest it goes with its lease, so the time
//! to live of the lease bounds the damage. Calling again with the same lease does no harm: a lease has
//! one place in the queue.

mod election;
mod lock;
mod observe;

pub use election::{
    Campaign, Campaigned, CurrentLeader, ElectionService, LeaderKey, LeaderResponse, Proclaim,
    Resign,
};
pub use lock::{Lock, LockService, Locked, Unlock};
pub use observe::{Observe, OpenObserve};
