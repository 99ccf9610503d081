//! Elections under faults, on real etcd: one leader at each revision, no proclamation by a past one, and
//! every observer sees all of it, in order.

mod candidate;
mod race;

use std::time::Duration;

use etcdkit_testkit::{
    places::{at_once, cluster, keeps_leases, leader, versions},
    proxy::Direction,
};
use race::{Race, TTL};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_leads_at_a_time_when_members_are_killed_and_frozen() {
    at_once(versions(), async |etcd| {
        let mut cluster = cluster(&etcd, 3).await;
        let race = Race::start(cluster.endpoints()).await;
        race.leaderships(5).await;
        let led = leader(&cluster).await;
        cluster.member(led).kill().expect("a kill");
        race.leaderships(3).await;
        cluster.member(led).restart().await.expect("a restart");
        race.leaderships(3).await;
        let led = leader(&cluster).await;
        cluster.member(led).pause().expect("a pause");
        // For longer than leases live.
        sleep(TTL + 1_000 * MS).await;
        race.leaderships(3).await;
        cluster.member(led).resume().expect("it goes on");
        race.leaderships(5).await;
        let report = race.finish(keeps_leases(&etcd)).await;
        println!("{etcd}: killed and frozen: {report}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_leads_at_a_time_when_leaders_are_cut_off_and_connections_end() {
    at_once(versions(), async |etcd| {
        let cluster = cluster(&etcd, 1).await;
        let race = Race::start(cluster.endpoints()).await;
        let mut random = fastrand::Rng::with_seed(race.seed());
        for round in 0..24 {
            sleep(random.u32(20..120) * MS).await;
            let proxy = &race.proxies(random.usize(..race.participants()))[0];
            match round % 4 {
                0 => proxy.cut(),
                1 => proxy.reset(),
                2 => proxy.cut_after(Direction::ToClient, random.u64(0..500)),
                _ => proxy.cut_after(Direction::ToServer, random.u64(0..500)),
            }
        }
        // Whoever is about to resign anyway loses nothing.
        while race.lost() == 0 {
            let leader = race.leading().await;
            race.freeze(leader, true);
            // Others lead only when its lease has run out.
            sleep(TTL).await;
            race.leaderships(2).await;
            race.freeze(leader, false);
            race.leaderships(2).await;
        }
        let report = race.finish(true).await;
        println!("{etcd}: cut off: {report}");
        assert!(report.refused > 0, "no past leader was told so");
    })
    .await;
}
