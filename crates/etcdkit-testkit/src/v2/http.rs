//! HTTP/1.1 as bytes: requests that a proper client would not send, and answers as they arrive.

mod answer;
mod connection;
mod poll;

pub use answer::{Answer, Framing, Head};
pub use connection::{Connection, Request};
pub use poll::{Poll, Received};
