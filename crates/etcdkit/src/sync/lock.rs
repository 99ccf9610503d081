//! Locks: one holder at a time.
