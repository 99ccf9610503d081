//! Contests on real etcd.

use std::time::Instant;

use etcdkit_testkit::{
    contest::{Contest, Rules},
    etcd::Binary,
    lock_checker::Kind,
    places::{at_once, cluster, keeps_leases, leader},
    proxy::{Conditions, Direction},
};
use tokio::time::sleep;

use crate::support::{MS, SECOND, oldest_and_newest};

/// Breaks connections, and holds back those of a holder for longer than its lease lives.
async fn hurt_connections(contest: &mut Contest, random: &mut fastrand::Rng) {
    for round in 0..24 {
        let contender = random.usize(0..contest.contenders());
        for proxy in contest.proxies(contender) {
            match random.u8(0..7) {
                0 => proxy.cut(),
                1 => proxy.reset(),
                2 => proxy.cut_after(Direction::ToClient, random.u64(0..600)),
                3 => proxy.cut_after(Direction::ToServer, random.u64(0..600)),
                4 => proxy.half_close(Direction::ToClient),
                5 => proxy.freeze(),
                _ => proxy.set_both(Conditions::pass().delay(40 * MS, 35 * MS)),
            }
        }
        if round % 8 == 7 {
            contest.compact().await;
        }
        sleep(random.u32(20..120) * MS).await;
    }
    for frozen in [true, true, false] {
        let holder = contest.holder().await;
        contest.freeze(holder, true);
        if frozen {
            // It must lose the lock, or go round without it.
            sleep(contest.ttl() + SECOND / 2).await;
        }
        contest.rounds(5).await;
        contest.freeze(holder, false);
    }
}

/// Lets it go on until there is something to judge, and judges.
async fn finish(contest: Contest, what: &str, kind: Kind, start: Instant) {
    contest.writes(10).await;
    let report = contest.finish().await;
    println!("{what}, {:.1?}: {kind:?}: {report}", start.elapsed());
}

async fn on_broken_connections(etcd: &Binary, kind: Kind) {
    let start = Instant::now();
    let cluster = cluster(etcd, 1).await;
    let rules = Rules::of(kind);
    let mut contest = Contest::start(rules, cluster.endpoints()).await;
    hurt_connections(&mut contest, &mut fastrand::Rng::with_seed(rules.seed)).await;
    finish(contest, &format!("{etcd}, connections"), kind, start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_a_past_holder_is_applied_when_connections_break() {
    at_once(oldest_and_newest(), async |etcd| {
        on_broken_connections(&etcd, Kind::Lock).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_a_past_reader_or_writer_is_applied_when_connections_break() {
    let newest = Binary::newest().expect("a real etcd");
    on_broken_connections(&newest, Kind::RwLock).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_without_a_permit_is_applied_when_connections_break() {
    let newest = Binary::newest().expect("a real etcd");
    on_broken_connections(&newest, Kind::Semaphore(2)).await;
}

async fn on_three_members(etcd: &Binary, kind: Kind) {
    let start = Instant::now();
    let mut cluster = cluster(etcd, 3).await;
    let mut rules = Rules::of(kind);
    rules.exact = keeps_leases(etcd);
    let contest = Contest::start(rules, cluster.endpoints()).await;
    contest.rounds(5).await;
    for pause in [false, true] {
        let leader = leader(&cluster).await;
        let member = cluster.member(leader);
        if pause {
            let holder = contest.holder().await;
            member.pause().expect("a pause");
            contest.freeze(holder, true);
            // Longer than any lease lives without being renewed.
            sleep(contest.ttl() + SECOND).await;
            contest.rounds(5).await;
            member.resume().expect("a resumption");
            contest.freeze(holder, false);
        } else {
            member.kill().expect("a kill");
            contest.rounds(5).await;
            member.restart().await.expect("a restart");
        }
        contest.rounds(5).await;
    }
    finish(contest, &format!("{etcd}, members"), kind, start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_a_past_holder_is_applied_when_leaders_die_or_freeze() {
    at_once(oldest_and_newest(), async |etcd| {
        on_three_members(&etcd, Kind::Lock).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_without_a_share_is_applied_when_leaders_die_or_freeze() {
    let newest = Binary::newest().expect("a real etcd");
    tokio::join!(
        on_three_members(&newest, Kind::RwLock),
        on_three_members(&newest, Kind::Semaphore(2))
    );
}
