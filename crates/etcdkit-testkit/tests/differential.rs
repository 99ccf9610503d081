//! Random operations on real etcds and on the embedded server, every answer compared.
//!
//! `ETCDKIT_SEED` repeats one case; `ETCDKIT_DIFFERENTIAL_SECONDS` (default 10) is the time for each
//! version of etcd.

use etcdkit_testkit::{
    differential::{Pair, ServerKind, Trial, run_case},
    etcd::Binary,
};

const OPERATIONS_PER_CASE: usize = 400;

async fn compare(real: ServerKind, other: ServerKind, seconds: u64) {
    let trial = Trial {
        seconds,
        fewest_cases: 5,
    };
    let case = async |pair: &Pair, seed| run_case(pair, seed, OPERATIONS_PER_CASE).await;
    Box::pin(trial.run(&Pair { real, other }, case)).await;
}

#[tokio::test]
async fn the_embedded_server_answers_as_every_real_etcd() {
    for etcd in Binary::all().expect("a real etcd") {
        compare(ServerKind::Etcd(etcd), ServerKind::Embedded, 10).await;
    }
}

#[tokio::test]
async fn the_embedded_server_answers_alike_with_a_file_and_in_memory() {
    compare(ServerKind::Embedded, ServerKind::Durable, 5).await;
}
