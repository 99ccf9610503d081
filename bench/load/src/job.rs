//! What a measurement is asked to do, and what it answers.

use serde::{Deserialize, Serialize};

use crate::Allocations;

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The server's client URLs.
    pub endpoints: Vec<String>,
    /// The kind of call.
    pub verb: Verb,
    /// What the calls carry.
    pub workload: Workload,
    /// How many calls are measured.
    pub total: u64,
    /// How many calls go before, unmeasured.
    pub warmup: u64,
    /// How many callers there are, each with one call at a time.
    pub clients: usize,
    /// How many connections the callers share.
    pub conns: usize,
    /// At most so many calls a second, all callers together; 0 is no limit.
    pub rate: u64,
    /// The runtime that callers and client share.
    pub runtime: RuntimeKind,
}

/// The kind of call, named as etcd's own benchmark names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    /// One key written.
    Put,
    /// One key read, or a range of keys.
    Range {
        /// The key; by default each call takes another one of the key space.
        key: Option<String>,
        /// The end of the range, which it excludes.
        end: Option<String>,
    },
    /// A transaction that writes.
    TxnPut {
        /// How many keys it writes.
        ops: u64,
    },
    /// Transactions of which some read and some write.
    TxnMixed {
        /// The key that is read.
        key: String,
        /// The end of the range that is read, which it excludes.
        end: Option<String>,
        /// How many read for each hundred that write.
        reads_per_hundred_writes: u64,
    },
    /// Every key with a prefix read once; `total` is ignored.
    Scan {
        /// The prefix.
        prefix: String,
        /// The number of keys in a page, for a client that leaves paging to its user.
        page: i64,
    },
    /// A lock that nobody else wants taken and given back.
    Lock {
        /// Whether each caller has one session for all of its locks, instead of a lease for each.
        by_session: bool,
    },
}

/// What the calls carry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workload {
    /// The length of keys in bytes.
    pub key_size: usize,
    /// The length of values in bytes.
    pub val_size: usize,
    /// How many different keys there are.
    pub key_space_size: u64,
    /// Whether the keys are taken in order instead of at random.
    pub sequential_keys: bool,
    /// How many keys a read returns at most; 0 is no limit.
    pub limit: i64,
    /// Whether the member asked may answer reads alone.
    pub serializable: bool,
}

impl Workload {
    /// Writes the key with this number into `key`, which has its length already.
    pub fn write_key(&self, mut number: u64, key: &mut [u8]) {
        for digit in key.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }

    /// The key with this number.
    pub fn key_text(&self, number: u64) -> String {
        format!("{number:0width$}", width = self.key_size)
    }
}

/// The tokio runtime of a program under measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuntimeKind {
    /// Everything on one thread.
    CurrentThread,
    /// Worker threads that take each other's tasks.
    MultiThread {
        /// How many.
        workers: usize,
    },
}

/// What one measurement found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// How many calls were measured.
    pub calls: u64,
    /// How many keys they read or wrote.
    pub keys: u64,
    /// How long all calls took together, in seconds of wall clock.
    pub seconds: f64,
    /// The CPU time of the whole process meanwhile, user and kernel, in seconds.
    pub cpu_seconds: f64,
    /// The median time of a call, in microseconds.
    pub p50_micros: f64,
    /// The time within which 99 of 100 calls ended, in microseconds.
    pub p99_micros: f64,
    /// The most memory the process ever held, in bytes.
    pub peak_rss: u64,
    /// What it held before the measured part, in bytes.
    pub rss_before: u64,
    /// What was allocated meanwhile, when the program counts.
    pub allocations: Option<Allocations>,
}
