//! Random v2 requests to real etcds and to the embedded server, every answer compared.
//!
//! `ETCDKIT_SEED` repeats one case; `ETCDKIT_DIFFERENTIAL_SECONDS` (default 15) is the time for each
//! version of etcd.

use etcdkit_testkit::{
    differential::{Pair, ServerKind, Trial},
    etcd::Binary,
    v2::differential::run_case,
};
use futures_util::future::join_all;

const STEPS_PER_CASE: usize = 300;

async fn compare(real: ServerKind, other: ServerKind, seconds: u64) {
    let trial = Trial {
        seconds,
        fewest_cases: 6,
    };
    let case = async |pair: &Pair, seed| run_case(pair, seed, STEPS_PER_CASE).await;
    Box::pin(trial.run(&Pair { real, other }, case)).await;
}

/// Else what is found elsewhere could be chance.
#[tokio::test]
async fn a_real_etcd_answers_as_its_twin() {
    let etcds = Binary::all_with_v2().expect("a real etcd with v2");
    let etcd = etcds.last().cloned().expect("an etcd");
    let (one, other) = (ServerKind::Etcd(etcd.clone()), ServerKind::Etcd(etcd));
    compare(one, other, 5).await;
}

#[tokio::test]
async fn the_embedded_server_answers_as_every_real_etcd() {
    let etcds = Binary::all_with_v2().expect("a real etcd with v2");
    // Beside each other: much of it is waiting for what ends by itself.
    join_all(
        etcds
            .into_iter()
            .map(|etcd| compare(ServerKind::Etcd(etcd), ServerKind::Embedded, 15)),
    )
    .await;
}

#[tokio::test]
async fn the_embedded_server_answers_alike_with_a_file_and_in_memory() {
    compare(ServerKind::Embedded, ServerKind::Durable, 10).await;
}
