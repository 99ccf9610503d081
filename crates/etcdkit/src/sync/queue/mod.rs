//! The queue behind locks, permits and elections.
