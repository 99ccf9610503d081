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
//! # What follows etcd, and what does not
//!
//! After the same requests [`Store::hash_kv`] gives the number that a real etcd gives, because the
//! stored bytes are the same. Where etcd's versions differ the store follows 3.6:
//!
//! * An unknown sort order or target is refused. Before, an unknown target crashed the server.
//! * What is wrong with a transaction's operations is found in their order. 3.5 and 3.4 look at all
//!   puts before all ranges, and 3.7 at a put's lease before its key, so of two errors they may
//!   answer the other.
//! * A compaction keeps the tombstones of exactly its revision (3.5.16), and remembers its hash
//!   (3.5). 3.4 refuses to hash at the compacted revision.
//! * `keys_only` keeps the lease, which 3.7 may leave out.
//!
//! Four things are deliberately not etcd's:
//!
//! * Sorting is stable: keys that are equal in the sort target stay in key order. etcd's order of
//!   such ties is unspecified.
//! * A compaction is finished when [`Store::compact`] returns, with or without `physical`, so its
//!   hash is always remembered. etcd forgets the hash of one that overtakes an unfinished one.
//! * Transactions nest at most [`check::MAX_TXN_DEPTH`] deep, whatever the limit of operations.
//! * etcd's rule against changing a key twice does not notice a delete with the open end `\0`, so a
//!   transaction may delete a key and put it again. When it compacts exactly there, etcd (3.5.30,
//!   3.6.14 and 3.7.1; not 3.4.23) loses the put and crashes on the next read of the key; the store
//!   keeps the put. And if such a put says `ignore_value` or `ignore_lease`, all four crash at once;
//!   the store answers `KeyNotFound` and applies nothing.

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
