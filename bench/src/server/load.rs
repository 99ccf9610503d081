//! Calls per second, their times, and what they cost the server.

use std::{fmt::Write as _, time::Duration};

use etcdkit::{Client, Op};
use etcdkit_bench_load::{Failure, Job, RuntimeKind, Sample, Verb, Workload};

use super::{
    Bench,
    process::{Kind, Process},
};
use crate::{
    compare::median,
    noise::{self, Ticks},
    programs,
    table::{cpu_micros, p99, throughput},
};

/// As etcd's own benchmark documentation: small keys, values of some hundred bytes.
const WORKLOAD: Workload = Workload {
    key_size: 16,
    val_size: 128,
    key_space_size: 10_000,
    sequential_keys: false,
    limit: 0,
    serializable: false,
};

/// How many puts one transaction takes by default.
const OPS: u64 = 128;

struct Load {
    name: &'static str,
    verb: Verb,
    clients: usize,
    conns: usize,
    total: u64,
}

fn loads() -> Vec<Load> {
    let key = |number| WORKLOAD.key_text(number);
    let get = Verb::Range {
        key: None,
        end: None,
    };
    let range = Verb::Range {
        key: Some(key(0)),
        end: Some(key(1_100)),
    };
    let mixed = Verb::TxnMixed {
        key: key(0),
        end: Some(key(10)),
        reads_per_hundred_writes: 100,
    };
    let load = |name, verb: &Verb, clients, conns, total| Load {
        name,
        verb: verb.clone(),
        clients,
        conns,
        total,
    };
    vec![
        load("put", &Verb::Put, 1, 1, 20_000),
        load("put", &Verb::Put, 16, 1, 80_000),
        load("put", &Verb::Put, 64, 4, 120_000),
        load("put", &Verb::Put, 256, 8, 120_000),
        load("get", &get, 1, 1, 20_000),
        load("get", &get, 64, 4, 120_000),
        load("range of 1,100", &range, 16, 4, 6_000),
        load("txn-put of 8", &Verb::TxnPut { ops: 8 }, 16, 1, 20_000),
        load("txn-mixed, reads of 10", &mixed, 16, 1, 40_000),
    ]
}

/// What one run of a load found.
struct Run {
    sample: Sample,
    /// Of the server, per call.
    cpu_micros: f64,
}

/// Measures two servers, the second of which is the one to be compared with.
pub(super) fn run(bench: &Bench<'_>, kinds: [Kind; 2]) -> Result<String, Failure> {
    // Row by row, since it takes a while.
    println!(
        "### {} beside {}\n\n\
         | load | clients | server | calls/s (least–most) | p50 µs | p99 µs | server CPU µs/call | driver CPU µs/call | server RSS MiB |\n\
         |---|--:|---|--:|--:|--:|--:|--:|--:|",
        kinds[0], kinds[1]
    );
    let mut others = Vec::new();
    for load in loads() {
        // Fresh for each load: both keep history.
        let servers = [
            Process::start(bench, kinds[0])?,
            Process::start(bench, kinds[1])?,
        ];
        for server in &servers {
            bench.runtime.block_on(fill(&server.endpoint))?;
        }
        let mut runs = [Vec::new(), Vec::new()];
        for round in 0..bench.rounds {
            for turn in 0..2 {
                // Each round another server begins.
                let index = (round + turn) % 2;
                noise::wait_for_quiet(Duration::from_secs(bench.arguments.patience))?;
                let before = Ticks::now()?;
                runs[index].push(once(bench, &load, &servers[index])?);
                others.push(Ticks::now()?.others_since(before));
            }
        }
        let rss = [servers[0].rss_mib()?, servers[1].rss_mib()?];
        print!("{}", rows(&load, kinds, &runs, rss));
    }
    others.sort_by(f64::total_cmp);
    Ok(format!(
        "\nOther processes used {:.0} % of the machine during the median run, {:.0} % during the worst.\n",
        median(&others) * 100.0,
        others.last().copied().unwrap_or_default() * 100.0
    ))
}

async fn fill(endpoint: &str) -> Result<(), Failure> {
    let client = Client::connect(endpoint).await?;
    let value = vec![b'v'; WORKLOAD.val_size];
    for first in (0..WORKLOAD.key_space_size).step_by(OPS as usize) {
        let keys = first..(first + OPS).min(WORKLOAD.key_space_size);
        let puts = keys.map(|number| Op::put(WORKLOAD.key_text(number), &value));
        client.txn().then(puts).await?;
    }
    Ok(())
}

fn once(bench: &Bench<'_>, load: &Load, server: &Process) -> Result<Run, Failure> {
    let total = load.total / bench.share;
    let job = Job {
        endpoints: vec![server.endpoint.clone()],
        verb: load.verb.clone(),
        workload: WORKLOAD,
        total,
        warmup: total / 10,
        clients: load.clients,
        conns: load.conns,
        rate: 0,
        runtime: RuntimeKind::CurrentThread,
    };
    let before = server.cpu_seconds()?;
    let (sample, _) = programs::run(&bench.driver, &job, None)?;
    let cpu_seconds = server.cpu_seconds()? - before;
    Ok(Run {
        sample,
        cpu_micros: cpu_seconds * 1e6 / (job.total + job.warmup) as f64,
    })
}

fn rows(load: &Load, kinds: [Kind; 2], runs: &[Vec<Run>; 2], rss: [f64; 2]) -> String {
    let mut table = String::new();
    let figures: [fn(&Run) -> f64; 5] = [
        |run| throughput(&run.sample),
        |run| run.sample.p50_micros,
        |run| p99(&run.sample),
        |run| run.cpu_micros,
        |run| cpu_micros(&run.sample),
    ];
    let name = (load.name, load.clients);
    for ((kind, runs), rss) in kinds.iter().zip(runs).zip(rss) {
        let cells = figures.map(|figure| sorted(runs.iter().map(figure)));
        let [calls, p50, p99, server, driver] = &cells;
        let (least, most) = (calls.first(), calls.last());
        let _ = writeln!(
            table,
            "| {} | {} | {kind} | {:.0} ({:.0}–{:.0}) | {:.0} | {:.0} | {:.1} | {:.1} | {rss:.0} |",
            name.0,
            name.1,
            median(calls),
            least.copied().unwrap_or_default(),
            most.copied().unwrap_or_default(),
            median(p50),
            median(p99),
            median(server),
            median(driver),
        );
    }
    let [ours, theirs] = runs;
    let pairs = || ours.iter().zip(theirs);
    let ratios =
        figures.map(|figure| sorted(pairs().map(|(one, other)| figure(one) / figure(other))));
    let ratios = ratios.map(|ratios| format!("{:.2}", median(&ratios)));
    let _ = writeln!(
        table,
        "| {} | {} | **÷** | {} | {:.2} |",
        name.0,
        name.1,
        ratios.join(" | "),
        rss[0] / rss[1]
    );
    table
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures
}
