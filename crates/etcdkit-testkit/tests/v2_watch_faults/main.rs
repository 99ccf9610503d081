//! Watches of the v2 API under faults, on the embedded server and on real etcd, with a judgement about
//! every event.
//!
//! In each scenario writers go on all the time over connections of their own, watches are hurt, and in
//! the end each event of each watch is compared with what was written: none lost, none twice.

mod history;
mod scenario;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use etcdkit::v2::{Client, ErrorKind};
use etcdkit_testkit::{
    proxy::{Conditions, Direction, Proxy},
    v2::servers::{Single, binaries, cluster, singles},
};
use scenario::Scenario;

const MS: Duration = Duration::from_millis(1);

/// Often enough that a connection that was frozen is left while a test looks on.
const ANEW: Duration = Duration::from_secs(1);

/// One server behind a proxy, watched through it.
struct Proxied {
    server: Single,
    proxy: Proxy,
    scenario: Scenario,
}

impl Proxied {
    async fn each() -> Vec<Self> {
        let mut each = Vec::new();
        for server in singles().await {
            let proxy = Proxy::start(server.endpoint()).await.expect("a proxy");
            let client = Client::connect(proxy.endpoint()).await.expect("a client");
            let mut scenario = Scenario::start(vec![server.endpoint().to_owned()]).await;
            scenario.watch(&client, ANEW).await;
            each.push(Self {
                server,
                proxy,
                scenario,
            });
        }
        each
    }

    async fn finish(self, what: &str) {
        self.proxy.set_both(Conditions::pass());
        // However fast the machine is, the judgement is about something.
        self.scenario.events(100).await;
        let report = self.scenario.finish().await;
        println!("{}: {what}: {report}", self.server);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_connections_are_cut_or_reset() {
    for proxied in Proxied::each().await {
        let mut random = fastrand::Rng::with_seed(proxied.scenario.seed());
        for round in 0..30 {
            // Often enough before everything is as it was, and yet there is always something to lose.
            tokio::time::sleep(random.u32(1..60) * MS).await;
            proxied.scenario.writes(random.usize(0..5)).await;
            match round % 2 {
                0 => proxied.proxy.cut(),
                _ => proxied.proxy.reset(),
            }
        }
        proxied.finish("cut and reset").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_answers_end_after_any_number_of_bytes() {
    for proxied in Proxied::each().await {
        let mut random = fastrand::Rng::with_seed(proxied.scenario.seed());
        for round in 0..30 {
            // Within the head of an answer, between head and body, within the body; or within a request.
            let (direction, bytes) = match round % 3 {
                0 => (Direction::ToServer, random.u64(0..150)),
                _ => (Direction::ToClient, random.u64(0..1_200)),
            };
            proxied.proxy.cut_after(direction, bytes);
            proxied.scenario.everyone_sees_news().await;
        }
        proxied.finish("cut after n bytes").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_connections_freeze() {
    for proxied in Proxied::each().await {
        for _ in 0..4 {
            proxied.scenario.everyone_sees_news().await;
            proxied.proxy.freeze();
            proxied.scenario.everyone_sees_news().await;
        }
        proxied.finish("frozen connections").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_one_direction_is_closed_or_swallowed() {
    for proxied in Proxied::each().await {
        for direction in [Direction::ToClient, Direction::ToServer] {
            proxied.proxy.half_close(direction);
            proxied.scenario.everyone_sees_news().await;
            proxied.proxy.set(direction, Conditions::black_hole());
            proxied.scenario.writes(60).await;
            proxied.proxy.set_both(Conditions::pass());
            proxied.scenario.everyone_sees_news().await;
        }
        proxied.finish("half closed and black holes").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_nobody_listens_for_a_while() {
    for proxied in Proxied::each().await {
        for _ in 0..3 {
            proxied.proxy.refuse().await.expect("a refusal");
            proxied.proxy.cut();
            proxied.scenario.writes(100).await;
            proxied.proxy.accept().await.expect("a listener");
            proxied.scenario.everyone_sees_news().await;
        }
        proxied.finish("refused connections").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_members_of_a_cluster_are_killed() {
    for etcd in binaries() {
        let mut cluster = cluster(&etcd, 3).await;
        let client = Client::connect(cluster.endpoints()).await;
        let mut scenario = Scenario::start(cluster.endpoints()).await;
        scenario.watch(&client.expect("a client"), ANEW).await;
        for member in [0, 1, 2, 0] {
            cluster.member(member).kill().expect("a kill");
            scenario.everyone_sees_news().await;
            cluster.member(member).restart().await.expect("a restart");
            scenario.everyone_sees_news().await;
        }
        println!("{etcd}: killed members: {}", scenario.finish().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_member_is_left_for_another() {
    for etcd in binaries() {
        let mut cluster = cluster(&etcd, 3).await;
        let client = Client::connect(cluster.endpoints()).await;
        let mut scenario = Scenario::start(cluster.endpoints()).await;
        // It would be a long time until the watches asked anew.
        let anew = Duration::from_secs(180);
        scenario.watch(&client.expect("a client"), anew).await;
        for member in 0..3 {
            scenario.everyone_sees_news().await;
            cluster.member(member).pause().expect("a pause");
            let paused = Instant::now();
            scenario.everyone_sees_news().await;
            println!("{etcd}: left after {:?}", paused.elapsed());
            cluster.member(member).resume().expect("a resumption");
        }
        println!("{etcd}: paused members: {}", scenario.finish().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_watch_notices_that_its_member_is_silent() {
    for etcd in binaries() {
        let mut cluster = cluster(&etcd, 3).await;
        let watched_at = Arc::<Mutex<String>>::default();
        let listener = Arc::clone(&watched_at);
        let client = Client::builder()
            .endpoints(cluster.endpoints())
            .on_exchange(move |exchange| {
                if exchange.operation == "watch" && exchange.url.contains("wait=true") {
                    listener.lock().unwrap().clone_from(&exchange.url);
                }
            })
            .connect()
            .await
            .expect("a client");
        let mut watch = client.watch("/quiet").stream().await.expect("a watch");

        let url = watched_at.lock().unwrap().clone();
        let endpoints = cluster.endpoints();
        let silent = endpoints
            .iter()
            .position(|endpoint| url.starts_with(endpoint));
        let silent = silent.expect("an endpoint of the cluster");
        cluster.member(silent).pause().expect("a pause");
        let paused = Instant::now();
        let mut others = endpoints;
        others.remove(silent);
        let direct = Client::connect(&others).await.expect("a client");
        let set = loop {
            // Until there is a leader again.
            if let Ok(set) = direct.set("/quiet", "1").await {
                break set.index();
            }
        };
        let event = watch
            .next_change()
            .await
            .expect("no end")
            .expect("a change");
        println!("{etcd}: told after {:?}", paused.elapsed());
        assert!(event.index() <= set, "{etcd}: {event:?}");
        // Much sooner than it would have asked anew.
        assert!(paused.elapsed() < Duration::from_secs(60), "{etcd}");
        let moved_to = watched_at.lock().unwrap().clone();
        assert!(
            !moved_to.starts_with(&cluster.endpoints()[silent]),
            "{etcd}: {moved_to}"
        );
        cluster.member(silent).resume().expect("a resumption");
    }
}

#[tokio::test]
async fn a_watch_that_cannot_go_on_says_so() {
    let server = etcdkit_server::Server::builder().start().await;
    let server = server.expect("a server");
    let client = Client::builder().endpoint(server.endpoint());
    let client = client.connect_lazy().expect("a client");
    let error = client.watch("/a").stream().await.expect_err("no v2 API");
    assert_eq!(error.kind(), ErrorKind::NotServed);
    let error = client.watch("/a").await.expect_err("no v2 API");
    assert_eq!(error.kind(), ErrorKind::NotServed);
}
