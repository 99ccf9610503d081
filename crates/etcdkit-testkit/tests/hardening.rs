//! The client under stress: slow, frozen, refusing and fickle endpoints, limits of HTTP/2 and of etcd, and
//! floods of calls that are cancelled or tried again.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use etcdkit::{Client, ErrorKind, KeyRange, Outcome};
use etcdkit_proto::{
    etcdserverpb::{PutResponse, RangeResponse, ResponseHeader},
    mvccpb::KeyValue,
};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    fake::{Disown, DisowningEndpoint, FakeServer, Limits, Reply, grpc_headers, refusing_endpoint},
    proxy::{PingLog, Proxy},
};
use h2::Reason;
use http::StatusCode;

/// How long something may take that is bound to happen.
const PATIENCE: Duration = Duration::from_secs(60);

const LEARNER: Reply = Reply::Status(14, "etcdserver: rpc not supported for learner");

const MILLISECOND: Duration = Duration::from_millis(1);

/// The proper answer to a request.
fn proper(path: &str) -> Reply {
    let header = Some(ResponseHeader {
        revision: 7,
        ..Default::default()
    });
    match path {
        "/etcdserverpb.KV/Range" => Reply::message(&RangeResponse {
            header,
            ..Default::default()
        }),
        "/etcdserverpb.KV/Put" => Reply::message(&PutResponse {
            header,
            prev_kv: None,
        }),
        other => panic!("unexpected request {other}"),
    }
}

async fn server(behave: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> FakeServer {
    FakeServer::start(behave).await.expect("a fake server")
}

fn client(endpoint: impl AsRef<str>) -> Client {
    let builder = Client::builder().endpoint(endpoint);
    builder.connect_lazy().expect("a client")
}

/// A connected client that would wait for long.
async fn patient(endpoint: impl AsRef<str>) -> Client {
    let builder = Client::builder().endpoint(endpoint);
    let builder = builder.connect_timeout(PATIENCE).request_timeout(PATIENCE);
    builder.connect().await.expect("a client")
}

async fn etcd(flags: &[&str]) -> Cluster {
    let etcd = Binary::newest().expect("a real etcd");
    let mut builder = Cluster::builder(&etcd);
    for flag in flags {
        builder = builder.flag(*flag);
    }
    builder.start().await.expect("a cluster")
}

/// Fails when what is bound to happen does not.
async fn soon<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let happens = tokio::time::timeout(PATIENCE, happens);
    happens.await.unwrap_or_else(|_| panic!("not {what}"))
}

/// etcd looks at its quota when it applies a write, too; it has then applied it, and answers the same.
#[tokio::test]
async fn no_space_never_claims_that_nothing_was_applied() {
    let cluster = etcd(&["--quota-backend-bytes=33554432"]).await;
    let client = Client::connect(cluster.endpoint()).await.expect("a client");
    let value = vec![b'x'; 64 << 10];
    let writers = (0..100).map(|writer| {
        let (client, value) = (client.clone(), value.clone());
        tokio::spawn(async move {
            for number in 0.. {
                let key = format!("{writer}/{number}");
                let put = client.put(&key, &value).timeout(Duration::from_secs(30));
                if let Err(error) = put.await {
                    return (key, error);
                }
            }
            unreachable!("the store has a quota")
        })
    });
    let mut applied = 0;
    for writer in writers.collect::<Vec<_>>() {
        let (key, error) = writer.await.expect("a writer");
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error:?}");
        assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
        applied += usize::from(client.get(&key).await.expect("a get").is_some());
    }
    println!("{applied} of 100 writes that failed with NoSpace were applied");
}

#[tokio::test]
async fn a_slow_read_is_heard_out_where_there_is_no_other_endpoint() {
    let slow = server(|path, _| Reply::Late(1800 * MILLISECOND, Box::new(proper(path)))).await;
    let client = client(slow.endpoint());
    // A quarter of it has gone by when the answer comes.
    let get = client.get("k").timeout(6000 * MILLISECOND).await;
    assert!(get.is_ok(), "{get:?}");
    assert_eq!(slow.counts().requests, 1, "it was sent again");
}

#[tokio::test]
async fn no_call_fails_because_many_are_tried_again() {
    let first = std::sync::OnceLock::new();
    let server = server(move |path, _| {
        let without_leader = first.get_or_init(Instant::now).elapsed() < 1500 * MILLISECOND;
        match without_leader {
            true => Reply::Status(14, "etcdserver: no leader"),
            false => proper(path),
        }
    })
    .await;
    let client = client(server.endpoint());
    let puts = (0..200).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.put("k", "v").timeout(PATIENCE).await })
    });
    for put in puts.collect::<Vec<_>>() {
        let put = put.await.expect("a task");
        assert!(put.is_ok(), "{put:?}");
    }
    println!("{} requests", server.counts().requests);
}

/// Answers that come for cancelled requests are no error of the server's.
#[tokio::test]
async fn cancelled_reads_disturb_nobody_on_the_connection() {
    const ROUNDS: usize = 200;
    const READS: usize = 100;
    let cluster = etcd(&[]).await;
    let proxy = Proxy::start(cluster.endpoint()).await.expect("a port");
    let client = Client::connect(proxy.endpoint()).await.expect("a client");
    let done = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (client, done) = (client.clone(), Arc::clone(&done));
        async move {
            let mut written = 0;
            while !done.load(Ordering::Relaxed) {
                client.put("k", "v").await.expect("a put");
                written += 1;
            }
            written
        }
    });
    for _ in 0..ROUNDS {
        let reads = (0..READS).map(|_| client.get("k").into_future());
        let mut reads: Vec<_> = reads.map(Box::pin).collect();
        for read in &mut reads {
            // Polled once, it is on its way.
            poll_fn(|cx| {
                assert!(read.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        // The connection's task sends them; then they are cancelled while the server works.
        tokio::task::yield_now().await;
        drop(reads);
        client.get("k").await.expect("a get");
    }
    done.store(true, Ordering::Relaxed);
    let written = writing.await.expect("no put fails");
    println!("{written} puts among {} cancelled reads", ROUNDS * READS);
    assert_eq!(proxy.connections(), 1, "the connection broke");
}

/// etcd closes connections on which pings come less than five seconds apart while it has nothing to
/// say. So many calls may time out meanwhile.
#[tokio::test]
async fn unanswered_calls_do_not_make_pings_come_too_often() {
    const APART: Duration = Duration::from_secs(5);
    let silent = server(|_, _| Reply::Nothing).await;
    let log = PingLog::start(&silent.endpoint()).await.expect("a port");
    let client = client(log.endpoint());
    let calls = (0..4).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            loop {
                let deadline = 550 * MILLISECOND;
                match number % 2 {
                    0 => client.put("k", "v").timeout(deadline).await.map(|_| ()),
                    _ => client.get("k").timeout(deadline).await.map(|_| ()),
                }
                .expect_err("no answer");
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    // One opens the connection, and one finds out why nobody answers.
    soon("two pings", log.wait_for(2)).await;
    for call in calls {
        assert!(!call.is_finished(), "a call did not time out");
        call.abort();
    }
    assert_eq!(silent.counts().connections, 1);
    for pings in log.pings().windows(2) {
        let gap = pings[1] - pings[0];
        assert!(gap >= APART, "a ping {gap:?} after another");
    }
}

#[tokio::test]
async fn an_endpoint_that_always_refuses_is_asked_ever_more_rarely() {
    const FOR: Duration = Duration::from_secs(5);
    let learner = server(|_, _| LEARNER).await;
    let voter = server(|path, _| proper(path)).await;
    let builder = Client::builder().endpoints([learner.endpoint(), voter.endpoint()]);
    let client = builder.connect_lazy().expect("a client");
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < FOR || learner.counts().requests == 0 {
        assert!(start.elapsed() < PATIENCE, "the learner was never asked");
        client.put("k", "v").await.expect("a put");
        client.get("k").await.expect("a get");
        calls += 2;
        tokio::time::sleep(5 * MILLISECOND).await;
    }
    let (asked, took) = (learner.counts().requests, start.elapsed());
    println!("{calls} calls in {took:?}, {asked} of them to the learner");
    // At once, after 1 s, after 2 s more, and then after 4 s.
    let times = (0..).map(|asked| Duration::from_secs((1 << asked) - 1));
    let most = times.take_while(|time| *time <= took).count();
    assert!(asked <= most, "it was asked {asked} times in {took:?}");
    assert_eq!(voter.counts().requests, calls, "each call was served once");
}

/// As a router does to connections that it has forgotten.
#[tokio::test]
async fn a_connection_that_died_unnoticed_costs_no_read() {
    let server = server(|path, _| proper(path)).await;
    let proxy = Proxy::start(&server.endpoint()).await.expect("a port");
    let client = client(proxy.endpoint());
    client.put("k", "v").await.expect("a put");
    proxy.freeze();
    let get = client.get("k").timeout(Duration::from_secs(20)).await;
    assert!(get.is_ok(), "{get:?}");
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn a_client_outlives_the_runtime_it_was_first_used_in() {
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let servers = runtime();
    let server = servers.block_on(server(|path, _| proper(path)));
    let client = client(server.endpoint());
    for _ in 0..3 {
        // Dropped with its connection after each round.
        let put = runtime().block_on(client.put("k", "v").into_future());
        assert!(put.is_ok(), "{put:?}");
    }
    assert_eq!(server.counts().requests, 3);
}

#[tokio::test]
async fn refused_streams_fail_no_put_and_leave_no_connection_behind() {
    let server = server(|path, before| match before {
        0..5 => Reply::Reset(Reason::REFUSED_STREAM),
        _ => proper(path),
    })
    .await;
    let client = client(server.endpoint());
    client.put("k", "v").await.expect("a put");
    let clone = client.clone();
    drop(client);
    clone.put("k", "v").await.expect("a put through a clone");
    drop(clone);
    let closed = server.wait_for(|counts| counts.closed == counts.connections);
    soon("all connections closed", closed).await;
    assert_eq!(server.counts().requests, 7);
    assert_eq!(server.counts().connections, 1);
}

#[tokio::test]
async fn a_put_that_waited_for_its_turn_was_not_applied() {
    let limits = Limits {
        streams: Some(1),
        ..Limits::default()
    };
    let server = FakeServer::start_with(limits, |_, _| Reply::Nothing).await;
    let server = server.expect("a fake server");
    let client = client(server.endpoint());
    let first = tokio::spawn(client.put("a", "v").timeout(PATIENCE).into_future());
    server.wait_for(|counts| counts.requests == 1).await;
    let put = client.put("b", "v").timeout(300 * MILLISECOND);
    let error = put.await.expect_err("no turn");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error:?}");
    assert_eq!(server.counts().requests, 1, "the second put was sent");
    first.abort();
}

#[tokio::test]
async fn connecting_to_a_learner_works_at_once() {
    let limits = Limits {
        learner: true,
        ..Limits::default()
    };
    let learner = FakeServer::start_with(limits, |_, _| LEARNER).await;
    let learner = learner.expect("a fake server");
    let start = Instant::now();
    let client = patient(learner.endpoint()).await;
    assert!(start.elapsed() < PATIENCE / 2, "it hesitated");
    assert_eq!(learner.counts().requests, 1);
    let get = client.get("k").timeout(1000 * MILLISECOND).await;
    let error = get.expect_err("learners refuse reads");
    assert_eq!(error.kind(), ErrorKind::NotSupportedForLearner);
}

#[tokio::test]
async fn a_learner_among_the_endpoints_fails_no_call() {
    let mut cluster = etcd(&[]).await;
    let voter = cluster.endpoint().to_owned();
    let direct = Client::connect(&voter).await.expect("a client");
    direct.put("k", "v").await.expect("a put");
    let learner = cluster.add_learner().await.expect("a learner");
    let learner = learner.endpoint().to_owned();
    let local = client(&learner);
    let learning = async {
        // Local reads are what it serves, once it has learnt something.
        while !matches!(local.get("k").serializable().await, Ok(Some(_))) {
            tokio::time::sleep(10 * MILLISECOND).await;
        }
    };
    soon("a learner that has learnt", learning).await;

    let start = Instant::now();
    patient(&learner).await;
    assert!(start.elapsed() < PATIENCE / 2, "it hesitated");
    let error = local.get("k").timeout(1000 * MILLISECOND).await;
    let error = error.expect_err("learners refuse reads");
    assert_eq!(error.kind(), ErrorKind::NotSupportedForLearner, "{error:?}");

    let both = Client::connect([&learner, &voter]).await.expect("a client");
    for number in 0..200 {
        both.put("k", number.to_string()).await.expect("a put");
        let kv = both.get("k").await.expect("a get").expect("the key");
        assert_eq!(kv.value, number.to_string());
        both.get("k").serializable().await.expect("a local get");
    }
}

#[tokio::test]
async fn what_a_gateway_answers_for_its_server_is_unavailability() {
    for status in [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ] {
        let gateway = server(move |_, _| Reply::Raw {
            status,
            headers: grpc_headers(),
            body: vec!["no healthy upstream".into()],
            trailers: None,
        })
        .await;
        let error = client(gateway.endpoint()).put("k", "v").await;
        let error = error.expect_err("the gateway has no server");
        assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
        assert_eq!(gateway.counts().requests, 1, "{status}: a put was repeated");

        let good = server(|path, _| proper(path)).await;
        let builder = Client::builder().endpoints([gateway.endpoint(), good.endpoint()]);
        let client = builder.connect_lazy().expect("a client");
        let reading = async {
            while gateway.counts().requests == 1 {
                client.get("k").await.expect("a get");
            }
        };
        soon("a read sent to the gateway", reading).await;
    }
}

/// A server that has begun to answer has processed the request, whatever it says later.
#[tokio::test]
async fn a_put_whose_answer_has_begun_is_never_sent_again() {
    for how in [Disown::HeadThenGoAway, Disown::HeadThenRefused] {
        let fickle = DisowningEndpoint::start_by(how).await.expect("a port");
        let client = client(fickle.endpoint());
        let error = client.put("k", "v").await.expect_err("half an answer");
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{how:?}: {error:?}");
        assert_eq!(error.outcome(), Outcome::Unknown, "{how:?}: {error:?}");
        assert_eq!(error.attempts(), 1, "{how:?}: {error:?}");
    }
}

#[tokio::test]
async fn timeouts_without_end_are_taken() {
    let server = server(|path, _| proper(path)).await;
    let builder = || {
        let builder = Client::builder().connect_timeout(Duration::MAX);
        let builder = builder.request_timeout(Duration::MAX);
        builder.keep_alive(Duration::MAX, Duration::MAX)
    };
    let client = builder().endpoint(server.endpoint()).connect().await;
    let client = client.expect("a client");
    client.put("k", "v").await.expect("a put");
    let get = client.get("k").timeout(Duration::MAX).await;
    assert_eq!(get.expect("a get"), None);
    for serializable in [false, true] {
        let mut scan = client.scan(..).timeout(Duration::MAX);
        if serializable {
            scan = scan.serializable();
        }
        assert_eq!(scan.try_next().await.expect("a scan"), None);
    }
    let refused = builder().endpoint(refusing_endpoint()).connect();
    let error = soon("refused", refused).await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Connect);
}

/// A proxy that cannot pass on long streams must not cost a scan one for each page.
#[tokio::test]
async fn a_scan_gives_streams_up_that_always_break() {
    const PAGE: usize = 100;
    const PAGES: usize = 20;
    let page = AtomicUsize::new(0);
    let server = server(move |path, _| match path {
        "/etcdserverpb.KV/RangeStream" => Reply::Reset(Reason::INTERNAL_ERROR),
        _ => {
            let page = page.fetch_add(1, Ordering::Relaxed);
            let kvs = (0..PAGE).map(|pair| KeyValue {
                key: format!("{:05}", page * PAGE + pair).into(),
                ..Default::default()
            });
            Reply::message(&RangeResponse {
                header: Some(ResponseHeader {
                    revision: 7,
                    ..Default::default()
                }),
                kvs: kvs.collect(),
                more: page + 1 < PAGES,
                count: ((PAGES - page) * PAGE) as i64,
            })
        }
    })
    .await;
    let client = client(server.endpoint());
    let mut scan = client.scan(KeyRange::all());
    let mut found = 0;
    while let Some(kv) = scan.try_next().await.expect("a page") {
        assert_eq!(kv.key, format!("{found:05}"));
        found += 1;
    }
    assert_eq!(found, PAGE * PAGES);
    let paths = server.paths();
    let streams = paths.iter().filter(|path| path.ends_with("RangeStream"));
    assert_eq!(streams.count(), 2);
    assert_eq!(paths.len(), PAGES + 2);
}
