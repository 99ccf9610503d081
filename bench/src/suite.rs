//! Everything that BENCHMARKS.md reports, and whether it meets the targets.

use std::fmt::Write as _;

use etcdkit_bench_load::{Failure, Verb, Workload};

use crate::{
    cli::{ScanOptions, SuiteOptions},
    compare::{Bench, Load, Measured, PeerFigures},
    table::{self, cpu_micros, p99, peak_mib, throughput},
};

/// Callers at the same time, and so many calls that a run takes some seconds.
const LEVELS: [(usize, u64); 3] = [(1, 20_000), (16, 80_000), (256, 120_000)];

/// As etcd's own benchmark documentation: small keys, values of some hundred bytes.
const WORKLOAD: Workload = Workload {
    key_size: 16,
    val_size: 128,
    key_space_size: 10_000,
    sequential_keys: false,
    limit: 0,
    serializable: false,
};

/// Runs it all and prints the tables as they become ready.
pub(crate) fn run(bench: &Bench<'_>, options: &SuiteOptions) -> Result<(), Failure> {
    let (rounds, share) = match options.smoke {
        true => (1, 100),
        false => (bench.rounds(), 1),
    };
    let load = |name: &str, verb: &Verb, clients, total| Load {
        name: name.to_owned(),
        verb: verb.clone(),
        workload: WORKLOAD,
        total: total / share,
        rate: 0,
        clients,
        rounds,
    };

    let get = Verb::Range {
        key: None,
        end: None,
    };
    let mut unary = Vec::new();
    for (name, verb) in [("put", &Verb::Put), ("get", &get)] {
        for (clients, total) in LEVELS {
            unary.push(bench.measure(&load(name, verb, clients, total))?);
        }
    }
    println!("### put and get\n\n{}", table::measured(&unary));

    let txn_put = Verb::TxnPut { ops: 8 };
    let txn_mixed = Verb::TxnMixed {
        key: WORKLOAD.key_text(0),
        end: Some(WORKLOAD.key_text(10)),
        reads_per_hundred_writes: 100,
    };
    let range = Verb::Range {
        key: Some(WORKLOAD.key_text(0)),
        end: Some(WORKLOAD.key_text(100)),
    };
    let others = [
        bench.measure(&load("txn-put of 8", &txn_put, 16, 20_000))?,
        bench.measure(&load("txn-mixed, reads of 10", &txn_mixed, 16, 40_000))?,
        bench.measure(&load("range of 100", &range, 16, 40_000))?,
    ];
    println!(
        "### Transactions and ranges\n\n{}",
        table::measured(&others)
    );

    let total = 200_000 / share;
    let scan = ScanOptions {
        total,
        val_size: 256,
        page: vec![1_000, 10_000],
    };
    let scans = bench.scan(&scan, rounds)?;
    println!(
        "### Scan of {total} keys × 256 B\n\n{}",
        table::scans(&scans)
    );

    println!("### Targets\n\n{}", targets(&unary));
    Ok(())
}

/// The most CPU time that etcdkit may use per call, as a share of etcd-client's.
const CPU: f64 = 0.6;
/// The most user instructions that one call of sixteen callers may take.
const INSTRUCTIONS: f64 = 36_000.0;
/// The least throughput, as a multiple of etcd-client's.
const THROUGHPUT: f64 = 1.1;
/// What still counts as no worse: rounds repeat no more exactly than this.
const NO_WORSE: f64 = 1.05;
/// The most allocations and bytes of one call.
const ALLOCATIONS: (f64, f64) = (12.0, 3_000.0);

fn targets(loads: &[Measured]) -> String {
    let mut table = String::from(
        "| verb | clients | figure | target | measured | |\n|---|--:|---|--:|--:|---|\n",
    );
    for load in loads {
        let [peer, .., base] = load.peers.as_slice() else {
            continue;
        };
        let mut line = |figure: &str, target: String, measured: f64, digits: usize, met: bool| {
            let met = if met { "met" } else { "**missed**" };
            let _ = writeln!(
                table,
                "| {} | {} | {figure} | {target} | {measured:.digits$} | {met} |",
                load.name, load.clients
            );
        };
        let mut ratio = |figure: &str, target: f64, measured: f64, at_least: bool| {
            let (sign, met) = match at_least {
                true => ("≥", measured >= target),
                false => ("≤", measured <= target),
            };
            line(figure, format!("{sign} {target} ×"), measured, 2, met);
        };
        ratio("CPU per call", CPU, peer.ratio(base, cpu_micros), false);
        ratio("calls/s", THROUGHPUT, peer.ratio(base, throughput), true);
        ratio("p99", NO_WORSE, peer.ratio(base, p99), false);
        ratio("peak RSS", NO_WORSE, peer.ratio(base, peak_mib), false);
        absolute(load, peer, &mut line);
    }
    table
}

fn absolute(
    load: &Measured,
    peer: &PeerFigures,
    line: &mut impl FnMut(&str, String, f64, usize, bool),
) {
    if let (16, Some(count)) = (load.clients, peer.instructions) {
        let target = format!("≤ {INSTRUCTIONS}");
        line(
            "user instructions per call",
            target,
            count,
            0,
            count <= INSTRUCTIONS,
        );
    }
    if let Some((count, bytes)) = peer.allocations {
        let (most, most_bytes) = ALLOCATIONS;
        line(
            "allocations per call",
            format!("≤ {most}"),
            count,
            1,
            count <= most,
        );
        let target = format!("≤ {most_bytes}");
        line(
            "bytes allocated per call",
            target,
            bytes,
            0,
            bytes <= most_bytes,
        );
    }
}
