//! Reads the snapshot files of etcd: what `etcdctl snapshot save`, `etcdutl snapshot save` and
//! etcdkit's own client write, and the `member/snap/db` of a member that does not run.
//!
//! Nothing of etcd's is needed for it, and no file, however damaged, makes it panic or read beyond the
//! file's end.
//!
//! ```no_run
//! let status = etcdkit_snapshot::status("backup.db")?;
//! println!("revision {}, {} keys", status.revision, status.live_keys);
//! # Ok::<(), etcdkit_snapshot::Error>(())
//! ```

mod bolt;
mod error;
mod status;

pub use error::Error;
pub use status::{Status, status};
