//! Whether locks have kept what they promise.
//!
//! Pure: it compares records. A [`History`] is what happened to the keys of the queue and to what the
//! lock protects; a [`Claim`] is what a guard said of itself. Whatever is written under a lock carries
//! a [`Stamp`], so that each write tells for which place in the queue it was made.
//!
//! [`Queue::judge`] finds each [`Violation`] of what etcd's history can prove:
//!
//! | promise | meaning |
//! |---|---|
//! | fenced | whoever writes has a key at that revision, and holds the lock by it |
//! | growing | no write under an exclusive lock has a smaller token than one before it |
//! | true | whoever says that it holds the lock has held it at some revision |
//! | leased | each key of the queue goes with a lease |
//! | tidy | in the end no key is left |
//!
//! [`Queue::together`] judges by the clock instead: never do more guards than the lock admits say that
//! they hold it. A lease cannot promise that where servers let leases run out too early, as a frozen
//! leader may that goes on (before etcd 3.5.28); this is what fencing is for.

mod claims;
mod judge;
mod kind;
mod stamp;

#[cfg(test)]
mod tests;

use std::fmt;

use bytes::Bytes;
use etcdkit::Revision;

#[cfg(doc)]
use crate::watch_checker::History;

pub use claims::Claim;
pub use kind::{Kind, Queue};
pub use stamp::Stamp;

/// A promise that was not kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Violation {
    /// A write for a place that had gone before.
    PastHolder {
        /// The place.
        token: Revision,
        /// When it went.
        gone: Revision,
        /// When the write was applied.
        write: Revision,
    },
    /// A write for a place that had to wait.
    Waiter {
        /// The place.
        token: Revision,
        /// The places in its way.
        behind: Vec<Revision>,
        /// When the write was applied.
        write: Revision,
    },
    /// A write for a place that never was, or not yet.
    Stranger {
        /// What it calls its place.
        token: Revision,
        /// When it was applied.
        write: Revision,
    },
    /// Something written that does not tell its place.
    Unstamped {
        /// The key.
        key: Bytes,
        /// When it was written.
        write: Revision,
    },
    /// A write with a smaller token than one before it, both exclusive.
    TokenWentBack {
        /// The greater one.
        before: Revision,
        /// The smaller one.
        token: Revision,
        /// When the later write was applied.
        write: Revision,
    },
    /// A guard of a place that never had its turn.
    NeverHeld {
        /// The place.
        token: Revision,
    },
    /// Guards that said at one time that they held the lock.
    Together {
        /// The place whose guard came last.
        token: Revision,
        /// The others.
        beside: Vec<Revision>,
    },
    /// A key that would outlive its owner.
    WithoutLease {
        /// The key.
        key: Bytes,
        /// Its place.
        token: Revision,
    },
    /// A key that is there in the end.
    Left {
        /// The key.
        key: Bytes,
        /// Its place.
        token: Revision,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PastHolder { token, gone, write } => {
                write!(f, "{token} wrote at {write}, and was gone at {gone}")
            }
            Self::Waiter {
                token,
                behind,
                write,
            } => write!(
                f,
                "{token} wrote at {write}, while it waited for {behind:?}"
            ),
            Self::Stranger { token, write } => {
                write!(f, "{token} wrote at {write}, and is no place")
            }
            Self::Unstamped { key, write } => {
                write!(f, "{key:?} was written at {write} without a stamp")
            }
            Self::TokenWentBack {
                before,
                token,
                write,
            } => write!(f, "{token} wrote at {write}, after {before} had"),
            Self::NeverHeld { token } => {
                write!(f, "a guard of {token}, which never had its turn")
            }
            Self::Together { token, beside } => {
                write!(
                    f,
                    "a guard of {token}, while there were those of {beside:?}"
                )
            }
            Self::WithoutLease { key, token } => {
                write!(f, "{key:?} of {token} has no lease")
            }
            Self::Left { key, token } => write!(f, "{key:?} of {token} is left"),
        }
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
