//! Locks that many readers or one writer hold.
