//! Locks, read-write locks and semaphores under faults, on real etcd and on the embedded server.
//!
//! In contests everybody writes under the lock by fenced transactions, and in the end each write and each
//! guard is compared with what happened: none by who did not hold the lock, and no key left.

mod connections;
mod contests;
mod embedded;
mod late;
mod members;
mod support;
