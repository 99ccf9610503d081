//! The key space of etcd's v2 API: directories, indexes, a history of a thousand events, and who watches.
//!
//! A [`Tree`] is part of every [`Store`](crate::Store), and costs nothing until it is used. It has nothing in
//! common with the keys of v3, as in etcd. Answers and errors are those of etcd 3.5.30, in the types of
//! [`etcdkit_proto::v2`], with these deliberate differences:
//!
//! - A directory's TTL can be changed with [`update`](Tree::update). etcd 3.5 answers 300 to that (etcd's issue
//!   13589); 2.x to 3.4 do it.
//! - A stream of events that starts in the past goes on with what comes; etcd's gives one event and then none.
//! - Whoever watches `/ab` is not told of the removal of the directory `/a`, also not from the history.
//! - Listings are always sorted.
//! - Paths have at most [`MAX_DEPTH`] components.
//!
//! # One index
//!
//! Every change has the next index, and there is one event for each, in the history and for who watches.
//! Indexes and history are shared by all [`Namespace`]s: users see gaps where etcd notes something for itself.
//!
//! # Staged and published
//!
//! Like all of the store's, changes are staged first. Whoever asks [`Tree`] sees what is staged, so an
//! answer is to be held back until that is durable. [`Watchers`] are told of an event when it is published, and a
//! watch of the past is shown only what is.
//!
//! ```
//! use std::time::Duration;
//! use etcdkit_store::v2::{Content, Path, Tree};
//!
//! let mut tree = Tree::default();
//! let now = Duration::from_secs(1_800_000_000);
//! let set = tree.set(&Path::of_key("/a/b"), Content::value("1"), now)?;
//! assert!(set.is_created);
//! let read = tree.get(&Path::of_key("/a"), true, now)?;
//! let directory = read.event.node.unwrap();
//! assert_eq!(directory.nodes[0].key, "/a/b");
//! # Ok::<(), etcdkit_proto::v2::KeysError>(())
//! ```

pub mod auth;
mod cluster;
mod deadline;
mod event;
mod expiry;
mod history;
mod node;
mod path;
mod stats;
mod stored;
mod tree;
mod watch;
mod write;

pub use self::cluster::Member;
pub use self::deadline::Deadline;
pub use self::path::{MAX_DEPTH, Namespace, Path};
pub use self::tree::{Answer, Published, Tree};
pub use self::watch::{Next, WatchId, WatchOptions, Watchers};
pub use self::write::{Condition, Content};
