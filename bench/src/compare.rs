//! Measuring all clients in turns, and putting what was found together.

use std::{cell::RefCell, io::IsTerminal as _, time::Duration};

use etcdkit_bench_load::{Allocations, Failure, Job, Sample, Verb, Workload};
use tokio::runtime::Runtime;

use crate::{
    cli::{Arguments, Command, Common, Consistency, ScanOptions},
    instructions::Counter,
    noise::{self, Ticks},
    programs::{self, Programs},
    servers::Server,
};

/// The prefix of the keys that a scan reads, so that nothing else is counted in.
const SCANNED: &str = "scan/";

/// How many calls allocations are counted over.
const COUNTED: u64 = 20_000;

/// Everything a measurement needs.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    arguments: &'a Arguments,
    programs: &'a Programs,
    server: &'a Server,
    runtime: &'a Runtime,
    counter: Option<Counter>,
    shows_progress: bool,
    /// For each timed run, the share of the machine that others used meanwhile.
    others: RefCell<Vec<f64>>,
}

/// One load, and what each client made of it.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) clients: usize,
    pub(crate) peers: Vec<PeerFigures>,
}

/// What was found about one client.
#[derive(Clone, Debug)]
pub(crate) struct PeerFigures {
    pub(crate) name: String,
    /// One for each round.
    pub(crate) samples: Vec<Sample>,
    /// Instructions in user mode per call.
    pub(crate) instructions: Option<f64>,
    /// Per call: how many, and how many bytes.
    pub(crate) allocations: Option<(f64, f64)>,
}

/// A load before it is run.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) name: String,
    pub(crate) verb: Verb,
    pub(crate) workload: Workload,
    pub(crate) total: u64,
    pub(crate) rate: u64,
    pub(crate) clients: usize,
    pub(crate) rounds: usize,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(
        arguments: &'a Arguments,
        programs: &'a Programs,
        server: &'a Server,
        runtime: &'a Runtime,
    ) -> Self {
        let counter = match arguments.no_instructions {
            true => None,
            false => Counter::find(),
        };
        Self {
            arguments,
            programs,
            server,
            runtime,
            counter,
            shows_progress: std::io::stderr().is_terminal(),
            others: RefCell::default(),
        }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.arguments.rounds
    }

    /// Runs one verb of the command line, once for each number of clients.
    pub(crate) fn verb(&self, command: &Command) -> Result<Vec<Measured>, Failure> {
        let load = |name: &str, verb, common: &Common, workload| Load {
            name: name.to_owned(),
            verb,
            workload,
            total: common.total,
            rate: common.rate,
            clients: 1,
            rounds: self.arguments.rounds,
        };
        let load = match command {
            Command::Put(options) => {
                let workload = options.common.workload();
                load("put", Verb::Put, &options.common, workload)
            }
            Command::Range(options) => {
                let workload = Workload {
                    limit: options.limit,
                    serializable: options.consistency == Consistency::S,
                    ..options.common.workload()
                };
                load("range", options.verb(), &options.common, workload)
            }
            Command::TxnPut(options) => {
                if options.txn_ops > options.common.key_space_size {
                    return Err(
                        "--txn-ops must not exceed --key-space-size: etcd refuses a \
                                transaction that writes a key twice"
                            .into(),
                    );
                }
                let verb = Verb::TxnPut {
                    ops: options.txn_ops,
                };
                load("txn-put", verb, &options.common, options.common.workload())
            }
            Command::TxnMixed(options) => {
                let workload = Workload {
                    limit: options.limit,
                    serializable: options.consistency == Consistency::S,
                    ..options.common.workload()
                };
                load("txn-mixed", options.verb(), &options.common, workload)
            }
            Command::Scan(options) => return self.scan(options, self.arguments.rounds),
            _ => return Ok(Vec::new()),
        };
        let with = |clients: &usize| {
            self.measure(&Load {
                clients: *clients,
                ..load.clone()
            })
        };
        self.arguments.clients.iter().map(with).collect()
    }

    /// Reads many keys below one prefix, once for each page size.
    pub(crate) fn scan(
        &self,
        options: &ScanOptions,
        rounds: usize,
    ) -> Result<Vec<Measured>, Failure> {
        let workload = Workload {
            key_size: 16,
            val_size: options.val_size,
            key_space_size: options.total,
            sequential_keys: false,
            limit: 0,
            serializable: false,
        };
        self.runtime
            .block_on(self.server.fill(&workload, SCANNED))?;
        let with = |page: &i64| {
            let measured = self.timed(&Load {
                name: format!("scan, pages of {page} for etcd-client"),
                verb: Verb::Scan {
                    prefix: SCANNED.to_owned(),
                    page: *page,
                },
                workload: workload.clone(),
                total: 1,
                rate: 0,
                clients: 1,
                rounds,
            })?;
            for peer in &measured.peers {
                for sample in &peer.samples {
                    if sample.keys != options.total {
                        let (name, keys, total) = (&peer.name, sample.keys, options.total);
                        return Err(format!("{name} scanned {keys} keys of {total}").into());
                    }
                }
            }
            Ok(measured)
        };
        let measured = options.page.iter().map(with).collect();
        self.runtime.block_on(self.server.clear(SCANNED))?;
        measured
    }

    /// Runs one load in turns, then counts its allocations and instructions.
    pub(crate) fn measure(&self, load: &Load) -> Result<Measured, Failure> {
        self.runtime
            .block_on(self.server.fill(&load.workload, ""))?;
        let mut measured = self.timed(load)?;
        let job = self.job(load);
        for (peer, program) in measured.peers.iter_mut().zip(&self.programs.0) {
            self.progress(&format!(
                "{}, {} clients: counting, {}",
                load.name, load.clients, program.name
            ));
            if !self.arguments.no_allocations {
                let job = Job {
                    total: COUNTED,
                    rate: 0,
                    ..job.clone()
                };
                let (sample, _) = programs::run(&program.counted, &job, None)?;
                peer.allocations = sample.allocations.map(|Allocations { count, bytes }| {
                    let calls = sample.calls as f64;
                    (count as f64 / calls, bytes as f64 / calls)
                });
            }
            if let Some(counter) = self.counter {
                peer.instructions = Some(counter.per_call(&program.plain, &job)?);
            }
        }
        self.progress("");
        Ok(measured)
    }

    /// Runs one load in turns.
    pub(crate) fn timed(&self, load: &Load) -> Result<Measured, Failure> {
        let mut peers: Vec<PeerFigures> = self
            .programs
            .0
            .iter()
            .map(|program| PeerFigures {
                name: program.name.clone(),
                samples: Vec::new(),
                instructions: None,
                allocations: None,
            })
            .collect();
        let job = self.job(load);
        let count = self.programs.0.len();
        for round in 0..load.rounds {
            for turn in 0..count {
                // Each round another client begins.
                let index = (round + turn) % count;
                let (Some(program), Some(peer)) =
                    (self.programs.0.get(index), peers.get_mut(index))
                else {
                    continue;
                };
                self.progress(&format!(
                    "{}, {} clients: round {} of {}, {}",
                    load.name,
                    load.clients,
                    round + 1,
                    load.rounds,
                    program.name
                ));
                noise::wait_for_quiet(Duration::from_secs(self.arguments.patience))?;
                let before = Ticks::now()?;
                let (sample, _) = programs::run(&program.plain, &job, None)?;
                self.others
                    .borrow_mut()
                    .push(Ticks::now()?.others_since(before));
                peer.samples.push(sample);
            }
        }
        self.progress("");
        Ok(Measured {
            name: load.name.clone(),
            clients: load.clients,
            peers,
        })
    }

    /// Replaces the last line on a terminal; says nothing elsewhere.
    fn progress(&self, text: &str) {
        if self.shows_progress {
            eprint!("\r\x1b[K{text}");
        }
    }

    fn job(&self, load: &Load) -> Job {
        let scan = matches!(load.verb, Verb::Scan { .. });
        Job {
            endpoints: self.server.endpoints().to_vec(),
            verb: load.verb.clone(),
            workload: load.workload.clone(),
            total: load.total,
            // A scan stands for a program that reads everything once, cold.
            warmup: if scan { 0 } else { load.total / 10 },
            clients: load.clients,
            conns: self.arguments.conns,
            rate: load.rate,
            runtime: self.arguments.runtime(),
        }
    }

    /// What a reader of the tables must know.
    pub(crate) fn remarks(&self) -> String {
        let mut remarks = Vec::new();
        let runtime = match self.arguments.runtime() {
            etcdkit_bench_load::RuntimeKind::CurrentThread => "current-thread".to_owned(),
            etcdkit_bench_load::RuntimeKind::MultiThread { workers } => {
                format!("multi-thread with {workers} workers")
            }
        };
        remarks.push(format!("Runtime of the clients: {runtime}."));
        remarks.push(match (self.counter, self.arguments.no_instructions) {
            (Some(counter), _) => format!("Instructions counted by {}.", counter.name()),
            (None, true) => "Instructions not counted, as asked for.".to_owned(),
            (None, false) => "Instructions not counted: neither `perf stat -e instructions:u` nor \
                              `valgrind --tool=callgrind` works here; `apt-get install valgrind`."
                .to_owned(),
        });
        let mut others = self.others.borrow().clone();
        others.sort_by(f64::total_cmp);
        if let (true, Some(most)) = (self.server.is_ours(), others.last()) {
            remarks.push(format!(
                "Other processes used {:.0} % of the machine during the median timed run, {:.0} % \
                 during the worst.",
                median(&others) * 100.0,
                most * 100.0
            ));
        }
        remarks.join("\n")
    }
}

impl PeerFigures {
    /// The median over the rounds of one figure.
    pub(crate) fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.samples.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        median(&figures)
    }

    /// The median over the rounds of one figure's ratio to that of another client in the same round,
    /// which cancels what changed between rounds.
    pub(crate) fn ratio(&self, to: &Self, figure: impl Fn(&Sample) -> f64) -> f64 {
        let pairs = self.samples.iter().zip(&to.samples);
        let mut ratios: Vec<f64> = pairs
            .map(|(one, other)| figure(one) / figure(other))
            .collect();
        ratios.sort_by(f64::total_cmp);
        median(&ratios)
    }
}

/// The middle of sorted figures, or the mean of the two in the middle.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
        (Some(lower), Some(upper)) if sorted.len().is_multiple_of(2) => (lower + upper) / 2.0,
        (_, Some(middle)) => *middle,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert_eq!(median(&[5.0]), 5.0);
        assert!(median(&[]).is_nan());
    }
}
