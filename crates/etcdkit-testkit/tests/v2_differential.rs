//! Random v2 requests to two servers, every answer compared.
//!
//! `ETCDKIT_SEED` repeats one case; `ETCDKIT_DIFFERENTIAL_SECONDS` (default 15) is the time for each
//! pair of servers.

use std::time::{Duration, Instant};

use etcdkit_testkit::{
    differential::{Pair, Report, ServerKind},
    etcd::{Binary, Version},
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

/// Every real etcd that has the v2 API.
fn binaries() -> Vec<Binary> {
    let mut binaries = Binary::all().expect("a real etcd");
    binaries.retain(|etcd| etcd.version() < Version::new(3, 6, 0));
    assert!(
        !binaries.is_empty(),
        "no etcd before 3.6, which has no v2 API"
    );
    binaries
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
    let etcd = binaries().pop().expect("an etcd");
    let (one, other) = (ServerKind::Etcd(etcd.clone()), ServerKind::Etcd(etcd));
    Box::pin(compare(one, other, 5)).await;
}
