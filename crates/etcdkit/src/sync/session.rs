//! Sessions: one lease for many locks.
