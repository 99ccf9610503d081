//! Random operations on real etcds and on the embedded server, every answer compared.
//!
//! `ETCDKIT_SEED` repeats one case; `ETCDKIT_DIFFERENTIAL_SECONDS` (default 10) is the time for each
//! version of etcd.

use std::time::{Duration, Instant};

use etcdkit_testkit::{
    differential::{Pair, Report, ServerKind, run_case},
    etcd::Binary,
};

const OPERATIONS_PER_CASE: usize = 400;

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is not a number")),
    )
}

#[tokio::test]
async fn the_embedded_server_answers_as_every_real_etcd() {
    let etcds = Binary::all().expect("a real etcd");
    let chosen = variable("ETCDKIT_SEED");
    let budget = Duration::from_secs(variable("ETCDKIT_DIFFERENTIAL_SECONDS").unwrap_or(10));

    for etcd in etcds {
        let pair = Pair {
            real: ServerKind::Etcd(etcd.clone()),
            other: ServerKind::Embedded,
        };
        let mut total = Report::default();
        let mut cases = 0;
        let mut seed = chosen.unwrap_or_else(|| fastrand::u64(..));
        let start = Instant::now();
        while cases == 0 || (chosen.is_none() && start.elapsed() < budget) {
            match run_case(&pair, seed, OPERATIONS_PER_CASE)
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
            "{etcd}: {cases} cases, {} operations, {} answers ({} errors); deliberate differences: {:?}",
            total.operations, total.answers, total.errors, total.differences
        );
    }
}
