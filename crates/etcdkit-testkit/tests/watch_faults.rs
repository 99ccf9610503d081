//! Watches under faults, on real etcd, with a judgement about every event.
//!
//! In each scenario writers go on all the time over connections of their own, watches of every kind
//! are hurt, and in the end each event of each watch is compared with what happened: none lost, none
//! twice, none from before the start, and the rest of etcd's promises about watches.

use std::time::{Duration, Instant};

use etcdkit::{Client, MemberId, WatchEnd};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    places::{cluster, versions},
    proxy::{Conditions, Direction, Proxy},
    scenario::{Scenario, WatchKind},
};

const MS: Duration = Duration::from_millis(1);

/// How soon a watch has left a silent member when others answer: within three seconds, and what a busy
/// machine may add. Without the questions that the client asks it would take HTTP/2's pings ten.
const NOTICED: Duration = Duration::from_secs(8);

async fn connect(endpoints: &[String]) -> Client {
    Client::connect(endpoints).await.expect("a client")
}

/// One member behind a proxy, watched in every way through it.
struct Proxied {
    etcd: Binary,
    proxy: Proxy,
    scenario: Scenario,
    _cluster: Cluster,
}

impl Proxied {
    async fn start(etcd: Binary) -> Self {
        let cluster = cluster(&etcd, 1).await;
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let client = connect(&[proxy.endpoint()]).await;
        let mut scenario = Scenario::start(cluster.endpoints()).await;
        scenario.watch_in_every_way(&client).await;
        Self {
            etcd,
            proxy,
            scenario,
            _cluster: cluster,
        }
    }

    async fn finish(self, what: &str) {
        self.proxy.set_both(Conditions::pass());
        // However fast the machine is, the judgement is about something.
        self.scenario.deliveries(1_000).await;
        let report = self.scenario.finish().await;
        println!("{}: {what}: {report}", self.etcd);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_connections_are_cut_or_reset() {
    for etcd in versions() {
        let proxied = Proxied::start(etcd).await;
        let mut random = fastrand::Rng::with_seed(proxied.scenario.seed());
        for round in 0..30 {
            // Often enough before everything is as it was, and yet there is always something to lose.
            tokio::time::sleep(random.u32(1..60) * MS).await;
            proxied.scenario.writes(random.usize(0..20)).await;
            match round % 3 {
                0 => proxied.proxy.cut(),
                1 => proxied.proxy.reset(),
                _ => {
                    // The first connection for lack of another one may be hit, too.
                    proxied.proxy.cut();
                    tokio::time::sleep(random.u32(0..5) * MS).await;
                    proxied.proxy.reset();
                }
            }
        }
        proxied.scenario.everyone_sees_news().await;
        proxied.finish("cut and reset").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_connections_end_after_any_number_of_bytes() {
    for etcd in versions() {
        let proxied = Proxied::start(etcd).await;
        let mut random = fastrand::Rng::with_seed(proxied.scenario.seed());
        for round in 0..24 {
            // Among the first frames of a connection, or anywhere among its events.
            let (direction, bytes) = match round % 3 {
                0 => (Direction::ToServer, random.u64(0..120)),
                1 => (Direction::ToClient, random.u64(0..300)),
                _ => (Direction::ToClient, random.u64(300..20_000)),
            };
            proxied.proxy.cut();
            proxied.proxy.cut_after(direction, bytes);
            proxied.scenario.everyone_sees_news().await;
        }
        proxied.scenario.everyone_sees_news().await;
        proxied.finish("cut after n bytes").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_one_direction_is_closed() {
    for etcd in versions() {
        let proxied = Proxied::start(etcd).await;
        for round in 0..6 {
            proxied.scenario.everyone_sees_news().await;
            proxied.proxy.half_close(match round % 2 {
                0 => Direction::ToClient,
                _ => Direction::ToServer,
            });
        }
        proxied.scenario.everyone_sees_news().await;
        proxied.finish("half close").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_in_a_black_hole() {
    for etcd in versions() {
        let proxied = Proxied::start(etcd).await;
        for holes in [
            &[Direction::ToClient][..],
            &[Direction::ToServer],
            &[Direction::ToServer, Direction::ToClient],
        ] {
            for length in [50 * MS, 700 * MS, 4_000 * MS] {
                for direction in holes {
                    proxied.proxy.set(*direction, Conditions::black_hole());
                }
                tokio::time::sleep(length).await;
                proxied.proxy.set_both(Conditions::pass());
                proxied.scenario.everyone_sees_news().await;
            }
        }
        proxied.finish("black holes").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_connection_is_replaced_within_seconds() {
    for etcd in versions() {
        let proxied = Proxied::start(etcd).await;
        proxied.scenario.everyone_sees_news().await;
        for _ in 0..2 {
            let frozen = Instant::now();
            proxied.proxy.freeze();
            proxied.scenario.everyone_sees_news().await;
            println!("moved after {:?}", frozen.elapsed());
        }
        proxied.finish("frozen connections").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_on_a_slow_network() {
    for etcd in versions() {
        let proxied = Proxied::start(etcd).await;
        let slow = Conditions::pass().delay(80 * MS, 70 * MS);
        proxied.proxy.set_both(slow);
        proxied.scenario.writes(300).await;
        proxied.proxy.cut();
        proxied.scenario.writes(300).await;
        // Less than the events need: the server queues, and sends larger portions.
        proxied
            .proxy
            .set(Direction::ToClient, slow.bandwidth(60_000));
        proxied.scenario.writes(600).await;
        proxied.proxy.reset();
        proxied.scenario.writes(600).await;
        proxied.proxy.set_both(Conditions::pass());
        proxied.scenario.everyone_sees_news().await;
        proxied.finish("delay and bandwidth").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_nobody_listens_for_a_while() {
    for etcd in versions() {
        let proxied = Proxied::start(etcd).await;
        for _ in 0..3 {
            proxied.proxy.refuse().await.expect("a refusal");
            proxied.proxy.cut();
            proxied.scenario.writes(200).await;
            proxied.proxy.accept().await.expect("a listener");
            proxied.scenario.everyone_sees_news().await;
        }
        proxied.finish("refused connections").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_only_member_is_killed_and_restarted() {
    for etcd in versions() {
        let mut cluster = cluster(&etcd, 1).await;
        let client = connect(&cluster.endpoints()).await;
        let mut scenario = Scenario::start(cluster.endpoints()).await;
        scenario.watch_in_every_way(&client).await;
        for _ in 0..3 {
            scenario.everyone_sees_news().await;
            cluster.member(0).kill().expect("a running member");
            cluster.member(0).restart().await.expect("a restart");
            let back = Instant::now();
            scenario.everyone_sees_news().await;
            println!("{etcd}: news {:?} after the restart", back.elapsed());
        }
        println!("{etcd}: killed and restarted: {}", scenario.finish().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_only_member_is_paused() {
    for etcd in versions() {
        let mut cluster = cluster(&etcd, 1).await;
        let client = connect(&cluster.endpoints()).await;
        let mut scenario = Scenario::start(cluster.endpoints()).await;
        scenario.watch_in_every_way(&client).await;
        for length in [100 * MS, 1_500 * MS, 5_000 * MS] {
            scenario.everyone_sees_news().await;
            cluster.member(0).pause().expect("a running member");
            tokio::time::sleep(length).await;
            cluster.member(0).resume().expect("a paused member");
            scenario.everyone_sees_news().await;
        }
        println!("{etcd}: paused and resumed: {}", scenario.finish().await);
    }
}

/// Which part a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Leader,
    Follower,
}

/// Three members.
struct Three {
    cluster: Cluster,
    /// In the order of the cluster's members.
    ids: Vec<MemberId>,
}

impl Three {
    async fn start(etcd: &Binary) -> Self {
        let cluster = cluster(etcd, 3).await;
        let endpoints = cluster.endpoints();
        let client = connect(&endpoints).await;
        let mut ids = Vec::new();
        for endpoint in &endpoints {
            let status = client.maintenance().status(endpoint).await;
            ids.push(status.expect("a status").header.member_id);
        }
        Self { cluster, ids }
    }

    fn index(&self, id: MemberId) -> usize {
        let index = self.ids.iter().position(|member| *member == id);
        index.expect("a member of the cluster")
    }

    /// Watches on a member of that role, each of which has something to deliver all the time.
    async fn watched(etcd: &Binary, role: Role) -> (Self, Scenario, usize) {
        let three = Self::start(etcd).await;
        let endpoints = three.cluster.endpoints();
        let mut scenario = Scenario::start(endpoints.clone()).await;
        let member = three.watch_on(&mut scenario, role, &endpoints).await;
        scenario.writes(300).await;
        scenario.everyone_sees_news().await;
        (three, scenario, member)
    }

    /// Watches in every way, all on one member of this role; answers which. The client knows these
    /// endpoints, one for each member.
    async fn watch_on(&self, scenario: &mut Scenario, role: Role, endpoints: &[String]) -> usize {
        for _ in 0..100 {
            let client = connect(endpoints).await;
            let probe = client.watch(scenario.prefix()).await.expect("a watch");
            let member = probe.header().member_id;
            let direct = self.cluster.endpoints();
            let status = connect(&direct)
                .await
                .maintenance()
                .status(&direct[0])
                .await;
            let leader = status.expect("a status").leader.expect("a leader");
            if (leader == member) != (role == Role::Leader) {
                continue;
            }
            scenario.watch_in_every_way(&client).await;
            let all_there = scenario
                .watches()
                .iter()
                .all(|watch| watch.header().member_id == member);
            assert!(all_there, "the watches of a client share a connection");
            return self.index(member);
        }
        panic!("no watch began on a {role:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_member_under_the_watches_is_killed() {
    for etcd in versions() {
        for role in [Role::Follower, Role::Leader] {
            let (mut three, scenario, member) = Three::watched(&etcd, role).await;
            let killed = Instant::now();
            three
                .cluster
                .member(member)
                .kill()
                .expect("a running member");
            scenario.everyone_sees_news().await;
            let (gap, writers) = scenario.longest_gaps(killed);
            println!("{etcd}: {role:?} killed: {gap:?} without events, {writers:?} without writes");
            scenario.writes(200).await;
            let restarted = three.cluster.member(member).restart().await;
            restarted.expect("a restart");
            scenario.writes(200).await;
            scenario.everyone_sees_news().await;
            println!("{etcd}: {role:?} killed: {}", scenario.finish().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_leave_a_paused_member_within_seconds() {
    for etcd in versions() {
        for role in [Role::Follower, Role::Leader] {
            let (mut three, scenario, member) = Three::watched(&etcd, role).await;
            let paused = Instant::now();
            three
                .cluster
                .member(member)
                .pause()
                .expect("a running member");
            scenario.everyone_sees_news().await;
            let (gap, writers) = scenario.longest_gaps(paused);
            println!("{etcd}: {role:?} paused: {gap:?} without events, {writers:?} without writes");
            if role == Role::Follower {
                assert!(gap < NOTICED, "{gap:?}");
            }
            three
                .cluster
                .member(member)
                .resume()
                .expect("a paused member");
            scenario.writes(200).await;
            scenario.everyone_sees_news().await;
            println!("{etcd}: {role:?} paused: {}", scenario.finish().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_leave_a_black_holed_member_within_seconds() {
    for etcd in versions() {
        for direction in [Direction::ToClient, Direction::ToServer] {
            let three = Three::start(&etcd).await;
            let mut proxies = Vec::new();
            for endpoint in three.cluster.endpoints() {
                proxies.push(Proxy::start(&endpoint).await.expect("a proxy"));
            }
            let endpoints: Vec<String> = proxies.iter().map(Proxy::endpoint).collect();
            let mut scenario = Scenario::start(three.cluster.endpoints()).await;
            let member = three
                .watch_on(&mut scenario, Role::Follower, &endpoints)
                .await;
            scenario.writes(300).await;
            scenario.everyone_sees_news().await;
            let since = Instant::now();
            proxies[member].set(direction, Conditions::black_hole());
            // What the client cannot send does not stop the events, unless it is noticed and the
            // watches move.
            scenario.everyone_sees_news().await;
            let (gap, writers) = scenario.longest_gaps(since);
            println!(
                "{etcd}: black hole {direction:?}: {gap:?} without events, {writers:?} without writes"
            );
            assert!(gap < NOTICED, "{gap:?}");
            proxies[member].set(direction, Conditions::pass());
            scenario.everyone_sees_news().await;
            println!(
                "{etcd}: black hole {direction:?}: {}",
                scenario.finish().await
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_members_come_and_go() {
    for etcd in versions() {
        let mut three = Three::start(&etcd).await;
        let endpoints = three.cluster.endpoints();
        let client = connect(&endpoints).await;
        let mut scenario = Scenario::start(endpoints).await;
        scenario.watch_in_every_way(&client).await;
        let mut random = fastrand::Rng::with_seed(scenario.seed());
        for _ in 0..6 {
            let member = three.cluster.member(random.usize(..3));
            if random.bool() {
                member.kill().expect("a running member");
                tokio::time::sleep(random.u32(0..1_500) * MS).await;
                member.restart().await.expect("a restart");
            } else {
                member.pause().expect("a running member");
                tokio::time::sleep(random.u32(0..4_000) * MS).await;
                member.resume().expect("a paused member");
            }
            scenario.writes(100).await;
        }
        scenario.everyone_sees_news().await;
        println!("{etcd}: members come and go: {}", scenario.finish().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_while_disconnected_ends_only_watches_that_miss_something() {
    for etcd in versions() {
        let mut proxied = Proxied::start(etcd).await;
        proxied.scenario.everyone_sees_news().await;
        proxied.proxy.refuse().await.expect("a refusal");
        proxied.proxy.cut();
        let cut = Instant::now();
        proxied.scenario.writes(400).await;
        let compacted = proxied.scenario.compact().await;
        proxied.scenario.writes(50).await;
        proxied.proxy.accept().await.expect("a listener");
        for watching in proxied.scenario.watches() {
            while watching.end().is_none() {
                assert!(
                    cut.elapsed() < Duration::from_secs(60),
                    "{watching} did not end"
                );
                tokio::time::sleep(MS).await;
            }
            let end = watching.end().expect("it has ended");
            let expected = WatchEnd::Compacted {
                compact_revision: compacted,
            };
            assert_eq!(*end.end(), expected, "{watching}");
            assert!(end.revision() < compacted, "{watching}");
            assert_eq!(end.revision(), watching.reached());
        }
        // Where it says it stopped, it has: the judgement takes each at its word.
        let report = proxied.scenario.finish().await;
        println!("{}: compacted while disconnected: {report}", proxied.etcd);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_of_what_was_delivered_ends_no_watch() {
    for etcd in versions() {
        let mut proxied = Proxied::start(etcd).await;
        for _ in 0..5 {
            proxied.scenario.everyone_sees_news().await;
            proxied.scenario.compact().await;
        }
        for watching in proxied.scenario.watches() {
            assert!(watching.end().is_none(), "{watching} ended");
        }
        proxied.finish("compacted while connected").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_under_faults_shows_nothing_from_before() {
    for etcd in versions() {
        let cluster = cluster(&etcd, 1).await;
        let proxy = Proxy::start(cluster.endpoint()).await.expect("a proxy");
        let mut scenario = Scenario::start(cluster.endpoints()).await;
        let random = &mut fastrand::Rng::with_seed(scenario.seed());
        // Every frame of a new connection is cut somewhere, until the watch is confirmed.
        for bytes in (0..300).step_by(random.usize(4..7)) {
            let client = Client::builder().endpoints([proxy.endpoint()]);
            let client = client.connect_lazy().expect("a client");
            proxy.cut_after(Direction::ToClient, bytes);
            scenario.watch(&client, WatchKind::FromNow).await;
        }
        scenario.everyone_sees_news().await;
        println!("{etcd}: opened under faults: {}", scenario.finish().await);
    }
}
