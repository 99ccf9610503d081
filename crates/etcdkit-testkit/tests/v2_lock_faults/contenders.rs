//! Contenders for one lock, some of whom crash, and a judgement about when each of them held it.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use etcdkit::v2::{Client, Lock};
use etcdkit_testkit::program::Program;
use tokio::time::sleep;

/// How many contend, and how often each of them gets the lock.
const CONTENDERS: usize = 8;
const TIMES: usize = 6;

/// One of so many acquisitions ends in a crash.
const CRASHES: u8 = 6;

/// One of so many holds the lock for long.
const LONG: u8 = 8;

/// No acquisition takes longer, crashes of others and elections included.
const PATIENCE: Duration = Duration::from_secs(150);

/// That somebody held the lock, by its own account: what the lock promises for as long as it says that
/// it is not lost, whether or not its holder has been given the time to look since.
#[derive(Clone, Debug)]
struct Stay {
    number: usize,
    index: u64,
    /// After it was given.
    since: Instant,
    /// Before it last said that it was not lost.
    until: Instant,
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.until - self.since;
        write!(f, "{} with {} for {held:.1?}", self.number, self.index)
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    stays: Vec<Stay>,
    pub(crate) acquired: usize,
    pub(crate) crashed: usize,
    pub(crate) lost: usize,
    pub(crate) failed: usize,
    longest: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acquisitions, {} crashes, {} losses, {} failed attempts, longest wait {:.1?}: never two, \
             and in order",
            self.acquired, self.crashed, self.lost, self.failed, self.longest
        )
    }
}

/// Lets eight contenders acquire a lock forty-eight times.
pub(crate) async fn contend(endpoints: Vec<String>, name: &str, ttl: u64, seed: u64) -> Report {
    let contenders: Vec<_> = (1..=CONTENDERS)
        .map(|number| {
            let contender = Contender {
                number,
                random: fastrand::Rng::with_seed(seed ^ number as u64),
                endpoints: endpoints.clone(),
                lock: name.to_owned(),
                ttl,
                seed,
            };
            tokio::task::spawn_blocking(|| contender.run())
        })
        .collect();
    let mut report = Report::default();
    for contender in contenders {
        let part = contender.await.expect("a contender");
        report.stays.extend(part.stays);
        report.acquired += part.acquired;
        report.crashed += part.crashed;
        report.lost += part.lost;
        report.failed += part.failed;
        report.longest = report.longest.max(part.longest);
    }
    assert_eq!(report.acquired, CONTENDERS * TIMES, "seed {seed}");
    report.stays.sort_by_key(|stay| stay.since);
    for pair in report.stays.windows(2) {
        let (earlier, later) = (&pair[0], &pair[1]);
        assert!(
            earlier.until <= later.since,
            "seed {seed}: two at a time: {earlier}, {later}"
        );
        assert!(
            earlier.index < later.index,
            "seed {seed}: not first come, first served: {earlier}, {later}"
        );
    }
    report
}

struct Contender {
    number: usize,
    random: fastrand::Rng,
    endpoints: Vec<String>,
    lock: String,
    ttl: u64,
    seed: u64,
}

/// How a turn has ended.
enum Turn {
    Released,
    Lost,
    /// The process is to end just here.
    Crash,
}

impl Contender {
    fn run(mut self) -> Report {
        let mut report = Report::default();
        let mut program = Program::start_v2(&self.endpoints);
        while report.acquired < TIMES {
            let start = Instant::now();
            let (lock, failed) = program.run(self.acquire(program.client()));
            report.failed += failed;
            report.longest = report.longest.max(start.elapsed());
            let since = Instant::now();
            if lock.is_lost() {
                // Before anything was done under it.
                report.lost += 1;
                continue;
            }
            report.acquired += 1;
            let mut stay = Stay {
                number: self.number,
                index: lock.index(),
                since,
                until: since,
            };
            let crashes = self.random.u8(0..CRASHES) == 0;
            let turn = program.run(self.work(lock, &mut stay, crashes));
            report.stays.push(stay);
            match turn {
                Turn::Released => {}
                Turn::Lost => report.lost += 1,
                Turn::Crash => {
                    report.crashed += 1;
                    program.crash();
                    program = Program::start_v2(&self.endpoints);
                }
            }
            thread::sleep(Duration::from_millis(self.random.u64(0..40)));
        }
        report
    }

    async fn acquire(&mut self, client: &Client) -> (Lock, usize) {
        let (start, mut failed) = (Instant::now(), 0);
        loop {
            let value = format!("contender {}", self.number);
            let lock = client.lock(&self.lock).ttl(self.ttl).value(value);
            match lock.wait_at_most(PATIENCE).await {
                Ok(lock) => return (lock, failed),
                Err(error) => {
                    failed += 1;
                    let waited = start.elapsed();
                    assert!(waited < PATIENCE, "seed {}: {waited:?}: {error}", self.seed);
                    sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    async fn work(&mut self, lock: Lock, stay: &mut Stay, crashes: bool) -> Turn {
        // Some for longer than the lock lives without being renewed.
        let held = match self.random.u8(0..LONG) {
            0 => self.random.u64(1_000..4_000),
            _ => self.random.u64(1..60),
        };
        let end = stay.since + Duration::from_millis(held);
        loop {
            let before = Instant::now();
            if lock.is_lost() {
                break;
            }
            stay.until = before;
            if before >= end {
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
        if crashes {
            // Not dropped: that would release it.
            std::mem::forget(lock);
            return Turn::Crash;
        }
        match lock.is_lost() {
            true => Turn::Lost,
            false => {
                // Should the answer fail to come, the task goes on trying.
                let _ = lock.release().await;
                Turn::Released
            }
        }
    }
}
