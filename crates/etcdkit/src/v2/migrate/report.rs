//! What came of a migration.

use super::plan::Reason;

/// What a [migration](super::Migration) has done or, in a dry run, would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many keys the last listing of v2 had.
    pub keys: usize,
    /// How many directories, the one that was listed not counted.
    pub directories: usize,
    /// How many keys were written where v3 had nothing.
    pub created: usize,
    /// How many were written over what was there: older copies and, where that was asked for, values of
    /// others.
    pub updated: usize,
    /// How many copies were removed, because v2 has the key no longer.
    pub removed: usize,
    /// How many copies needed nothing, as the last pass found.
    pub unchanged: usize,
    /// How many keys v3 had already with the same value, though not from a migration.
    pub equal: usize,
    /// What was not copied, as the last pass found.
    pub conflicts: Vec<Conflict>,
    /// How many leases were granted.
    pub leases: usize,
    /// How often v2 was listed.
    pub passes: u32,
    /// The index of v2 at the last listing.
    pub index: u64,
    /// Whether that last listing found every key in v3 as it is in v2, but for the conflicts.
    pub verified: bool,
}

/// A key that was not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The key in v2.
    pub source: String,
    /// What it would be in v3.
    pub target: String,
    /// Why it is not.
    pub reason: Reason,
}

/// How far a [migration](super::Migration) has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Which listing of v2 is worked on, from 1 on; from the second on, what changed meanwhile is
    /// brought up to date and everything else verified.
    pub pass: u32,
    /// How many keys have been looked at in this pass.
    pub done: usize,
    /// How many there are.
    pub total: usize,
    /// How many writes have been made in all passes.
    pub written: usize,
}
