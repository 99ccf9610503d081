//! In which order a range comes.

/// What keys are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortTarget {
    /// By key, byte by byte.
    Key,
    /// By version, the number of puts since creation.
    Version,
    /// By the revision that created the key.
    CreateRevision,
    /// By the revision that last changed the key.
    ModRevision,
    /// By value, byte by byte.
    Value,
}

/// Which way keys are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortOrder {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}
