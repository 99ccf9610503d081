//! Numbers that many increment: by transactions in memory, and by the loop one writes without them.

use std::time::Duration;

use etcdkit::KeyRange;
use etcdkit_bench_load::{Failure, Increment, Incremented, Scene};

use super::Bench;
use crate::{
    figures::{Figures, Line},
    programs::Program,
};

/// What the keys of the numbers are below.
const PREFIX: &str = "numbers/";

/// The only client here that has transactions in memory.
const WITH_MEMORY: &str = "etcdkit";

/// How many write at a time, and how many numbers there are.
const LOADS: [(u64, u64); 4] = [(1, 1), (1, 16), (16, 1), (16, 16)];

pub(super) fn run(bench: &Bench<'_>) -> Result<(), Failure> {
    for (writers, keys) in LOADS {
        println!("{}", table(bench, writers, keys)?);
    }
    Ok(())
}

fn table(bench: &Bench<'_>, writers: u64, keys: u64) -> Result<String, Failure> {
    let programs = &bench.programs.0;
    let with_memory = programs
        .iter()
        .filter(|program| program.name == WITH_MEMORY);
    let ways: Vec<(&Program, Increment)> = with_memory
        .map(|program| (program, Increment::Memory))
        .chain(
            programs
                .iter()
                .rev()
                .map(|program| (program, Increment::Swap)),
        )
        .collect();
    let names = ways.iter().map(|(program, how)| match how {
        Increment::Memory => format!("{}, stm", program.name),
        Increment::Swap => format!("{}, get and swap", program.name),
    });
    let mut figures = Figures::new("way", names);
    bench.rounds(
        ways.len(),
        |index| {
            let (program, how) = *ways.get(index).ok_or("no such way")?;
            once(bench, program, how, writers, keys)
                .map_err(|error| format!("{}, {how:?}: {error}", program.name).into())
        },
        |index, line| figures.add(index, line),
    )?;
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    Ok(format!(
        "### Increments by {writers} writer{} on {keys} key{}\n\n{figures}",
        plural(writers),
        plural(keys)
    ))
}

fn once(
    bench: &Bench<'_>,
    program: &Program,
    how: Increment,
    writers: u64,
    keys: u64,
) -> Result<Line, Failure> {
    let scene = Scene::Increment {
        prefix: PREFIX.to_owned(),
        keys,
        writers,
        seconds: if bench.smoke { 0.3 } else { 3.0 },
        how,
    };
    let (stage, mut actor) = bench.start(&program.plain, scene)?;
    let found: Incremented = actor.hear()?;
    let sum = bench.runtime.block_on(async {
        let numbers = stage.client.range(KeyRange::prefix(PREFIX));
        let numbers = numbers.timeout(Duration::from_secs(10)).await?;
        let mut sum = 0;
        for number in &numbers.kvs {
            sum += number.value_str()?.parse::<u64>()?;
        }
        Ok::<_, Failure>(sum)
    })?;
    if sum != found.increments {
        let increments = found.increments;
        return Err(format!("{increments} increments made {sum}").into());
    }
    let each = found.increments as f64;
    Ok(vec![
        ("increments/s", 0, each / found.seconds),
        ("attempts/increment", 2, found.attempts as f64 / each),
        ("p50 µs", 0, found.p50_micros),
        ("p99 µs", 0, found.p99_micros),
        ("CPU µs/increment", 1, found.cpu_seconds * 1e6 / each),
        ("least writer's share", 2, found.least_share),
    ])
}
