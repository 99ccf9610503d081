//! What the v2 API must do, and what servers answer to random requests of it.

pub mod conformance;
pub mod differential;
pub mod http;
pub mod servers;
