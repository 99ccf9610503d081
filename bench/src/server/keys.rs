//! A million keys: what they weigh, how soon they are counted and read, and what compacting their
//! history does to others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, KeyRange, Op};
use etcdkit_bench_load::Failure;

use super::{
    Bench,
    process::{Kind, Process},
};
use crate::{
    compare::median,
    figures::{Figures, Line},
};

const KINDS: [Kind; 2] = [Kind::Memory, Kind::EtcdWithoutFsync];

const KEYS: u64 = 1_000_000;
const OPS: u64 = 128;
const PREFIX: &str = "keys/";
const VALUE: [u8; 128] = [b'v'; 128];

/// How often a read is repeated.
const READS: u64 = 11;

/// Long enough for a request that walks over a million keys on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn run(bench: &Bench<'_>) -> Result<String, Failure> {
    let keys = KEYS / bench.share;
    let mut figures = Figures::new("server", KINDS.map(|kind| kind.to_string()));
    for _ in 0..bench.rounds.min(3) {
        for (index, kind) in KINDS.into_iter().enumerate() {
            let server = Process::start(bench, kind)?;
            figures.add(index, bench.runtime.block_on(once(&server, keys))?);
        }
    }
    Ok(format!(
        "### {keys} keys of 16 bytes with 128 bytes each\n\n{figures}"
    ))
}

async fn once(server: &Process, keys: u64) -> Result<Line, Failure> {
    let builder = Client::builder().request_timeout(PATIENCE);
    let client = builder.endpoint(&server.endpoint).connect().await?;
    let empty = server.rss_mib()?;
    let start = Instant::now();
    write_all(&client, keys).await?;
    let filled = start.elapsed().as_secs_f64();
    let per_key = (server.rss_mib()? - empty) * f64::from(1 << 20) / keys as f64;

    let all = || KeyRange::prefix(PREFIX);
    let count = median_millis(async || {
        let counted = client.range(all()).count_only().await?;
        same(counted.count.cast_unsigned(), keys)
    });
    let count = count.await?;
    let first = median_millis(async || {
        let page = client.range(all()).limit(100).await?;
        same(page.count.cast_unsigned(), keys)
    });
    let first = first.await?;
    let start = Instant::now();
    let mut scan = client.scan(all());
    let mut seen = 0;
    while scan.try_next().await?.is_some() {
        seen += 1;
    }
    same(seen, keys)?;
    let scanned = start.elapsed().as_secs_f64();

    write_all(&client, keys).await?;
    let (compacted, longest) = compact(&client).await?;
    Ok(vec![
        ("fill s", 2, filled),
        ("bytes/key", 0, per_key),
        ("count ms", 2, count),
        ("first 100 with count ms", 2, first),
        ("scan s", 2, scanned),
        ("compaction s", 2, compacted),
        ("longest put meanwhile ms", 1, longest),
    ])
}

fn same(found: u64, keys: u64) -> Result<(), Failure> {
    match found == keys {
        true => Ok(()),
        false => Err(format!("{found} keys instead of {keys}").into()),
    }
}

async fn write_all(client: &Client, keys: u64) -> Result<(), Failure> {
    for first in (0..keys).step_by(OPS as usize) {
        let puts = (first..(first + OPS).min(keys))
            .map(|number| Op::put(format!("{PREFIX}{number:011}"), VALUE));
        client.txn().then(puts).await?;
    }
    Ok(())
}

async fn median_millis(call: impl AsyncFn() -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut millis = Vec::new();
    for _ in 0..READS {
        let start = Instant::now();
        call().await?;
        millis.push(start.elapsed().as_secs_f64() * 1e3);
    }
    millis.sort_by(f64::total_cmp);
    Ok(median(&millis))
}

/// Compacts everything; returns how long that took, and the longest put meanwhile in milliseconds.
async fn compact(client: &Client) -> Result<(f64, f64), Failure> {
    let done = Arc::new(AtomicBool::new(false));
    let putting = tokio::spawn({
        let (client, done) = (client.clone(), Arc::clone(&done));
        async move {
            let mut longest = 0.0_f64;
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                client.put("other", "value").await?;
                longest = longest.max(start.elapsed().as_secs_f64() * 1e3);
            }
            Ok::<_, etcdkit::Error>(longest)
        }
    });
    let current = client.put("other", "value").await?.header.revision;
    let start = Instant::now();
    client.compact(current).physical().await?;
    let seconds = start.elapsed().as_secs_f64();
    done.store(true, Ordering::Relaxed);
    Ok((seconds, putting.await??))
}
