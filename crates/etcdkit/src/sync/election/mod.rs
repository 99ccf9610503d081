//! Elections: one leader at a time, and everybody knows who.
