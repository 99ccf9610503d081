//! One measurement, from connecting to the sample.

use std::{
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    Allocations, Job, Miss, RuntimeKind, Sample, SceneJob, Verb,
    calls::Caller,
    measure::{Memory, cpu_time, nanos_since, percentile},
    play::play,
};

/// Why a measurement cannot be used.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A client under comparison. A clone shares the connection.
///
/// Keys and values are borrowed, since they live in the caller's buffers in either client's case:
/// what a client needs to own it has to copy, and pays for.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Opens one connection for each endpoint.
    fn connect(endpoints: &[String]) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Writes one key.
    fn put(&mut self, key: &[u8], value: &[u8])
    -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads, and says how many keys came back.
    fn range(&mut self, call: RangeCall<'_>) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// Writes the same value under several keys in one transaction.
    fn txn_put(
        &mut self,
        keys: &[Vec<u8>],
        value: &[u8],
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads in a transaction, and says how many keys came back.
    fn txn_range(
        &mut self,
        call: RangeCall<'_>,
    ) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// Reads every key with a prefix at one revision, and says how many there were.
    fn scan(
        &mut self,
        prefix: &[u8],
        page: i64,
    ) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// Writes one key within this time, or says what is known.
    fn put_within(
        &mut self,
        key: &[u8],
        value: &[u8],
        limit: Duration,
    ) -> impl Future<Output = Result<(), Miss>> + Send;

    /// Reads one key within this time, or says what is known.
    fn get_within(
        &mut self,
        key: &[u8],
        limit: Duration,
    ) -> impl Future<Output = Result<(), Miss>> + Send;

    /// An open watch.
    type Watch: Watching;

    /// Watches a key, or all that begin with it, from now on; returns when the server has confirmed
    /// that.
    fn watch(
        &mut self,
        key: Vec<u8>,
        is_prefix: bool,
    ) -> impl Future<Output = Result<Self::Watch, Failure>> + Send;

    /// A lease that is kept alive while this exists.
    type Lease: Send;

    /// Takes a lease, and keeps it alive.
    fn lease(
        &mut self,
        ttl_seconds: i64,
    ) -> impl Future<Output = Result<Self::Lease, Failure>> + Send;

    /// Whether the client knows that a lease has ended.
    fn is_lost(lease: &Self::Lease) -> bool;

    /// A lease that is kept alive while this exists, for many locks one after the other.
    type Session: Send + Sync + 'static;

    /// Opens a session.
    fn session(&mut self) -> impl Future<Output = Result<Self::Session, Failure>> + Send;

    /// A lock that is held.
    type Guard: Send;

    /// Waits for a lock and takes it, by a session or else with a lease of its own.
    fn lock(
        &mut self,
        session: Option<&Self::Session>,
        name: &str,
    ) -> impl Future<Output = Result<Self::Guard, Failure>> + Send;

    /// Gives a lock back; returns when the server has confirmed that.
    fn unlock(&mut self, guard: Self::Guard) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Adds one to the number in a key, which is not there for 0, by a transaction in memory. Says
    /// in how many attempts.
    fn increment(&mut self, key: &str) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// Reads the number in a key and the revision of its last change; both are 0 when there is none.
    fn number(&mut self, key: &str) -> impl Future<Output = Result<(u64, i64), Failure>> + Send;

    /// Writes a number into a key that has not changed since this revision, or says that it has.
    fn swap(
        &mut self,
        key: &str,
        unchanged_since: i64,
        number: u64,
    ) -> impl Future<Output = Result<bool, Failure>> + Send;
}

/// A watch of a client under comparison.
pub trait Watching: Send {
    /// The member that confirmed it.
    fn member(&self) -> u64;

    /// The revisions of the events of the next update; nothing after the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<i64>>, Failure>> + Send;
}

/// A read.
#[derive(Clone, Copy, Debug)]
pub struct RangeCall<'a> {
    /// The key, or the first of the range.
    pub key: &'a [u8],
    /// The end of the range, which it excludes.
    pub end: Option<&'a [u8]>,
    /// How many keys come back at most; 0 is no limit.
    pub limit: i64,
    /// Whether the member asked may answer alone.
    pub serializable: bool,
}

/// The whole program of a client under comparison.
pub fn main<P: Peer>() -> ExitCode {
    match run_arguments::<P>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run_arguments<P: Peer>() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [job] => {
            println!("{}", measure::<P>(&serde_json::from_str(job)?)?);
            Ok(())
        }
        [scene, job] if scene == "scene" => {
            let job: SceneJob = serde_json::from_str(job)?;
            runtime(job.runtime)?.block_on(play::<P>(&job))
        }
        _ => Err("this program is run by etcdkit-bench, with a job as JSON".into()),
    }
}

fn runtime(kind: RuntimeKind) -> Result<tokio::runtime::Runtime, Failure> {
    Ok(match kind {
        RuntimeKind::CurrentThread => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
        RuntimeKind::MultiThread { workers } => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build()?,
    })
}

fn measure<P: Peer>(job: &Job) -> Result<String, Failure> {
    let sample = runtime(job.runtime)?.block_on(run::<P>(job))?;
    Ok(serde_json::to_string(&sample)?)
}

async fn run<P: Peer>(job: &Job) -> Result<Sample, Failure> {
    let mut peers = Vec::new();
    for _ in 0..job.conns.max(1) {
        peers.push(P::connect(&job.endpoints).await?);
    }
    let total = match job.verb {
        Verb::Scan { .. } => 1,
        _ => job.total,
    };
    if job.warmup > 0 {
        phase(job, &peers, job.warmup, 1).await?;
    }

    let rss_before = Memory::of_this_process()?.now;
    let allocations_before = Allocations::so_far();
    let cpu_before = cpu_time();
    let start = Instant::now();
    let phase = phase(job, &peers, total, 2).await?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu_seconds = (cpu_time() - cpu_before).as_secs_f64();
    let allocations = Allocations::so_far().since(allocations_before);
    let peak_rss = Memory::of_this_process()?.peak;

    let mut nanos = phase.nanos;
    nanos.sort_unstable();
    Ok(Sample {
        calls: total,
        keys: phase.keys,
        seconds,
        cpu_seconds,
        p50_micros: percentile(&nanos, 0.50) / 1000.0,
        p99_micros: percentile(&nanos, 0.99) / 1000.0,
        peak_rss,
        rss_before,
        allocations: (allocations.count > 0).then_some(allocations),
    })
}

/// What callers found.
#[derive(Default)]
struct Phase {
    /// The time of each call.
    nanos: Vec<u32>,
    keys: u64,
}

async fn phase<P: Peer>(job: &Job, peers: &[P], total: u64, seed: u64) -> Result<Phase, Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let interval = match job.rate {
        0 => None,
        rate => Some(Duration::from_secs_f64(1.0 / rate as f64)),
    };
    let clients = job.clients.max(1);
    let mut tasks = Vec::with_capacity(clients);
    for (client, peer) in peers.iter().cycle().take(clients).enumerate() {
        let seed = seed * clients as u64 + client as u64;
        let (verb, workload) = (job.verb.clone(), job.workload.clone());
        let caller = Caller::ready(peer.clone(), verb, workload, seed).await?;
        let share = total / clients as u64;
        let found = Phase {
            // Callers get unequal shares; a quarter more than the mean rarely grows.
            nanos: Vec::with_capacity((share + share / 4 + 16) as usize),
            keys: 0,
        };
        let next = Arc::clone(&next);
        tasks.push(tokio::spawn(call_on(caller, found, next, total, interval)));
    }
    let mut all = Phase::default();
    for task in tasks {
        let found = task.await??;
        all.nanos.extend(found.nanos);
        all.keys += found.keys;
    }
    Ok(all)
}

/// Makes calls until all callers together have made `total`.
async fn call_on<P: Peer>(
    mut caller: Caller<P>,
    mut found: Phase,
    next: Arc<AtomicU64>,
    total: u64,
    interval: Option<Duration>,
) -> Result<Phase, Failure> {
    let begin = tokio::time::Instant::now();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= total {
            return Ok(found);
        }
        if let Some(interval) = interval {
            tokio::time::sleep_until(begin + interval.mul_f64(number as f64)).await;
        }
        let start = Instant::now();
        found.keys += caller.call(number).await?;
        found.nanos.push(nanos_since(start));
    }
}
