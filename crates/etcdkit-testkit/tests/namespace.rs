//! A client in a namespace sees what it would see if it had the store to itself, and nothing outside of
//! the namespace is touched or seen.
//!
//! `ETCDKIT_SEED` repeats one run of random operations.

use std::{fmt::Debug, time::Duration};

use etcdkit::{
    Client, Compare, ErrorKind, Header, KeyRange, KeyValue, MemberId, Op, OpResponse, Outcome,
    Result, Revision, SortOrder, SortTarget, TxnResponse, Watch,
};
use etcdkit_proto::{etcdserverpb as pb, mvccpb};
use etcdkit_server::Server;
use etcdkit_testkit::{
    conformance::{CASES, run},
    etcd::{Binary, Cluster},
    fake::{FakeServer, Reply},
};

/// Its end carries over the last byte.
const NAMESPACE: &[u8] = b"name\xff";
/// Keys just outside of the namespace, the prefix itself among them.
const OUTSIDE: [&[u8]; 6] = [
    b"\0",
    b"name",
    b"name\xfe\xff",
    NAMESPACE,
    b"namf",
    b"\xff\xff",
];

/// Puts keys around the namespace; gives what must still be there in the end.
async fn surround(client: &Client) -> Vec<KeyValue> {
    for key in OUTSIDE {
        client.put(key, "outside").await.expect("a put");
    }
    client.range(..).await.expect("a read").kvs
}

/// All pairs that are not in the namespace.
async fn outside(client: &Client) -> Vec<KeyValue> {
    let mut kvs = client.range(..).await.expect("a read").kvs;
    kvs.retain(|kv| !kv.key.starts_with(NAMESPACE) || kv.key == NAMESPACE);
    kvs
}

async fn assert_battery_holds_inside(server: &str, client: &Client) {
    let before = surround(client).await;
    assert_eq!(before.len(), OUTSIDE.len());
    let inside = client.namespaced(NAMESPACE);
    if let Err(failed) = run(server, &inside, CASES).await {
        let list: Vec<String> = failed.iter().map(ToString::to_string).collect();
        panic!("{server}, in a namespace:\n{}", list.join("\n"));
    }
    assert_eq!(outside(client).await, before);

    let all = client.range(..).count_only().await.expect("a count").count;
    let within = inside.range(..).count_only().await.expect("a count").count;
    assert!(within > 0, "the battery leaves keys");
    assert_eq!(within, all - OUTSIDE.len() as i64);
    assert_eq!(inside.delete(..).await.expect("a delete").deleted, within);
    assert_eq!(client.range(..).await.expect("a read").kvs, before);
}

#[tokio::test]
async fn the_battery_holds_in_a_namespace_of_the_embedded_server() {
    let server = Server::builder().start().await.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    assert_battery_holds_inside("embedded", &client).await;
}

#[tokio::test]
async fn the_battery_holds_in_a_namespace_of_every_real_etcd() {
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoint()).await.expect("a client");
        assert_battery_holds_inside(&etcd.to_string(), &client).await;
    }
}

#[tokio::test]
async fn random_operations_answer_as_on_a_server_of_their_own() {
    let own = Server::builder().start().await.expect("a server");
    let shared = Server::builder().start().await.expect("a server");
    compare(&own.endpoint(), &shared.endpoint(), 3_000).await;
}

#[tokio::test]
async fn random_operations_answer_as_on_a_real_etcd_of_their_own() {
    let etcd = Binary::newest().expect("a real etcd");
    let own = Cluster::builder(&etcd).start().await.expect("a cluster");
    let shared = Cluster::builder(&etcd).start().await.expect("a cluster");
    compare(own.endpoint(), shared.endpoint(), 1_000).await;
}

/// Does the same on a server that holds nothing else, and in a namespace of one that holds more.
async fn compare(own: &str, shared: &str, rounds: usize) {
    let seed = std::env::var("ETCDKIT_SEED").map_or_else(
        |_| fastrand::u64(..),
        |seed| seed.parse().expect("ETCDKIT_SEED is a number"),
    );
    println!("ETCDKIT_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let own = Client::connect(own).await.expect("a client");
    let whole = Client::connect(shared).await.expect("a client");
    let (half, rest) = NAMESPACE.split_at(2);
    let inside = whole.namespaced(half).namespaced(rest);
    assert_eq!(inside.namespace(), NAMESPACE);

    // Both stores at the same revision, and neither with a past.
    let around = surround(&whole).await;
    for _ in 1..OUTSIDE.len() {
        own.put("x", "").await.expect("a put");
    }
    let base = own.delete("x").await.expect("a delete").header.revision;
    own.compact(base).physical().await.expect("a compaction");
    whole.compact(base).physical().await.expect("a compaction");

    let mut expected = watched(&own, base).await;
    let mut found = watched(&inside, base).await;
    for round in 0..rounds {
        let step = Step::random(&mut random, base);
        let expected = step.run(&own).await;
        let found = step.run(&inside).await;
        assert_eq!(found, expected, "round {round}: {step:?}");
    }
    assert_eq!(outside(&whole).await, around);

    let last = own.put("the end", "").await.expect("a put");
    inside.put("the end", "").await.expect("a put");
    let last = last.header.revision;
    let (expected, found) = (
        events(&mut expected, last).await,
        events(&mut found, last).await,
    );
    assert!(expected.len() > rounds / 10, "{} events", expected.len());
    assert_eq!(found, expected);
}

/// Watches everything that the client can see.
async fn watched(client: &Client, base: Revision) -> Watch {
    let watch = client.watch(..).from_revision(base + 1).prev_kv();
    watch.await.expect("a watch")
}

/// All changes up to a revision, as text.
async fn events(watch: &mut Watch, last: Revision) -> Vec<String> {
    let mut events = Vec::new();
    while watch.revision() < last {
        let update = watch.try_next().await.expect("an update").expect("more");
        events.extend(update.events().iter().map(|event| format!("{event:?}")));
    }
    events
}

/// One operation, to be done on any client.
#[derive(Debug)]
enum Step {
    Get(Vec<u8>),
    Put(Vec<u8>, u8),
    Range(KeyRange<'static>, Revision, Option<SortTarget>),
    Delete(KeyRange<'static>),
    Txn(Txn),
    Scan(KeyRange<'static>),
}

#[derive(Debug)]
struct Txn {
    when: Vec<Compare>,
    then: Vec<Op>,
    or_else: Vec<Op>,
}

impl Step {
    fn random(random: &mut fastrand::Rng, base: Revision) -> Self {
        match random.u32(..20) {
            0..2 => Self::Get(key(random)),
            2..8 => Self::Put(key(random), random.u8(..)),
            8..12 => {
                let revision = match random.bool() {
                    true => 0,
                    false => base - 2 + random.i64(..200),
                };
                let targets = [
                    SortTarget::Key,
                    SortTarget::Value,
                    SortTarget::Version,
                    SortTarget::CreateRevision,
                    SortTarget::ModRevision,
                ];
                let sort = random.bool().then(|| targets[random.usize(..5)]);
                Self::Range(keys(random), revision, sort)
            }
            12..14 => Self::Delete(keys(random)),
            14..19 => {
                let puts = random.bool();
                Self::Txn(txn(random, puts, 2))
            }
            _ => Self::Scan(keys(random)),
        }
    }

    /// What the client says, as text without what identifies the server.
    async fn run(&self, client: &Client) -> String {
        match self {
            Self::Get(key) => told(client.get(key).await, |_| {}),
            Self::Put(key, value) => told(client.put(key, [*value]).prev_kv().await, |put| {
                anonymous(&mut put.header);
            }),
            Self::Range(keys, revision, sort) => {
                let mut range = client.range(keys).revision(*revision).limit(7);
                if let Some(target) = sort {
                    range = range.sort_by(*target, SortOrder::Descending);
                }
                told(range.await, |range| anonymous(&mut range.header))
            }
            Self::Delete(keys) => told(client.delete(keys).prev_kv().await, |delete| {
                anonymous(&mut delete.header);
            }),
            Self::Txn(txn) => {
                let Txn {
                    when,
                    then,
                    or_else,
                } = txn;
                let call = client
                    .txn()
                    .when(when.iter().cloned())
                    .then(then.iter().cloned())
                    .or_else(or_else.iter().cloned());
                told(call.await, |txn| anonymous(&mut txn.header))
            }
            Self::Scan(keys) => {
                let mut scan = client.scan(keys).page_bytes(64);
                let mut found = Vec::new();
                let end = loop {
                    match scan.try_next().await {
                        Ok(Some(kv)) => found.push(kv),
                        Ok(None) => break Ok(()),
                        Err(error) => break Err(error),
                    }
                };
                format!("{found:?} {}", told(end, |()| {}))
            }
        }
    }
}

fn told<T: Debug>(result: Result<T>, anonymize: impl FnOnce(&mut T)) -> String {
    match result {
        Ok(mut answer) => {
            anonymize(&mut answer);
            format!("{answer:?}")
        }
        Err(error) => format!("{:?}: {}", error.kind(), error.message()),
    }
}

fn anonymous(header: &mut Header) {
    (header.cluster_id, header.member_id, header.raft_term) = (0, MemberId(0), 0);
}

fn key(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = match random.u32(..50) {
        0 => 0,
        _ => random.usize(1..3),
    };
    let alphabet = [0, 1, b'a', b'b', 0xfe, 0xff];
    (0..length).map(|_| alphabet[random.usize(..6)]).collect()
}

fn keys(random: &mut fastrand::Rng) -> KeyRange<'static> {
    match random.u32(..12) {
        0..2 => KeyRange::key(key(random)),
        2..5 => KeyRange::prefix(key(random)),
        5..7 => KeyRange::from_key(key(random)),
        7 => KeyRange::from(key(random)..=key(random)),
        8 => KeyRange::all(),
        _ => {
            // Mostly the right way round.
            let (a, b) = (key(random), key(random));
            match a > b && random.u32(..10) > 0 {
                true => KeyRange::range(b, a),
                false => KeyRange::range(a, b),
            }
        }
    }
}

/// A transaction that has puts or deletes on all its levels, never both: one that changes a key twice
/// is refused, but etcd overlooks some deletes without an end, which have one in a namespace.
fn txn(random: &mut fastrand::Rng, puts: bool, levels: usize) -> Txn {
    let number = random.i64(0..3);
    let when = (0..random.usize(..3)).map(|_| match random.u32(..5) {
        0 => Compare::exists(key(random)),
        1 => Compare::missing(key(random)),
        2 => Compare::version(keys(random)).lt(number),
        3 => Compare::value(keys(random)).ne([random.u8(..)]),
        _ => Compare::create_revision(keys(random)).gt(number),
    });
    let when = when.collect();
    let mut branch = || -> Vec<Op> {
        let mut ops = Vec::new();
        for _ in 0..random.usize(..4) {
            ops.push(match random.u32(..10) {
                0..4 if puts => Op::put(key(random), [random.u8(..)]).prev_kv(),
                0..4 => Op::delete(keys(random)).prev_kv(),
                4 => Op::get(key(random)),
                5..8 => Op::range(keys(random)).limit(random.i64(0..4)),
                _ if levels > 1 => {
                    let Txn {
                        when,
                        then,
                        or_else,
                    } = txn(random, puts, levels - 1);
                    Op::txn(when, then, or_else)
                }
                _ => Op::range(keys(random)).keys_only(),
            });
        }
        ops
    };
    Txn {
        then: branch(),
        or_else: branch(),
        when,
    }
}

#[tokio::test]
async fn what_is_at_the_edge_of_a_namespace_is_outside() {
    let server = Server::builder().start().await.expect("a server");
    let client = Client::builder()
        .endpoint(server.endpoint())
        .namespace("app/")
        .connect()
        .await
        .expect("a client");
    let whole = Client::connect(server.endpoint()).await.expect("a client");
    whole.put("app/", "the prefix itself").await.expect("a put");
    assert_eq!(client.range(..).await.expect("a read").count, 0);
    assert_eq!(client.delete(..).await.expect("a delete").deleted, 0);

    let error = client.put("", "v").await.expect_err("an empty key");
    assert_eq!(error.kind(), ErrorKind::EmptyKey);
    let error = client.get("").await.expect_err("an empty key");
    assert_eq!(error.kind(), ErrorKind::EmptyKey);
    let ops = client.txn().then([Op::delete("")]);
    let error = ops.await.expect_err("an empty key");
    assert_eq!(error.kind(), ErrorKind::EmptyKey);
    let error = client.watch("").await.expect_err("an empty key");
    assert_eq!(error.kind(), ErrorKind::EmptyKey);
    let error = client.list_then_watch("").await.expect_err("an empty key");
    assert_eq!(error.kind(), ErrorKind::EmptyKey);
    let error = client.scan("").try_next().await.expect_err("an empty key");
    assert_eq!(error.kind(), ErrorKind::EmptyKey);
    assert!(whole.get("app/").await.expect("a get").is_some());
}

#[tokio::test]
async fn the_keys_of_nested_answers_are_stripped() {
    let server = Server::builder().start().await.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    let app = client.namespaced("app/");
    app.put("k", "1").await.expect("a put");
    let inner = Op::txn(
        [Compare::exists("k")],
        [Op::get("k"), Op::put("k", "2").prev_kv()],
        [],
    );
    let answer = app.txn().then([inner]).await.expect("a transaction");
    let [OpResponse::Txn(TxnResponse { responses, .. })] = &answer.responses[..] else {
        panic!("{answer:?}");
    };
    let [OpResponse::Range(read), OpResponse::Put(put)] = &responses[..] else {
        panic!("{responses:?}");
    };
    assert_eq!(read.kvs[0].key, "k");
    assert_eq!(put.prev_kv.as_ref().expect("the pair before").key, "k");
}

#[tokio::test]
async fn watches_and_leases_show_what_is_inside() {
    let server = Server::builder().start().await.expect("a server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    let app = client.namespaced("app/");
    let mut watch = app.watch("a"..).prev_kv().await.expect("a watch");
    let mut listed = app.list_then_watch(..).await.expect("a list");
    assert!(listed.snapshot().is_empty());
    let lease = client.leases().grant(Duration::from_secs(60));
    let lease = lease.await.expect("a lease").id;

    for key in ["app", "app/", "app0", "zoo"] {
        client
            .put(key, "outside")
            .lease(lease)
            .await
            .expect("a put");
    }
    app.put("a", "1").lease(lease).await.expect("a put");
    let last = app.delete("a").await.expect("a delete").header.revision;

    let found = events(&mut watch, last).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().all(|event| !event.contains("app")),
        "{found:?}"
    );
    app.put("b", "1").lease(lease).await.expect("a put");
    let update = watch.try_next().await.expect("an update").expect("more");
    assert_eq!(update.events()[0].key(), "b");
    let update = listed.try_next().await.expect("an update").expect("more");
    assert_eq!(update.events()[0].key(), "a");

    let times = app.leases();
    let left = times.time_to_live(lease).keys().await.expect("an answer");
    assert_eq!(left.keys, ["b"]);
    let times = client.leases();
    let left = times.time_to_live(lease).keys().await.expect("an answer");
    assert_eq!(left.keys.len(), 5);
}

#[tokio::test]
async fn locks_and_elections_are_inside() {
    let etcd = Binary::newest().expect("a real etcd");
    let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
    let server = Server::builder().start().await.expect("a server");
    for endpoint in [cluster.endpoint().to_owned(), server.endpoint()] {
        let client = Client::connect(endpoint).await.expect("a client");
        let app = client.namespaced("app/");
        let lease = client.leases().grant(Duration::from_secs(60));
        let lease = lease.await.expect("a lease").id;

        let lock = app.lock_service().lock("l", lease).await.expect("a lock");
        assert!(lock.key.starts_with(b"l/"), "{lock:?}");
        let outside = [b"app/", &lock.key[..]].concat();
        assert!(client.get(&outside).await.expect("a get").is_some());
        app.lock_service()
            .unlock(&lock.key)
            .await
            .expect("unlocked");
        assert!(client.get(&outside).await.expect("a get").is_none());

        let elections = app.election_service();
        let won = elections.campaign("e", lease, "1").await.expect("won");
        assert_eq!(
            (&won.leader.name[..], &won.leader.key[..2]),
            (&b"e"[..], &b"e/"[..])
        );
        let proclaimed = elections.proclaim(&won.leader, "2").await;
        proclaimed.expect("still the leader");
        let leader = elections.leader("e").await.expect("a leader");
        let kv = leader.kv;
        assert_eq!((&kv.key, &kv.value[..]), (&won.leader.key, &b"2"[..]));
        let mut observed = elections.observe("e").await.expect("a stream");
        let first = observed.try_next().await.expect("an answer").expect("one");
        assert_eq!(first.kv.key, won.leader.key);
        let elsewhere = client.election_service();
        let error = elsewhere.leader("e").await.expect_err("another election");
        assert_eq!(error.kind(), ErrorKind::ElectionNoLeader);
        elections.resign(&won.leader).await.expect("resigned");

        // With the prefix in front it would be a key, but not one of the namespace.
        client.put("app/", "outside").await.expect("a put");
        let mut nobody = won.leader.clone();
        nobody.key.clear();
        for client in [&client, &app] {
            let error = client.lock_service().unlock("").await;
            assert_eq!(error.expect_err("an empty key").kind(), ErrorKind::EmptyKey);
            let error = client.election_service().proclaim(&nobody, "2").await;
            assert_eq!(error.expect_err("an empty key").kind(), ErrorKind::EmptyKey);
            let error = client.election_service().resign(&nobody).await;
            assert_eq!(error.expect_err("an empty key").kind(), ErrorKind::EmptyKey);
        }
        let kv = client.get("app/").await.expect("a get").expect("the key");
        assert_eq!(kv.value, "outside");
    }
}

#[tokio::test]
async fn a_server_that_answers_with_keys_from_elsewhere_is_not_believed() {
    let foreign = mvccpb::KeyValue {
        key: "other/k".into(),
        ..Default::default()
    };
    let server = FakeServer::start(move |path, _| match path {
        "/etcdserverpb.KV/Range" => Reply::message(&pb::RangeResponse {
            kvs: vec![foreign.clone()],
            count: 1,
            ..Default::default()
        }),
        _ => Reply::message(&pb::PutResponse {
            prev_kv: Some(foreign.clone()),
            ..Default::default()
        }),
    });
    let server = server.await.expect("a fake server");
    let client = Client::connect(server.endpoint()).await.expect("a client");
    let app = client.namespaced("app/");

    assert!(client.get("other/k").await.expect("a get").is_some());
    let error = app.get("k").await.expect_err("not ours");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("namespace"), "{error}");
    let error = app.range(..).await.expect_err("not ours");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    let error = app.scan(..).try_next().await.expect_err("not ours");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    let error = app.put("k", "v").prev_kv().await.expect_err("not ours");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
}
