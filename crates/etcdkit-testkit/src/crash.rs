//! Whether a server that was killed has kept what it had promised.
//!
//! Pure, but for the [`Workload`] and for reading the server: a [`Ledger`] is what the clients know, a [`Found`] is what the
//! server shows after a start, and a [`Checker`] compares the two, crash by crash. What is looked for:
//!
//! * every acknowledged write is there, at its revision and whole;
//! * a write of unknown outcome is there whole, or not at all, and does not come later;
//! * nothing else is there, and what was there before is there unchanged;
//! * the revision, and the compacted one, are not below any that was seen;
//! * `HashKV` at every revision that is left is what an independent model makes of the history;
//! * leases with their keys, users and roles are those that were acknowledged.

mod check;
mod found;
mod hash;
mod ledger;
mod workload;

#[cfg(test)]
mod tests;

pub use check::{Checker, Loss};
pub use found::{Found, FoundHash, FoundLease};
pub use hash::HashModel;
pub use ledger::{Existence, Fate, Ledger};
pub use workload::{Working, Workload};
