//! Contests on the embedded server, whose time passes as the test wants, and what fails by its faults.

use etcdkit::{ErrorKind, sync::HoldLostReason};
use etcdkit_server::{
    Server,
    faults::{EtcdError, Faults, Rpc, Rpcs},
};
use etcdkit_testkit::{
    contest::{Contest, Rules},
    lock_checker::Kind,
    patience::{in_time, until},
};
use tokio::time::sleep;

use crate::support::{LONG, MS, SECOND, connect, passes_the_fence, queued};

/// Answers that are lost before or after the call was carried out, and refusals.
fn make_calls_fail(faults: &Faults, seed: u64) {
    let calls = [Rpc::KvTxn, Rpc::KvPut, Rpc::LeaseGrant];
    let at = |number| faults.on(calls).randomly(0.03, seed.wrapping_add(number));
    at(1).once_applied().disconnect();
    at(2).disconnect();
    at(3).once_applied().fail(EtcdError::ServerTimeout);
    at(4).fail(EtcdError::ServerTimeout);
    at(5).fail(EtcdError::NoLeader);
    at(6).delay(30 * MS);
    at(7).once_applied().delay(30 * MS);
}

async fn contest(kind: Kind) {
    let server = Server::builder().start().await.expect("a server");
    let faults = server.faults();
    let mut rules = Rules::of(kind);
    // The server lets leases run out before their time.
    rules.exact = false;
    let mut contest = Contest::start(rules, vec![server.endpoint()]).await;
    let mut random = fastrand::Rng::with_seed(rules.seed);
    contest.rounds(5).await;
    for round in 0..5 {
        make_calls_fail(&faults, rules.seed.wrapping_add(round * 8));
        for _ in 0..10 {
            match random.u8(0..8) {
                0 => faults.drop_connections(),
                1 => faults.restart(),
                2 => {
                    faults.lose_leader();
                    sleep(random.u32(0..100) * MS).await;
                    faults.regain_leader();
                }
                3 => {
                    faults.pause();
                    sleep(random.u32(0..200) * MS).await;
                    faults.resume();
                }
                4 => {
                    faults.stall_streams(Rpcs::ALL);
                    sleep(random.u32(0..200) * MS).await;
                    faults.resume_streams();
                }
                5 => faults.end_streams(Rpc::Watch, EtcdError::NoLeader),
                // All that is held and all who wait are gone, and nobody knows yet.
                6 => server.advance_time(rules.ttl + SECOND),
                _ => {}
            }
            sleep(random.u32(10..80) * MS).await;
        }
        faults.clear();
        contest.compact().await;
        contest.rounds(5).await;
    }
    contest.writes(10).await;
    let report = contest.finish().await;
    println!("{kind:?}: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_a_past_holder_is_applied_by_a_server_whose_time_leaps() {
    contest(Kind::Lock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_a_past_reader_or_writer_is_applied_by_a_server_whose_time_leaps() {
    contest(Kind::RwLock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_without_a_permit_is_applied_by_a_server_whose_time_leaps() {
    contest(Kind::Semaphore(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_whose_lease_ran_out_early_writes_nothing_though_it_does_not_know() {
    let server = Server::builder().start().await.expect("a server");
    let faults = server.faults();
    let client = connect(server.endpoint()).await;
    let holder = client.lock("l").ttl(LONG).await.expect("a lock");
    // Nothing tells it.
    faults.stall_streams(Rpcs::ALL);
    server.advance_time(LONG + SECOND);
    let other = connect(server.endpoint()).await;
    let next = in_time("the next holder", other.lock("l").ttl(LONG)).await;
    let next = next.expect("a lock");
    assert!(!holder.is_lost(), "it cannot know");
    let refused = holder.put("written", "").await.expect_err("it is not held");
    assert_eq!(refused.kind(), ErrorKind::NotHeld, "{refused}");
    assert_eq!(refused.outcome(), etcdkit::Outcome::NotApplied);
    assert!(!passes_the_fence(&other, &holder).await);
    assert!(passes_the_fence(&other, &next).await);
    assert!(!holder.unlock().await.expect("an answer"));
    assert!(passes_the_fence(&other, &next).await, "it let go another's");
    faults.clear();
    assert!(next.unlock().await.expect("an answer"));
    until("the queue to be empty", async || {
        queued(&other, "l").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_whose_key_somebody_deletes_is_told() {
    let server = Server::builder().start().await.expect("a server");
    let client = connect(server.endpoint()).await;
    let holder = client.lock("l").ttl(LONG).await.expect("a lock");
    let lost = tokio::spawn(holder.lost());
    client.delete(holder.key()).await.expect("a deletion");
    let lost = in_time("the loss", lost).await.expect("no panic");
    assert!(matches!(lost.reason(), HoldLostReason::Deleted), "{lost}");
    assert!(holder.is_lost() && !holder.session().is_lost());
    assert!(!holder.unlock().await.expect("an answer"));
}
