//! What can be wrong with a snapshot file.

use std::io;

/// Why a snapshot file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read the snapshot: {0}")]
    Io(#[from] io::Error),
    /// The file is no bbolt database: it has no valid meta page.
    #[error("the file is no snapshot of etcd: {0}")]
    NotASnapshot(&'static str),
    /// The file ends before the database does.
    #[error("the snapshot is cut short: it has {actual} of {expected} bytes")]
    Short {
        /// How many bytes the database takes.
        expected: u64,
        /// How many bytes the file has.
        actual: u64,
    },
    /// The file is neither whole pages nor whole pages and a digest. Most likely it is cut short.
    #[error(
        "the snapshot is cut short: {size} bytes are neither whole pages nor end with a digest"
    )]
    Ragged {
        /// How many bytes the file has.
        size: u64,
    },
    /// The SHA-256 digest at the file's end is not that of what is before it.
    #[error("the snapshot is damaged: its SHA-256 digest is not that of its bytes")]
    Digest,
    /// A running process has the file locked, as a member does with its backend.
    #[error("the file is in use, probably by a running member; stop it, or take a snapshot of it")]
    InUse,
    /// A page of the database is not what it should be.
    #[error("the snapshot is damaged: page {page} {what}")]
    Damaged {
        /// The page's number.
        page: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The database is in order, but what it holds is not etcd's.
    #[error("the snapshot is not of etcd's making: {0}")]
    Foreign(&'static str),
    /// An entry cannot be in a snapshot.
    #[error("a snapshot cannot be written of this: {0}")]
    Unwritable(&'static str),
}

impl Error {
    pub(crate) fn damaged(page: u64, what: &'static str) -> Self {
        Self::Damaged { page, what }
    }
}
