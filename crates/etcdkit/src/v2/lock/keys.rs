//! A queue over the key space: its requests.
//!
//! A place is an in-order key of the queue's directory, with a time to live. The first key has what is
//! queued for, and each other one waits for the key before it to go, so that a release wakes one waiter.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    backing::{Backing, Place, Waited},
    queue::{self, Queue},
    stamp::Stamp,
};
use crate::{
    Outcome,
    transport::backoff::Backoff,
    v2::{
        Client, Error, ErrorKind, Result,
        watch::{Scope, wait_once},
    },
};

/// How often a place is asked for if the answers get lost.
const TRIES: u32 = 3;

/// How long the predecessor is watched before the queue is read again, should a member be silent.
const WATCH_MOST: Duration = Duration::from_secs(20);
const WATCH_LEAST: Duration = Duration::from_secs(2);

/// The pause before a queue is read again that could not be read.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// One's own part in a queue.
#[derive(Debug)]
pub(crate) struct KeyQueue {
    client: Client,
    /// A clean path.
    directory: String,
    stamp: Stamp,
    /// Whether to give up at once if somebody else is first.
    once: bool,
    /// Whether there may be more keys of ours than are known, because an answer was lost.
    is_doubtful: AtomicBool,
    /// The index of the last change of our key that is known.
    version: AtomicU64,
}

impl KeyQueue {
    pub(crate) fn new(client: Client, directory: String, stamp: Stamp, once: bool) -> Self {
        Self {
            client,
            directory,
            stamp,
            once,
            is_doubtful: AtomicBool::new(false),
            version: AtomicU64::new(0),
        }
    }

    /// Removes keys of ours other than this one, which a request that seemed lost has made.
    async fn remove_others(&self, queue: &Queue, key: Option<&str>) -> Result<()> {
        for entry in queue.all_of(self.stamp.as_str()) {
            if key != Some(entry.key.as_str()) {
                self.remove(&entry.key).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let request = self.client.compare_and_delete(key);
        match request.prev_value(self.stamp.as_str()).await {
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Reads a queue as the cluster has it, and the index of the store then. A queue that never was is
/// empty.
pub(crate) async fn read(client: &Client, directory: &str) -> Result<(Queue, u64)> {
    let found = client.get(directory).sorted().quorum().await?;
    let nodes = found.node.map(|node| node.nodes).unwrap_or_default();
    Ok((Queue::read(nodes), found.header.etcd_index))
}

/// Whether an error says that a key is not, or no longer, ours.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::KeyNotFound | ErrorKind::CompareFailed
    )
}

impl Backing for KeyQueue {
    const WAITERS_RENEW: bool = true;

    async fn take(&self, ttl: Duration) -> Result<Option<Place>> {
        if self.once && !read(&self.client, &self.directory).await?.0.is_empty() {
            return Ok(None);
        }
        let mut tries = 0;
        // A member reckons when the key expires as soon as it reads the request, whenever that is carried
        // out.
        let first = Instant::now();
        loop {
            let sent = Instant::now();
            let request = self
                .client
                .create_in_order(&self.directory, self.stamp.as_str());
            let error = match request.ttl(ttl).await {
                Ok(response) => match response.node {
                    Some(node) => {
                        let (key, index) = (node.key, node.created_index);
                        self.version.store(node.modified_index, Ordering::Relaxed);
                        return Ok(Some(Place { key, index, sent }));
                    }
                    None => Error::new(
                        ErrorKind::Protocol,
                        "a creation was answered without a node",
                    )
                    .with_outcome(Outcome::Unknown),
                },
                Err(error) => error,
            };
            if error.outcome() == Outcome::NotApplied {
                return Err(error);
            }
            // The answer is lost. The key may be there, and would stand in everybody's way.
            self.is_doubtful.store(true, Ordering::Relaxed);
            let Ok((queue, _)) = read(&self.client, &self.directory).await else {
                return Err(error);
            };
            if let Some(entry) = queue.all_of(self.stamp.as_str()).next() {
                self.version.store(entry.index, Ordering::Relaxed);
                return Ok(Some(Place {
                    key: entry.key.clone(),
                    index: entry.index,
                    sent: first,
                }));
            }
            tries += 1;
            if tries == TRIES {
                return Err(error);
            }
        }
    }

    async fn wait(&self, place: &Place, ttl: Duration) -> Result<Waited> {
        let mut pauses = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        loop {
            let (queue, index) = match read(&self.client, &self.directory).await {
                Ok(read) => read,
                Err(error) if error.is_temporary() => {
                    sleep(pauses.next(fastrand::f64())).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.is_doubtful.load(Ordering::Relaxed) {
                // What fails now is tried again with the next reading.
                let _ = self.remove_others(&queue, Some(&place.key)).await;
            }
            let predecessor = match queue.place(&place.key) {
                queue::Place::First => return Ok(Waited::First(place.clone())),
                queue::Place::Absent => return Ok(Waited::Gone),
                queue::Place::Behind(_) if self.once => return Ok(Waited::Refused),
                queue::Place::Behind(predecessor) => predecessor,
            };
            // Whatever ends the wait, only the queue says who is first.
            let scope = Scope::new(&predecessor.key, false);
            let most = ttl.clamp(WATCH_LEAST, WATCH_MOST);
            match wait_once(&self.client, &scope, index + 1, most).await {
                Ok(true) => pauses.reset(),
                // Nobody holds connections, or nobody answers: to read again at once would be a burden.
                Ok(false) | Err(_) => sleep(pauses.next(fastrand::f64())).await,
            }
        }
    }

    /// A renewal whose answer is lost may be carried out much later, after newer ones, and would then set an
    /// end that is over. So each names the change that it follows: the late one does not fit any more.
    async fn renew(&self, place: &Place, ttl: Duration, timeout: Duration) -> Result<()> {
        let until = Instant::now() + timeout;
        loop {
            let request = self.client.refresh(&place.key, ttl);
            let request = request
                .prev_value(self.stamp.as_str())
                .prev_index(self.version.load(Ordering::Relaxed))
                .timeout(until.saturating_duration_since(Instant::now()));
            let error = match request.await {
                Ok(response) => {
                    if let Some(node) = response.node {
                        self.version.store(node.modified_index, Ordering::Relaxed);
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            let left = until.saturating_duration_since(Instant::now());
            if error.kind() != ErrorKind::CompareFailed || left.is_zero() {
                return Err(error);
            }
            // Either one that seemed lost was carried out, or the key is not ours any more.
            let read = self.client.get(&place.key).quorum().timeout(left);
            match read.await?.node {
                Some(node) if node.value.as_deref() != Some(self.stamp.as_str()) => {
                    return Err(error);
                }
                Some(node) => self.version.store(node.modified_index, Ordering::Relaxed),
                // The next answer says so.
                None => {}
            }
        }
    }

    async fn leave(&self, place: Option<&Place>) -> Result<()> {
        if let Some(place) = place {
            self.remove(&place.key).await?;
        }
        if self.is_doubtful.load(Ordering::Relaxed) {
            let (queue, _) = read(&self.client, &self.directory).await?;
            self.remove_others(&queue, None).await?;
        }
        Ok(())
    }
}
