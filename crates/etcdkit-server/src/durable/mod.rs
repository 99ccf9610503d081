//! Data that outlives the server: one file, one thread that writes it.
//!
//! A write is staged in the engine by the task that serves it. The thread takes everything staged
//! since the last time, commits it with one sync, publishes it, and wakes the tasks that wait. So
//! callers at the same time share a sync, and nobody reads what could still be lost.

mod commits;
mod disk;
mod file;
mod table;
mod writer;

pub(crate) use self::commits::Commits;
pub use self::disk::Disk;
pub use self::file::DataError;
pub(crate) use self::file::{DataFile, Found, Location};
pub(crate) use self::writer::spawn;
