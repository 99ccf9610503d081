//! What requests and answers are made of.

mod event;
mod node;
mod response;
mod ttl;

pub use self::{
    event::{Action, Event},
    node::{Leaves, Node, Walk},
    response::{Found, Listing, Response},
    ttl::Ttl,
};
