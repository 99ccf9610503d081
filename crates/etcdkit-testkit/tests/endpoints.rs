//! The client among endpoints that are dead, silent, dying and lying: on real etcd and on fakes.

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, ErrorKind, Outcome};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    fake::{SilentEndpoint, refusing_endpoint},
    proxy::Proxy,
};

/// What a loaded machine may add to a deadline.
const GRACE: Duration = Duration::from_secs(3);

/// What nobody has to wait for where something happens at once.
const AGES: Duration = Duration::from_secs(60);

async fn one_member() -> Cluster {
    let etcd = Binary::newest().expect("a real etcd");
    Cluster::builder(&etcd).start().await.expect("a cluster")
}

/// The error and all its causes, as a reader of a log sees them.
fn story(error: &etcdkit::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_live_endpoint_of_three_serves_everything() {
    const CALLS: usize = 10_000;
    const TASKS: usize = 20;
    let cluster = one_member().await;
    let silent = SilentEndpoint::start().await.expect("a port");
    let endpoints = [
        refusing_endpoint(),
        silent.endpoint(),
        cluster.endpoint().to_owned(),
    ];

    let start = Instant::now();
    let client = Client::builder()
        .endpoints(endpoints)
        .connect_timeout(AGES)
        .connect()
        .await
        .expect("one endpoint is live");
    assert!(start.elapsed() < AGES / 2, "the dead ones held it up");

    let tasks = (0..TASKS).map(|task| {
        let client = client.clone();
        tokio::spawn(async move {
            for call in 0..CALLS / TASKS {
                let key = format!("{task}/{call}");
                client.put(&key, "v").await.expect("a put");
                let kv = client.get(&key).await.expect("a get");
                assert_eq!(kv.expect("the key").value, "v");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no call fails");
    }
}

#[tokio::test]
async fn a_call_without_a_live_endpoint_fails_in_time_and_says_why() {
    let silent = SilentEndpoint::start().await.expect("a port");
    let refusing = refusing_endpoint();
    let deadline = Duration::from_millis(800);
    let client = Client::builder()
        .endpoints([refusing.clone(), silent.endpoint()])
        .connect_timeout(Duration::from_millis(200))
        .request_timeout(deadline)
        .connect_lazy()
        .expect("a client");

    let start = Instant::now();
    let put = client.put("k", "v").await.expect_err("nobody is there");
    let get = client.get("k").await.expect_err("nobody is there");
    assert!(
        start.elapsed() < 2 * deadline + GRACE,
        "{:?}",
        start.elapsed()
    );
    for error in [put, get] {
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(error.attempts(), 0, "it was never sent");
        let story = story(&error);
        assert!(story.contains("refused"), "{story}");
        assert!(story.contains("no answer"), "{story}");
        for endpoint in [&refusing, &silent.endpoint()] {
            assert!(
                story.contains(endpoint.as_str()),
                "{story} does not name {endpoint}"
            );
        }
    }

    let start = Instant::now();
    let hopeless = Client::builder().endpoint(refusing);
    let hopeless = hopeless.connect_timeout(AGES).request_timeout(AGES);
    let error = hopeless.connect().await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(start.elapsed() < AGES / 2, "a refusal is known at once");
}

#[tokio::test]
async fn calls_recover_when_an_endpoint_comes_back() {
    let mut cluster = one_member().await;
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    for round in 0..3 {
        client.put("k", round.to_string()).await.expect("a put");
        cluster.member(0).kill().expect("a running member");
        // The first may still have gone out on the dying connection.
        let error = loop {
            let put = client
                .put("k", round.to_string())
                .timeout(Duration::from_millis(300));
            match put.await.expect_err("nobody is there") {
                // Or have been about to.
                error if error.kind() == ErrorKind::Timeout => {}
                error if error.outcome() == Outcome::Unknown => {}
                error => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");

        // A call that begins while nobody is there ends well once somebody is.
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.get("k").timeout(Duration::from_secs(30)).await }
        });
        cluster.member(0).restart().await.expect("a restart");
        let kv = waiting.await.expect("a task").expect("a get");
        assert_eq!(kv.expect("the key").value, round.to_string());
    }
}

#[tokio::test]
async fn a_read_survives_the_restart_it_is_caught_in() {
    let mut cluster = one_member().await;
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    client.put("k", "v").await.expect("a put");
    cluster.member(0).pause().expect("a running member");
    let reading = tokio::spawn({
        let client = client.clone();
        async move { client.get("k").timeout(Duration::from_secs(30)).await }
    });
    tokio::task::yield_now().await;
    cluster.member(0).restart().await.expect("a restart");
    let kv = reading.await.expect("a task").expect("a get");
    assert_eq!(kv.expect("the key").value, "v");
}

/// A server that is alive but stands still: no call may outlast its deadline.
#[tokio::test]
async fn a_paused_server_cannot_hold_a_call() {
    let mut cluster = one_member().await;
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    client.put("k", "v").await.expect("a put");
    cluster.member(0).pause().expect("a running member");
    let deadline = Duration::from_secs(1);
    let start = Instant::now();
    let put = client
        .put("k", "w")
        .timeout(deadline)
        .await
        .expect_err("no answer");
    assert!(
        (deadline..deadline + GRACE).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        (put.kind(), put.outcome()),
        (ErrorKind::Timeout, Outcome::Unknown)
    );
    let start = Instant::now();
    let get = client
        .get("k")
        .timeout(deadline)
        .await
        .expect_err("no answer");
    assert!(start.elapsed() < deadline + GRACE, "{:?}", start.elapsed());
    assert_eq!(get.outcome(), Outcome::NotApplied);
    cluster.member(0).resume().expect("a running member");
    client.get("k").await.expect("it answers again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_is_applied_at_most_once_under_connection_drops() {
    const PUTS: usize = 400;
    let cluster = one_member().await;
    let proxy = Arc::new(Proxy::start(cluster.endpoint()).await.expect("a port"));
    let client = Client::connect(proxy.endpoint()).await.expect("a client");
    let done = Arc::new(AtomicBool::new(false));
    let ended = Arc::new(AtomicUsize::new(0));
    let cutting = tokio::spawn({
        let (proxy, done, ended) = (Arc::clone(&proxy), Arc::clone(&done), Arc::clone(&ended));
        async move {
            let mut before = 0;
            while !done.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..30))).await;
                // However slow the machine is, a put gets through between two cuts.
                let now = ended.load(Ordering::Relaxed);
                if now > before {
                    before = now;
                    proxy.cut();
                }
            }
        }
    });

    let start = Instant::now();
    let (mut applied, mut unknown, mut revisions) = (0, 0, Vec::new());
    for number in 0.. {
        if number >= PUTS && unknown > 0 {
            break;
        }
        assert!(start.elapsed() < 2 * AGES, "no cut hits a put");
        let put = client.put("k", number.to_string()).await;
        ended.fetch_add(1, Ordering::Relaxed);
        match put {
            Ok(put) => {
                applied += 1;
                revisions.push(put.header.revision);
            }
            Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
            Err(error) => panic!("a put that was not applied is sent again: {error:?}"),
        }
    }
    done.store(true, Ordering::Relaxed);
    cutting.await.expect("a task");

    let direct = Client::connect(cluster.endpoint()).await.expect("a client");
    let version = direct
        .get("k")
        .await
        .expect("a get")
        .map_or(0, |kv| kv.version);
    println!("{applied} applied, {unknown} unknown, version {version}");
    assert!(applied <= version && version <= applied + unknown);
    assert!(
        revisions.is_sorted_by(|a, b| a < b),
        "one revision for each put"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_never_fail_while_one_member_of_three_is_down() {
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = Cluster::builder(&etcd)
        .members(3)
        .start()
        .await
        .expect("a cluster");
    let client = Client::connect(cluster.endpoints())
        .await
        .expect("a client");
    client.put("k", "0").await.expect("a put");

    let done = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicI64::new(0));
    let readers = (0..4).map(|_| {
        let (client, done, reads) = (client.clone(), Arc::clone(&done), Arc::clone(&reads));
        tokio::spawn(async move {
            let mut newest = 0;
            while !done.load(Ordering::Relaxed) {
                let kv = client.get("k").timeout(AGES).await.expect("a get");
                let kv = kv.expect("the key");
                assert!(kv.mod_revision >= newest, "a read went back in time");
                newest = kv.mod_revision;
                reads.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let mut slowest = Duration::ZERO;
    // Each member in turn, so the leader, too.
    for member in 0..3 {
        cluster.member(member).kill().expect("a running member");
        for _ in 0..20 {
            let start = Instant::now();
            let put = client.put("k", "1").await;
            slowest = slowest.max(start.elapsed());
            if let Err(error) = put {
                assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
            }
        }
        let before = reads.load(Ordering::Relaxed);
        while reads.load(Ordering::Relaxed) < before + 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(
                readers.iter().all(|reader| !reader.is_finished()),
                "a read failed"
            );
        }
        cluster.member(member).restart().await.expect("a restart");
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.expect("no read fails");
    }
    println!(
        "{} reads, slowest put {slowest:?}",
        reads.load(Ordering::Relaxed)
    );
    assert!(
        slowest < Duration::from_secs(5) + GRACE,
        "a put outlasted its deadline"
    );
}

/// Every request of a client says that it needs a leader, so that a member cut off from its quorum
/// refuses at once and certainly, instead of holding a write and answering that it may be applied.
#[tokio::test]
async fn without_a_quorum_writes_are_refused_and_local_reads_answered() {
    let etcd = Binary::newest().expect("a real etcd");
    let mut cluster = Cluster::builder(&etcd)
        .members(3)
        .start()
        .await
        .expect("a cluster");
    let client = Client::connect(cluster.endpoints())
        .await
        .expect("a client");
    client.put("k", "v").await.expect("a put");
    for member in [1, 2] {
        cluster.member(member).kill().expect("a running member");
    }
    let left = cluster.endpoint().to_owned();
    let noticing = async {
        let status = || client.maintenance().status(left.as_str()).into_future();
        while status().await.expect("a status").leader.is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), noticing)
        .await
        .expect("the member notices that it is alone");

    let deadline = Duration::from_secs(2);
    let start = Instant::now();
    for error in [
        client.put("k", "w").timeout(deadline).await.map(|_| ()),
        client.delete("k").timeout(deadline).await.map(|_| ()),
        client.get("k").timeout(deadline).await.map(|_| ()),
    ] {
        let error = error.expect_err("there is no leader");
        assert_eq!(error.kind(), ErrorKind::NoLeader, "{error:?}");
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error:?}");
    }
    assert!(
        start.elapsed() < 3 * deadline + GRACE,
        "{:?}",
        start.elapsed()
    );
    let kv = client.get("k").serializable().await.expect("a local read");
    assert_eq!(kv.expect("the key").value, "v");

    // A write that begins now ends well when the quorum comes back.
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.put("k", "w").timeout(Duration::from_secs(60)).await }
    });
    cluster.member(1).restart().await.expect("a restart");
    waiting.await.expect("a task").expect("a put");
}
