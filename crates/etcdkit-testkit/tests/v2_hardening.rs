//! The v2 client against servers, networks and clocks that do what they should not.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use etcdkit::{
    Outcome, Tls,
    v2::{Client, ClientBuilder, ErrorKind, Migration, ResyncReason, WatchEvent},
};
use etcdkit_server::Server;
use etcdkit_testkit::{
    certificates::Authority,
    fake::http1::{FakeHttp, Reply, Request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{sleep, timeout},
};

/// Nothing that certainly comes takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

async fn fake(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> FakeHttp {
    FakeHttp::start(script).await.expect("a port")
}

fn client(endpoints: &[&FakeHttp]) -> ClientBuilder {
    let endpoints: Vec<_> = endpoints.iter().map(|fake| fake.endpoint()).collect();
    Client::builder().endpoints(endpoints)
}

fn at(index: u64) -> Vec<(&'static str, String)> {
    vec![("X-Etcd-Index", index.to_string())]
}

fn json_at(index: u64, status: u16, body: &str) -> Reply {
    Reply::Answer(status, at(index), body.to_owned())
}

fn is_watch(request: &Request) -> bool {
    request.target.contains("wait=true")
}

fn wait_index(request: &Request) -> Option<u64> {
    let (_, rest) = request.target.split_once("waitIndex=")?;
    rest.split('&').next()?.parse().ok()
}

fn cleared(index: u64) -> Reply {
    let body = format!(
        r#"{{"errorCode":401,"message":"The event in requested index is outdated and cleared","cause":"","index":{index}}}"#
    );
    json_at(index, 400, &body)
}

fn version() -> Reply {
    Reply::json(200, r#"{"etcdserver":"3.5.16","etcdcluster":"3.5.0"}"#)
}

fn event(index: u64) -> Reply {
    let body = format!(
        r#"{{"action":"set","node":{{"key":"/a","value":"x","modifiedIndex":{index},"createdIndex":{index}}}}}"#
    );
    json_at(index, 200, &body)
}

/// A member that is cut off from the others answers watches, and has nothing to tell for ever.
#[tokio::test]
async fn a_watch_that_asks_anew_often_leaves_a_member_without_a_leader() {
    let cut_off = fake(|request| match request.target.as_str() {
        "/v2/members/leader" => Reply::json(503, r#"{"message":"During election"}"#),
        _ if is_watch(request) => Reply::Begin(at(7)),
        _ => Reply::Nothing,
    });
    let well = fake(|request| match wait_index(request) {
        Some(8) => event(8),
        _ => Reply::Begin(at(8)),
    });
    let (cut_off, well) = (cut_off.await, well.await);
    let client = client(&[&cut_off, &well]).connect_lazy().expect("a client");
    let open = client.watch("/a").ask_anew_after(Duration::from_secs(1));
    let mut watch = open.stream().await.expect("a watch");
    let told = timeout(PATIENCE, watch.next_change()).await;
    let told = told.expect("told in time").expect("no end");
    assert_eq!(told.expect("a change").index(), 8);
}

/// What a silent connection has not told may still have happened.
#[tokio::test]
async fn a_watch_does_not_pass_over_a_cleared_history_on_the_word_of_a_silent_connection() {
    let server = fake(|request| match wait_index(request) {
        None if is_watch(request) => Reply::Begin(at(7)),
        None => json_at(
            5_000,
            200,
            r#"{"action":"get","node":{"key":"/a","value":"new","modifiedIndex":9,"createdIndex":9}}"#,
        ),
        Some(..=5_000) => cleared(5_000),
        Some(_) => Reply::Begin(at(5_000)),
    })
    .await;
    let client = client(&[&server]).connect_lazy().expect("a client");
    let open = client.watch("/a").ask_anew_after(Duration::from_secs(1));
    let mut watch = open.stream().await.expect("a watch");
    let told = timeout(PATIENCE, watch.try_next()).await;
    let Some(WatchEvent::Resync(resync)) = told.expect("told in time").expect("no end") else {
        panic!("changes were missed");
    };
    assert_eq!(
        (resync.reason, resync.index),
        (ResyncReason::Cleared, 5_000)
    );
}

#[tokio::test]
async fn a_history_that_is_always_over_is_not_listed_without_a_pause() {
    let lists = Arc::<AtomicUsize>::default();
    let server = fake({
        let lists = Arc::clone(&lists);
        move |request| match is_watch(request) {
            true => cleared(5_000),
            false => {
                lists.fetch_add(1, Ordering::Relaxed);
                Reply::value("x")
            }
        }
    })
    .await;
    let client = client(&[&server]).connect_lazy().expect("a client");
    let watch = client.watch("/a").from_index(1).stream().await;
    let _watch = watch.expect("a watch");
    sleep(Duration::from_secs(2)).await;
    let lists = lists.load(Ordering::Relaxed);
    assert!((1..15).contains(&lists), "{lists} listings in 2 s");
}

#[tokio::test]
async fn an_event_without_end_ends_the_watch() {
    let server = fake(|request| match is_watch(request) {
        true => {
            let mut answer = b"HTTP/1.1 200 OK\r\nX-Etcd-Index: 7\r\n\r\n".to_vec();
            answer.resize(4 << 20, b'x');
            Reply::Bytes(answer)
        }
        false => Reply::Nothing,
    })
    .await;
    let client = client(&[&server]).max_receive_bytes(64 << 10);
    let client = client.connect_lazy().expect("a client");
    let mut watch = client.watch("/a").stream().await.expect("a watch");
    let told = timeout(PATIENCE, watch.try_next()).await;
    let error = told.expect("told in time").expect_err("an end");
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
}

/// A queue as a fake server has it: a listing with these in-order keys and texts.
fn queue(entries: &[(u64, &str)]) -> Reply {
    let nodes = entries.iter().map(|(index, text)| {
        format!(
            r#"{{"key":"/_locks/l/{index:020}","value":"{text}","modifiedIndex":{index},"createdIndex":{index}}}"#
        )
    });
    let nodes: Vec<_> = nodes.collect();
    Reply::json(
        200,
        &format!(
            r#"{{"action":"get","node":{{"key":"/_locks/l","dir":true,"nodes":[{}],"modifiedIndex":4,"createdIndex":4}}}}"#,
            nodes.join(",")
        ),
    )
}

fn created(index: u64) -> Reply {
    Reply::json(
        201,
        &format!(
            r#"{{"action":"create","node":{{"key":"/_locks/l/{index:020}","value":"","modifiedIndex":{index},"createdIndex":{index}}}}}"#
        ),
    )
}

#[tokio::test]
async fn who_waits_for_a_lock_pauses_where_nobody_holds_connections() {
    let server = fake(|request| match request.method.as_str() {
        "POST" => created(7),
        "GET" if is_watch(request) => json_at(7, 200, ""),
        "GET" if request.target.starts_with("/v2/keys") => queue(&[(5, "other"), (7, "mine")]),
        "GET" => version(),
        _ => Reply::value("x"),
    })
    .await;
    let client = client(&[&server]).connect_lazy().expect("a client");
    let wait = Duration::from_millis(1_500);
    let error = client.lock("l").wait_at_most(wait).await;
    assert_eq!(error.expect_err("a wait").kind(), ErrorKind::Timeout);
    let requests = server.requests().len();
    assert!(requests < 40, "{requests} requests in {wait:?}");
}

#[tokio::test]
async fn a_lock_can_be_waited_for_as_long_as_a_duration_says() {
    let server = fake(|request| match request.method.as_str() {
        "POST" => created(7),
        "GET" => queue(&[(7, "mine")]),
        _ => Reply::value("x"),
    })
    .await;
    let client = client(&[&server]).connect_lazy().expect("a client");
    let lock = client.lock("l").wait_at_most(Duration::MAX).await;
    assert_eq!(lock.expect("the lock").index(), 7);
}

#[tokio::test]
async fn a_lock_is_held_no_longer_than_a_renewal_that_was_not_answered_says() {
    let server = fake(|request| match request.method.as_str() {
        "POST" => created(7),
        "GET" if request.target.starts_with("/v2/keys") => queue(&[(7, "mine")]),
        "GET" => version(),
        _ => Reply::close(),
    })
    .await;
    let client = client(&[&server]).connect_lazy().expect("a client");
    let lock = client.lock("l").ttl(100).await.expect("the lock");
    assert!(lock.remaining() > Duration::from_secs(90));
    let error = lock.renew_for(5).await.expect_err("no answer");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(lock.remaining() <= Duration::from_secs(5));
    // Of the hundred seconds it was granted for, it has five.
    let lost = timeout(PATIENCE, lock.lost()).await;
    lost.expect("lost before the key can expire");
}

#[tokio::test]
async fn a_renewal_by_the_module_that_is_not_answered_may_have_been_carried_out() {
    let renewals = AtomicUsize::new(0);
    let server = fake(move |request| match request.method.as_str() {
        "POST" => Reply::Answer(200, Vec::new(), "7".to_owned()),
        // The first one is what makes the lock ours.
        "PUT" if renewals.fetch_add(1, Ordering::Relaxed) == 0 => {
            Reply::Answer(200, Vec::new(), String::new())
        }
        "PUT" => Reply::Nothing,
        _ => Reply::Answer(200, Vec::new(), String::new()),
    })
    .await;
    let client = client(&[&server]).connect_lazy().expect("a client");
    let lock = client.lock("l").ttl(12).via_modules().await;
    let lock = lock.expect("the lock");
    let error = lock.renew_for(5).await.expect_err("no answer");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert!(lock.remaining() <= Duration::from_secs(5));
}

/// The key may be that of an earlier request, of which the server has reckoned its end long ago.
#[tokio::test]
async fn a_lock_that_is_found_counts_from_the_first_request_for_it() {
    let text = Arc::<Mutex<Option<String>>>::default();
    let posts = Arc::<AtomicUsize>::default();
    let server = fake(move |request| match request.method.as_str() {
        "POST" => {
            let fields = request.body.split('&');
            let value = fields
                .filter_map(|field| field.strip_prefix("value="))
                .next();
            if posts.fetch_add(1, Ordering::Relaxed) == 1 {
                *text.lock().expect("a value") = value.map(str::to_owned);
            }
            Reply::Nothing
        }
        "GET" => match &*text.lock().expect("a value") {
            Some(text) => queue(&[(7, text)]),
            None => queue(&[]),
        },
        _ => Reply::value("x"),
    })
    .await;
    let client = client(&[&server]).request_timeout(Duration::from_secs(2));
    let client = client.connect_lazy().expect("a client");
    let lock = client.lock("l").ttl(60).await.expect("the lock");
    // Two requests took two seconds each, and two seconds are kept as a margin.
    let remaining = lock.remaining();
    assert!(remaining <= Duration::from_secs(54), "{remaining:?}");
}

/// A record that is no TLS says nothing of what the server has read.
#[tokio::test]
async fn a_write_is_not_sent_again_when_tls_breaks_after_it() {
    let authority = Authority::new("test");
    let folder = tempfile::tempdir().expect("a folder");
    let (chain, key) = authority
        .server(&["127.0.0.1"])
        .write(folder.path(), "server");
    let config = server_config(&chain, &key);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let endpoint = format!("https://{}", listener.local_addr().expect("an address"));
    let read = Arc::<AtomicUsize>::default();
    let serving = tokio::spawn({
        let read = Arc::clone(&read);
        async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = acceptor.accept(stream).await.expect("a handshake");
                let mut seen = [0; 1_024];
                if stream.read(&mut seen).await.is_ok_and(|length| length > 0) {
                    read.fetch_add(1, Ordering::Relaxed);
                }
                let (mut plain, _) = stream.into_inner();
                plain
                    .write_all(b"this is no TLS at all")
                    .await
                    .expect("sent");
                plain.shutdown().await.expect("an end");
            }
        }
    });
    let client = Client::builder()
        .endpoint(endpoint)
        .tls(Tls::new().ca_pem(authority.pem()))
        .request_timeout(Duration::from_secs(2))
        .connect_lazy()
        .expect("a client");
    let error = client.create_in_order("/q", "x").await;
    let error = error.expect_err("no answer");
    assert_eq!(read.load(Ordering::Relaxed), 1, "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    serving.abort();
}

fn server_config(
    chain: &std::path::Path,
    key: &std::path::Path,
) -> tokio_rustls::rustls::ServerConfig {
    use tokio_rustls::rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    let chain = CertificateDer::pem_file_iter(chain).expect("a file");
    let chain = chain.map(|certificate| certificate.expect("a certificate"));
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    // The process has no default provider: where several crates enable one each, rustls cannot choose.
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that the provider speaks")
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .expect("an identity")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_outlives_the_times_to_live_of_what_it_copies() {
    let old = Server::builder().enable_v2(true).start().await;
    let (old, new) = (old.expect("a server"), Server::builder().start().await);
    let new = new.expect("a server");
    let v2 = Client::connect(old.endpoint()).await.expect("v2");
    let v3 = etcdkit::Client::connect(new.endpoint()).await.expect("v3");
    for number in 0..150 {
        let set = v2.set(format!("/s/{number:03}"), "x").ttl(3);
        set.await.expect("a write");
    }
    v2.set("/s/stays", "x").await.expect("a write");
    let has_slept = AtomicBool::new(false);
    let migration = Migration::new(&v2, &v3).on_progress(move |_| {
        // As long as a slow cluster or many keys would take.
        if !has_slept.swap(true, Ordering::Relaxed) {
            std::thread::sleep(Duration::from_secs(6));
        }
    });
    let report = migration.await.expect("a migration");
    assert!(report.verified, "{report:?}");
    assert!(v3.get("/s/stays").await.expect("a read").is_some());
    assert!(v3.get("/s/149").await.expect("a read").is_none());
}
