//! The same random v2 requests to a real etcd and to the embedded server: status, headers and body of every
//! answer must be equal.
//!
//! Requests are bytes, so that nothing of a client can hide or cause a difference. What two servers cannot
//! have in common is levelled: dates, ids, raft's indexes, the order of what was not sorted, and seconds of
//! a time to live that have passed. A failing case is shrunk and names the seed that repeats it.

mod answer;
mod both;
mod differences;
mod generate;
mod json;
mod position;
mod server;
mod step;

pub use both::run_case;
