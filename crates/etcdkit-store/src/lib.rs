//! The deterministic engine of etcdkit's embedded server: multi-version keys, transactions and
//! compaction, as etcd has them.
//!
//! [`Store`] answers etcd's own request messages with etcd's own response messages. It does no I/O,
//! starts no thread, reads no clock and knows nothing of networks; the same requests in the same
//! order always give the same answers and the same stored bytes.
//!
//! ```
//! use etcdkit_proto::etcdserverpb::{PutRequest, RangeRequest};
//! use etcdkit_store::Store;
//!
//! let mut store = Store::new();
//! let put = PutRequest { key: "k".into(), value: "v".into(), ..Default::default() };
//! assert_eq!(store.put(put)?.header.unwrap_or_default().revision, 2);
//! let found = store.range(&RangeRequest { key: "k".into(), ..Default::default() })?;
//! assert_eq!(found.kvs[0].value, "v");
//! # Ok::<(), etcdkit_proto::EtcdError>(())
//! ```
//!
//! # Requests are checked first
//!
//! [`check`] holds the rules that need no state (empty keys, sort options, transaction limits). A
//! server applies them before anything else, also before it looks at credentials, and hands only
//! checked requests to the store. An unchecked request never makes the store panic, but the answer
//! may be one that etcd would not give.
//!
//! # Staged and published revisions
//!
//! [`Store::put`], [`Store::delete_range`] and [`Store::txn`] are each two steps. The `stage_…`
//! half applies the write at the next revision, where later writes see it and reads do not.
//! [`Store::publish`] then lets reads see it.
//!
//! # Durable stores
//!
//! After [`Store::keep_journal`] the store notes what changes: also leases, users, roles, alarms
//! and compactions. [`Store::take_changes`] gives a backend all of it as entries of etcd's own
//! [`Bucket`]s, and [`Store::publish_up_to`] publishes it once they are written. A [`Recovery`] makes
//! the same store of such entries again, also of those in a snapshot of a real etcd.
//!
//! # The v2 API
//!
//! [`Store::v2`] has the keys of etcd's v2 API, in a [tree](v2::Tree) of their own. It is staged, published and
//! made durable with everything else; its [`Bucket`] is none of etcd's.
//!
//! # What follows etcd, and what does not
//!
//! After the same requests [`Store::hash_kv`] gives the number that a real etcd gives, because the
//! stored bytes are the same. Where etcd's versions differ the store follows 3.6. What is deliberately
//! not etcd's (stable sorting, finished compactions, [`check::MAX_TXN_DEPTH`], answers to what
//! crashes etcd) is listed in the documentation of `etcdkit-server`, with everything else that a
//! client can see.

mod alarm;
mod auth;
mod backend;
pub mod check;
mod compact;
mod compare;
mod hash;
mod index;
mod journal;
mod lease;
mod log;
pub mod quota;
mod range;
mod record;
mod recovery;
mod revision;
mod span;
mod store;
mod txn;
pub mod v2;
mod watch;
mod write;

pub use alarm::Alarms;
pub use auth::{Auth, Caller, Tokens};
pub use backend::{Bucket, Change, Entry};
pub use journal::{Batch, Position};
pub use lease::{LEASE_CHECKPOINT_INTERVAL, MAX_LEASE_TTL, MIN_LEASE_TTL};
pub use quota::Quota;
pub use record::Record;
pub use recovery::{Recovery, RecoveryError};
pub use revision::{RecordKey, Revision};
pub use store::Store;
pub use watch::{Next, StreamId, WatchFigures, Watchers};
