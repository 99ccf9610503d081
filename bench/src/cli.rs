//! The command line. Verbs and flags are named as etcd's `benchmark` names them, where it has them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use etcdkit_bench_load::{RuntimeKind, Verb, Workload};

/// Runs the same load through several etcd clients, in turns, against one server.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Client URLs of a running server; without them one is started, and ended afterwards.
    #[arg(long, global = true, value_delimiter = ',')]
    pub(crate) endpoints: Vec<String>,

    /// The server to start when there are no --endpoints.
    #[arg(long, global = true, value_enum, default_value_t = ServerKind::Etcd)]
    pub(crate) server: ServerKind,

    /// Total number of gRPC connections.
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) conns: usize,

    /// Total number of gRPC clients: callers with one call at a time. A list gives one comparison
    /// for each number.
    #[arg(long, global = true, value_delimiter = ',', default_value = "1")]
    pub(crate) clients: Vec<usize>,

    /// The runtime of the clients.
    #[arg(long, global = true, value_enum, default_value_t = RuntimeName::MultiThread)]
    pub(crate) runtime: RuntimeName,

    /// Worker threads of the multi-thread runtime.
    #[arg(long, global = true, default_value_t = 2)]
    pub(crate) workers: usize,

    /// How often each client is measured; the table shows medians.
    #[arg(long, global = true, default_value_t = 5)]
    pub(crate) rounds: usize,

    /// The clients, of which the last is the one to be compared with.
    #[arg(
        long,
        global = true,
        value_delimiter = ',',
        default_value = "etcdkit,etcd-client"
    )]
    pub(crate) peers: Vec<String>,

    /// Do not count allocations.
    #[arg(long, global = true)]
    pub(crate) no_allocations: bool,

    /// Do not count instructions.
    #[arg(long, global = true)]
    pub(crate) no_instructions: bool,

    /// How many seconds to wait, before each measurement, for other processes to calm down.
    #[arg(long, global = true, default_value_t = 20)]
    pub(crate) patience: u64,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    pub(crate) fn runtime(&self) -> RuntimeKind {
        match self.runtime {
            RuntimeName::CurrentThread => RuntimeKind::CurrentThread,
            RuntimeName::MultiThread => RuntimeKind::MultiThread {
                workers: self.workers,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ServerKind {
    /// The newest real etcd on PATH or in ETCDKIT_TEST_ETCD, without fsync where it can.
    Etcd,
    /// etcdkit's own server, in memory.
    Embedded,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RuntimeName {
    CurrentThread,
    MultiThread,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What BENCHMARKS.md reports of calls: puts and gets at 1, 16 and 256 clients, transactions, a scan.
    Suite(SuiteOptions),
    /// Benchmark put.
    Put(PutOptions),
    /// Benchmark range: single keys of the key space, one key, or a range of keys.
    Range(RangeOptions),
    /// Benchmark txn-put.
    TxnPut(TxnPutOptions),
    /// Benchmark a mixed load of txn-put and txn-range.
    TxnMixed(TxnMixedOptions),
    /// Benchmark reading everything below a prefix at one revision.
    Scan(ScanOptions),
    /// Open many watches of one client, and let each see one event.
    WatchOpen(WatchOpenOptions),
    /// Receive the events of one watch while others write at full speed.
    WatchEvents(WatchEventsOptions),
    /// Keep many leases alive.
    Leases(LeasesOptions),
    /// Call three members, of which a follower is killed.
    Failover(FailoverOptions),
    /// Watch three members, and kill or freeze the one under the watch.
    WatchFailover(WatchFailoverOptions),
    /// All of the last five, as BENCHMARKS.md reports them.
    Scenes(SuiteOptions),
    /// Locks and transactions in memory, as BENCHMARKS.md reports them.
    Sync(SyncOptions),
    /// The embedded server beside a real etcd, as BENCHMARKS.md reports it.
    Server(ServerOptions),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SuiteOptions {
    /// Make a hundredth of the calls in a single round: to see that everything works.
    #[arg(long)]
    pub(crate) smoke: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SyncOptions {
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<SyncPart>,

    /// A small share of it in a single round: to see that everything works.
    #[arg(long)]
    pub(crate) smoke: bool,
}

impl SyncOptions {
    /// Those asked for; all, if none was.
    pub(crate) fn parts(&self) -> Vec<SyncPart> {
        match self.parts.as_slice() {
            [] => SyncPart::value_variants().to_vec(),
            parts => parts.to_vec(),
        }
    }
}

/// What of locks and transactions in memory is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncPart {
    /// Taking and giving back a lock that nobody else wants.
    Lock,
    /// A lock that goes through a queue.
    HandOver,
    /// Increments by transactions in memory, and by a loop of reads and conditional writes.
    Stm,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ServerOptions {
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,

    /// A folder on a disk, for the data of durable servers; by default where the programs were built.
    #[arg(long)]
    pub(crate) disk: Option<PathBuf>,

    /// Make a hundredth of the calls in a single round: to see that everything works.
    #[arg(long)]
    pub(crate) smoke: bool,
}

impl ServerOptions {
    /// Those asked for; all, if none was.
    pub(crate) fn parts(&self) -> Vec<Part> {
        match self.parts.as_slice() {
            [] => Part::value_variants().to_vec(),
            parts => parts.to_vec(),
        }
    }
}

/// What of a server is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Calls, in memory, beside an etcd without fsync.
    Memory,
    /// Calls, durable, beside an etcd.
    Durable,
    /// From the start of a process to its first answer, and its memory.
    Start,
    /// Servers inside of a process.
    Embedded,
    /// One writer and many watchers.
    Watch,
    /// A million keys.
    Keys,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Total number of requests.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) total: u64,

    /// Maximum requests per second (0 is no limit).
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,

    /// Maximum possible keys.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) key_space_size: u64,

    /// Key size.
    #[arg(long, default_value_t = 16)]
    pub(crate) key_size: usize,

    /// Value size.
    #[arg(long, default_value_t = 128)]
    pub(crate) val_size: usize,

    /// Use sequential keys.
    #[arg(long)]
    pub(crate) sequential_keys: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PutOptions {
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RangeOptions {
    /// The key; by default each request reads another key of the key space.
    pub(crate) key: Option<String>,

    /// The end of the range, which it excludes.
    pub(crate) end_range: Option<String>,

    /// Maximum number of results to return from a request (0 is no limit).
    #[arg(long, default_value_t = 0)]
    pub(crate) limit: i64,

    /// Linearizable (l) or serializable (s).
    #[arg(long, value_enum, default_value_t = Consistency::L)]
    pub(crate) consistency: Consistency,

    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TxnPutOptions {
    /// Number of puts per txn.
    #[arg(long, default_value_t = 1)]
    pub(crate) txn_ops: u64,

    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TxnMixedOptions {
    /// Read operation range start key; by default the first there is.
    pub(crate) key: Option<String>,

    /// Read operation range end key, which it excludes; by default the range has no end.
    #[arg(long)]
    pub(crate) end_key: Option<String>,

    /// Read operation range result limit.
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: i64,

    /// Linearizable (l) or serializable (s).
    #[arg(long, value_enum, default_value_t = Consistency::L)]
    pub(crate) consistency: Consistency,

    /// Read/write ops ratio.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) rw_ratio: f64,

    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ScanOptions {
    /// The number of keys.
    #[arg(long, default_value_t = 200_000)]
    pub(crate) total: u64,

    /// Value size.
    #[arg(long, default_value_t = 256)]
    pub(crate) val_size: usize,

    /// Keys in a page, for clients that leave paging to their user. A list gives one comparison for
    /// each.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000")]
    pub(crate) page: Vec<i64>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WatchOpenOptions {
    /// How many watches.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) total: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WatchEventsOptions {
    /// How many events.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) total: u64,

    /// Value size.
    #[arg(long, default_value_t = 128)]
    pub(crate) val_size: usize,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LeasesOptions {
    /// How many leases.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) total: u64,

    /// Their time to live, in seconds.
    #[arg(long, default_value_t = 15)]
    pub(crate) ttl: i64,

    /// How long they are kept, in seconds.
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct FailoverOptions {
    /// How long the calls go on, in seconds; the member is killed after a third of it.
    #[arg(long, default_value_t = 9.0)]
    pub(crate) seconds: f64,

    /// How many call at a time.
    #[arg(long, default_value_t = 1)]
    pub(crate) callers: usize,

    /// Read instead of writing.
    #[arg(long)]
    pub(crate) reads: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WatchFailoverOptions {
    /// Freeze the member for six seconds instead of killing it.
    #[arg(long)]
    pub(crate) freeze: bool,

    /// How long others write, in seconds, besides the time that the member is frozen; it is hurt after
    /// a third of it.
    #[arg(long, default_value_t = 9)]
    pub(crate) seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Consistency {
    L,
    S,
}

impl Common {
    pub(crate) fn workload(&self) -> Workload {
        Workload {
            key_size: self.key_size,
            val_size: self.val_size,
            key_space_size: self.key_space_size,
            sequential_keys: self.sequential_keys,
            limit: 0,
            serializable: false,
        }
    }
}

impl RangeOptions {
    pub(crate) fn verb(&self) -> Verb {
        Verb::Range {
            key: self.key.clone(),
            end: self.end_range.clone(),
        }
    }
}

impl TxnMixedOptions {
    pub(crate) fn verb(&self) -> Verb {
        // etcd takes a zero byte for the first key there is, and for an end beyond the last.
        let open = || "\0".to_owned();
        Verb::TxnMixed {
            key: self.key.clone().unwrap_or_else(open),
            end: Some(self.end_key.clone().unwrap_or_else(open)),
            reads_per_hundred_writes: (self.rw_ratio * 100.0) as u64,
        }
    }
}
