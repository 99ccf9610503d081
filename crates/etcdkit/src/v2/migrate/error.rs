//! Why a migration stops.

use crate::v2;

/// Why a [migration](super::Migration) stopped before its end. What it has copied stays; it goes on
/// where it was when it is run again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// v2 could not be read.
    #[error("reading v2: {0}")]
    Read(#[from] v2::Error),
    /// v3 could not be read or written.
    #[error("copying into v3: {0}")]
    Write(#[from] crate::Error),
    /// What is noted in v3 is of another migration: from another cluster, or with other settings.
    #[error(
        "the notes at {state:?} in v3 are of another migration ({found}); this one is {wanted}. Use \
         another place for the notes, or forget the other migration if it is done"
    )]
    OtherMigration {
        /// Where the notes are.
        state: String,
        /// What they say.
        found: String,
        /// What this migration would note.
        wanted: String,
    },
}
