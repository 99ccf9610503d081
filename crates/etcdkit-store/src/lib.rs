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
//! [`Store::put`], [`Store::delete_range`] and [`Store::txn`] are each two steps. The `stage_…` half
//! applies the write at the next revision, where later writes see it and reads do not.
//! [`Store::staged`] lists what it stored, in the bytes etcd would write, for a backend to make durable.
//! [`Store::publish`] then lets reads see it.
//!
//! # What follows etcd, and what does not
//!
//! Where etcd's versions differ the store follows 3.6. After the same requests [`Store::hash_kv`] gives
//! the number that a real etcd gives, because the stored bytes are the same. It differs from etcd only here:
//!
//! * Sorting is stable: keys that are equal in the sort target stay in key order. etcd's order of
//!   such ties is unspecified.
//! * A compaction is finished when [`Store::compact`] returns, with or without `physical`. So its hash is
//!   always remembered; etcd forgets the hash of a compaction that overtakes an unfinished one.
//! * Transactions nest at most [`check::MAX_TXN_DEPTH`] deep, whatever the limit of operations.
//! * etcd's rule against changing a key twice does not notice a delete with the open end `\0`, so a
//!   transaction may delete a key and put it again. etcd then loses the put when it compacts exactly there, and crashes
//!   on the next read of the key; the store keeps the put. Where that put says `ignore_value` or
//!   `ignore_lease`, etcd crashes at once; the store answers `KeyNotFound` and applies nothing.

pub mod check;
mod compact;
mod compare;
mod hash;
mod index;
mod lease;
mod log;
mod range;
mod record;
mod revision;
mod span;
mod store;
mod txn;
mod write;

pub use record::Record;
pub use revision::{RecordKey, Revision};
pub use store::Store;
