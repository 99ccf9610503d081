//! Members that come, change and go, on real etcd.

use std::{
    slice,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, ErrorKind, Member, MemberId, Outcome, Result};
use etcdkit_proto::etcdserverpb as pb;
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    fake::{FakeServer, Reply},
};
use tokio::task::{JoinSet, LocalSet};

/// Members take each other for healthy after five seconds, and this is a busy machine's multiple.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on every etcd at the same time, because these tests mostly wait.
#[expect(
    clippy::future_not_send,
    reason = "tests are run on the thread that runs them all"
)]
async fn each_etcd<F>(test: impl Fn(Binary) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let run = async {
        let mut tests = JoinSet::new();
        for etcd in Binary::all().expect("a real etcd") {
            tests.spawn_local(test(etcd));
        }
        while let Some(ended) = tests.join_next().await {
            ended.expect("no assertion failed");
        }
    };
    LocalSet::new().run_until(run).await;
}

/// Repeats a request for as long as the server refuses it for a reason that passes.
async fn in_time<T>(passing: ErrorKind, request: impl AsyncFn() -> Result<T>) -> T {
    let start = Instant::now();
    loop {
        match request().await {
            Ok(answer) => return answer,
            Err(error) => {
                assert_eq!(error.kind(), passing, "{error}");
                assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
                assert!(start.elapsed() < PATIENCE, "still: {error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn find(members: &[Member], id: MemberId) -> &Member {
    let mut members = members.iter();
    members.find(|member| member.id == id).expect("the member")
}

#[tokio::test]
async fn a_member_is_added_promoted_updated_and_removed() {
    each_etcd(|etcd| async move {
        let mut cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        client.put("k", "v").await.expect("a put");
        let first = client.cluster().members().await.expect("a list");
        assert_eq!(first.members.len(), 1, "{etcd}");

        let newcomer = cluster.newcomer();
        let peer_url = newcomer.peer_url();
        let added = client.cluster().add(&peer_url).learner();
        let added = added.await.expect("an addition");
        assert_eq!(added.header.cluster_id, first.header.cluster_id);
        assert_eq!(added.member.peer_urls, slice::from_ref(&peer_url));
        assert!(added.member.is_learner, "{etcd}: {added:?}");
        assert_eq!(added.members.len(), 2, "{etcd}: {added:?}");
        let id = added.member.id;
        assert!(find(&added.members, id).name.is_empty(), "it does not run");

        let endpoint = cluster
            .join(newcomer)
            .expect("a process")
            .endpoint()
            .to_owned();
        let promoted = in_time(ErrorKind::LearnerNotReady, async || {
            client.cluster().promote(id).await
        });
        let promoted = promoted.await;
        assert!(!find(&promoted.members, id).is_learner, "{etcd}");
        cluster.member(1).ready().await.expect("it serves");
        let listed = client.cluster().members().await.expect("a list").members;
        assert_eq!(find(&listed, id).client_urls, slice::from_ref(&endpoint));
        assert_eq!(find(&listed, id).name, "m2");
        let of_it = Client::connect(&endpoint).await.expect("a client");
        let kv = of_it.get("k").await.expect("a get").expect("the key");
        assert_eq!(kv.value, "v", "{etcd}");

        let other_url = peer_url.replace("127.0.0.1", "localhost");
        let urls = [peer_url, other_url];
        let updated = client.cluster().update(id, &urls).await;
        let updated = updated.expect("an update");
        assert_eq!(find(&updated.members, id).peer_urls, urls, "{etcd}");

        let left = in_time(ErrorKind::Unhealthy, async || {
            client.cluster().remove(id).await
        });
        assert_eq!(left.await.members, first.members, "{etcd}");
        let error = client.cluster().remove(id).await.expect_err("it is gone");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::MemberNotFound, Outcome::NotApplied)
        );
        client.put("k", "w").await.expect("one member is a quorum");
    })
    .await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        let voter = client.cluster().members().await.expect("a list").members[0].clone();
        let nobody = MemberId(0xbad);
        let url = cluster.newcomer().peer_url();
        let learner = client.cluster().add(&url).learner().await;
        let learner = learner.expect("an addition").member.id;

        let cluster = client.cluster();
        for (what, kind, result) in [
            (
                "the member does not run",
                ErrorKind::LearnerNotReady,
                cluster.promote(learner).await.map(|_| ()),
            ),
            (
                "it votes already",
                ErrorKind::MemberNotLearner,
                cluster.promote(voter.id).await.map(|_| ()),
            ),
            (
                "promote nobody",
                ErrorKind::MemberNotFound,
                cluster.promote(nobody).await.map(|_| ()),
            ),
            (
                "update nobody",
                ErrorKind::MemberNotFound,
                cluster
                    .update(nobody, "http://127.0.0.1:1")
                    .await
                    .map(|_| ()),
            ),
            (
                "remove nobody",
                ErrorKind::MemberNotFound,
                cluster.remove(nobody).await.map(|_| ()),
            ),
            (
                "URLs of which one is taken",
                ErrorKind::PeerUrlExists,
                cluster.add([&url, "http://127.0.0.1:1"]).await.map(|_| ()),
            ),
            (
                "a URL that another member has",
                ErrorKind::PeerUrlExists,
                cluster.update(learner, &voter.peer_urls).await.map(|_| ()),
            ),
            (
                "a second learner",
                ErrorKind::TooManyLearners,
                cluster
                    .add("http://127.0.0.1:1")
                    .learner()
                    .await
                    .map(|_| ()),
            ),
        ] {
            let error = result.expect_err(what);
            assert_eq!(error.kind(), kind, "{etcd}, {what}: {error}");
            assert_eq!(error.outcome(), Outcome::NotApplied, "{etcd}, {what}");
        }
        for urls in ["", "127.0.0.1:2380", "http://127.0.0.1", "http://a:1/path"] {
            let error = cluster.add(urls).await.expect_err("a bad URL");
            assert_eq!(error.kind(), ErrorKind::MemberBadUrls, "{urls}: {error}");
            assert_eq!(error.attempts(), 0, "it was not sent");
            let error = cluster.update(learner, urls).await.expect_err("a bad URL");
            assert_eq!(error.kind(), ErrorKind::MemberBadUrls, "{urls}: {error}");
        }
        assert_eq!(cluster.members().await.expect("a list").members.len(), 2);
    }
}

#[tokio::test]
async fn a_change_that_could_cost_the_quorum_is_refused() {
    for etcd in Binary::all().expect("a real etcd") {
        let builder = Cluster::builder(&etcd).members(3);
        let mut cluster = builder.start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoints()[..2].to_vec()).await;
        let client = client.expect("a client");
        let members = client.cluster().members().await.expect("a list").members;
        cluster.member(2).kill().expect("a running member");
        // It may have been the leader.
        client.get("k").await.expect("a quorum with a leader");
        let url = cluster.newcomer().peer_url();
        let error = client
            .cluster()
            .add(&url)
            .await
            .expect_err("no quorum of 4");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Unhealthy, Outcome::NotApplied),
            "{etcd}: {error}"
        );
        let alive = members.iter().find(|member| member.name == "m2");
        let alive = alive.expect("the second member").id;
        let error = client.cluster().remove(alive).await.expect_err("one left");
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Unhealthy, Outcome::NotApplied),
            "{etcd}: {error}"
        );
        let dead = members.iter().find(|member| member.name == "m3");
        let dead = dead.expect("the third member").id;
        let left = in_time(ErrorKind::Unhealthy, async || {
            client.cluster().remove(dead).await
        });
        assert_eq!(left.await.members.len(), 2, "{etcd}: the dead one may go");
    }
}

#[tokio::test]
async fn a_list_is_of_the_quorum_unless_asked_otherwise() {
    for etcd in Binary::all().expect("a real etcd") {
        let builder = Cluster::builder(&etcd).members(3);
        let mut cluster = builder.start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        cluster.member(1).kill().expect("a running member");
        cluster.member(2).kill().expect("a running member");
        let local = client.cluster().members().serializable();
        let local = local.await.expect("its own list");
        assert_eq!(local.members.len(), 3, "{etcd}");
        if etcd.version().minor >= 5 {
            let list = client.cluster().members().timeout(Duration::from_secs(1));
            let error = list.await.expect_err("there is no quorum");
            assert_eq!(error.outcome(), Outcome::NotApplied, "{etcd}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_a_member_comes_and_another_goes() {
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).members(3).start().await;
    let mut cluster = cluster.expect("a cluster");
    let client = Client::connect(cluster.endpoints())
        .await
        .expect("a client");
    let stop = Arc::new(AtomicBool::new(false));
    let load = (0..4).map(|task| {
        let calls = Arc::new(AtomicUsize::new(0));
        let (client, stop, count) = (client.clone(), Arc::clone(&stop), Arc::clone(&calls));
        let load = tokio::spawn(async move {
            let key = format!("load/{task}");
            let mut in_doubt = 0;
            while !stop.load(Ordering::Relaxed) {
                let call = count.fetch_add(1, Ordering::Relaxed);
                match client.put(&key, call.to_string()).await {
                    Ok(_) => {}
                    // It was on its way to the member that goes, or by way of it to the others.
                    Err(error) if error.outcome() == Outcome::Unknown => in_doubt += 1,
                    Err(error) => panic!("{error}"),
                }
                client.get(&key).await.expect("a get");
            }
            in_doubt
        });
        (load, calls)
    });
    let load: Vec<_> = load.collect();

    let newcomer = cluster.newcomer();
    let added = in_time(ErrorKind::Unhealthy, async || {
        client.cluster().add(newcomer.peer_url()).learner().await
    });
    let id = added.await.member.id;
    cluster.join(newcomer).expect("a process");
    in_time(ErrorKind::LearnerNotReady, async || {
        client.cluster().promote(id).await
    })
    .await;
    let members = client.cluster().members().await.expect("a list").members;
    let first = members.iter().find(|member| member.name == "m1");
    let first = first.expect("the first member").id;
    let left = in_time(ErrorKind::Unhealthy, async || {
        client.cluster().remove(first).await
    });
    assert_eq!(left.await.members.len(), 3);
    let then: Vec<_> = load
        .iter()
        .map(|(_, calls)| calls.load(Ordering::Relaxed))
        .collect();
    let start = Instant::now();
    for ((_, calls), then) in load.iter().zip(then) {
        while calls.load(Ordering::Relaxed) < then + 50 {
            assert!(start.elapsed() < PATIENCE, "calls do not go on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for (load, _) in load {
        let in_doubt = load.await.expect("no other call fails");
        assert!(in_doubt <= 2, "{in_doubt} puts are in doubt");
    }
}

#[tokio::test]
async fn a_change_of_unknown_outcome_is_not_made_twice() {
    const ADD: &str = "/etcdserverpb.Cluster/MemberAdd";
    let server = FakeServer::start(|_, _| Reply::Close)
        .await
        .expect("a port");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    let error = client.cluster().add("http://127.0.0.1:1").await;
    let error = error.expect_err("no answer");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Disconnected, Outcome::Unknown),
        "{error}"
    );
    assert_eq!(server.paths(), [ADD]);

    let server = FakeServer::start(|_, before| match before {
        0 => Reply::Status(14, "etcdserver: no leader"),
        _ => Reply::message(&pb::MemberAddResponse::default()),
    });
    let server = server.await.expect("a port");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    let added = client.cluster().add("http://127.0.0.1:1").await;
    added.expect("what was refused is sent again");
    assert_eq!(server.paths(), [ADD, ADD]);
}
