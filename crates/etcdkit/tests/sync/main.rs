//! Locks, permits and their sessions on an embedded server, whose clock and faults the tests decide on.

#![allow(clippy::unwrap_used)]

mod crowds;
mod given_up;
mod locks;
mod loss;
mod rwlocks;
mod semaphores;
mod support;
mod transactions;
