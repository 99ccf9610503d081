//! The one owner of the engine: every front end reads and writes through it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::Waker;

use etcdkit_proto::{Code, EtcdError};
use etcdkit_store::Store;

use crate::grpc::Status;
use crate::hub::Hub;
use crate::leadership::Leadership;

/// Where a fresh etcd stands before its first request: it has logged its own membership, its name
/// and the cluster version.
const INDEX_AFTER_START: u64 = 4;

/// Orders writes and lets reads share the engine. Tells watches of what is written.
///
/// A write is complete, and its revision visible to every reader, when [`apply`](Self::apply)
/// returns; so whoever is told of a write can read it. The lock is never held across an await.
pub(crate) struct Applier {
    store: RwLock<Store>,
    /// Locked after the store, never before it.
    hub: Mutex<Hub>,
    applied_index: AtomicU64,
    /// The size of the engine after the last write, for who must not wait for the lock.
    size: AtomicU64,
    leadership: Arc<Leadership>,
}

impl Applier {
    pub(crate) fn new(store: Store, leadership: Arc<Leadership>) -> Self {
        Self {
            size: AtomicU64::new(store.size()),
            store: RwLock::new(store),
            hub: Mutex::default(),
            applied_index: AtomicU64::new(INDEX_AFTER_START),
            leadership,
        }
    }

    /// Reads the engine as it is now.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, EtcdError>,
    ) -> Result<T, Status> {
        let store = self.store.read().map_err(broken)?;
        Ok(read(&store)?)
    }

    /// Applies one request in its turn.
    ///
    /// Asynchronous because a durable engine answers only once the request is on disk.
    pub(crate) async fn apply<T>(
        &self,
        write: impl FnOnce(&mut Store) -> Result<T, EtcdError>,
    ) -> Result<T, Status> {
        self.leadership.needed_to_write().await?;
        self.apply_now(write)
    }

    /// Applies one request of the server's own in its turn.
    pub(crate) fn apply_now<T>(
        &self,
        write: impl FnOnce(&mut Store) -> Result<T, EtcdError>,
    ) -> Result<T, Status> {
        // Refused requests count too: etcd logs a request before it knows the outcome.
        self.applied_index.fetch_add(1, Ordering::Relaxed);
        self.apply_unlogged(write)
    }

    /// Applies one request that etcd does not log, such as the renewal of a lease.
    pub(crate) fn apply_unlogged<T>(
        &self,
        write: impl FnOnce(&mut Store) -> Result<T, EtcdError>,
    ) -> Result<T, Status> {
        let mut store = self.store.write().map_err(broken)?;
        let before = store.revision();
        let answer = write(&mut store)?;
        let woken = match store.published_after(before) {
            [] => Vec::new(),
            records => self.hub.lock().map_err(broken)?.published(records),
        };
        self.size.store(store.size(), Ordering::Relaxed);
        drop(store);
        woken.into_iter().for_each(Waker::wake);
        Ok(answer)
    }

    /// Does something about watches, while nothing is published.
    pub(crate) fn watching<T>(&self, f: impl FnOnce(&Store, &mut Hub) -> T) -> Result<T, Status> {
        let store = self.store.read().map_err(broken)?;
        let mut hub = self.hub.lock().map_err(broken)?;
        Ok(f(&store, &mut hub))
    }

    /// The size of the database, in bytes, which the quota limits.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// What `raft_index` and `raft_applied_index` say: one more with each request applied.
    pub(crate) fn applied_index(&self) -> u64 {
        self.applied_index.load(Ordering::Relaxed)
    }
}

/// A write panicked half way, so that nothing the engine holds can be trusted any more.
fn broken<T>(_: PoisonError<T>) -> Status {
    Status::new(
        Code::Internal,
        "the embedded server is broken: an earlier request made its engine panic; restart it",
    )
}
