//! Locks, elections and transactions in memory, which say when they no longer hold.
//!
//! A lock in a cluster cannot promise that nobody else takes over while its holder is cut off, or stands
//! still for longer than its lease. What it can promise is that a write by such a past holder is refused,
//! if the write carries the lock's condition. So everything that is held here
//! [hands out writes that do](Held::txn), and tells when it is [lost](Held::lost).
//!
//! | | others see | made by |
//! |---|---|---|
//! | [`Session`] | a lease | [`Client::session`](crate::Client::session) |
//! | [`LockGuard`] | etcd's Go client, `etcdctl lock`, the server's lock service | [`Client::lock`](crate::Client::lock) |
//! | [`ReadGuard`], [`WriteGuard`] | the read-write lock of the Go client's recipes | [`Client::rwlock`](crate::Client::rwlock) |
//! | [`Permit`] | keys of its own | [`Client::semaphore`](crate::Client::semaphore) |
//! | [`Leadership`] | etcd's Go client, `etcdctl elect`, the server's election service | [`Client::election`](crate::Client::election) |
//!
//! [Transactions in memory](crate::Client::stm) hold nothing: they read and write as if alone, and run again
//! where others came in between.
//!
//! # Fair, and without a trace
//!
//! All of them are queues of keys that are attached to a lease. They are served in the order in which
//! they came, whoever waits watches only what stands in the way, and a wait that ends in vain, because it
//! is dropped, too long or its session is lost, leaves no key behind. Waits survive whatever the lease
//! survives: broken connections, elections, compactions.

mod answer;
mod election;
mod fenced;
mod held;
mod lock;
mod queue;
mod rwlock;
mod semaphore;
mod session;
mod stm;

use std::{future::Future, pin::Pin};

#[cfg(feature = "serde")]
pub use self::stm::Json;
pub use self::{
    election::{Campaign, Election, Leader, Leadership, Observation, Observe},
    fenced::{FencedDelete, FencedPut, FencedTxn},
    held::{Held, HoldLost, HoldLostReason},
    lock::{Holder, Lock, LockGuard, TryLock},
    rwlock::{ReadGuard, RwLock, RwLockHolders, WriteGuard},
    semaphore::{Permit, Semaphore},
    session::{OpenSession, Session},
    stm::{Committed, FromValue, IntoValue, Isolation, Stm, Transaction, ValueError, Written},
};

/// What awaiting gives, where it takes more than one request.
type Pending<T> = Pin<Box<dyn Future<Output = crate::Result<T>> + Send>>;
