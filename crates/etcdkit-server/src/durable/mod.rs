//! Data that outlives the server: one file, one thread that writes it.
//!
//! A write is staged in the engine by the task that serves it. The thread takes everything staged
//! since the last time, commits it with one sync, publishes it, and wakes the tasks that wait. So
//! callers at the same time share a sync, and nobody reads what could still be lost.

mod commit;
mod disk;
mod file;
mod table;

pub(crate) use self::commit::{Commits, spawn};
pub use self::disk::Disk;
pub use self::file::DataError;
pub(crate) use self::file::{DataFile, Found, Location};
