//! Transactions in memory under faults, on real etcd: sixteen writers, whose sum stays whatever breaks, and
//! each of whose transactions is made once, from what was really there, or not at all.

mod bank;

use std::time::Duration;

use bank::Bank;
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    patience::PATIENCE,
    places::{at_once, cluster, leader, versions},
    proxy::{Direction, Proxy},
};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// For requests to what breaks.
const SHORT: Duration = Duration::from_secs(2);

/// Members behind proxies, and a bank that reaches them by those.
struct Scene {
    etcd: Binary,
    cluster: Cluster,
    proxies: Vec<Proxy>,
    bank: Bank,
    random: fastrand::Rng,
}

impl Scene {
    async fn start(etcd: Binary, members: usize, timeout: Duration) -> Self {
        let cluster = cluster(&etcd, members).await;
        let mut proxies = Vec::new();
        for endpoint in cluster.endpoints() {
            proxies.push(Proxy::start(&endpoint).await.expect("a proxy"));
        }
        let ways: Vec<String> = proxies.iter().map(Proxy::endpoint).collect();
        let seed = fastrand::u64(..);
        let bank = Bank::open(cluster.endpoints(), &ways, seed, timeout).await;
        bank.everyone().await;
        Self {
            etcd,
            cluster,
            proxies,
            bank,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The indexes of the leader and of a member that follows.
    async fn roles(&self) -> (usize, usize) {
        let leader = leader(&self.cluster).await;
        (leader, (leader + 1) % self.proxies.len())
    }

    async fn finish(self, what: &str) -> bank::Report {
        self.bank.everyone().await;
        let report = self.bank.close().await;
        println!("{}: {what}: {report}", self.etcd);
        report
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_stays_when_members_are_killed_and_frozen() {
    at_once(versions(), async |etcd| {
        let mut scene = Scene::start(etcd, 3, SHORT).await;
        let (leader, _) = scene.roles().await;
        scene.cluster.member(leader).kill().expect("a kill");
        scene.bank.movements(50).await;
        let restarted = scene.cluster.member(leader).restart().await;
        restarted.expect("a restart");
        scene.bank.movements(50).await;
        // A follower that lags behind is asked for revisions it does not have yet.
        let (_, follower) = scene.roles().await;
        scene.cluster.member(follower).pause().expect("a pause");
        scene.bank.movements(50).await;
        scene.cluster.member(follower).resume().expect("it goes on");
        scene.bank.movements(50).await;
        // A leader that does not know that it is none any more.
        let (leader, _) = scene.roles().await;
        scene.cluster.member(leader).pause().expect("a pause");
        scene.bank.movements(50).await;
        scene.cluster.member(leader).resume().expect("it goes on");
        scene.finish("killed and frozen").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_stays_when_connections_end_anywhere() {
    at_once(versions(), async |etcd| {
        let mut scene = Scene::start(etcd, 1, SHORT).await;
        let proxy = &scene.proxies[0];
        let mut round = 0;
        while round < 40 || scene.bank.unknown() == 0 {
            round += 1;
            sleep(scene.random.u32(20..80) * MS).await;
            match round % 4 {
                0 => proxy.cut(),
                1 => proxy.reset(),
                2 => proxy.cut_after(Direction::ToClient, scene.random.u64(0..600)),
                _ => proxy.cut_after(Direction::ToServer, scene.random.u64(0..600)),
            }
        }
        let report = scene.finish("connections ended").await;
        assert!(report.unknown > 0, "no answer of a commit was lost");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_stays_while_the_history_is_compacted() {
    at_once(versions(), async |etcd| {
        let mut scene = Scene::start(etcd, 1, PATIENCE).await;
        for _ in 0..20 {
            scene.bank.compact().await;
            scene.bank.movements(5).await;
        }
        let report = scene.finish("compacted").await;
        assert_eq!(report.unknown, 0, "nothing was broken");
    })
    .await;
}
