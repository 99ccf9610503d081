//! Endpoints that change while the client runs, on real clusters: found by asking the members, given
//! by hand, gone, unreachable, and leading to somebody else.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, EndpointMode, ErrorKind, KeyRange, LostReason, MemberId, Outcome, WatchEnd};
use etcdkit_testkit::{
    certificates::Authority,
    etcd::{Binary, Cluster, ClusterBuilder},
    fake::refusing_endpoint,
    proxy::{Direction, Proxy},
};

/// What a loaded machine may take for what is done at once.
const SOON: Duration = Duration::from_secs(60);

fn newest() -> Binary {
    Binary::newest().expect("a real etcd")
}

async fn start(builder: &ClusterBuilder) -> Cluster {
    builder.start().await.expect("a cluster")
}

async fn members(count: usize) -> Cluster {
    start(&Cluster::builder(&newest()).members(count)).await
}

async fn connect(endpoint: &str) -> Client {
    Client::connect(endpoint).await.expect("a client")
}

fn endpoints(client: &Client) -> BTreeSet<String> {
    client.endpoints().collect()
}

fn set(endpoints: impl IntoIterator<Item = impl Into<String>>) -> BTreeSet<String> {
    endpoints.into_iter().map(Into::into).collect()
}

/// Waits until the client has these endpoints.
async fn becomes(client: &Client, wanted: BTreeSet<String>) {
    let start = Instant::now();
    while endpoints(client) != wanted {
        assert!(
            start.elapsed() < SOON,
            "{:?} instead of {wanted:?}",
            endpoints(client)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Writes until a write is known to be applied: one that meets an election may not be.
async fn put(client: &Client, value: &str) -> i64 {
    let start = Instant::now();
    loop {
        match client.put("k", value).timeout(SOON).await {
            Ok(put) => return put.header.revision,
            Err(error) => assert_eq!(error.outcome(), Outcome::Unknown, "{error}"),
        }
        assert!(start.elapsed() < 2 * SOON, "no put succeeds");
    }
}

/// The member that answers next.
async fn answering(client: &Client) -> MemberId {
    let range = client.range("k").serializable().await.expect("a range");
    range.header.member_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_endpoint_is_enough_to_find_all() {
    for etcd in Binary::all().expect("real etcds") {
        let mut cluster = start(&Cluster::builder(&etcd).members(3)).await;
        let client = connect(cluster.endpoint()).await;
        client.put("k", "v").await.expect("a put");
        let sync = client.sync_endpoints().await.expect("a sync");
        assert!(sync.rejected.is_empty(), "{:?}", sync.rejected);
        assert_eq!(set(sync.endpoints), set(cluster.endpoints()));
        assert_eq!(endpoints(&client), set(cluster.endpoints()));

        // The only endpoint that the client was given.
        cluster.member(0).kill().expect("a running member");
        let kv = client.get("k").await.expect("a get").expect("the key");
        assert_eq!(kv.value, "v");
        put(&client, "w").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_come_and_go_are_followed() {
    // Which would have a cluster wait for some seconds before it lets anybody in.
    let builder = Cluster::builder(&newest())
        .members(3)
        .flag("--strict-reconfig-check=false");
    let mut cluster = start(&builder).await;
    let client = connect(cluster.endpoint()).await;
    client.sync_endpoints().await.expect("a sync");
    let three = endpoints(&client);
    assert_eq!(three.len(), 3);

    let learner = cluster.add_learner().await.expect("a learner");
    let url = learner.endpoint().to_owned();
    let began = Instant::now();
    let learner = loop {
        let list = client.cluster().members().await.expect("a member list");
        let started = |member: &&etcdkit::Member| member.is_learner && !member.name.is_empty();
        if let Some(learner) = list.members.iter().find(started) {
            break learner.id;
        }
        assert!(began.elapsed() < SOON, "the learner does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    client.sync_endpoints().await.expect("a sync");
    assert_eq!(
        endpoints(&client),
        three,
        "a learner serves next to nothing"
    );

    while let Err(error) = client.cluster().promote(learner).await {
        assert!(began.elapsed() < 2 * SOON, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It votes, but may need a moment to serve.
    let mut four = three.clone();
    four.insert(url.clone());
    while endpoints(&client) != four {
        client.sync_endpoints().await.expect("a sync");
        assert!(began.elapsed() < 3 * SOON, "the new member is not taken");
    }

    client
        .cluster()
        .remove(learner)
        .await
        .expect("the member is removed");
    let sync = client.sync_endpoints().await.expect("a sync");
    assert_eq!(set(sync.endpoints), three);
    for _ in 0..20 {
        client.put("k", "v").await.expect("a put");
    }
}

#[tokio::test]
async fn a_member_that_is_down_keeps_its_endpoint() {
    let mut cluster = members(3).await;
    let client = connect(cluster.endpoint()).await;
    client.sync_endpoints().await.expect("a sync");
    cluster.member(1).kill().expect("a running member");
    let sync = client.sync_endpoints().await.expect("a sync");
    assert_eq!(set(sync.endpoints), set(cluster.endpoints()));
    let rejected: Vec<_> = sync.rejected.iter().collect();
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert_eq!(rejected[0].endpoint, cluster.endpoints()[1]);
}

#[tokio::test]
async fn urls_that_cannot_be_reached_change_nothing() {
    let dead = refusing_endpoint();
    let builder = Cluster::builder(&newest()).flag(format!("--advertise-client-urls={dead}"));
    let cluster = start(&builder).await;
    let client = connect(cluster.endpoint()).await;
    for _ in 0..2 {
        let sync = client.sync_endpoints().await.expect("a sync");
        assert_eq!(sync.endpoints, [cluster.endpoint()]);
        let [rejected] = &sync.rejected[..] else {
            panic!("{:?}", sync.rejected);
        };
        assert_eq!(rejected.endpoint, dead);
        assert_eq!(rejected.error.kind(), ErrorKind::Connect);
        client.put("k", "v").await.expect("a put");
    }
}

#[tokio::test]
async fn urls_of_another_cluster_are_not_taken() {
    let other = members(1).await;
    // The ids of clusters come from their members' peer URLs, which differ.
    let builder =
        Cluster::builder(&newest()).flag(format!("--advertise-client-urls={}", other.endpoint()));
    let cluster = start(&builder).await;
    let client = connect(cluster.endpoint()).await;
    let sync = client.sync_endpoints().await.expect("a sync");
    assert_eq!(sync.endpoints, [cluster.endpoint()]);
    let [rejected] = &sync.rejected[..] else {
        panic!("{:?}", sync.rejected);
    };
    assert_eq!(
        rejected.error.kind(),
        ErrorKind::OtherCluster,
        "{rejected:?}"
    );
}

#[tokio::test]
async fn tls_is_not_given_up_for_what_members_advertise() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("ca");
    let (certificate, key) = authority
        .server(&["127.0.0.1"])
        .write(folder.path(), "server");
    let plain = members(1).await;
    let builder = Cluster::builder(&newest())
        .tls(certificate, key)
        .flag(format!("--advertise-client-urls={}", plain.endpoint()));
    let cluster = start(&builder).await;
    let client = Client::builder()
        .endpoint(cluster.endpoint())
        .tls(etcdkit::Tls::new().ca_pem(authority.pem()))
        .connect()
        .await
        .expect("a client");
    let sync = client.sync_endpoints().await.expect("a sync");
    assert_eq!(sync.endpoints, [cluster.endpoint()]);
    let error = &sync.rejected[0].error;
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    let error = client.set_endpoints("http://a:1,https://b:1");
    assert_eq!(error.expect_err("mixed").kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn what_the_client_began_with_is_tried_when_nothing_else_answers() {
    // What the member advertises leads to it, until it does not.
    let advertised = Proxy::start(&refusing_endpoint()).await.expect("a port");
    let builder = Cluster::builder(&newest())
        .flag(format!("--advertise-client-urls={}", advertised.endpoint()));
    let cluster = start(&builder).await;
    advertised.lead_to(cluster.endpoint());
    let client = Client::builder()
        .endpoint(cluster.endpoint())
        .request_timeout(Duration::from_secs(2))
        .connect()
        .await
        .expect("a client");
    let sync = client.sync_endpoints().await.expect("a sync");
    assert_eq!(sync.endpoints, [advertised.endpoint()]);
    client.put("k", "v").await.expect("a put");

    advertised.refuse().await.expect("the port is closed");
    advertised.cut();
    client.get("k").await.expect_err("nobody answers");

    let sync = client.sync_endpoints().await.expect("a sync by the seed");
    assert_eq!(
        set(sync.endpoints),
        set([advertised.endpoint(), cluster.endpoint().to_owned()])
    );
    client.get("k").await.expect("the seed serves");
}

#[tokio::test]
async fn endpoints_are_synced_now_and_then() {
    let cluster = members(3).await;
    let builder = || Client::builder().endpoint(cluster.endpoint());
    let often = Duration::from_millis(100);
    let client = builder().auto_sync(often).connect().await;
    let client = client.expect("a client");
    becomes(&client, set(cluster.endpoints())).await;
    // By hand in between; the next turn finds the others again.
    client.set_endpoints(cluster.endpoint()).expect("set");
    becomes(&client, set(cluster.endpoints())).await;

    let lazy = builder().auto_sync(often).connect_lazy().expect("a client");
    assert_eq!(lazy.endpoints().len(), 1);
    lazy.get("k").await.expect("a get");
    becomes(&lazy, set(cluster.endpoints())).await;
}

#[tokio::test]
async fn a_client_without_users_ends_its_sync() {
    let cluster = members(1).await;
    let proxy = Proxy::start(cluster.endpoint()).await.expect("a port");
    let client = Client::builder()
        .endpoint(proxy.endpoint())
        .auto_sync(Duration::from_secs(3600))
        .connect()
        .await
        .expect("a client");
    becomes(&client, set([cluster.endpoint()])).await;
    client.set_endpoints(proxy.endpoint()).expect("set");
    client.get("k").await.expect("a get");
    drop(client);
    let start = Instant::now();
    while proxy.open_connections() > 0 {
        assert!(start.elapsed() < SOON, "connections stay open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_given_by_hand_take_over() {
    let mut cluster = members(3).await;
    let all = cluster.endpoints();
    let client = connect(&all[0]).await;
    client.put("k", "0").await.expect("a put");

    // Before the old one fails.
    client.set_endpoints(&all[1]).expect("set");
    assert_eq!(endpoints(&client), set([all[1].clone()]));
    cluster.member(0).kill().expect("a running member");
    put(&client, "1").await;

    // After it failed.
    cluster.member(0).restart().await.expect("a restart");
    cluster.member(1).kill().expect("a running member");
    let reading = tokio::spawn({
        let client = client.clone();
        async move { client.get("k").timeout(SOON).await }
    });
    tokio::task::yield_now().await;
    client.set_endpoints([&all[0], &all[2]]).expect("set");
    // A call that waits for a connection takes one of the new ones.
    let kv = reading.await.expect("a task").expect("a get");
    assert_eq!(kv.expect("the key").value, "1");
    put(&client, "2").await;

    let error = client.set_endpoints("").expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let error = client.set_endpoints(Vec::<String>::new());
    assert_eq!(error.expect_err("refused").kind(), ErrorKind::InvalidConfig);
    client.get("k").await.expect("nothing has changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_way_at_an_endpoint_that_is_removed_finishes() {
    let cluster = &mut members(3).await;
    let all = cluster.endpoints();
    let client = connect(&all[0]).await;
    client.put("k", "0").await.expect("a put");
    cluster.member(0).pause().expect("a running member");
    let mut putting = Box::pin(client.put("k", "1").timeout(SOON).into_future());
    // It is on its way from now on, to the only endpoint there is.
    assert!(futures_util::poll!(&mut putting).is_pending());
    let putting = tokio::spawn(putting);
    client.set_endpoints(&all[1..]).expect("set");
    client.get("k").await.expect("the new ones serve");
    assert!(!putting.is_finished());
    cluster.member(0).resume().expect("a paused member");
    let put = putting.await.expect("a task").expect("the put finishes");
    let kv = client.get("k").await.expect("a get").expect("the key");
    assert_eq!((kv.value, kv.version), ("1".into(), 2));
    assert!(kv.mod_revision <= put.header.revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_moves_with_the_endpoints() {
    let mut cluster = members(3).await;
    let all = cluster.endpoints();
    let client = connect(&all[0]).await;
    let mut watch = client.watch("k").await.expect("a watch");
    let first = client.put("k", "1").await.expect("a put");
    client.set_endpoints(&all[1..]).expect("set");
    // Not because it breaks, but because it was told to: the old endpoint is silent, not gone.
    cluster.member(0).pause().expect("a running member");
    let second = put(&client, "2").await;
    let mut seen = Vec::new();
    while seen.last() != Some(&second) {
        let update = tokio::time::timeout(SOON, watch.try_next());
        let update = update.await.expect("an update in time");
        let update = update.expect("no end").expect("an update");
        seen.extend(update.events().iter().map(|event| event.kv().mod_revision));
    }
    assert_eq!(seen.first(), Some(&first.header.revision));
    assert_eq!(seen.last(), Some(&second));
    cluster.member(0).resume().expect("a paused member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_of_another_cluster_can_be_given_and_end_watches() {
    let (here, there) = (members(1).await, members(1).await);
    let client = connect(here.endpoint()).await;
    client.put("where", "here").await.expect("a put");
    let mut watch = client.watch("where").await.expect("a watch");
    client.set_endpoints(there.endpoint()).expect("set");
    assert_eq!(client.get("where").await.expect("a get"), None);
    let end = tokio::time::timeout(SOON, async {
        loop {
            match watch.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the watch ended without a reason"),
                Err(error) => break error,
            }
        }
    });
    let error = end.await.expect("an end in time");
    assert!(
        matches!(
            error.end(),
            WatchEnd::OtherCluster { .. } | WatchEnd::WentBackwards { .. }
        ),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn round_robin_asks_all_members_and_pinned_one() {
    let mut cluster = members(3).await;
    let list = connect(cluster.endpoint()).await;
    let list = list.cluster().members().await.expect("a member list");
    let everybody: BTreeSet<_> = list.members.iter().map(|member| member.id).collect();

    let builder = || Client::builder().endpoints(cluster.endpoints());
    let spread = builder().connect().await.expect("a client");
    let pinned = builder().endpoint_mode(EndpointMode::Pinned);
    let pinned = pinned.connect().await.expect("a client");
    let start = Instant::now();
    let mut asked = BTreeSet::new();
    while asked != everybody {
        asked.insert(answering(&spread).await);
        assert!(start.elapsed() < SOON, "{asked:?} instead of {everybody:?}");
    }
    let favourite = answering(&pinned).await;
    for _ in 0..200 {
        assert_eq!(answering(&pinned).await, favourite);
    }

    let member = list.members.iter().find(|member| member.id == favourite);
    let url = &member.expect("a member").client_urls[0];
    let place = cluster.endpoints().iter().position(|known| known == url);
    let place = place.expect("the endpoint");
    cluster.member(place).kill().expect("a running member");
    let next = answering(&pinned).await;
    assert_ne!(next, favourite);
    for _ in 0..200 {
        assert_eq!(answering(&pinned).await, next);
    }
    cluster.member(place).restart().await.expect("a restart");
    while !answering_all(&spread, favourite).await {
        assert!(start.elapsed() < 3 * SOON, "the member is not asked again");
    }
    for _ in 0..200 {
        assert_eq!(answering(&pinned).await, next, "it goes back for nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_member_that_dies_is_left_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("ca");
    let identity = authority.server(&["127.0.0.1"]);
    let (certificate, key) = identity.write(folder.path(), "server");
    let plain = Cluster::builder(&newest()).members(3);
    let secure = plain.clone().tls(certificate, key);
    for builder in [plain, secure] {
        let mut cluster = start(&builder).await;
        let client = Client::builder()
            .endpoints(cluster.endpoints())
            .endpoint_mode(EndpointMode::Pinned)
            .request_timeout(2 * SOON)
            .tls(etcdkit::Tls::new().ca_pem(authority.pem()))
            .connect()
            .await
            .expect("a client");
        let list = client.cluster().members().await.expect("a member list");
        for endpoint in cluster.endpoints() {
            let status = client.maintenance().status(endpoint).await;
            status.expect("a connection to each member");
        }
        let pinned = answering(&client).await;
        let member = list.members.iter().find(|member| member.id == pinned);
        let url = &member.expect("a member").client_urls[0];
        let place = cluster.endpoints().iter().position(|known| known == url);
        let place = place.expect("the endpoint");
        cluster.member(place).kill().expect("a running member");
        let start = Instant::now();
        assert_ne!(answering(&client).await, pinned);
        // Without a sign of its death it would be doubted after a quarter of the time.
        assert!(start.elapsed() < SOON / 4, "{:?}", start.elapsed());
        println!("left after {:?}", start.elapsed());
    }
}

/// Whether a member is among those that answer.
async fn answering_all(client: &Client, wanted: MemberId) -> bool {
    for _ in 0..20 {
        if answering(client).await == wanted {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_everything() {
    let mut cluster = members(1).await;
    let proxy = Proxy::start(cluster.endpoint()).await.expect("a port");
    let client = connect(&proxy.endpoint()).await;
    client.put("k", "0").await.expect("a put");
    let mut watch = client.watch("k").await.expect("a watch");
    let lease = client.lease(Duration::from_secs(60)).await;
    let lease = lease.expect("a lease");
    cluster.member(0).pause().expect("a running member");
    let sent = proxy.passed(Direction::ToServer);
    let calls = [true, false].map(|write| {
        let client = client.clone();
        tokio::spawn(async move {
            match write {
                true => client.put("k", "1").timeout(SOON).await.map(drop),
                false => client.get("k").timeout(SOON).await.map(drop),
            }
        })
    });
    // Each has at least the heads of two frames and of a message, and pings and renewals are smaller.
    let start = Instant::now();
    while proxy.passed(Direction::ToServer) < sent + 60 {
        assert!(start.elapsed() < SOON, "the calls are not sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let start = Instant::now();
    let clone = client.clone();
    clone.close().await;
    let [put, get] = calls;
    let put = put.await.expect("a task").expect_err("closed");
    assert_eq!(
        (put.kind(), put.outcome()),
        (ErrorKind::Closed, Outcome::Unknown),
        "{put}"
    );
    let get = get.await.expect("a task").expect_err("closed");
    assert_eq!(
        (get.kind(), get.outcome()),
        (ErrorKind::Closed, Outcome::NotApplied),
        "{get}"
    );
    let error = tokio::time::timeout(SOON, watch.try_next());
    let error = error.await.expect("in time").expect_err("an end");
    assert_eq!(error.end(), &WatchEnd::Closed, "{error:?}");
    let lost = tokio::time::timeout(SOON, lease.lost()).await;
    assert_eq!(lost.expect("in time").reason(), LostReason::Closed);
    let later = client.put("k", "2").await.expect_err("closed");
    assert_eq!(
        (later.kind(), later.outcome(), later.attempts()),
        (ErrorKind::Closed, Outcome::NotApplied, 0)
    );
    let error = client.watch("k").await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    let error = client.lease(Duration::from_secs(10)).await;
    assert_eq!(error.expect_err("closed").kind(), ErrorKind::Closed);
    let error = client.sync_endpoints().await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    // At an endpoint of somebody else's, too.
    let status = client.maintenance().status(cluster.endpoint()).await;
    assert_eq!(status.expect_err("closed").kind(), ErrorKind::Closed);
    assert!(start.elapsed() < SOON / 2, "{:?}", start.elapsed());
    cluster.member(0).resume().expect("a paused member");
    while proxy.open_connections() > 0 {
        assert!(start.elapsed() < SOON, "connections stay open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.close().await;
}

/// With authentication on, the list of members wants a user, and so does each probe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_found_where_authentication_is_on() {
    for etcd in Binary::all().expect("real etcds") {
        let cluster = start(&Cluster::builder(&etcd).members(3)).await;
        let setup = connect(cluster.endpoint()).await;
        let auth = setup.auth();
        auth.user("root").add("secret").await.expect("a user");
        auth.user("root").grant_role("root").await.expect("a role");
        auth.enable().await.expect("authentication is on");
        let client = Client::builder()
            .endpoint(cluster.endpoint())
            .user("root", "secret")
            .connect()
            .await
            .expect("a client");
        let sync = client.sync_endpoints().await.expect("a sync");
        assert!(sync.rejected.is_empty(), "{:?}", sync.rejected);
        assert_eq!(set(sync.endpoints), set(cluster.endpoints()));
        for _ in 0..20 {
            put(&client, "v").await;
        }
    }
}

/// Changing endpoints is no failure of theirs, so no call may notice it, writes included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_endpoints_come_and_go() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let cluster = members(3).await;
    let all = cluster.endpoints();
    let client = connect(&all[0]).await;
    let mut watch = client.watch(KeyRange::prefix("k/")).await.expect("a watch");
    let enough = Arc::new(AtomicBool::new(false));
    let tasks = (0..8).map(|task| {
        let (client, enough) = (client.clone(), Arc::clone(&enough));
        tokio::spawn(async move {
            let mut number = 0;
            while number < 150 || !enough.load(Ordering::Relaxed) {
                let (key, value) = (format!("k/{task}"), number.to_string());
                client.put(&key, &value).await.expect("a put");
                let kv = client.get(&key).await.expect("a get").expect("the key");
                number += 1;
                assert_eq!((kv.value, kv.version), (value.into(), number));
            }
            number
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut changes = 0;
    while !tasks.iter().all(|task| task.is_finished()) {
        let mut some = all.clone();
        random.shuffle(&mut some);
        some.truncate(random.usize(1..=3));
        client.set_endpoints(&some).expect("set");
        changes += 1;
        enough.store(changes > 20, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(random.u64(0..15))).await;
    }
    let mut written = Vec::new();
    for task in tasks {
        written.push(task.await.expect("no call fails"));
    }
    println!("{changes} changes");

    // And the watch has missed nothing, over all its streams.
    let mut versions = vec![0; 8];
    while versions != written {
        let update = tokio::time::timeout(SOON, watch.try_next()).await;
        let update = update
            .expect("in time")
            .expect("no end")
            .expect("an update");
        for event in update.events() {
            let kv = event.kv();
            let task: usize = kv.key_str().expect("text")[2..].parse().expect("a number");
            assert_eq!(kv.version, versions[task] + 1, "{kv:?}");
            versions[task] = kv.version;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_under_load_ends_every_call() {
    let cluster = members(3).await;
    for round in 0..5 {
        let client = Client::connect(cluster.endpoints())
            .await
            .expect("a client");
        let tasks = (0..16).map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                loop {
                    let put = client.put(format!("{task}"), "v").timeout(2 * SOON).await;
                    if let Err(error) = put {
                        return error;
                    }
                }
            })
        });
        let tasks: Vec<_> = tasks.collect();
        tokio::time::sleep(Duration::from_millis(50 * round)).await;
        let start = Instant::now();
        client.close().await;
        for task in tasks {
            let error = task.await.expect("a task");
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        }
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    }
}
