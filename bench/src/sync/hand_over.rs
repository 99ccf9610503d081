//! A lock that goes through a queue: how soon the next one has it, and what is said meanwhile.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use etcdkit::KeyRange;
use etcdkit_bench_load::{Failure, HandedOver, Queueing, Scene};

use super::Bench;
use crate::{
    figures::{Figures, Line},
    programs::Program,
    stage::{Stage, Traffic},
};

/// The lock.
const NAME: &str = "hand-over";
/// How many wait for it.
const WAITERS: usize = 16;
/// How often it goes through the queue in one run.
const TIMES: usize = 40;

pub(super) fn run(bench: &Bench<'_>) -> Result<String, Failure> {
    let programs = &bench.programs.0;
    let names = programs.iter().map(|program| program.name.clone());
    let mut figures = Figures::new("client", names);
    bench.rounds(
        programs.len(),
        |index| {
            let program = programs.get(index).ok_or("no such program")?;
            once(bench, program).map_err(|error| format!("{}: {error}", program.name).into())
        },
        |index, line| figures.add(index, line),
    )?;
    Ok(format!(
        "### A lock handed over through {WAITERS} waiters\n\n{figures}"
    ))
}

fn once(bench: &Bench<'_>, program: &Program) -> Result<Line, Failure> {
    let times = if bench.smoke { 2 } else { TIMES };
    let scene = Scene::HandOver {
        name: NAME.to_owned(),
        waiters: WAITERS,
        rounds: times,
    };
    let (stage, mut actor) = bench.start(&program.plain, scene)?;
    let mut said = Traffic::default();
    let (mut micros, mut seconds, mut cpu_seconds) = (Vec::new(), 0.0, 0.0);
    for _ in 0..times {
        let Queueing {} = actor.hear()?;
        let before = when_all_wait(bench, &stage)?;
        actor.cue("go")?;
        let found: HandedOver = actor.hear()?;
        let after = stage.traffic()?;
        said.requests += after.requests - before.requests;
        said.watch_requests += after.watch_requests - before.watch_requests;
        said.watch_answers += after.watch_answers - before.watch_answers;
        micros.extend(found.micros);
        seconds += found.seconds;
        cpu_seconds += found.cpu_seconds;
        actor.cue("again")?;
    }
    micros.sort_by(f64::total_cmp);
    let within = |share: f64| {
        let rank = (micros.len() as f64 * share).ceil() as usize;
        micros.get(rank.saturating_sub(1)).copied()
    };
    let hand_overs = micros.len() as f64;
    // The holder before the first waiter gives it back, and so does the last waiter.
    let releases = (times * (WAITERS + 1)) as f64;
    Ok(vec![
        ("hand-over p50 µs", 0, within(0.50).unwrap_or(f64::NAN)),
        ("p99 µs", 0, within(0.99).unwrap_or(f64::NAN)),
        ("hand-overs/s", 0, hand_overs / seconds),
        ("CPU µs/release", 1, cpu_seconds * 1e6 / releases),
        ("requests/release", 2, said.requests / releases),
        ("watch messages/release", 2, said.watch_answers / releases),
        ("to the server", 2, said.watch_requests / releases),
    ])
}

/// Waits until every waiter has its key and all is quiet; answers what was said until then.
fn when_all_wait(bench: &Bench<'_>, stage: &Stage) -> Result<Traffic, Failure> {
    const LOOK: Duration = Duration::from_millis(40);
    const PATIENCE: Duration = Duration::from_secs(20);
    let start = Instant::now();
    let mut before = stage.traffic()?;
    while start.elapsed() < PATIENCE {
        let keys = bench.runtime.block_on(async {
            let range = stage.client.range(KeyRange::prefix(NAME));
            range.count_only().await
        })?;
        sleep(LOOK);
        let now = stage.traffic()?;
        // The request that counted the keys is among them.
        let quiet = Traffic {
            requests: before.requests + 1.0,
            ..before
        };
        if keys.count == WAITERS as i64 + 1 && now == quiet {
            return Ok(now);
        }
        before = now;
    }
    Err("the waiters do not come to rest".into())
}
