//! Clients that see the store differently.

pub(crate) mod namespace;
