//! Tasks that write without pause and note what became of it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, Error, Op, Revision};
use tokio::task::JoinHandle;

use super::lock;
use crate::watch_checker::{Change, Outcome, Writes};

/// The keys that are written to.
pub(super) const KEYS: &[&str] = &["a", "b", "c", "d/1", "d/2", "d/3"];

/// How many write at a time.
const WRITERS: u64 = 3;

/// What a writer waits after a write, so that a watch sees events all the time and the machine has
/// time for them.
const PACE: Duration = Duration::from_millis(2);

/// Makes the values of the process unique.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// What the writers know.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) writes: Writes,
    /// When writes were acknowledged.
    pub(super) acknowledged: Vec<Instant>,
}

#[derive(Debug)]
pub(super) struct Writers {
    done: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    pub(super) fn start(client: &Client, prefix: &str, log: &Arc<Mutex<Log>>, seed: u64) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let tasks = (0..WRITERS).map(|number| {
            let (client, prefix) = (client.clone(), prefix.to_owned());
            let (log, done) = (Arc::clone(log), Arc::clone(&done));
            let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number));
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    write(&client, &prefix, &log, &mut random).await;
                    tokio::time::sleep(PACE).await;
                }
            })
        });
        Self {
            tasks: tasks.collect(),
            done,
        }
    }

    /// Returns when each has ended its last write.
    pub(super) async fn stop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for task in self.tasks.drain(..) {
            task.await.expect("a writer does not panic");
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn write(client: &Client, prefix: &str, log: &Mutex<Log>, random: &mut fastrand::Rng) {
    let key = KEYS[random.usize(..KEYS.len())];
    match random.u8(..10) {
        0..6 => {
            put(client, prefix, key, log).await;
        }
        6..8 => {
            delete(client, prefix, key, log).await;
        }
        _ => several(client, prefix, log, random).await,
    }
}

/// Puts a new value; answers the revision if that was acknowledged.
pub(super) async fn put(
    client: &Client,
    prefix: &str,
    key: &str,
    log: &Mutex<Log>,
) -> Option<Revision> {
    let (key, value) = (format!("{prefix}{key}"), value());
    let put = client.put(&key, &value).await;
    let revision = put.as_ref().ok().map(|put| put.header.revision);
    note(
        log,
        vec![Change::put(key, value)],
        put.map(|put| put.header.revision),
    );
    revision
}

/// Deletes a key; answers whether that was acknowledged.
pub(super) async fn delete(client: &Client, prefix: &str, key: &str, log: &Mutex<Log>) -> bool {
    let key = format!("{prefix}{key}");
    let done = client.delete(&key).await;
    let is_done = done.is_ok();
    let changes = match &done {
        Ok(done) if done.deleted == 0 => Vec::new(),
        _ => vec![Change::delete(key)],
    };
    note(log, changes, done.map(|done| done.header.revision));
    is_done
}

/// Puts several keys at one revision.
async fn several(client: &Client, prefix: &str, log: &Mutex<Log>, random: &mut fastrand::Rng) {
    let mut keys = KEYS.to_vec();
    random.shuffle(&mut keys);
    keys.truncate(random.usize(2..=KEYS.len()));
    let pairs: Vec<(String, String)> = keys
        .iter()
        .map(|key| (format!("{prefix}{key}"), value()))
        .collect();
    let puts = pairs.iter().map(|(key, value)| Op::put(key, value));
    let done = client.txn().then(puts).await;
    let changes = pairs
        .into_iter()
        .map(|(key, value)| Change::put(key, value));
    note(
        log,
        changes.collect(),
        done.map(|done| done.header.revision),
    );
}

fn value() -> String {
    NUMBER.fetch_add(1, Ordering::Relaxed).to_string()
}

fn note(log: &Mutex<Log>, changes: Vec<Change>, result: Result<Revision, Error>) {
    let mut log = lock(log);
    let outcome = match result {
        Ok(revision) => {
            log.acknowledged.push(Instant::now());
            Outcome::Applied(revision)
        }
        Err(error) if error.outcome() == etcdkit::Outcome::Unknown => Outcome::Unknown,
        Err(_) => Outcome::NotApplied,
    };
    log.writes.add(changes, outcome);
}
