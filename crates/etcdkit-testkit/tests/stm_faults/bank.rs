//! Accounts among which money is moved, by many at a time, and a judgement about every movement.
//!
//! Each movement is one transaction in memory: it reads two accounts, takes from one what it adds to the
//! other, and leaves a note that no other movement leaves. So the history of the keys tells whether each
//! was made once, from what was really there, as its owner knows it; and the sum is always the same.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, Error, ErrorKind, sync::Isolation};
use etcdkit_testkit::{
    patience::{PATIENCE, insist},
    record::Record,
    watch_checker::{Change, Event, History, Outcome, Writes},
};
use tokio::{task::JoinHandle, time::sleep};

const ACCOUNTS: usize = 8;
/// What is on each in the beginning.
const OPENING: i64 = 100;
const SUM: i64 = OPENING * ACCOUNTS as i64;

/// How many move money.
pub(crate) const WRITERS: usize = 16;
/// How many add up everything all the time.
const AUDITORS: usize = 2;

const MS: Duration = Duration::from_millis(1);

/// A bank that works.
pub(crate) struct Bank {
    prefix: String,
    seed: u64,
    record: Record,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    done: AtomicBool,
    /// How many movements each writer has made.
    moved: [AtomicUsize; WRITERS],
    audits: AtomicUsize,
    records: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    movements: Writes,
    /// Sums that were not right.
    wrong: Vec<String>,
    report: Report,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) moved: usize,
    /// Attempts of those.
    attempts: usize,
    pub(crate) unknown: usize,
    failed: usize,
    refused: usize,
    audits: usize,
}

/// Why no money was moved.
#[derive(Debug)]
enum Refusal {
    /// There was not enough.
    Funds,
    Etcd(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Etcd(error)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} movements in {} attempts, {} of unknown outcome, {} failed, {} refused for lack of funds; \
             added up {} times: the sum is right, and each was made once",
            self.moved, self.attempts, self.unknown, self.failed, self.refused, self.audits
        )
    }
}

impl Bank {
    /// Opens the accounts and lets everybody begin, each by one of these ways to the members.
    ///
    /// None of their requests takes longer than `timeout`.
    pub(crate) async fn open(
        endpoints: Vec<String>,
        ways: &[String],
        seed: u64,
        timeout: Duration,
    ) -> Self {
        let direct = Client::builder()
            .endpoints(&endpoints)
            .request_timeout(Duration::from_secs(2));
        let direct = direct.connect().await.expect("a client");
        let prefix = format!("bank/{:016x}/", fastrand::u64(..));
        let record = Record::begin(endpoints, direct.clone(), &prefix).await;
        let first = format!("{prefix}0");
        insist("opening the accounts", async || {
            let opened = direct.stm(async |tx| {
                // Unless an attempt without an answer has.
                if tx.get::<i64>(&first).await?.is_none() {
                    for account in accounts(&prefix) {
                        tx.put(account, OPENING);
                    }
                }
                Ok(())
            });
            opened.await
        })
        .await;
        let shared = Arc::<Shared>::default();
        let mut tasks = Vec::new();
        for number in 0..WRITERS + AUDITORS {
            let client = Client::builder().endpoints(ways).request_timeout(timeout);
            let teller = Teller {
                number,
                random: fastrand::Rng::with_seed(seed ^ ((number as u64 + 1) << 32)),
                client: client.connect_lazy().expect("a client"),
                prefix: prefix.clone(),
                shared: Arc::clone(&shared),
            };
            tasks.push(match number < WRITERS {
                true => tokio::spawn(teller.write()),
                false => tokio::spawn(teller.audit()),
            });
        }
        Self {
            prefix,
            seed,
            record,
            shared,
            tasks,
        }
    }

    /// Waits until so many more movements were made, which proves that the bank still works.
    pub(crate) async fn movements(&self, count: usize) {
        let moved = || self.shared.moved.iter().map(load).sum::<usize>();
        let until = moved() + count;
        self.wait(&format!("{count} more movements"), || moved() >= until)
            .await;
    }

    /// Waits until each writer has made a movement from now on, and each auditor has added up.
    pub(crate) async fn everyone(&self) {
        let before = self.shared.moved.each_ref().map(load);
        let audits = load(&self.shared.audits);
        self.wait("everyone", || {
            let mut each = self.shared.moved.iter().zip(before);
            each.all(|(moved, before)| load(moved) > before)
                && load(&self.shared.audits) >= audits + AUDITORS
        })
        .await;
    }

    /// How many movements have no outcome that is known.
    pub(crate) fn unknown(&self) -> usize {
        self.shared.records().report.unknown
    }

    /// Compacts everything up to now, after it has been read.
    pub(crate) async fn compact(&mut self) {
        self.record.compact().await;
    }

    /// Lets everybody end, and judges.
    pub(crate) async fn close(mut self) -> Report {
        self.shared.done.store(true, Ordering::Relaxed);
        for task in std::mem::take(&mut self.tasks) {
            let ended = tokio::time::timeout(PATIENCE, task).await;
            ended
                .unwrap_or_else(|_| panic!("{self}: somebody does not end"))
                .unwrap_or_else(|panic| panic!("{self}: {panic}"));
        }
        self.record.read().await;
        let records = self.shared.records();
        assert!(records.wrong.is_empty(), "{self}: {:#?}", records.wrong);
        let history = History::new(self.record.events().cloned())
            .unwrap_or_else(|wrong| panic!("{self}: an impossible history: {wrong:#?}"));
        let opening = accounts(&self.prefix).map(|key| Change::put(key, OPENING.to_string()));
        let mut movements = records.movements.clone();
        let first = history.events().next().map_or(0, Event::revision);
        movements.add(opening, Outcome::Applied(first));
        let wrong = history.contradictions(&movements);
        assert!(wrong.is_empty(), "{self}: {wrong:#?}");
        self.judge_sums(&history);
        Report {
            audits: load(&self.shared.audits),
            ..records.report
        }
    }

    /// The sum of all accounts is the same after every revision.
    fn judge_sums(&self, history: &History) {
        let accounts: Vec<String> = accounts(&self.prefix).collect();
        let mut sum = 0;
        let events: Vec<&Event> = history.events().collect();
        for events in events.chunk_by(|one, next| one.revision() == next.revision()) {
            for event in events {
                if !accounts.iter().any(|account| event.kv.key == *account) {
                    continue;
                }
                let balance = |value: &[u8]| -> i64 {
                    let text = std::str::from_utf8(value).expect("text");
                    text.parse().expect("a number")
                };
                sum += balance(&event.kv.value);
                sum -= event.prev_kv.as_ref().map_or(0, |kv| balance(&kv.value));
            }
            let revision = events.first().map_or(0, |event| event.revision());
            assert_eq!(sum, SUM, "{self}: at revision {revision}");
        }
    }

    /// Waits as long as anything goes on: with many at it, one may need long on a slow machine.
    async fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        let (mut last, mut made) = (start, self.shared.made());
        while !is_so() {
            if self.shared.made() > made {
                (last, made) = (Instant::now(), self.shared.made());
            }
            let is_alive = last.elapsed() < PATIENCE && start.elapsed() < 10 * PATIENCE;
            let waited = start.elapsed();
            assert!(is_alive, "{self}: waited {waited:?} for {what}");
            sleep(2 * MS).await;
        }
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bank with seed {}", self.seed)
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    fn records(&self) -> MutexGuard<'_, Records> {
        lock(&self.records)
    }

    /// How many movements were made and sums added up.
    fn made(&self) -> usize {
        let moved: usize = self.moved.iter().map(load).sum();
        moved + load(&self.audits)
    }
}

/// Somebody who moves money or adds it up.
struct Teller {
    number: usize,
    random: fastrand::Rng,
    client: Client,
    prefix: String,
    shared: Arc<Shared>,
}

impl Teller {
    async fn write(mut self) {
        let mut serial = 0;
        while !self.shared.done.load(Ordering::Relaxed) {
            serial += 1;
            let note = format!("{}-{serial}", self.number);
            self.movement(&note).await;
            sleep(self.random.u32(0..4) * MS).await;
        }
    }

    async fn movement(&mut self, note: &str) {
        let from = self.random.usize(..ACCOUNTS);
        let to = (from + self.random.usize(1..ACCOUNTS)) % ACCOUNTS;
        let [from, to] = [from, to].map(|account| format!("{}{account}", self.prefix));
        let amount = self.random.i64(1..=OPENING / 3);
        let notes = format!("{}notes/{}", self.prefix, self.number);
        // Either is serializable.
        let isolation = match self.number % 2 {
            0 => Isolation::SerializableSnapshot,
            _ => Isolation::Serializable,
        };
        // What the last attempt would leave on the two.
        let left = Mutex::new([0, 0]);
        let moved = self.client.stm_builder().isolation(isolation);
        let moved = moved
            .try_commit(async |tx| {
                let mine: i64 = tx.get(&from).await?.unwrap_or(0);
                let other: i64 = tx.get(&to).await?.unwrap_or(0);
                if mine < amount {
                    return Err(Refusal::Funds);
                }
                tx.put(&from, mine - amount);
                tx.put(&to, other + amount);
                tx.put(&notes, note);
                *lock(&left) = [mine - amount, other + amount];
                Ok(())
            })
            .await;
        let [mine, other] = *lock(&left);
        let changes = [
            Change::put(from, mine.to_string()),
            Change::put(to, other.to_string()),
            Change::put(notes, note.to_owned()),
        ];
        let mut records = self.shared.records();
        match moved {
            Ok(moved) => {
                let revision = moved.revision.expect("it writes");
                records.movements.add(changes, Outcome::Applied(revision));
                records.report.moved += 1;
                records.report.attempts += moved.attempts as usize;
                self.shared.moved[self.number].fetch_add(1, Ordering::Relaxed);
            }
            Err(Refusal::Funds) => records.report.refused += 1,
            Err(Refusal::Etcd(error)) if error.outcome() == etcdkit::Outcome::Unknown => {
                records.movements.add(changes, Outcome::Unknown);
                records.report.unknown += 1;
            }
            Err(Refusal::Etcd(error)) => {
                let kind = error.kind();
                let ours = [
                    ErrorKind::InvalidRequest,
                    ErrorKind::Decode,
                    ErrorKind::TooManyOps,
                ];
                if ours.contains(&kind) {
                    records.wrong.push(error.to_string());
                }
                records.report.failed += 1;
            }
        }
    }

    async fn audit(mut self) {
        while !self.shared.done.load(Ordering::Relaxed) {
            let shared = &self.shared;
            let prefix = &self.prefix;
            let sum = self.client.stm(async |tx| {
                let mut sum = 0;
                for account in accounts(prefix) {
                    sum += tx.get::<i64>(account).await?.unwrap_or(0);
                }
                // Also of an attempt that will not be the last.
                if sum != SUM {
                    let wrong = format!("{sum} at {:?}", tx.revision());
                    shared.records().wrong.push(wrong);
                }
                Ok(sum)
            });
            if sum.await.is_ok() {
                self.shared.audits.fetch_add(1, Ordering::Relaxed);
            }
            sleep(self.random.u32(0..20) * MS).await;
        }
    }
}

fn accounts(prefix: &str) -> impl Iterator<Item = String> {
    (0..ACCOUNTS).map(move |account| format!("{prefix}{account}"))
}

fn load(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
