//! An election that many stand for, faults of the test's own in between, and in the end a judgement about
//! every leadership, every proclamation and everything that observers said.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use etcdkit::{Client, KeyRange};
use etcdkit_testkit::{
    election_checker::{Proclamation, Seen, Timeline},
    lock_checker::{Claim, Kind, Queue},
    patience::PATIENCE,
    proxy::{Conditions, Proxy},
    record::Record,
    watch_checker::History,
};
use tokio::{task::JoinHandle, time::sleep};

use crate::candidate::Candidate;

const CANDIDATES: usize = 5;
const OBSERVERS: usize = 3;

/// How long a leader that says nothing leads on.
pub(crate) const TTL: Duration = Duration::from_secs(2);

const MS: Duration = Duration::from_millis(1);

/// An election under way.
pub(crate) struct Race {
    endpoints: Vec<String>,
    /// Over connections that no fault is done to.
    direct: Client,
    prefix: String,
    seed: u64,
    record: Record,
    shared: Arc<Shared>,
    /// Of each candidate, and then of each observer, one to each member.
    proxies: Vec<Vec<Proxy>>,
    candidates: Vec<JoinHandle<()>>,
    observers: Vec<Observer>,
}

/// Somebody who follows who leads.
struct Observer {
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// What candidates and the test share.
#[derive(Default)]
pub(crate) struct Shared {
    records: Mutex<Records>,
}

#[derive(Default)]
pub(crate) struct Records {
    pub(crate) is_done: bool,
    /// Who leads, as far as it knows.
    pub(crate) leading: Option<usize>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) proclamations: Vec<Proclamation>,
    /// Makes every value the only one.
    pub(crate) serial: u64,
    pub(crate) report: Report,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) led: usize,
    pub(crate) lost: usize,
    pub(crate) crashed: usize,
    pub(crate) resumed: usize,
    pub(crate) failed: usize,
    pub(crate) proclaimed: usize,
    pub(crate) refused: usize,
    leaders: usize,
    observed: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} leaders; {} leaderships, {} of them lost, {} taken up again; {} crashes, {} failed campaigns; \
             {} proclamations, {} refused; {OBSERVERS} observers saw all {} changes",
            self.leaders,
            self.led,
            self.lost,
            self.resumed,
            self.crashed,
            self.failed,
            self.proclaimed,
            self.refused,
            self.observed
        )
    }
}

impl Race {
    /// Lets everybody begin, each over proxies of its own to all of these members.
    pub(crate) async fn start(endpoints: Vec<String>) -> Self {
        let direct = Client::builder()
            .endpoints(&endpoints)
            .request_timeout(Duration::from_secs(2));
        let direct = direct.connect().await.expect("a client");
        let prefix = format!("race/{:016x}/", fastrand::u64(..));
        let record = Record::begin(endpoints.clone(), direct.clone(), &prefix).await;
        let seed = fastrand::u64(..);
        let mut race = Self {
            endpoints,
            direct,
            prefix,
            seed,
            record,
            shared: Arc::default(),
            proxies: Vec::new(),
            candidates: Vec::new(),
            observers: Vec::new(),
        };
        for number in 0..CANDIDATES {
            let candidate = Candidate {
                number,
                random: fastrand::Rng::with_seed(seed ^ ((number as u64 + 1) << 32)),
                ways: race.ways().await,
                election: race.name(),
                data: format!("{}data/", race.prefix),
                shared: Arc::clone(&race.shared),
            };
            // It ends its own runtime now and then.
            let run = tokio::task::spawn_blocking(|| candidate.run());
            race.candidates.push(run);
        }
        for _ in 0..OBSERVERS {
            let ways = race.ways().await;
            race.observe(&ways).await;
        }
        race
    }

    fn name(&self) -> String {
        format!("{}election", self.prefix)
    }

    /// New proxies to all members.
    async fn ways(&mut self) -> Vec<String> {
        let mut proxies = Vec::new();
        for (place, endpoint) in self.endpoints.iter().enumerate() {
            let seed = self.seed ^ ((self.proxies.len() << 8 | place) as u64);
            let proxy = Proxy::with_seed(endpoint, seed).await;
            proxies.push(proxy.expect("a proxy"));
        }
        let ways = proxies.iter().map(Proxy::endpoint).collect();
        self.proxies.push(proxies);
        ways
    }

    async fn observe(&mut self, ways: &[String]) {
        let client = Client::builder().endpoints(ways);
        let client = client.connect().await.expect("a client");
        let observed = client.election(self.name()).observe().await;
        let mut observed = observed.expect("an observer");
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Some(observation) = observed.try_next().await.expect("no end") {
                    lock(&seen).push(observation.into());
                }
            }
        });
        self.observers.push(Observer { seen, task });
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The ways of a candidate, or else of an observer, to each member.
    pub(crate) fn proxies(&self, number: usize) -> &[Proxy] {
        &self.proxies[number]
    }

    /// How many have ways.
    pub(crate) fn participants(&self) -> usize {
        self.proxies.len()
    }

    /// Holds back everything to and from a participant, or lets it pass again.
    pub(crate) fn freeze(&self, number: usize, frozen: bool) {
        for proxy in self.proxies(number) {
            proxy.set_both(match frozen {
                true => Conditions::black_hole(),
                false => Conditions::pass(),
            });
        }
    }

    /// Waits until somebody leads, by its own account, and answers who.
    pub(crate) async fn leading(&self) -> usize {
        let leading = || self.shared.records().leading;
        self.wait("a leader", || leading().is_some()).await;
        leading().unwrap_or_default()
    }

    /// How many have lost the leadership while they led.
    pub(crate) fn lost(&self) -> usize {
        self.shared.records().report.lost
    }

    /// Waits until so many more leaderships have begun.
    pub(crate) async fn leaderships(&self, count: usize) {
        let led = || self.shared.records().report.led;
        let until = led() + count;
        self.wait(&format!("{count} more leaderships"), || led() >= until)
            .await;
    }

    /// Lets everything pass, waits until nothing is left, and judges. `exact` is whether no two may say
    /// at one time that they lead, which no lease can promise where the server lets one run out early.
    pub(crate) async fn finish(mut self, exact: bool) -> Report {
        self.shared.records().is_done = true;
        for number in 0..self.participants() {
            self.freeze(number, false);
        }
        for candidate in std::mem::take(&mut self.candidates) {
            let ended = tokio::time::timeout(PATIENCE, candidate).await;
            ended
                .unwrap_or_else(|_| panic!("{self}: a candidate does not end"))
                .unwrap_or_else(|panic| panic!("{self}: {panic}"));
        }
        let start = Instant::now();
        while self.left().await != Some(0) {
            assert!(start.elapsed() < PATIENCE, "{self}: candidates are left");
            sleep(10 * MS).await;
        }
        let history = self.history().await;
        let timeline = Timeline::of(&history, &self.name());
        let last = timeline.last_revision();
        let mut report = self.shared.records().report;
        for observer in &self.observers {
            let reached = || lock(&observer.seen).last().map(|seen| seen.revision);
            self.wait("an observer", || reached() >= Some(last)).await;
            observer.task.abort();
            let seen = lock(&observer.seen);
            if let Some(violation) = timeline.check(&seen) {
                panic!("{self}: {violation}");
            }
            report.observed = report.observed.max(seen.len() - 1);
        }
        let records = self.shared.records();
        let queue = Queue::new(Kind::Lock, &self.name(), &format!("{}data/", self.prefix));
        let mut broken = queue.judge(&history, &records.claims);
        if exact {
            broken.extend(queue.together(&history, &records.claims));
        }
        assert!(broken.is_empty(), "{self}: {broken:#?}");
        let broken = timeline.judge(&history, &records.proclamations);
        assert!(broken.is_empty(), "{self}: {broken:#?}");
        report.leaders = timeline.leaders();
        report
    }

    /// How many candidates there are, if the cluster tells.
    async fn left(&self) -> Option<i64> {
        let keys = KeyRange::prefix(format!("{}/", self.name()));
        let found = self.direct.range(keys).count_only().await;
        found.ok().map(|found| found.count)
    }

    async fn history(&mut self) -> History {
        self.record.read().await;
        History::new(self.record.events().cloned())
            .unwrap_or_else(|wrong| panic!("{self}: an impossible history: {wrong:#?}"))
    }

    async fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            let waited = start.elapsed();
            assert!(waited < PATIENCE, "{self}: waited {waited:?} for {what}");
            sleep(2 * MS).await;
        }
    }
}

impl Drop for Race {
    fn drop(&mut self) {
        // A blocking task cannot be aborted.
        self.shared.records().is_done = true;
    }
}

impl fmt::Display for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "race with seed {}", self.seed)
    }
}

impl Shared {
    pub(crate) fn records(&self) -> MutexGuard<'_, Records> {
        lock(&self.records)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
