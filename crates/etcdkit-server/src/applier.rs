//! The one owner of the engine: every front end reads and writes through it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::task::Waker;

use etcdkit_proto::{Code, EtcdError};
#[cfg(feature = "durable")]
use etcdkit_store::Batch;
use etcdkit_store::v2::Tree;
use etcdkit_store::{Position, Store};

#[cfg(feature = "durable")]
use crate::durable::Commits;
use crate::grpc::Status;
use crate::hub::Hub;
use crate::leadership::Leadership;

/// Where a fresh etcd stands before its first request: it has logged its own membership, its name
/// and the cluster version.
const INDEX_AFTER_START: u64 = 4;

/// Orders writes and lets reads share the engine. Tells watches of what is written.
///
/// A write is complete, and its revision visible to every reader, when [`apply`](Self::apply)
/// returns; so whoever is told of a write can read it. In memory that is so at once; a durable
/// write is visible when it is on disk. The lock is never held across an await, nor while the disk works.
pub(crate) struct Applier {
    store: RwLock<Store>,
    /// Locked after the store, never before it.
    hub: Mutex<Hub>,
    applied_index: AtomicU64,
    /// The size of the database, for who must not wait for the lock.
    size: AtomicU64,
    leadership: Arc<Leadership>,
    /// What makes writes durable, if anything does.
    #[cfg(feature = "durable")]
    durable: Option<Commits>,
}

impl Applier {
    /// An engine in memory.
    pub(crate) fn new(store: Store, leadership: Arc<Leadership>) -> Self {
        Self {
            size: AtomicU64::new(store.size()),
            store: RwLock::new(store),
            hub: Mutex::default(),
            applied_index: AtomicU64::new(INDEX_AFTER_START),
            leadership,
            #[cfg(feature = "durable")]
            durable: None,
        }
    }

    /// An engine whose changes a thread commits, which is still to be started.
    #[cfg(feature = "durable")]
    pub(crate) fn durable(store: Store, applied_index: u64, leadership: Arc<Leadership>) -> Self {
        Self {
            applied_index: AtomicU64::new(applied_index.max(INDEX_AFTER_START)),
            durable: Some(Commits::default()),
            ..Self::new(store, leadership)
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

    /// Applies one request in its turn. `write` stages what it changes.
    ///
    /// Returns once that is durable and published. What a request finds may be the work of others that
    /// is not durable yet, so questions and refusals wait for that, too.
    pub(crate) async fn apply<T>(
        &self,
        write: impl FnOnce(&mut Store) -> Result<T, EtcdError>,
    ) -> Result<T, Status> {
        self.leadership.needed_to_write().await?;
        // Refused requests count too: etcd logs a request before it knows the outcome.
        self.applied_index.fetch_add(1, Ordering::Relaxed);
        self.apply_unlogged(write).await
    }

    /// The same for requests that etcd does not log: transactions that only read.
    pub(crate) async fn apply_unlogged<T>(
        &self,
        write: impl FnOnce(&mut Store) -> Result<T, EtcdError>,
    ) -> Result<T, Status> {
        #[cfg(feature = "durable")]
        if let Some(commits) = &self.durable {
            let (answer, ticket) = {
                let mut store = self.store.write().map_err(broken)?;
                commits.check()?;
                let answer = write(&mut store);
                (answer, commits.ticket(store.has_changes()))
            };
            if let Some(ticket) = ticket {
                ticket.wait().await?;
            }
            return Ok(answer?);
        }
        self.stage(write)
    }

    /// Answers a question about leases, users or alarms. Unlike keys they have no revision to be read at, so
    /// the answer waits until what it says is durable.
    pub(crate) async fn ask<T>(
        &self,
        ask: impl FnOnce(&Store) -> Result<T, EtcdError>,
    ) -> Result<T, Status> {
        #[cfg(feature = "durable")]
        if let Some(commits) = &self.durable {
            let (answer, ticket) = {
                let store = self.store.read().map_err(broken)?;
                (ask(&store), commits.ticket(store.has_changes()))
            };
            if let Some(ticket) = ticket {
                ticket.wait().await?;
            }
            return Ok(answer?);
        }
        self.read(ask)
    }

    /// Answers a question about the keys of v2, which have no revisions either.
    ///
    /// Refused when the tree holds what was staged in vain, because the disk is full or failing: unlike leases, its
    /// keys are data, and a value that nobody was told is stored must not be read.
    pub(crate) async fn ask_v2<T>(&self, ask: impl FnOnce(&Tree) -> T) -> Result<T, Status> {
        #[cfg(feature = "durable")]
        if let Some(commits) = &self.durable {
            let (answer, ticket) = {
                let store = self.store.read().map_err(broken)?;
                if !store.v2().is_published() {
                    commits.check()?;
                }
                (ask(store.v2()), commits.ticket(store.has_changes()))
            };
            if let Some(ticket) = ticket {
                ticket.wait().await?;
            }
            return Ok(answer);
        }
        self.read(|store| Ok(ask(store.v2())))
    }

    /// Returns once the backend has removed what was compacted.
    pub(crate) async fn compacted(&self) -> Result<(), Status> {
        #[cfg(feature = "durable")]
        if let Some(commits) = &self.durable {
            while self.has_garbage() {
                let Some(ticket) = commits.ticket(true) else {
                    break;
                };
                ticket.wait().await?;
            }
        }
        Ok(())
    }

    /// Applies one request of the server's own in its turn, and does not wait until it is durable.
    pub(crate) fn apply_detached<T>(
        &self,
        write: impl FnOnce(&mut Store) -> Result<T, EtcdError>,
    ) -> Result<T, Status> {
        self.applied_index.fetch_add(1, Ordering::Relaxed);
        self.stage(write)
    }

    /// Changes the engine, unlogged, and does not wait until that is durable: renews a lease. In memory
    /// the change is published at once; otherwise the thread is told.
    pub(crate) fn stage<T>(
        &self,
        write: impl FnOnce(&mut Store) -> Result<T, EtcdError>,
    ) -> Result<T, Status> {
        let mut store = self.store.write().map_err(broken)?;
        #[cfg(feature = "durable")]
        if let Some(commits) = &self.durable {
            commits.check()?;
            let answer = write(&mut store);
            if store.has_changes() {
                commits.announce();
            }
            return Ok(answer?);
        }
        let answer = write(&mut store);
        self.size.store(store.size(), Ordering::Relaxed);
        let position = store.staged_position();
        self.publish_locked(store, position)?;
        Ok(answer?)
    }

    /// Publishes, and wakes whoever watches what is new.
    fn publish_locked(
        &self,
        mut store: RwLockWriteGuard<'_, Store>,
        position: Position,
    ) -> Result<(), Status> {
        let mut woken = Ok(Vec::new());
        store.publish_up_to(position, |records, events| {
            woken = self
                .hub
                .lock()
                .map(|mut hub| hub.published(records, events));
        });
        let woken = woken.map_err(broken)?;
        drop(store);
        woken.into_iter().for_each(Waker::wake);
        Ok(())
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

    /// Blocks until everything staged so far is published.
    pub(crate) fn settle(&self) {
        #[cfg(feature = "durable")]
        if let Some(commits) = &self.durable {
            commits.settle();
        }
    }

    /// Gives the room of what was removed from the data file back to the system.
    pub(crate) async fn defragment(&self) -> Result<(), Status> {
        #[cfg(feature = "durable")]
        if let Some(commits) = &self.durable {
            commits.defragment().await?;
        }
        Ok(())
    }

    /// How many requests wait until what they did or found is durable.
    pub(crate) fn waiting(&self) -> u64 {
        #[cfg(feature = "durable")]
        if let Some(commits) = &self.durable {
            return commits.waiting();
        }
        0
    }

    /// What `raft_index` and `raft_applied_index` say: one more with each request applied.
    pub(crate) fn applied_index(&self) -> u64 {
        self.applied_index.load(Ordering::Relaxed)
    }
}

/// The side of the thread that commits.
#[cfg(feature = "durable")]
impl Applier {
    pub(crate) fn commits(&self) -> Option<&Commits> {
        self.durable.as_ref()
    }

    /// Takes what is staged, with the number of its batch.
    pub(crate) fn take_batch(&self, commits: &Commits) -> Result<(u64, Batch), Status> {
        let mut store = self.store.write().map_err(broken)?;
        Ok((commits.next_batch(), store.take_changes()))
    }

    /// Takes note of the size of the file, in bytes.
    pub(crate) fn note_size(&self, bytes: u64) {
        self.size.store(bytes, Ordering::Relaxed);
    }

    /// Publishes what is durable now.
    pub(crate) fn publish(&self, position: Position) -> Result<(), Status> {
        self.publish_locked(self.store.write().map_err(broken)?, position)
    }

    /// Whether there are compacted records to remove.
    pub(crate) fn has_garbage(&self) -> bool {
        self.store.read().is_ok_and(|store| store.has_garbage())
    }

    /// Changes the engine without staging anything, while nobody else can.
    pub(crate) fn interrupt(&self, change: impl FnOnce(&mut Store)) -> Result<(), Status> {
        change(&mut *self.store.write().map_err(broken)?);
        Ok(())
    }

    /// Puts another engine in place of one that was staged on in vain. It has published what was
    /// published before, and perhaps what is on disk after all.
    pub(crate) fn replace(&self, other: Store) -> Result<(), Status> {
        let mut store = self.store.write().map_err(broken)?;
        let before = (store.revision(), store.v2().published_index());
        *store = other;
        let records = store.published_after(before.0);
        let events = store.v2().published_after(before.1);
        let woken = self.hub.lock().map_err(broken)?.published(records, &events);
        drop(store);
        woken.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

/// A write panicked half way, so that nothing the engine holds can be trusted any more.
fn broken<T>(_: PoisonError<T>) -> Status {
    Status::new(
        Code::Internal,
        "the embedded server is broken: an earlier request made its engine panic; restart it",
    )
}
