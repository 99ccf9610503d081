//! Members that come, change and go, on real etcd.

use std::{
    future::IntoFuture,
    slice,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{ChangeMember, Client, Cluster, ErrorKind, IntoEndpoints, Member, MemberId, Outcome};
use etcdkit_proto::etcdserverpb as pb;
use etcdkit_testkit::{
    etcd::{self, Binary},
    fake::{FakeServer, Reply},
    proxy::Proxy,
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

/// How long a request may take. A change that a follower passes on to a leader that has just gone is
/// never answered (etcd waits as long as the client does), and has to be asked for again.
const ATTEMPT: Duration = Duration::from_secs(10);

async fn connect(endpoints: impl IntoEndpoints) -> Client {
    let client = Client::builder().endpoints(endpoints);
    let client = client.request_timeout(ATTEMPT).connect().await;
    client.expect("a client")
}

/// Repeats a promotion or removal for as long as it is refused for a reason that passes, or nobody knows
/// what became of it; answers the members.
async fn in_time<'a>(
    client: &'a Client,
    passing: ErrorKind,
    change: impl Fn(Cluster<'a>) -> ChangeMember<'a>,
) -> Vec<Member> {
    let start = Instant::now();
    let mut in_doubt = false;
    loop {
        match change(client.cluster()).await {
            Ok(list) => return list.members,
            Err(error) => {
                assert!(start.elapsed() < PATIENCE, "still: {error}");
                match error.outcome() {
                    Outcome::Unknown => in_doubt = true,
                    Outcome::NotApplied => match error.kind() {
                        ErrorKind::MemberNotFound | ErrorKind::MemberNotLearner if in_doubt => {
                            let list = client.cluster().members().await;
                            return list.expect("a list").members;
                        }
                        kind => assert_eq!(kind, passing, "{error}"),
                    },
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Adds a learner, as soon as the cluster takes one; answers which.
async fn learner_added(client: &Client, peer_url: &str) -> MemberId {
    let start = Instant::now();
    loop {
        let error = match client.cluster().add(peer_url).learner().await {
            Ok(added) => return added.member.id,
            Err(error) => error,
        };
        assert!(start.elapsed() < PATIENCE, "still: {error}");
        if error.outcome() == Outcome::Unknown {
            let list = client.cluster().members().await.expect("a list");
            let mut members = list.members.into_iter();
            if let Some(added) = members.find(|member| member.peer_urls == [peer_url]) {
                return added.id;
            }
        } else {
            assert_eq!(error.kind(), ErrorKind::Unhealthy, "{error}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn find(members: &[Member], id: MemberId) -> &Member {
    let mut members = members.iter();
    members.find(|member| member.id == id).expect("the member")
}

#[tokio::test]
async fn a_member_is_added_promoted_updated_and_removed() {
    each_etcd(|etcd| async move {
        // It becomes a cluster of two, with the election timeout of such.
        let builder = etcd::Cluster::builder(&etcd).election_timeout(Duration::from_millis(500));
        let mut cluster = builder.start().await.expect("a cluster");
        let client = connect(cluster.endpoint()).await;
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
        let promoted = in_time(&client, ErrorKind::LearnerNotReady, |cluster| {
            cluster.promote(id)
        });
        assert!(!find(&promoted.await, id).is_learner, "{etcd}");
        cluster.member(1).ready().await.expect("it serves");
        let listed = client.cluster().members().await.expect("a list").members;
        assert_eq!(find(&listed, id).client_urls, slice::from_ref(&endpoint));
        assert_eq!(find(&listed, id).name, "m2");
        let of_it = connect(&endpoint).await;
        let kv = of_it.get("k").await.expect("a get").expect("the key");
        assert_eq!(kv.value, "v", "{etcd}");

        let other_url = peer_url.replace("127.0.0.1", "localhost");
        let urls = [peer_url, other_url];
        let updated = client.cluster().update(id, &urls).await;
        let updated = updated.expect("an update");
        assert_eq!(find(&updated.members, id).peer_urls, urls, "{etcd}");

        let left = in_time(&client, ErrorKind::Unhealthy, |cluster| cluster.remove(id));
        assert_eq!(left.await, first.members, "{etcd}");
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
        let cluster = etcd::Cluster::builder(&etcd)
            .start()
            .await
            .expect("a cluster");
        let client = connect(cluster.endpoint()).await;
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
        let builder = etcd::Cluster::builder(&etcd).members(3);
        let mut cluster = builder.start().await.expect("a cluster");
        let client = connect(&cluster.endpoints()[..2]).await;
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
        let left = in_time(&client, ErrorKind::Unhealthy, |cluster| {
            cluster.remove(dead)
        });
        assert_eq!(left.await.len(), 2, "{etcd}: the dead one may go");
    }
}

#[tokio::test]
async fn a_list_is_of_the_quorum_unless_asked_otherwise() {
    for etcd in Binary::all().expect("a real etcd") {
        let builder = etcd::Cluster::builder(&etcd).members(3);
        let mut cluster = builder.start().await.expect("a cluster");
        let client = connect(cluster.endpoint()).await;
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
    let cluster = etcd::Cluster::builder(&etcd).members(3).start().await;
    let mut cluster = cluster.expect("a cluster");
    let client = connect(cluster.endpoints()).await;
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
    let id = learner_added(&client, &newcomer.peer_url()).await;
    cluster.join(newcomer).expect("a process");
    in_time(&client, ErrorKind::LearnerNotReady, |cluster| {
        cluster.promote(id)
    })
    .await;
    let members = client.cluster().members().await.expect("a list").members;
    let first = members.iter().find(|member| member.name == "m1");
    let first = first.expect("the first member").id;
    let left = in_time(&client, ErrorKind::Unhealthy, |cluster| {
        cluster.remove(first)
    });
    assert_eq!(left.await.len(), 3);
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
    for (load, calls) in load {
        let in_doubt = load.await.expect("no other call fails");
        // What is under way when the leader goes, or loses its majority for a moment.
        let calls = calls.load(Ordering::Relaxed);
        assert!(
            in_doubt * 10 <= calls,
            "{in_doubt} of {calls} puts are in doubt"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_member_but_one_is_removed_by_way_of_itself() {
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = etcd::Cluster::builder(&etcd).members(4).start().await;
        let cluster = cluster.expect("a cluster");
        let [going @ .., staying] = &cluster.endpoints()[..] else {
            panic!("a cluster of four");
        };
        let direct = connect(staying).await;
        for (number, going) in going.iter().enumerate() {
            let name = format!("m{}", number + 1);
            let members = direct.cluster().members().await.expect("a list").members;
            let id = members.iter().find(|member| member.name == name);
            let id = id.expect("a member of the cluster").id;
            // Until it is removed there is no other endpoint to ask.
            let proxy = Proxy::start(staying).await.expect("a proxy");
            proxy.refuse().await.expect("a refusal");
            let client = connect([going.clone(), proxy.endpoint()]).await;
            let left = in_time(&client, ErrorKind::Unhealthy, |cluster| cluster.remove(id));
            let (left, ()) = tokio::join!(left, async {
                let is_there = async || {
                    let list = direct.cluster().members().serializable().await;
                    let members = list.expect("a list").members;
                    members.iter().any(|member| member.id == id)
                };
                while is_there().await {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                proxy.accept().await.expect("a listener");
            });
            assert_eq!(left.len(), members.len() - 1, "{etcd}: {name} goes");
            assert!(left.iter().all(|member| member.id != id), "{etcd}");
        }
        // Once it has noticed that the leader is gone.
        let start = Instant::now();
        while let Err(error) = direct.put("k", "v").await {
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert!(
                start.elapsed() < PATIENCE,
                "one member is a quorum: {error}"
            );
        }
    }
}

const ADD: &str = "/etcdserverpb.Cluster/MemberAdd";
const LIST: &str = "/etcdserverpb.Cluster/MemberList";
const PROMOTE: &str = "/etcdserverpb.Cluster/MemberPromote";
const REMOVE: &str = "/etcdserverpb.Cluster/MemberRemove";
const UPDATE: &str = "/etcdserverpb.Cluster/MemberUpdate";

const STOPPED: Reply = Reply::Status(14, "etcdserver: server stopped");
const NOT_FOUND: Reply = Reply::Status(5, "etcdserver: member not found");

/// The answer to a list: of so many voters, and of a learner or not.
fn listed(voters: impl IntoIterator<Item = u64>, learner: Option<u64>) -> Reply {
    let voter = |id| (id, false);
    let learner = learner.map(|id| (id, true));
    let members = voters.into_iter().map(voter).chain(learner);
    let members = members.map(|(id, is_learner)| pb::Member {
        id,
        is_learner,
        ..Default::default()
    });
    Reply::message(&pb::MemberListResponse {
        members: members.collect(),
        ..Default::default()
    })
}

/// A server that answers one request after the other like this, and a client of it.
async fn answering(replies: impl IntoIterator<Item = Reply>) -> (FakeServer, Client) {
    let replies: Vec<_> = replies.into_iter().collect();
    let server = FakeServer::start(move |path, before| match replies.get(before) {
        Some(reply) => reply.clone(),
        None => panic!("one too many: {path}"),
    });
    let server = server.await.expect("a port");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    (server, client)
}

#[tokio::test]
async fn a_member_that_is_not_found_after_an_attempt_of_unknown_outcome_was_removed() {
    for lost in [STOPPED, Reply::Close] {
        let (server, client) = answering([lost, NOT_FOUND, listed([1, 3], None)]).await;
        let left = client.cluster().remove(MemberId(2)).await;
        let ids = |members: &[Member]| members.iter().map(|member| member.id).collect::<Vec<_>>();
        let left = left.expect("it was removed");
        assert_eq!(ids(&left.members), [MemberId(1), MemberId(3)]);
        assert_eq!(server.paths(), [REMOVE, REMOVE, LIST]);
    }
}

#[tokio::test]
async fn a_list_from_before_the_removal_is_not_the_answer() {
    let old = listed([1, 2, 3], None);
    let (server, client) = answering([STOPPED, NOT_FOUND, old, listed([1, 3], None)]).await;
    let left = client.cluster().remove(MemberId(2)).await;
    assert_eq!(left.expect("it was removed").members.len(), 2);
    assert_eq!(server.paths(), [REMOVE, REMOVE, LIST, LIST]);
}

#[tokio::test]
async fn a_member_that_was_not_found_at_once_was_not_removed() {
    let (server, client) = answering([NOT_FOUND]).await;
    let error = client.cluster().remove(MemberId(2)).await;
    let error = error.expect_err("there was none");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::MemberNotFound, Outcome::NotApplied)
    );
    assert_eq!(server.paths(), [REMOVE]);
}

#[tokio::test]
async fn the_list_tells_whether_a_removal_in_doubt_was_made() {
    let unhealthy = Reply::Status(14, "etcdserver: unhealthy cluster");
    let replies = [STOPPED, unhealthy.clone(), listed([1, 3], None)];
    let (server, client) = answering(replies).await;
    let left = client.cluster().remove(MemberId(2)).await;
    assert_eq!(left.expect("it was removed").members.len(), 2);
    assert_eq!(server.paths(), [REMOVE, REMOVE, LIST]);

    let replies = [STOPPED, unhealthy, listed([1, 2, 3], None)];
    let (server, client) = answering(replies).await;
    let error = client.cluster().remove(MemberId(2)).await;
    let error = error.expect_err("it may still be removed");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unhealthy, Outcome::Unknown)
    );
    assert_eq!(server.paths(), [REMOVE, REMOVE, LIST]);
}

#[tokio::test]
async fn a_removal_that_nobody_answers_ends_in_time() {
    let server = FakeServer::start(|_, _| Reply::Close)
        .await
        .expect("a port");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    let removal = client.cluster().remove(MemberId(2));
    let removal = removal.timeout(Duration::from_millis(300));
    let ended = tokio::time::timeout(PATIENCE, removal.into_future()).await;
    let error = ended.expect("it has a deadline").expect_err("no answer");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(error.operation(), Some("member remove"), "{error}");
}

#[tokio::test]
async fn a_voter_after_an_attempt_of_unknown_outcome_was_promoted() {
    let voter = Reply::Status(9, "etcdserver: can only promote a learner member");
    let replies = [
        Reply::Close,
        voter.clone(),
        listed([1], Some(2)),
        listed([1, 2], None),
    ];
    let (server, client) = answering(replies).await;
    let members = client.cluster().promote(MemberId(2)).await;
    let members = members.expect("it was promoted").members;
    assert!(!find(&members, MemberId(2)).is_learner);
    assert_eq!(server.paths(), [PROMOTE, PROMOTE, LIST, LIST]);

    let (server, client) = answering([voter]).await;
    let error = client.cluster().promote(MemberId(2)).await;
    let error = error.expect_err("it voted before");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::MemberNotLearner, Outcome::NotApplied)
    );
    assert_eq!(server.paths(), [PROMOTE]);
}

#[tokio::test]
async fn a_change_that_is_not_final_is_not_made_twice() {
    let in_doubt = |error: etcdkit::Error| {
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Disconnected, Outcome::Unknown),
            "{error}"
        );
    };
    let (server, client) = answering([Reply::Close]).await;
    let error = client.cluster().add("http://127.0.0.1:1").await;
    in_doubt(error.expect_err("no answer"));
    assert_eq!(server.paths(), [ADD]);

    let (server, client) = answering([Reply::Close]).await;
    let update = client.cluster().update(MemberId(2), "http://127.0.0.1:1");
    in_doubt(update.await.expect_err("no answer"));
    assert_eq!(server.paths(), [UPDATE]);

    let no_leader = Reply::Status(14, "etcdserver: no leader");
    let added = Reply::message(&pb::MemberAddResponse::default());
    let (server, client) = answering([no_leader, added]).await;
    let added = client.cluster().add("http://127.0.0.1:1").await;
    added.expect("what was refused is sent again");
    assert_eq!(server.paths(), [ADD, ADD]);
}
