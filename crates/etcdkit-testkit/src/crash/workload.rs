//! Clients that do everything a server makes durable, and note what they know.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use etcdkit::{Client, Error, LeaseId, Op, Revision};
use tokio::task::JoinHandle;

use super::{Existence, Fate, Ledger};
use crate::watch_checker::{Change, Outcome};

/// How many write keys at a time.
const WRITERS: u64 = 4;

const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// No lease runs out.
const TIME_TO_LIVE: Duration = Duration::from_secs(100_000);

/// What a client waits after a failure, which at the end of a server are many.
const PAUSE: Duration = Duration::from_millis(2);

/// The clients of a server, over all its crashes.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    ledger: Arc<Mutex<Ledger>>,
    /// Makes values, names and ids unique.
    numbers: Arc<AtomicU64>,
    /// Up to which revision the history may be compacted.
    compactable: Arc<AtomicI64>,
}

/// Clients under way.
#[derive(Debug)]
pub struct Working {
    done: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Working {
    /// Lets each client end after the request that it is at, without waiting for it.
    pub fn last_orders(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// Returns when each client has noted what became of its last request.
    ///
    /// # Panics
    ///
    /// When one has panicked.
    pub async fn end(self) {
        self.last_orders();
        for task in self.tasks {
            task.await.expect("a client does not panic");
        }
    }
}

impl Workload {
    /// Clients of an empty server.
    pub fn new() -> Self {
        Self::default()
    }

    /// What they know.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allows to compact the history up to this revision.
    pub fn allow_compaction(&self, revision: Revision) {
        self.compactable.store(revision, Ordering::Relaxed);
    }

    /// Lets all of them go to work, by this client.
    pub fn start(&self, client: &Client, seed: u64) -> Working {
        let done: Arc<AtomicBool> = Arc::default();
        let worker = |number: u64| Worker {
            all: self.clone(),
            client: client.clone(),
            random: fastrand::Rng::with_seed(seed.wrapping_add(number)),
            done: Arc::clone(&done),
        };
        let mut tasks: Vec<_> = (0..WRITERS)
            .map(|number| tokio::spawn(worker(number).write()))
            .collect();
        tasks.extend([
            tokio::spawn(worker(WRITERS).lease()),
            tokio::spawn(worker(WRITERS + 1).administer()),
            tokio::spawn(worker(WRITERS + 2).compact()),
            tokio::spawn(worker(WRITERS + 3).read()),
        ]);
        Working { done, tasks }
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// One client.
struct Worker {
    all: Workload,
    client: Client,
    random: fastrand::Rng,
    done: Arc<AtomicBool>,
}

impl Worker {
    fn goes_on(&self) -> bool {
        !self.done.load(Ordering::Relaxed)
    }

    async fn pause_after(&self, failed: bool) {
        if failed {
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn write(mut self) {
        while self.goes_on() {
            let key = KEYS[self.random.usize(..KEYS.len())];
            let result = match self.random.u8(..10) {
                0..5 => self.put(key).await,
                5..7 => self.delete(key).await,
                _ => self.several().await,
            };
            self.pause_after(result.is_err()).await;
        }
    }

    async fn put(&mut self, key: &'static str) -> Result<Revision, Error> {
        let mut value = self.all.number().to_string();
        // Some that take several pages of the file.
        if self.random.u8(..20) == 0 {
            value = format!("{value}{}", "x".repeat(self.random.usize(..20_000)));
        }
        let result = self.client.put(key, &value).await;
        let result = result.map(|put| put.header.revision);
        self.all.ledger().wrote([Change::put(key, value)], &result);
        result
    }

    async fn delete(&self, key: &'static str) -> Result<Revision, Error> {
        let result = self.client.delete(key).await;
        let changes = match &result {
            Ok(deleted) if deleted.deleted == 0 => None,
            _ => Some(Change::delete(key)),
        };
        let result = result.map(|deleted| deleted.header.revision);
        self.all.ledger().wrote(changes, &result);
        result
    }

    async fn several(&mut self) -> Result<Revision, Error> {
        let mut keys = KEYS.to_vec();
        self.random.shuffle(&mut keys);
        keys.truncate(self.random.usize(2..=KEYS.len()));
        let pairs = keys
            .into_iter()
            .map(|key| (key.to_owned(), self.all.number().to_string()));
        self.put_all(pairs.collect(), None).await
    }

    async fn put_all(
        &self,
        pairs: Vec<(String, String)>,
        lease: Option<LeaseId>,
    ) -> Result<Revision, Error> {
        let puts = pairs.iter().map(|(key, value)| {
            let put = Op::put(key, value);
            match lease {
                Some(lease) => put.lease(lease),
                None => put,
            }
        });
        let result = self.client.txn().then(puts).await;
        let result = result.map(|done| done.header.revision);
        let changes = pairs
            .into_iter()
            .map(|(key, value)| Change::put(key, value));
        self.all.ledger().wrote(changes, &result);
        result
    }

    /// Leases with keys, every other of which is revoked.
    async fn lease(mut self) {
        while self.goes_on() {
            let number = self.all.number();
            let id = LeaseId(1_000_000 + number as i64);
            let granted = self.client.leases().grant(TIME_TO_LIVE).id(id).await;
            let made = Existence {
                made: Fate::of(&granted),
                removed: Fate::No,
            };
            self.all.ledger().leases.insert(id.0, (TIME_TO_LIVE, made));
            self.pause_after(granted.is_err()).await;
            if granted.is_err() || !self.goes_on() {
                continue;
            }
            let keys = ["x", "y", "z"].map(|key| format!("leased/{number}/{key}"));
            let pairs = keys.clone().map(|key| (key, number.to_string()));
            let put = self.put_all(pairs.to_vec(), Some(id)).await;
            self.pause_after(put.is_err()).await;
            if self.random.bool() || !self.goes_on() {
                continue;
            }
            let revoked = self.client.leases().revoke(id).await;
            self.note_revocation(id, keys, Fate::of(&revoked));
            self.pause_after(revoked.is_err()).await;
        }
    }

    fn note_revocation(&self, lease: LeaseId, keys: [String; 3], removed: Fate) {
        let mut ledger = self.all.ledger();
        if let Some((_, lease)) = ledger.leases.get_mut(&lease.0) {
            lease.removed = removed;
        }
        if removed != Fate::No {
            // The answer's revision may be a later one, and keys that were not put are not deleted.
            ledger
                .writes
                .add(keys.map(Change::delete), Outcome::Unknown);
        }
    }

    /// Users and roles, every other of which is deleted again.
    async fn administer(mut self) {
        while self.goes_on() {
            let name = format!("name-{}", self.all.number());
            let is_user = self.random.bool();
            let auth = self.client.auth();
            let made = match is_user {
                true => auth.user(&name).add_without_password().await,
                false => auth.role(&name).add().await,
            };
            let mut existence = Existence {
                made: Fate::of(&made),
                removed: Fate::No,
            };
            self.pause_after(made.is_err()).await;
            if made.is_ok() && self.random.bool() && self.goes_on() {
                let removed = match is_user {
                    true => auth.user(&name).delete().await,
                    false => auth.role(&name).delete().await,
                };
                existence.removed = Fate::of(&removed);
            }
            let mut ledger = self.all.ledger();
            match is_user {
                true => ledger.users.insert(name, existence),
                false => ledger.roles.insert(name, existence),
            };
        }
    }

    /// Compacts what has been looked at.
    async fn compact(mut self) {
        while self.goes_on() {
            tokio::time::sleep(Duration::from_millis(self.random.u64(1..20))).await;
            let upto = self.all.compactable.load(Ordering::Relaxed);
            let from = self.all.ledger().compacting + 1;
            if from > upto {
                continue;
            }
            let revision = self.random.i64(from..=upto);
            self.all.ledger().compacting = revision;
            let compacted = self.client.compact(revision).await;
            if compacted.is_ok() {
                let mut ledger = self.all.ledger();
                ledger.compacted = ledger.compacted.max(revision);
            }
            self.pause_after(compacted.is_err()).await;
        }
    }

    /// Reads: what anybody has seen must not be lost either.
    async fn read(mut self) {
        while self.goes_on() {
            let key = KEYS[self.random.usize(..KEYS.len())];
            let found = self.client.range(key).await;
            if let Ok(found) = &found {
                self.all.ledger().saw(found.header.revision);
            }
            self.pause_after(found.is_err()).await;
        }
    }
}
