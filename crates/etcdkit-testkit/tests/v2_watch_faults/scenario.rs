//! Writers that write, watches that watch, and a judgement about every event.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{
    Outcome,
    v2::{Action, Client, Error, Event, Response, Watch, WatchEvent},
};
use tokio::{task::JoinHandle, time::sleep};

/// Nothing that certainly comes takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Slow enough that a server's history bridges an outage of some seconds.
const PAUSE: Duration = Duration::from_millis(15);

/// A server that remembers a thousand changes has not forgotten one of the last so many, whatever
/// happened while it was asked.
const REMEMBERED: u64 = 950;

const WRITERS: usize = 2;
const KEYS: usize = 5;

/// A change, without when it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Change {
    action: Action,
    key: String,
    value: Option<String>,
}

impl Change {
    fn of(event: &Event) -> Self {
        Self {
            action: event.action,
            key: event.key().to_owned(),
            value: event.value().map(str::to_owned),
        }
    }
}

/// What is known of the writes.
#[derive(Debug, Default)]
struct Log {
    acknowledged: BTreeMap<u64, Change>,
    /// What may have happened, once each, at an index that nobody knows.
    unknown: HashSet<(Action, Option<String>)>,
}

/// What a watch is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Everything,
    OneKey,
}

/// A watch, and what it told.
struct Watching {
    kind: Kind,
    /// The first index that it has to tell.
    start: u64,
    told: Arc<Mutex<Vec<WatchEvent>>>,
    end: Arc<Mutex<Option<Error>>>,
    task: JoinHandle<()>,
}

/// Writers and watches of the same few keys.
pub(crate) struct Scenario {
    seed: u64,
    direct: Client,
    directory: String,
    log: Arc<Mutex<Log>>,
    is_over: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
    watches: Vec<Watching>,
}

/// The size of a scenario in which every promise was kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) events: usize,
    pub(crate) resyncs: usize,
    pub(crate) acknowledged: usize,
    pub(crate) unknown: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events and {} listings of {} writes, and {} of unknown outcome: none lost, none twice",
            self.events, self.resyncs, self.acknowledged, self.unknown
        )
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scenario {
    /// Begins to write, to whichever of these members can take it.
    pub(crate) async fn start(endpoints: Vec<String>) -> Self {
        let seed = fastrand::u64(..);
        let direct = Client::builder()
            .endpoints(&endpoints)
            .request_timeout(Duration::from_secs(2))
            .connect()
            .await
            .expect("a client");
        let mut this = Self {
            seed,
            direct,
            directory: format!("/scenario-{:016x}", fastrand::u64(..)),
            log: Arc::default(),
            is_over: Arc::default(),
            writers: Vec::new(),
            watches: Vec::new(),
        };
        for number in 0..WRITERS {
            let writer = Writer {
                random: fastrand::Rng::with_seed(seed ^ number as u64),
                name: number,
                client: this.direct.clone(),
                directory: this.directory.clone(),
                log: Arc::clone(&this.log),
            };
            let is_over = Arc::clone(&this.is_over);
            this.writers.push(tokio::spawn(writer.run(is_over)));
        }
        this
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    fn one_key(&self) -> String {
        format!("{}/0", self.directory)
    }

    /// Opens a watch of everything and one of a single key, which ask anew after this time.
    pub(crate) async fn watch(&mut self, client: &Client, anew: Duration) {
        for kind in [Kind::Everything, Kind::OneKey] {
            let open = match kind {
                Kind::Everything => client.watch(&self.directory).recursive(),
                Kind::OneKey => client.watch(self.one_key()),
            };
            let watch = open.ask_anew_after(anew).stream().await;
            self.watches
                .push(Watching::start(kind, watch.expect("a watch")));
        }
    }

    /// Waits until so many more writes were acknowledged.
    pub(crate) async fn writes(&self, count: usize) {
        let written = || lock(&self.log).acknowledged.len();
        let (until, start) = (written() + count, Instant::now());
        while written() < until {
            self.in_time(start, "the writers to go on");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the watches have told of so many changes, all together since they were opened.
    pub(crate) async fn events(&self, count: usize) {
        let start = Instant::now();
        let told = || self.watches.iter().map(Watching::events).sum::<usize>();
        while told() < count {
            self.in_time(start, &format!("{count} changes, {} so far", told()));
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until each watch has told something that was written from now on.
    pub(crate) async fn everyone_sees_news(&self) -> u64 {
        let start = Instant::now();
        let marker = loop {
            let value = format!("marker-{:016x}", fastrand::u64(..));
            match self.direct.set(self.one_key(), &value).await {
                Ok(response) => {
                    note(&self.log, &response);
                    break response.index();
                }
                Err(error) => {
                    note_failure(&self.log, &error, Action::Set, value);
                    self.in_time(start, &format!("a marker to be written: {error}"));
                }
            }
        };
        for watching in &self.watches {
            while watching.reached() < marker {
                if let Some(error) = &*lock(&watching.end) {
                    panic!("seed {}: {:?} ended: {error}", self.seed, watching.kind);
                }
                let what = format!(
                    "{:?} to come from {} to {marker}",
                    watching.kind,
                    watching.reached()
                );
                self.in_time(start, &what);
                sleep(Duration::from_millis(2)).await;
            }
        }
        marker
    }

    #[track_caller]
    fn in_time(&self, start: Instant, what: &str) {
        assert!(
            start.elapsed() < PATIENCE,
            "seed {}: waited too long for {what}",
            self.seed
        );
    }

    /// Ends the writers, waits for the watches, and judges them.
    pub(crate) async fn finish(mut self) -> Report {
        self.is_over.store(true, Ordering::Relaxed);
        for writer in std::mem::take(&mut self.writers) {
            writer.await.expect("a writer");
        }
        let end = self.everyone_sees_news().await;
        let log = lock(&self.log);
        let mut report = Report {
            acknowledged: log.acknowledged.len(),
            unknown: log.unknown.len(),
            ..Report::default()
        };
        for watching in &self.watches {
            watching.task.abort();
            if let Err(problem) = watching.judge(&log, &self.one_key(), end, &mut report) {
                panic!("seed {}: {:?}: {problem}", self.seed, watching.kind);
            }
        }
        report
    }
}

impl Watching {
    fn start(kind: Kind, mut watch: Watch) -> Self {
        let (told, end) = (Arc::<Mutex<Vec<WatchEvent>>>::default(), Arc::default());
        let start = watch.next_index().expect("a watch from now");
        let (telling, ending) = (Arc::clone(&told), Arc::clone(&end));
        let task = tokio::spawn(async move {
            loop {
                match watch.try_next().await {
                    Ok(Some(event)) => lock(&telling).push(event),
                    Ok(None) => return,
                    Err(error) => *lock(&ending) = Some(error),
                }
            }
        });
        Self {
            kind,
            start,
            told,
            end,
            task,
        }
    }

    fn events(&self) -> usize {
        let told = lock(&self.told);
        told.iter().filter(|told| told.change().is_some()).count()
    }

    fn reached(&self) -> u64 {
        lock(&self.told).last().map_or(0, WatchEvent::index)
    }

    /// Each acknowledged write is told once, in order and as it was, unless a listing stands for it because
    /// the server has forgotten it; and what else is told may have been written.
    fn judge(&self, log: &Log, key: &str, end: u64, report: &mut Report) -> Result<(), String> {
        let mut unknown = log.unknown.clone();
        let mut due = log
            .acknowledged
            .range(self.start..=end)
            .filter(|(_, change)| self.kind == Kind::Everything || change.key == key)
            .peekable();
        let mut reached = self.start - 1;
        for told in &*lock(&self.told) {
            let index = told.index();
            if index <= reached {
                return Err(format!("{told:?} after {reached}"));
            }
            let passed = index - reached;
            reached = index;
            let Some(event) = told.change() else {
                if passed <= REMEMBERED {
                    return Err(format!("{told:?} in place of {passed} changes"));
                }
                report.resyncs += 1;
                while due.next_if(|(due, _)| **due <= index).is_some() {}
                continue;
            };
            report.events += 1;
            let change = Change::of(event);
            match due.next_if(|(due, _)| **due <= index) {
                Some((due, expected)) if *due == index => {
                    if change != *expected {
                        return Err(format!("{change:?} at {index} instead of {expected:?}"));
                    }
                }
                Some((due, expected)) => {
                    return Err(format!("{expected:?} at {due} is missing, before {index}"));
                }
                None => {
                    let written = match change.action {
                        // Which of them it was is not known.
                        Action::Delete => log.unknown.contains(&(Action::Delete, None)),
                        action => unknown.remove(&(action, change.value.clone())),
                    };
                    if !written {
                        return Err(format!("{change:?} at {index}, which nobody wrote"));
                    }
                }
            }
        }
        match due.next() {
            Some((due, expected)) => Err(format!("{expected:?} at {due} is missing")),
            None => Ok(()),
        }
    }
}

struct Writer {
    random: fastrand::Rng,
    name: usize,
    client: Client,
    directory: String,
    log: Arc<Mutex<Log>>,
}

impl Writer {
    async fn run(mut self, is_over: Arc<AtomicBool>) {
        let mut number = 0;
        while !is_over.load(Ordering::Relaxed) {
            number += 1;
            self.write(number).await;
            sleep(PAUSE.mul_f64(self.random.f64() * 2.0)).await;
        }
    }

    async fn write(&mut self, number: usize) {
        let key = format!("{}/{}", self.directory, self.random.usize(0..KEYS));
        let value = format!("{}-{number}", self.name);
        let (action, result) = match self.random.u8(0..10) {
            0..6 => {
                let set = self.client.set(key, &value);
                (Action::Set, set.await)
            }
            6..8 => (Action::Delete, self.client.delete(key).await),
            _ => {
                let queue = format!("{}/queue", self.directory);
                let create = self.client.create_in_order(queue, &value);
                (Action::Create, create.await)
            }
        };
        match result {
            Ok(response) => note(&self.log, &response),
            Err(error) => note_failure(&self.log, &error, action, value),
        }
    }
}

fn note(log: &Mutex<Log>, response: &Response) {
    let change = Change {
        action: response.action,
        key: response.key().unwrap_or_default().to_owned(),
        value: response.value().map(str::to_owned),
    };
    lock(log).acknowledged.insert(response.index(), change);
}

fn note_failure(log: &Mutex<Log>, error: &Error, action: Action, value: String) {
    // Otherwise the key to delete is not there, or nobody could be reached.
    if error.outcome() == Outcome::Unknown {
        let value = (action != Action::Delete).then_some(value);
        lock(log).unknown.insert((action, value));
    }
}
