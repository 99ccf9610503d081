//! Writers of every kind, and what they know of what they wrote.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use etcdkit::{Client, Error, ErrorKind, KeyRange, LeaseId, Op, Revision};
use etcdkit_testkit::watch_checker::{Change, Outcome, Writes};
use tokio::task::JoinHandle;

/// How many write small values at a time.
const WRITERS: u64 = 4;

/// The small keys.
pub(crate) const KEYS: [&str; 8] = ["a", "b", "c", "d/1", "d/2", "d/3", "d/4", "e"];

/// How large the large values are: the changes of one transaction with the pairs before them are more
/// than a message of 2 MiB.
const LARGE: usize = 600_000;

/// Where keys are, below the prefix of a trial.
pub(crate) const SMALL_KEYS: &str = "small/";
pub(crate) const LARGE_KEYS: &str = "large/";
pub(crate) const LEASED_KEYS: &str = "leased/";

/// Tasks that write without pause.
#[derive(Clone, Debug)]
pub(crate) struct Writers {
    client: Client,
    prefix: String,
    log: Arc<Mutex<Writes>>,
    done: Arc<AtomicBool>,
    number: Arc<AtomicU64>,
    time_to_live: Duration,
}

impl Writers {
    pub(crate) fn new(client: Client, prefix: &str, time_to_live: Duration) -> Self {
        Self {
            client,
            prefix: prefix.to_owned(),
            log: Arc::default(),
            done: Arc::default(),
            number: Arc::default(),
            time_to_live,
        }
    }

    pub(crate) fn start(&self, seed: u64) -> Vec<JoinHandle<()>> {
        let writers = (0..WRITERS).map(|number| {
            let (this, random) = (self.clone(), fastrand::Rng::with_seed(seed ^ number));
            tokio::spawn(async move { this.write_small(random).await })
        });
        let leases = {
            let (this, random) = (self.clone(), fastrand::Rng::with_seed(seed ^ WRITERS));
            tokio::spawn(async move { this.write_leased(random).await })
        };
        writers.chain([leases]).collect()
    }

    /// Lets the tasks end after the write that they are at.
    pub(crate) async fn stop(&self, tasks: Vec<JoinHandle<()>>) {
        self.done.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.expect("a writer does not panic");
        }
    }

    pub(crate) fn writes(&self) -> Writes {
        self.log().clone()
    }

    pub(crate) fn written(&self) -> usize {
        self.log().applied()
    }

    fn log(&self) -> MutexGuard<'_, Writes> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, changes: impl IntoIterator<Item = Change>, outcome: Outcome) {
        self.log().add(changes, outcome);
    }

    fn value(&self) -> String {
        self.number.fetch_add(1, Ordering::Relaxed).to_string()
    }

    fn small_key(&self, key: &str) -> String {
        format!("{}{SMALL_KEYS}{key}", self.prefix)
    }

    async fn write_small(&self, mut random: fastrand::Rng) {
        while !self.done.load(Ordering::Relaxed) {
            let key = self.small_key(KEYS[random.usize(..KEYS.len())]);
            match random.u8(..20) {
                0..12 => {
                    self.put(&key).await;
                }
                12..15 => self.delete(KeyRange::key(key)).await,
                15 => self.delete(KeyRange::prefix(self.small_key("d/"))).await,
                _ => self.several(&mut random).await,
            }
        }
    }

    async fn put(&self, key: &str) -> Revision {
        let value = self.value();
        let put = self.client.put(key, &value).await.expect("a put");
        let change = Change::put(key.to_owned(), value);
        self.note([change], Outcome::Applied(put.header.revision));
        put.header.revision
    }

    async fn delete(&self, keys: KeyRange<'_>) {
        let deleted = self.client.delete(keys).prev_kv().await;
        let deleted = deleted.expect("a deletion");
        let changes = deleted.prev_kvs.iter();
        let changes = changes.map(|kv| Change::delete(kv.key.clone()));
        let changes: Vec<Change> = changes.collect();
        self.note(changes, Outcome::Applied(deleted.header.revision));
    }

    async fn several(&self, random: &mut fastrand::Rng) {
        let mut keys = KEYS.to_vec();
        random.shuffle(&mut keys);
        keys.truncate(random.usize(2..=KEYS.len()));
        let pairs = keys.iter().map(|key| (self.small_key(key), self.value()));
        let done = self.put_all(pairs.collect(), None).await;
        done.expect("a transaction");
    }

    async fn put_all(
        &self,
        pairs: Vec<(String, String)>,
        lease: Option<LeaseId>,
    ) -> Result<(), Error> {
        let puts = pairs.iter().map(|(key, value)| {
            let put = Op::put(key, value);
            match lease {
                Some(lease) => put.lease(lease),
                None => put,
            }
        });
        let done = self.client.txn().then(puts).await?;
        let changes = pairs
            .into_iter()
            .map(|(key, value)| Change::put(key, value));
        self.note(changes, Outcome::Applied(done.header.revision));
        Ok(())
    }

    /// Two values so large that their events, with the pairs before them, do not fit a message.
    pub(crate) async fn put_large(&self) {
        let filler = "x".repeat(LARGE);
        let pairs = ["a", "b"].map(|key| {
            let key = format!("{}{LARGE_KEYS}{key}", self.prefix);
            (key, format!("{}{filler}", self.value()))
        });
        let done = self.put_all(pairs.to_vec(), None).await;
        done.expect("a transaction");
    }

    /// Keys that end with their leases, some of which are revoked and the others left to expire.
    async fn write_leased(&self, mut random: fastrand::Rng) {
        while !self.done.load(Ordering::Relaxed) {
            let granted = self.client.leases().grant(self.time_to_live).await;
            let lease = granted.expect("a lease").id;
            let folder = format!("{}{LEASED_KEYS}{}", self.prefix, self.value());
            let keys = ["x", "y", "z"].map(|key| format!("{folder}/{key}"));
            let pairs = keys.iter().map(|key| (key.clone(), self.value()));
            // A lease may expire at any moment.
            let put = self.put_all(pairs.collect(), Some(lease)).await;
            if put.is_ok() {
                // At which revision they go is for nobody to know.
                self.note(keys.map(Change::delete), Outcome::Unknown);
            }
            let revoked = match random.bool() {
                true => self.client.leases().revoke(lease).await.map(drop),
                false => Ok(()),
            };
            for result in [put, revoked] {
                let error = result.err().map(|error| error.kind());
                assert!(
                    matches!(error, None | Some(ErrorKind::LeaseNotFound)),
                    "{error:?}"
                );
            }
            tokio::time::sleep(Duration::from_millis(random.u64(1..10))).await;
        }
    }

    /// How many keys with leases are left.
    pub(crate) async fn leased(&self) -> i64 {
        let keys = format!("{}{LEASED_KEYS}", self.prefix);
        let found = self.client.range(KeyRange::prefix(keys)).count_only().await;
        found.expect("a count").count
    }

    /// A change of every small and every large key, so that every watch sees something.
    pub(crate) async fn mark(&self) -> Revision {
        self.put_large().await;
        self.put(&format!("{}{LEASED_KEYS}last", self.prefix)).await;
        for key in KEYS {
            let key = self.small_key(key);
            self.put(&key).await;
            self.delete(KeyRange::key(key)).await;
        }
        self.put(&self.small_key(KEYS[0])).await
    }
}
