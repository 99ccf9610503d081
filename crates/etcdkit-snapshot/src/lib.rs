//! Reads and writes the snapshot files of etcd: what `etcdctl snapshot save`, `etcdutl snapshot save`
//! and etcdkit's own client write, and the `member/snap/db` of a member that does not run.
//!
//! * [`status`] tells what a file holds, as `etcdutl snapshot status` does.
//! * [`Snapshot`] reads all of it, bucket by bucket.
//! * [`Draft`] makes a file that `etcdutl snapshot restore` takes, of whatever is put into it.
//!
//! Nothing of etcd's is needed for it, and no file, however damaged, makes it panic or read beyond the
//! file's end.
//!
//! ```no_run
//! let status = etcdkit_snapshot::status("backup.db")?;
//! println!("revision {}, {} keys", status.revision, status.live_keys);
//! # Ok::<(), etcdkit_snapshot::Error>(())
//! ```
//!
//! # Why not a crate for bbolt
//!
//! The two on crates.io (`nut` 0.1 and `bbolt-rs` 1.3) are whole databases that map the file into
//! memory with unsafe code and write it in place, so a file's size is known only when it is done,
//! while a server announces it with the first byte.

mod bolt;
mod error;
mod read;
mod status;
mod write;

pub use bolt::{Entry, Visit};
pub use error::Error;
pub use read::Snapshot;
pub use status::{Status, status};
pub use write::{Draft, Image};
