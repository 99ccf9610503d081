//! Contenders for one lock, faults of the test's own in between, and in the end a judgement about every
//! write and every guard.
//!
//! Each contender is a program of its own: a runtime that can end at any point, a client, and proxies
//! that it reaches the members by. Some share a session among tasks, some give up waiting, some crash
//! while they hold, and some go on writing when they know that they have lost the lock, which is what
//! its fence is for.

mod contender;
mod guard;
mod records;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use etcdkit::{Client, KeyRange};
use tokio::task::JoinHandle;

use crate::{
    lock_checker::{Kind, Queue, Violation},
    patience::PATIENCE,
    proxy::{Conditions, Proxy},
    record::Record,
    watch_checker::{Event, History},
};
use contender::Contender;
pub use records::Report;
use records::Shared;

/// How a contest is run.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// What is contended for.
    pub kind: Kind,
    /// How many contend.
    pub contenders: usize,
    /// How long what a contender that ends without a word has held stays held.
    pub ttl: Duration,
    /// What a run is repeated with.
    pub seed: u64,
    /// Whether no two may say at one time that they hold what one can hold. Not promised where a lease
    /// can run out early on the server.
    pub exact: bool,
}

impl Rules {
    /// Six contenders, a time to live of two seconds, a new seed, and guards that are exact.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            contenders: 6,
            ttl: Duration::from_secs(2),
            seed: fastrand::u64(..),
            exact: true,
        }
    }
}

/// Contenders at work.
#[derive(Debug)]
pub struct Contest {
    rules: Rules,
    /// Over connections that no fault is done to.
    direct: Client,
    prefix: String,
    queue: Queue,
    record: Record,
    shared: Arc<Shared>,
    /// Of each contender, one to each member.
    proxies: Vec<Vec<Proxy>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Contest {
    /// Lets the contenders begin, each over proxies of its own to all of these members.
    ///
    /// # Panics
    ///
    /// When the members do not answer.
    pub async fn start(rules: Rules, endpoints: Vec<String>) -> Self {
        let client = Client::builder()
            .endpoints(&endpoints)
            .request_timeout(Duration::from_secs(1));
        let direct = client.connect().await.expect("a client");
        let prefix = format!("contest/{:016x}/", fastrand::u64(..));
        let queue = Queue::new(
            rules.kind,
            &format!("{prefix}lock"),
            &format!("{prefix}data/"),
        );
        let record = Record::begin(endpoints.clone(), direct.clone(), &prefix).await;
        let shared = Arc::new(Shared::new(rules.contenders));
        let mut proxies = Vec::new();
        let mut tasks = Vec::new();
        for number in 0..rules.contenders {
            let mut ways = Vec::new();
            for (place, endpoint) in endpoints.iter().enumerate() {
                let seed = rules.seed ^ ((number << 8 | place) as u64);
                let proxy = Proxy::with_seed(endpoint, seed).await;
                ways.push(proxy.expect("a proxy"));
            }
            let contender = Contender {
                number,
                rules,
                random: fastrand::Rng::with_seed(rules.seed ^ ((number as u64 + 1) << 32)),
                ways: ways.iter().map(Proxy::endpoint).collect(),
                direct: endpoints.clone(),
                lock: format!("{prefix}lock"),
                data: format!("{prefix}data/"),
                shared: Arc::clone(&shared),
            };
            tasks.push(tokio::task::spawn_blocking(|| contender.run()));
            proxies.push(ways);
        }
        Self {
            rules,
            direct,
            prefix,
            queue,
            record,
            shared,
            proxies,
            tasks,
        }
    }

    /// How many contend.
    pub fn contenders(&self) -> usize {
        self.proxies.len()
    }

    /// How long what a contender that ends without a word has held stays held.
    pub fn ttl(&self) -> Duration {
        self.rules.ttl
    }

    /// The way of a contender to each member.
    pub fn proxies(&self, contender: usize) -> &[Proxy] {
        &self.proxies[contender]
    }

    /// Holds back everything to and from a contender, or lets it pass again.
    pub fn freeze(&self, contender: usize, frozen: bool) {
        let conditions = match frozen {
            true => Conditions::black_hole(),
            false => Conditions::pass(),
        };
        for proxy in self.proxies(contender) {
            proxy.set_both(conditions);
        }
    }

    /// Waits until so many more guards were given, which proves that the lock still goes round.
    ///
    /// # Panics
    ///
    /// When that takes too long, or a contender has panicked.
    pub async fn rounds(&self, count: usize) {
        let until = self.shared.report().held + count;
        self.enough(&format!("{count} more guards"), |report| {
            report.held >= until
        })
        .await;
    }

    /// Waits until so many fenced writes were applied, all in all, so that there is something to judge.
    ///
    /// # Panics
    ///
    /// As [`rounds`](Self::rounds).
    pub async fn writes(&self, count: usize) {
        self.enough(&format!("{count} writes"), |report| report.written >= count)
            .await;
    }

    async fn enough(&self, what: &str, is_enough: impl Fn(&Report) -> bool) {
        let start = Instant::now();
        while !is_enough(&self.shared.report()) {
            self.in_time(start, what);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until somebody holds the lock, and answers who.
    ///
    /// # Panics
    ///
    /// When that takes too long, or a contender has panicked.
    pub async fn holder(&self) -> usize {
        let start = Instant::now();
        loop {
            if let Some(holder) = self.shared.holder() {
                return holder;
            }
            self.in_time(start, "a holder");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Compacts the history, after it has been read.
    ///
    /// # Panics
    ///
    /// When the cluster does not answer.
    pub async fn compact(&mut self) {
        self.record.compact().await;
    }

    /// Lets everything pass, waits until the contenders have ended and nothing is left of them, and
    /// judges what they did.
    ///
    /// # Panics
    ///
    /// When a promise was not kept, or a contender does not come to the end.
    pub async fn finish(mut self) -> Report {
        self.shared.stop();
        for contender in 0..self.proxies.len() {
            self.freeze(contender, false);
            for proxy in self.proxies(contender) {
                proxy.accept().await.expect("a listener");
            }
        }
        let start = Instant::now();
        for task in std::mem::take(&mut self.tasks) {
            match tokio::time::timeout(PATIENCE, task).await {
                Ok(ended) => ended.unwrap_or_else(|panic| panic!("{self}: {panic}")),
                Err(_) => panic!("{self}: a contender does not end"),
            }
        }
        while self.left().await != Some(0) {
            self.in_time(start, "the queue to be empty");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.record.read().await;
        self.judge();
        self.shared.report()
    }

    /// How many keys of the lock there are, if the cluster tells.
    async fn left(&self) -> Option<i64> {
        let keys = KeyRange::prefix(format!("{}lock/", self.prefix));
        let found = self.direct.range(keys).count_only().await;
        found.ok().map(|found| found.count)
    }

    fn judge(&self) {
        let history = self.history(|_| true);
        let records = self.shared.records();
        let mut violations = self.queue.judge(&history, &records.claims);
        if self.rules.exact {
            violations.extend(self.queue.together(&history, &records.claims));
        }
        let shown: Vec<_> = violations
            .iter()
            .take(10)
            .map(Violation::to_string)
            .collect();
        assert!(
            violations.is_empty(),
            "{self}: {} promises broken:\n{}",
            violations.len(),
            shown.join("\n")
        );
        let data = format!("{}data/", self.prefix);
        let written = self.history(|event| event.kv.key.starts_with(data.as_bytes()));
        let contradictions = written.contradictions(&records.writes);
        assert!(
            contradictions.is_empty(),
            "{self}: what happened is not what was written: {contradictions:#?}"
        );
    }

    fn history(&self, of: impl Fn(&Event) -> bool) -> History {
        let events = self.record.events().filter(|event| of(event)).cloned();
        History::new(events).unwrap_or_else(|contradictions| {
            panic!("{self}: the server's history is impossible: {contradictions:#?}")
        })
    }

    #[track_caller]
    fn in_time(&self, start: Instant, what: &str) {
        assert!(
            !self.shared.has_failed(),
            "{self}: a contender panicked while the test waited for {what}"
        );
        assert!(
            start.elapsed() < PATIENCE,
            "{self}: waited {PATIENCE:?} for {what}: {}",
            self.shared.report()
        );
    }
}

impl Drop for Contest {
    fn drop(&mut self) {
        // A blocking task cannot be aborted.
        self.shared.stop();
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "contest with seed {}", self.rules.seed)
    }
}
