//! One writer, many watchers of the same keys.

use std::time::Instant;

use etcdkit::{Client, KeyRange};
use etcdkit_bench_load::Failure;

use super::{
    Bench,
    process::{Kind, Process},
};
use crate::figures::{Figures, Line};

const KINDS: [Kind; 2] = [Kind::Memory, Kind::EtcdWithoutFsync];

/// How many watch, and how many puts each of them sees.
const CROWDS: [(u64, u64); 2] = [(100, 2_000), (1_000, 300)];

const PREFIX: &str = "fan/";

pub(super) fn run(bench: &Bench<'_>) -> Result<String, Failure> {
    let mut text = String::new();
    for (watchers, puts) in CROWDS {
        let puts = puts / bench.share.min(10);
        let mut figures = Figures::new("server", KINDS.map(|kind| kind.to_string()));
        for round in 0..bench.rounds {
            for turn in 0..2 {
                let index = (round + turn) % 2;
                let server = Process::start(bench, KINDS[index])?;
                let line = bench.runtime.block_on(once(&server, watchers, puts))?;
                figures.add(index, line);
            }
        }
        text += &format!("### {watchers} watchers, {puts} puts one after the other\n\n{figures}\n");
    }
    Ok(text)
}

async fn once(server: &Process, watchers: u64, puts: u64) -> Result<Line, Failure> {
    let client = Client::connect(&*server.endpoint).await?;
    let mut watching = Vec::new();
    for _ in 0..watchers {
        let mut watch = client.watch(KeyRange::prefix(PREFIX)).await?;
        watching.push(tokio::spawn(async move {
            let mut seen = 0;
            while seen < puts {
                match watch.try_next().await {
                    Ok(Some(update)) => seen += update.events().len() as u64,
                    Ok(None) => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(seen)
        }));
    }
    let cpu = server.cpu_seconds()?;
    let start = Instant::now();
    let value = [b'v'; 128];
    for number in 0..puts {
        client
            .put(format!("{PREFIX}{}", number % 100), value)
            .await?;
    }
    let written = start.elapsed().as_secs_f64();
    let mut events = 0;
    for watch in watching {
        events += watch.await??;
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu = server.cpu_seconds()? - cpu;
    Ok(vec![
        ("events/s", 0, events as f64 / seconds),
        ("puts/s meanwhile", 0, puts as f64 / written),
        ("server CPU µs/event", 2, cpu * 1e6 / events as f64),
        ("events missing", 0, (watchers * puts - events) as f64),
        ("server RSS MiB", 1, server.rss_mib()?),
    ])
}
