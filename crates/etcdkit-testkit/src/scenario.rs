//! Writers that write, watches that watch, faults of the test's own in between, and in the end a
//! judgement about every event.
//!
//! ```no_run
//! # async fn example(cluster: &etcdkit_testkit::etcd::Cluster, proxy: &etcdkit_testkit::proxy::Proxy)
//! # -> etcdkit::Result<()> {
//! use etcdkit::Client;
//! use etcdkit_testkit::scenario::Scenario;
//!
//! let watching = Client::connect(proxy.endpoint()).await?;
//! let mut scenario = Scenario::start(cluster.endpoints()).await;
//! scenario.watch_in_every_way(&watching).await;
//! scenario.writes(100).await;
//! proxy.cut();
//! scenario.writes(100).await;
//! let report = scenario.finish().await;
//! println!("{report}");
//! # Ok(()) }
//! ```

mod replay;
mod report;
mod watching;
mod writers;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use etcdkit::{Client, ErrorKind, KeyRange, Revision};

pub use replay::replay;
pub use report::Report;
pub use watching::{WatchKind, Watching};

use crate::watch_checker::{Change, Event, History, Outcome, Violation};
use writers::{Log, Writers};

/// Nothing that certainly comes takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writers and watches of the same few keys.
#[derive(Debug)]
pub struct Scenario {
    seed: u64,
    endpoints: Vec<String>,
    /// Writes and reads over connections that no fault is done to.
    direct: Client,
    prefix: String,
    /// The first revision that concerns the keys.
    first: Revision,
    log: Arc<Mutex<Log>>,
    writers: Writers,
    watches: Vec<Watching>,
    /// What was read before it could be compacted away.
    early: Vec<Event>,
    compacted: Revision,
}

impl Scenario {
    /// Begins to write, to whichever of these members can take it.
    ///
    /// # Panics
    ///
    /// When the cluster does not answer.
    pub async fn start(endpoints: Vec<String>) -> Self {
        Self::with_seed(endpoints, fastrand::u64(..)).await
    }

    /// As [`start`](Self::start), writing what the run with this seed wrote.
    ///
    /// # Panics
    ///
    /// As for [`start`](Self::start).
    pub async fn with_seed(endpoints: Vec<String>, seed: u64) -> Self {
        let client = Client::builder()
            .endpoints(&endpoints)
            .request_timeout(Duration::from_secs(1))
            .connect();
        let direct = client.await.expect("a client");
        let prefix = format!("scenario/{:016x}/", fastrand::u64(..));
        // What was there before a watch must not appear in it.
        let before = direct.put(format!("{prefix}before"), "before");
        let before = before.timeout(PATIENCE).await;
        let first = before.expect("a put").header.revision;
        let log = Arc::new(Mutex::new(Log::default()));
        lock(&log).writes.add(
            [Change::put(format!("{prefix}before"), "before")],
            Outcome::Applied(first),
        );
        let writers = Writers::start(&direct, &prefix, &log, seed);
        Self {
            seed,
            endpoints,
            direct,
            prefix,
            first,
            log,
            writers,
            watches: Vec::new(),
            early: Vec::new(),
            compacted: 0,
        }
    }

    /// What everything is below.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What a run is repeated with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Opens a watch with this client.
    ///
    /// # Panics
    ///
    /// When it cannot be opened.
    pub async fn watch(&mut self, client: &Client, kind: WatchKind) -> &Watching {
        let watching = Watching::open(client, kind, &self.prefix, self.first).await;
        self.watches.push(watching);
        self.last_watch()
    }

    /// Opens one watch of each kind with this client.
    ///
    /// # Panics
    ///
    /// When one cannot be opened.
    pub async fn watch_in_every_way(&mut self, client: &Client) {
        for kind in WatchKind::ALL {
            self.watch(client, *kind).await;
        }
    }

    /// The watches, in the order they were opened in.
    pub fn watches(&self) -> &[Watching] {
        &self.watches
    }

    fn last_watch(&self) -> &Watching {
        self.watches.last().expect("it was just added")
    }

    /// How many writes were acknowledged so far.
    pub fn written(&self) -> usize {
        lock(&self.log).writes.applied()
    }

    /// The longest time between two events that a watch delivered, the later one after this moment;
    /// and the longest one between two acknowledged writes, of which it is a part of the cause.
    pub fn longest_gaps(&self, since: Instant) -> (Duration, Duration) {
        let gaps = self.watches.iter().map(|watch| watch.longest_gap(since));
        let log = lock(&self.log);
        (
            gaps.max().unwrap_or_default(),
            longest_gap(&log.acknowledged, since),
        )
    }

    /// Waits until so many more writes were acknowledged.
    ///
    /// # Panics
    ///
    /// When that takes too long.
    pub async fn writes(&self, count: usize) {
        let until = self.written() + count;
        let start = Instant::now();
        while self.written() < until {
            self.in_time(start, "the writers to go on");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the watches have delivered so many events, all together since they were opened.
    ///
    /// # Panics
    ///
    /// When that takes too long.
    pub async fn deliveries(&self, count: usize) {
        let start = Instant::now();
        let delivered = || self.watches.iter().map(Watching::delivered).sum::<usize>();
        while delivered() < count {
            self.in_time(start, &format!("{count} events, {} so far", delivered()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until each watch has delivered something that was written from now on.
    ///
    /// # Panics
    ///
    /// When a watch ends, or that takes too long.
    pub async fn everyone_sees_news(&self) {
        let marker = self.marker().await;
        let start = Instant::now();
        for watching in &self.watches {
            while watching.reached() < marker {
                if let Some(end) = watching.end() {
                    panic!("{self}: {watching} ended: {end}");
                }
                self.in_time(start, &format!("{watching} to reach {marker}"));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    /// Compacts the history, after it has been read, and answers the revision.
    ///
    /// # Panics
    ///
    /// When the cluster does not answer.
    pub async fn compact(&mut self) -> Revision {
        let until = self.marker().await;
        let from = self
            .early
            .last()
            .map_or(self.first, |last| last.revision() + 1);
        self.early.extend(self.replay(from, until).await);
        let start = Instant::now();
        while let Err(error) = self.direct.compact(until).await {
            // By an attempt before, since nobody else compacts.
            if error.kind() == ErrorKind::Compacted {
                break;
            }
            self.in_time(start, &format!("a compaction: {error}"));
        }
        self.compacted = until;
        until
    }

    /// Lets the writers end, waits until every watch that still lives has delivered everything, and
    /// judges each event of each watch.
    ///
    /// # Panics
    ///
    /// When a promise was not kept, or a watch does not come to the end.
    pub async fn finish(mut self) -> Report {
        self.writers.stop().await;
        // Something that every watch sees, whatever it filters, so that it has seen what is before it.
        for _ in 0..2 {
            for key in writers::KEYS {
                self.certain_put(key).await;
                self.certain_delete(key).await;
            }
        }
        let until = self.marker().await;
        let from = self
            .early
            .last()
            .map_or(self.first, |last| last.revision() + 1);
        let mut events = std::mem::take(&mut self.early);
        events.extend(self.replay(from, until).await);
        let history = History::new(events).unwrap_or_else(|contradictions| {
            panic!("{self}: the server's history is impossible: {contradictions:#?}")
        });
        let history = history.compacted_at(self.compacted);
        let contradictions = history.contradictions(&lock(&self.log).writes);
        assert!(
            contradictions.is_empty(),
            "{self}: the server's history is not what was written: {contradictions:#?}"
        );
        self.judge(&history).await
    }

    async fn judge(&self, history: &History) -> Report {
        let mut report = Report::new(&lock(&self.log).writes);
        let start = Instant::now();
        for watching in &self.watches {
            let last = watching.last_expected(history);
            while watching.reached() < last && watching.end().is_none() {
                self.in_time(start, &format!("{watching} to reach {last}"));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let watched = watching.watched();
            let until = match watching.end() {
                None => last,
                // It owes what it says it has delivered.
                Some(end) => end.revision(),
            };
            let violations = history.check(&watched, until);
            let shown: Vec<String> = violations
                .iter()
                .take(10)
                .map(Violation::to_string)
                .collect();
            assert!(
                violations.is_empty(),
                "{self}: {watching} has broken {} promises:\n{}",
                violations.len(),
                shown.join("\n")
            );
            report.add(&watched);
        }
        report
    }

    /// A revision at which something changed that most watches see.
    async fn marker(&self) -> Revision {
        let mut revision = 0;
        for key in writers::KEYS {
            revision = self.certain_put(key).await;
        }
        revision
    }

    async fn certain_put(&self, key: &str) -> Revision {
        let start = Instant::now();
        loop {
            let outcome = writers::put(&self.direct, &self.prefix, key, &self.log).await;
            if let Some(revision) = outcome {
                return revision;
            }
            self.in_time(start, "a put to succeed");
        }
    }

    async fn certain_delete(&self, key: &str) {
        let start = Instant::now();
        while !writers::delete(&self.direct, &self.prefix, key, &self.log).await {
            self.in_time(start, "a delete to succeed");
        }
    }

    async fn replay(&self, from: Revision, until: Revision) -> Vec<Event> {
        let keys = KeyRange::prefix(self.prefix.as_str());
        let read = replay::replay(&self.endpoints, &keys, from, until);
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(events)) => events,
            Ok(Err(error)) => panic!("{self}: the history cannot be read: {error}"),
            Err(_) => panic!("{self}: the history cannot be read in time"),
        }
    }

    #[track_caller]
    fn in_time(&self, start: Instant, what: &str) {
        assert!(
            start.elapsed() < PATIENCE,
            "{self}: waited {PATIENCE:?} for {what}"
        );
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "scenario with seed {}", self.seed)
    }
}

/// The longest time between two of these moments, the later one after `since`.
fn longest_gap(moments: &[Instant], since: Instant) -> Duration {
    let pairs = moments.windows(2).filter(|pair| pair[1] > since);
    pairs
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
