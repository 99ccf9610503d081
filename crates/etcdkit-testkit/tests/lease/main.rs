//! Leases on real etcds.

mod calls;
mod faults;
mod handles;
mod support;
