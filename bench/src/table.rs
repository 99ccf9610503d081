//! Tables in Markdown.

use std::fmt::Write as _;

use etcdkit_bench_load::Sample;

use crate::compare::{Measured, PeerFigures};

pub(crate) fn throughput(sample: &Sample) -> f64 {
    sample.calls as f64 / sample.seconds
}

pub(crate) fn cpu_micros(sample: &Sample) -> f64 {
    sample.cpu_seconds * 1e6 / sample.calls as f64
}

pub(crate) fn p99(sample: &Sample) -> f64 {
    sample.p99_micros
}

pub(crate) fn peak_mib(sample: &Sample) -> f64 {
    sample.peak_rss as f64 / (1 << 20) as f64
}

/// Loads of single calls: a line for each client, and one with each client's ratio to the last.
pub(crate) fn measured(loads: &[Measured]) -> String {
    let mut table = String::from(
        "| verb | clients | client | calls/s | p50 µs | p99 µs | CPU µs/call (min–max) \
         | user instructions/call | allocations/call | bytes/call | peak RSS MiB |\n\
         |---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for load in loads {
        for peer in &load.peers {
            let cpu: Vec<f64> = peer.samples.iter().map(cpu_micros).collect();
            let (least, most) = cpu
                .iter()
                .fold((f64::INFINITY, 0.0), |(least, most), figure| {
                    (f64::min(least, *figure), f64::max(most, *figure))
                });
            let _ = writeln!(
                table,
                "| {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.1} ({least:.1}–{most:.1}) | {} | {} | {} | {:.1} |",
                load.name,
                load.clients,
                peer.name,
                peer.median(throughput),
                peer.median(|sample| sample.p50_micros),
                peer.median(p99),
                peer.median(cpu_micros),
                cell(peer.instructions, 0),
                cell(peer.allocations.map(|(count, _)| count), 1),
                cell(peer.allocations.map(|(_, bytes)| bytes), 0),
                peer.median(peak_mib),
            );
        }
        for (peer, base) in against_last(load) {
            let _ = writeln!(
                table,
                "| {} | {} | **{} ÷ {}** | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} | {} | {:.2} |",
                load.name,
                load.clients,
                peer.name,
                base.name,
                peer.ratio(base, throughput),
                peer.ratio(base, |sample| sample.p50_micros),
                peer.ratio(base, p99),
                peer.ratio(base, cpu_micros),
                cell(quotient(peer.instructions, base.instructions), 2),
                cell(
                    quotient(
                        peer.allocations.map(|(count, _)| count),
                        base.allocations.map(|(count, _)| count)
                    ),
                    2
                ),
                cell(
                    quotient(
                        peer.allocations.map(|(_, bytes)| bytes),
                        base.allocations.map(|(_, bytes)| bytes)
                    ),
                    2
                ),
                peer.ratio(base, peak_mib),
            );
        }
    }
    table
}

/// Scans: one call each, which takes long and reads much.
pub(crate) fn scans(loads: &[Measured]) -> String {
    let mut table = String::from(
        "| load | client | keys | seconds | CPU s | peak RSS MiB | of it during the scan MiB |\n\
         |---|---|--:|--:|--:|--:|--:|\n",
    );
    for load in loads {
        for peer in &load.peers {
            let _ = writeln!(
                table,
                "| {} | {} | {:.0} | {:.3} | {:.3} | {:.1} | {:.1} |",
                load.name,
                peer.name,
                peer.median(|sample| sample.keys as f64),
                peer.median(|sample| sample.seconds),
                peer.median(|sample| sample.cpu_seconds),
                peer.median(peak_mib),
                peer.median(|sample| {
                    sample.peak_rss.saturating_sub(sample.rss_before) as f64 / (1 << 20) as f64
                }),
            );
        }
        for (peer, base) in against_last(load) {
            let _ = writeln!(
                table,
                "| {} | **{} ÷ {}** | | {:.2} | {:.2} | {:.2} | |",
                load.name,
                peer.name,
                base.name,
                peer.ratio(base, |sample| sample.seconds),
                peer.ratio(base, |sample| sample.cpu_seconds),
                peer.ratio(base, peak_mib),
            );
        }
    }
    table
}

/// Every client but the last, each with the last.
fn against_last(load: &Measured) -> impl Iterator<Item = (&PeerFigures, &PeerFigures)> {
    load.peers
        .split_last()
        .into_iter()
        .flat_map(|(base, peers)| peers.iter().map(move |peer| (peer, base)))
}

fn quotient(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?)
}

fn cell(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.digits$}"))
}
