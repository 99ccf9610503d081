//! Random v2 requests to real etcds and to the embedded server, every answer compared.
//!
//! `ETCDKIT_SEED` repeats one case; `ETCDKIT_DIFFERENTIAL_SECONDS` (default 15) is the time for each
//! version of etcd.

use std::time::{Duration, Instant};

use etcdkit_testkit::{
    differential::{Pair, Report, ServerKind},
    etcd::Binary,
    v2::differential::run_case,
};

const STEPS_PER_CASE: usize = 300;

/// As many as there are themes, which seeds in a row go through.
const FEWEST_CASES: usize = 6;

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is not a number")),
    )
}

/// Runs the chosen case, or as many as there is time for.
async fn compare(real: ServerKind, other: ServerKind, default_seconds: u64) {
    let chosen = variable("ETCDKIT_SEED");
    let seconds = variable("ETCDKIT_DIFFERENTIAL_SECONDS").unwrap_or(default_seconds);
    let budget = Duration::from_secs(seconds);
    let pair = Pair { real, other };
    let mut total = Report::default();
    let mut cases = 0;
    let mut seed = chosen.unwrap_or_else(|| fastrand::u64(..));
    let start = Instant::now();
    while cases == 0 || (chosen.is_none() && (cases < FEWEST_CASES || start.elapsed() < budget)) {
        match run_case(&pair, seed, STEPS_PER_CASE)
            .await
            .expect("running servers")
        {
            Ok(report) => total.add(report),
            Err(failure) => panic!("{failure}"),
        }
        cases += 1;
        seed = seed.wrapping_add(1);
    }
    println!(
        "{}: {cases} cases, {} steps, {} answers ({} errors); deliberate differences: {:?}",
        pair.real, total.operations, total.answers, total.errors, total.differences
    );
}

/// Else what is found elsewhere could be chance.
#[tokio::test]
async fn a_real_etcd_answers_as_its_twin() {
    let etcds = Binary::all_with_v2().expect("a real etcd with v2");
    let etcd = etcds.last().cloned().expect("an etcd");
    let (one, other) = (ServerKind::Etcd(etcd.clone()), ServerKind::Etcd(etcd));
    Box::pin(compare(one, other, 5)).await;
}

#[tokio::test]
async fn the_embedded_server_answers_as_every_real_etcd() {
    for etcd in Binary::all_with_v2().expect("a real etcd with v2") {
        Box::pin(compare(ServerKind::Etcd(etcd), ServerKind::Embedded, 15)).await;
    }
}

#[tokio::test]
async fn the_embedded_server_answers_alike_with_a_file_and_in_memory() {
    Box::pin(compare(ServerKind::Embedded, ServerKind::Durable, 10)).await;
}
