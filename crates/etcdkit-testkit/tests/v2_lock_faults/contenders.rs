//! Contenders for one lock, some of whom crash, and a critical section that notices two.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use etcdkit::v2::{Client, Lock};
use tokio::{runtime::Runtime, time::sleep};

/// How many contend, and how often each of them gets the lock.
const CONTENDERS: usize = 8;
const TIMES: usize = 6;

/// One of so many acquisitions ends in a crash.
const CRASHES: u8 = 6;

/// One of so many holds the lock for long.
const LONG: u8 = 8;

/// No acquisition takes longer, crashes of others and elections included.
const PATIENCE: Duration = Duration::from_secs(150);

/// What the lock protects.
#[derive(Debug, Default)]
struct Section {
    /// Who is inside; 0 for nobody.
    inside: AtomicUsize,
    /// The fencing indexes of all who were, in their order.
    indexes: Mutex<Vec<u64>>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
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
    let section = Arc::<Section>::default();
    let contenders: Vec<_> = (1..=CONTENDERS)
        .map(|number| {
            let contender = Contender {
                number,
                random: fastrand::Rng::with_seed(seed ^ number as u64),
                endpoints: endpoints.clone(),
                lock: name.to_owned(),
                ttl,
                seed,
                section: Arc::clone(&section),
            };
            tokio::task::spawn_blocking(|| contender.run())
        })
        .collect();
    let mut report = Report::default();
    for contender in contenders {
        let part = contender.await.expect("a contender");
        report.acquired += part.acquired;
        report.crashed += part.crashed;
        report.lost += part.lost;
        report.failed += part.failed;
        report.longest = report.longest.max(part.longest);
    }
    let indexes = section
        .indexes
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    assert_eq!(indexes.len(), CONTENDERS * TIMES, "seed {seed}");
    assert!(
        indexes.is_sorted_by(|earlier, later| earlier < later),
        "seed {seed}: not first come, first served: {indexes:?}"
    );
    report
}

struct Contender {
    number: usize,
    random: fastrand::Rng,
    endpoints: Vec<String>,
    lock: String,
    ttl: u64,
    seed: u64,
    section: Arc<Section>,
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
        let mut program = Program::start(&self.endpoints);
        while report.acquired < TIMES {
            let start = Instant::now();
            let (lock, failed) = program.runtime.block_on(self.acquire(&program.client));
            report.failed += failed;
            report.longest = report.longest.max(start.elapsed());
            if lock.is_lost() {
                // Before anything was done under it.
                report.lost += 1;
                continue;
            }
            report.acquired += 1;
            let crashes = self.random.u8(0..CRASHES) == 0;
            match program.runtime.block_on(self.work(lock, crashes)) {
                Turn::Released => {}
                Turn::Lost => report.lost += 1,
                Turn::Crash => {
                    report.crashed += 1;
                    // Nothing of it runs any more, least of all what would release the lock.
                    program.runtime.shutdown_background();
                    program = Program::start(&self.endpoints);
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

    async fn work(&mut self, lock: Lock, crashes: bool) -> Turn {
        let (section, seed) = (&self.section, self.seed);
        section.enter(self.number, lock.index(), seed);
        // Some for longer than the lock lives without being renewed.
        let held = match self.random.u8(0..LONG) {
            0 => self.random.u64(1_000..4_000),
            _ => self.random.u64(1..60),
        };
        let until = Instant::now() + Duration::from_millis(held);
        while Instant::now() < until && !lock.is_lost() {
            sleep(Duration::from_millis(1)).await;
        }
        section.leave(self.number, seed);
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

impl Section {
    fn enter(&self, number: usize, index: u64, seed: u64) {
        let inside = self.inside.swap(number, Ordering::SeqCst);
        assert_eq!(inside, 0, "seed {seed}: {number} came in beside {inside}");
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.push(index);
    }

    fn leave(&self, number: usize, seed: u64) {
        let inside = self.inside.swap(0, Ordering::SeqCst);
        assert_eq!(
            inside, number,
            "seed {seed}: {inside} was in beside {number}"
        );
    }
}

/// A process of a contender's, as far as one can be ended at any point.
struct Program {
    runtime: Runtime,
    client: Client,
}

impl Program {
    fn start(endpoints: &[String]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let client = {
            let _inside = runtime.enter();
            let client = Client::builder().endpoints(endpoints);
            let client = client.request_timeout(Duration::from_secs(3));
            client.connect_lazy().expect("a client")
        };
        Self { runtime, client }
    }
}
