//! Watching keys and directories.

mod event;
mod feed;
mod open;
mod pace;
mod poll;
mod scope;
mod session;
mod source;
mod stream;

pub use self::{
    event::{Resync, ResyncReason, WatchEvent},
    open::OpenWatch,
    stream::Watch,
};
pub(crate) use self::{poll::wait_once, scope::Scope};
