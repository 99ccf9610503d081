//! Watches.
//!
//! A watch is opened ([`open`]), put on a stream ([`hub`]) and from then on lives in that stream's
//! [`session`], a pure state machine that knows for each watch ([`watcher`]) what the program has been
//! given and where to go on. A task ([`lane`]) keeps the stream open and moves bytes. Updates reach
//! the program ([`stream`]) through a bounded queue ([`feed`]).

mod error;
mod event;
mod feed;
mod hub;
mod lane;
mod list;
mod now;
mod open;
mod seat;
mod session;
mod stream;
mod version;
mod watcher;

pub(crate) use self::hub::Hub;
pub use self::{
    error::{WatchEnd, WatchError},
    event::{Event, WatchUpdate},
    feed::Overflow,
    list::{ListThenWatch, ListWatch},
    open::OpenWatch,
    stream::{Watch, WatchEvents},
};
