//! The client against servers that break the rules of TCP, HTTP/2 or gRPC: typed errors in time, never
//! a panic, and no write sent twice that may have been applied.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use etcdkit::{Client, ErrorKind, Outcome};
use etcdkit_proto::{
    etcdserverpb::{PutResponse, RangeResponse, ResponseHeader},
    mvccpb::KeyValue,
};
use etcdkit_testkit::fake::{DisowningEndpoint, FakeServer, Reply, frame, grpc_headers, success};
use h2::Reason;
use http::{HeaderMap, HeaderValue, StatusCode};
use prost::Message;

/// Long enough for what succeeds on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(4);
/// What a loaded machine may add to a deadline.
const GRACE: Duration = Duration::from_secs(6);

/// How long something may take that is bound to happen.
const PATIENCE: Duration = Duration::from_secs(60);

fn range_response() -> RangeResponse {
    RangeResponse {
        header: Some(ResponseHeader {
            revision: 7,
            ..Default::default()
        }),
        kvs: vec![KeyValue {
            key: "k".into(),
            value: "v".into(),
            ..Default::default()
        }],
        count: 1,
        more: false,
    }
}

/// The proper answer to a request.
fn proper(path: &str) -> Reply {
    match path {
        "/etcdserverpb.KV/Range" => Reply::message(&range_response()),
        "/etcdserverpb.KV/Put" => Reply::message(&PutResponse {
            header: Some(ResponseHeader {
                revision: 8,
                ..Default::default()
            }),
            prev_kv: None,
        }),
        other => panic!("unexpected request {other}"),
    }
}

async fn server(behave: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> FakeServer {
    FakeServer::start(behave).await.expect("a fake server")
}

fn client(server: &FakeServer) -> Client {
    Client::builder()
        .endpoint(server.endpoint())
        .request_timeout(DEADLINE)
        .connect_lazy()
        .expect("a client")
}

/// Fails when a call takes longer than its deadline.
async fn in_time<T>(call: impl IntoFuture<Output = T>) -> T {
    let start = Instant::now();
    let result = call.await;
    assert!(start.elapsed() < DEADLINE + GRACE, "{:?}", start.elapsed());
    result
}

#[tokio::test]
async fn the_fake_server_can_also_behave() {
    let server = server(|path, _| proper(path)).await;
    let client = Client::connect(server.endpoint()).await.expect("a client");
    client.put("k", "v").await.expect("a put");
    let kv = client.get("k").await.expect("a get").expect("the key");
    assert_eq!(kv.value, "v");
    assert_eq!(
        server.paths(),
        ["/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range"]
    );
}

#[tokio::test]
async fn a_server_that_never_answers_cannot_hold_a_call() {
    let server = server(|_, _| Reply::Nothing).await;
    let client = client(&server);
    let error = in_time(client.put("k", "v")).await.expect_err("no answer");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::Unknown)
    );
    assert_eq!(error.endpoint(), Some(&*server.endpoint()));
    let error = in_time(client.get("k")).await.expect_err("no answer");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::NotApplied)
    );
    let error = in_time(client.scan(..).try_next())
        .await
        .expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let puts = server
        .paths()
        .iter()
        .filter(|path| path.ends_with("Put"))
        .count();
    assert_eq!(puts, 1, "a put that may have been applied is not repeated");
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_on_the_wire() {
    let server = server(|_, _| Reply::Nothing).await;
    let client = client(&server);
    for round in 1..=3 {
        let mut call = Box::pin(client.put("k", "v").into_future());
        tokio::select! {
            _ = &mut call => panic!("the server never answers"),
            () = server.wait_for(move |counts| counts.requests == round) => {}
        }
        drop(call);
        let cancelled = server.wait_for(move |counts| counts.cancelled == round);
        tokio::time::timeout(PATIENCE, cancelled)
            .await
            .expect("a cancellation");
    }
    assert_eq!(server.counts().connections, 1, "only the stream ends");
}

#[tokio::test]
async fn a_timed_out_call_is_cancelled_on_the_wire() {
    let server = server(|_, _| Reply::Nothing).await;
    let client = client(&server);
    client.put("k", "v").await.expect_err("no answer");
    let cancelled = server.wait_for(|counts| counts.cancelled == 1);
    tokio::time::timeout(PATIENCE, cancelled)
        .await
        .expect("a cancellation");
}

#[tokio::test]
async fn a_server_that_goes_away_politely_costs_no_call() {
    const CALLS: usize = 400;
    let server = server(|path, before| match proper(path) {
        Reply::Message(message) if before % 10 == 9 => Reply::MessageAndGoAway(message),
        reply => reply,
    })
    .await;
    let client = client(&server);
    for _ in 0..CALLS / 2 {
        in_time(client.put("k", "v")).await.expect("a put");
        in_time(client.get("k")).await.expect("a get");
    }
    assert_eq!(server.counts().requests, CALLS, "nothing was sent twice");
    assert!(
        server.counts().connections > CALLS / 20,
        "{:?}",
        server.counts()
    );
}

#[tokio::test]
async fn a_refused_stream_is_sent_again() {
    let server = server(|path, before| match before % 3 {
        2 => proper(path),
        _ => Reply::Reset(Reason::REFUSED_STREAM),
    })
    .await;
    let client = client(&server);
    in_time(client.put("k", "v")).await.expect("a put");
    in_time(client.get("k")).await.expect("a get");
    assert_eq!(server.counts().requests, 6);
}

#[tokio::test]
async fn a_disowned_request_is_sent_elsewhere() {
    let disowning = DisowningEndpoint::start().await.expect("a port");
    let good = server(|path, _| proper(path)).await;
    let client = Client::builder()
        .endpoints([disowning.endpoint(), good.endpoint()])
        .connect_lazy()
        .expect("a client");
    let mut puts = 0;
    while disowning.disowned() < 5 {
        in_time(client.put("k", "v")).await.expect("a put");
        puts += 1;
    }
    assert_eq!(good.counts().requests, puts, "each put was processed once");
}

#[tokio::test]
async fn a_broken_connection_fails_a_put_once_and_a_read_not_at_all() {
    let half = frame(&range_response().encode_to_vec()).slice(..8);
    let breaks = [
        Reply::Close,
        Reply::CloseAfter(Bytes::new()),
        Reply::CloseAfter(half),
        Reply::Reset(Reason::INTERNAL_ERROR),
        Reply::Reset(Reason::CANCEL),
    ];
    for reply in breaks {
        let about = format!("{reply:?}");
        let server = server(move |path, before| match before % 2 {
            0 => reply.clone(),
            _ => proper(path),
        })
        .await;
        let client = client(&server);
        let get = in_time(client.get("k")).await;
        assert!(get.is_ok(), "{about}: {get:?}");
        assert_eq!(server.counts().requests, 2, "{about}");
        let error = in_time(client.put("k", "v")).await.expect_err(&about);
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{about}: {error:?}");
        assert_eq!(error.outcome(), Outcome::Unknown, "{about}: {error:?}");
        assert_eq!(server.counts().requests, 3, "{about}");
        in_time(client.put("k", "v"))
            .await
            .unwrap_or_else(|error| panic!("{about}, then a put: {error:?}"));
    }
}

#[tokio::test]
async fn a_server_that_always_breaks_ends_reads_in_time() {
    let server = server(|_, _| Reply::CloseAfter(Bytes::from_static(&[0, 0]))).await;
    let client = client(&server);
    let error = in_time(client.get("k")).await.expect_err("no answer");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.attempts() > 1, "{error:?}");
}

fn raw(status: StatusCode, headers: HeaderMap, body: &[u8], trailers: Option<HeaderMap>) -> Reply {
    Reply::Raw {
        status,
        headers,
        body: vec![Bytes::copy_from_slice(body)],
        trailers,
    }
}

fn with(mut headers: HeaderMap, name: &'static str, value: &'static [u8]) -> HeaderMap {
    headers.insert(
        name,
        HeaderValue::from_bytes(value).expect("a header value"),
    );
    headers
}

fn prefixed(flag: u8, length: u32, body: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(flag);
    framed.put_u32(length);
    framed.put_slice(body);
    framed.freeze()
}

/// Answers that no etcd gives, what is wrong with each, and what the client should call it.
fn malformed() -> Vec<(&'static str, Reply, ErrorKind)> {
    use ErrorKind::{Protocol, ResponseTooLarge, Server};
    let message = range_response().encode_to_vec();
    let good = frame(&message);
    let ok = StatusCode::OK;
    let none = HeaderMap::new;
    vec![
        (
            "an empty body",
            raw(ok, grpc_headers(), b"", Some(success())),
            Protocol,
        ),
        ("half a prefix", Reply::frames([good.slice(..3)]), Protocol),
        ("half a message", Reply::frames([good.slice(..9)]), Protocol),
        (
            "a message too many",
            Reply::frames([good.clone(), good.clone()]),
            Protocol,
        ),
        (
            "half a message too many",
            Reply::frames([good.clone(), good.slice(..7)]),
            Protocol,
        ),
        (
            "a compressed message",
            Reply::frames([prefixed(1, 4, b"abcd")]),
            Protocol,
        ),
        (
            "an unknown flag",
            Reply::frames([prefixed(0xff, 4, b"abcd")]),
            Protocol,
        ),
        (
            "a promise of 4 GiB",
            Reply::frames([prefixed(0, u32::MAX, b"abcd")]),
            ResponseTooLarge,
        ),
        (
            "a promise of 2 GiB",
            Reply::frames([prefixed(0, i32::MAX as u32, b"abcd")]),
            Protocol,
        ),
        ("no protobuf", Reply::frames([frame(&[0xff; 20])]), Protocol),
        (
            "a field that ends too soon",
            Reply::frames([frame(&message[..message.len() - 1])]),
            Protocol,
        ),
        (
            "no trailers",
            raw(ok, grpc_headers(), &good, None),
            Protocol,
        ),
        (
            "no body and no trailers",
            Reply::Raw {
                status: ok,
                headers: grpc_headers(),
                body: vec![],
                trailers: None,
            },
            Protocol,
        ),
        (
            "trailers without a status",
            raw(ok, grpc_headers(), &good, Some(with(none(), "x", b"y"))),
            Protocol,
        ),
        (
            "a success in the head",
            raw(ok, with(grpc_headers(), "grpc-status", b"0"), b"", None),
            Protocol,
        ),
        (
            "a status of words",
            raw(
                ok,
                grpc_headers(),
                b"",
                Some(with(none(), "grpc-status", b"fine")),
            ),
            Server,
        ),
        (
            "an unknown status",
            raw(
                ok,
                grpc_headers(),
                b"",
                Some(with(none(), "grpc-status", b"99")),
            ),
            Server,
        ),
        (
            "a huge status",
            raw(
                ok,
                grpc_headers(),
                b"",
                Some(with(none(), "grpc-status", b"99999999999999999999")),
            ),
            Server,
        ),
        (
            "a message that is not text",
            raw(
                ok,
                grpc_headers(),
                b"",
                Some(with(
                    with(none(), "grpc-status", b"2"),
                    "grpc-message",
                    b"%ff\xfe%",
                )),
            ),
            Server,
        ),
        (
            "HTML",
            raw(
                ok,
                with(none(), "content-type", b"text/html"),
                b"<html>",
                None,
            ),
            Protocol,
        ),
        (
            "no content type",
            raw(ok, none(), &good, Some(success())),
            Protocol,
        ),
        (
            "HTTP 404",
            raw(
                StatusCode::NOT_FOUND,
                with(none(), "content-type", b"text/plain"),
                b"404 page not found",
                None,
            ),
            Protocol,
        ),
        (
            "HTTP 301",
            raw(
                StatusCode::MOVED_PERMANENTLY,
                with(none(), "location", b"http://elsewhere"),
                b"",
                None,
            ),
            Protocol,
        ),
        (
            "HTTP 500",
            raw(StatusCode::INTERNAL_SERVER_ERROR, grpc_headers(), b"", None),
            Protocol,
        ),
    ]
}

#[tokio::test]
async fn malformed_answers_are_typed_errors() {
    for (what, reply, expected) in malformed() {
        let sent = reply.clone();
        let server = server(move |path, before| match before {
            0 | 1 => sent.clone(),
            _ => proper(path),
        })
        .await;
        let client = client(&server);
        let error = in_time(client.get("k")).await.expect_err(what);
        assert_eq!(error.kind(), expected, "{what}: {error:?}");
        assert_eq!(error.outcome(), Outcome::NotApplied, "{what}: {error:?}");
        assert_eq!(error.endpoint(), Some(&*server.endpoint()), "{what}");
        let error = in_time(client.put("k", "v")).await.expect_err(what);
        assert_eq!(error.outcome(), Outcome::Unknown, "{what}: {error:?}");
        assert_eq!(server.counts().requests, 2, "{what}: the put was repeated");

        let get = in_time(client.get("k")).await;
        assert!(get.is_ok(), "after {what}: {get:?}");
    }
}

/// etcd's texts decide, with or without the right code.
#[tokio::test]
async fn refusals_are_known_by_their_text() {
    let refusals = [
        (
            3,
            "etcdserver: key is not provided",
            ErrorKind::EmptyKey,
            Outcome::NotApplied,
        ),
        (
            8,
            "etcdserver: mvcc: database space exceeded",
            ErrorKind::NoSpace,
            Outcome::Unknown,
        ),
        (
            2,
            "etcdserver: mvcc: database space exceeded",
            ErrorKind::NoSpace,
            Outcome::Unknown,
        ),
        (
            15,
            "etcdserver: corrupt cluster",
            ErrorKind::Corrupt,
            Outcome::NotApplied,
        ),
        (
            12,
            "unknown method Put",
            ErrorKind::Unimplemented,
            Outcome::NotApplied,
        ),
        (
            14,
            "etcdserver: request timed out",
            ErrorKind::ServerTimeout,
            Outcome::Unknown,
        ),
        (
            14,
            "etcdserver: server stopped",
            ErrorKind::Stopped,
            Outcome::Unknown,
        ),
        (14, "something new", ErrorKind::Server, Outcome::Unknown),
        (13, "something new", ErrorKind::Server, Outcome::Unknown),
    ];
    for (code, text, kind, outcome) in refusals {
        let server = server(move |_, _| Reply::Status(code, text)).await;
        let client = client(&server);
        let error = in_time(client.put("k", "v")).await.expect_err(text);
        assert_eq!(
            (error.kind(), error.outcome()),
            (kind, outcome),
            "{error:?}"
        );
        assert_eq!(error.message(), text);
        assert_eq!(server.counts().requests, 1, "{text}: the put was repeated");
    }
}

#[tokio::test]
async fn refusals_that_pass_are_waited_out() {
    for text in [
        "etcdserver: no leader",
        "etcdserver: too many requests",
        "raft proposal dropped",
    ] {
        let code = if text.ends_with("leader") { 14 } else { 2 };
        let server = server(move |path, before| match before {
            0..3 => Reply::Status(code, text),
            _ => proper(path),
        })
        .await;
        let client = client(&server);
        let put = client.put("k", "v").timeout(PATIENCE).await;
        assert!(put.is_ok(), "{text}: {put:?}");
        assert_eq!(server.counts().requests, 4);
    }
}

#[tokio::test]
async fn a_lying_endpoint_does_not_spoil_a_good_one() {
    let bad = server(|_, _| Reply::Nothing).await;
    let good = server(|path, _| proper(path)).await;
    let builder = Client::builder().endpoints([bad.endpoint(), good.endpoint()]);
    let client = builder.connect().await.expect("a client");
    let start = Instant::now();
    for _ in 0..200 {
        client.get("k").await.expect("a get");
    }
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert!(bad.counts().requests <= 20, "{:?}", bad.counts());
}

#[tokio::test]
async fn answers_beyond_the_limit_are_refused() {
    let server = server(|_, _| {
        let mut response = range_response();
        response.kvs[0].value = vec![b'x'; 100_000].into();
        Reply::message(&response)
    })
    .await;
    let builder = Client::builder()
        .endpoint(server.endpoint())
        .request_timeout(DEADLINE);
    let small = builder
        .max_receive_bytes(50_000)
        .connect_lazy()
        .expect("a client");
    let error = in_time(small.get("k")).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
    let kv = client(&server)
        .get("k")
        .await
        .expect("a get")
        .expect("the key");
    assert_eq!(kv.value.len(), 100_000);
}

#[tokio::test]
async fn answers_in_tiny_pieces_are_put_together() {
    let server = server(|_, _| {
        let good = frame(&range_response().encode_to_vec());
        Reply::frames((0..good.len()).map(|index| good.slice(index..=index)))
    })
    .await;
    let kv = client(&server)
        .get("k")
        .await
        .expect("a get")
        .expect("the key");
    assert_eq!(kv.value, "v");
}
