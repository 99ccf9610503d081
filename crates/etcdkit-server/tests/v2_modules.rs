//! Locks and leaders as etcd 0.2 and 0.3 have them, and what 0.x tells of the cluster.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::raw::{Raw, Reply};
use etcdkit_proto::v2::{Event, Node};
use etcdkit_server::{Server, ServerBuilder};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const LOCK: &str = "/mod/v2/lock/a/b";
const LEADER: &str = "/mod/v2/leader/a/b";
const QUEUE: &str = "/v2/keys/_etcd/mod/lock/a/b";

/// How long something may take that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

fn builder() -> ServerBuilder {
    Server::builder().v2_modules(true).name("m")
}

async fn start() -> (Server, Raw) {
    let server = builder().start().await.unwrap();
    let raw = Raw::connect(&server).await;
    (server, raw)
}

/// A request that may take long, on a connection of its own that ends with it.
async fn begin(server: &Server, method: &'static str, path: &str, form: &str) -> JoinHandle<Reply> {
    let mut raw = Raw::connect(server).await;
    let (path, form) = (path.to_owned(), form.to_owned());
    tokio::spawn(async move { raw.ask(method, &path, Some(&form)).await })
}

async fn end(request: JoinHandle<Reply>) -> Reply {
    timeout(PATIENCE, request).await.unwrap().unwrap()
}

/// The index that a lock was granted with.
#[track_caller]
fn granted(reply: &Reply) -> u64 {
    assert_eq!(reply.status, "HTTP/1.1 200 OK", "{reply}");
    assert_eq!(
        reply.header("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    reply.body.parse().unwrap()
}

async fn places(raw: &mut Raw) -> Vec<Node> {
    let reply = raw.get(&format!("{QUEUE}?sorted=true")).await;
    let event: Event = serde_json::from_str(&reply.body).unwrap();
    event.node.unwrap().nodes
}

/// Asks until the queue is as long as that.
async fn until_queue_has(raw: &mut Raw, count: usize) -> Vec<Node> {
    timeout(PATIENCE, async {
        loop {
            let places = places(raw).await;
            if places.len() == count {
                return places;
            }
        }
    })
    .await
    .unwrap()
}

fn error(code: u32, message: &str, cause: &str) -> String {
    format!(
        "{{\"errorCode\":{code},\"message\":\"{message}\",\"cause\":\"{cause}\",\"index\":0}}\n"
    )
}

#[tokio::test]
async fn there_are_none_unless_asked_for() {
    let server = Server::builder().enable_v2(true).start().await.unwrap();
    let mut raw = Raw::connect(&server).await;
    for path in [LOCK, LEADER, "/v2/leader", "/v2/admin/config", "/etcdURL"] {
        assert_eq!(
            raw.get(path).await.status,
            "HTTP/1.1 404 Not Found",
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told() {
    let (_server, mut raw) = start().await;
    let ttl = "The given TTL in POST form is not a number";
    let timeout = "The given timeout in POST form is not a number";
    let either = "Index or value is required";
    let both = "Index and value cannot both be specified";
    let name = "Name is required in POST form";
    for (method, path, form, body) in [
        ("POST", LOCK, "", error(202, ttl, "Acquire")),
        ("POST", LOCK, "ttl=x", error(202, ttl, "Acquire")),
        ("POST", LOCK, "ttl=-1", error(202, ttl, "Acquire")),
        (
            "POST",
            LOCK,
            "ttl=x&timeout=x",
            error(205, timeout, "Acquire"),
        ),
        ("PUT", LOCK, "index=1", error(202, ttl, "Renew")),
        ("PUT", LOCK, "ttl=1", error(207, either, "Renew")),
        ("PUT", LEADER, "ttl=1", error(206, name, "Set")),
        ("PUT", LEADER, "name=n", error(202, ttl, "Acquire")),
    ] {
        let reply = raw.ask(method, path, Some(form)).await;
        assert_eq!(reply.status, "HTTP/1.1 400 Bad Request", "{method} {form}");
        assert_eq!(reply.body, body, "{method} {path} {form}");
    }
    // Only POST and PUT have a form.
    for (method, path, body) in [
        ("DELETE", LOCK, error(207, either, "Release")),
        (
            "DELETE",
            "/mod/v2/lock/a/b?index=1&value=v",
            error(208, both, "Release"),
        ),
        ("DELETE", LEADER, error(206, name, "Delete")),
        (
            "GET",
            "/mod/v2/lock/a/b?field=x",
            error(209, "Invalid field", "Get"),
        ),
    ] {
        let reply = raw.ask(method, path, None).await;
        assert_eq!(reply.status, "HTTP/1.1 400 Bad Request", "{method} {path}");
        assert_eq!(reply.body, body, "{method} {path}");
    }
    // Nothing of all that has made a queue.
    assert_eq!(raw.get(QUEUE).await.status, "HTTP/1.1 404 Not Found");
    let reply = raw.get(LOCK).await;
    assert_eq!(reply.status, "HTTP/1.1 404 Not Found");
    assert!(reply.body.starts_with("{\"errorCode\":100,"), "{reply}");
    let reply = raw.ask("POST", LEADER, Some("name=n&ttl=9")).await;
    assert_eq!(reply.status, "HTTP/1.1 405 Method Not Allowed");
    let reply = raw.ask("HEAD", LOCK, None).await;
    assert_eq!(reply.header("Allow"), Some("GET,POST,PUT,DELETE"));
}

#[tokio::test]
async fn a_lock_is_acquired_renewed_and_released() {
    let (_server, mut raw) = start().await;
    let reply = raw.ask("POST", LOCK, Some("ttl=100&value=me")).await;
    let index = granted(&reply);
    let place = &places(&mut raw).await[0];
    assert_eq!(place.key, format!("/_etcd/mod/lock/a/b/{index:020}"));
    assert_eq!(raw.get(LOCK).await.body, "me");
    let by_index = raw.get("/mod/v2/lock/a/b?field=index").await;
    assert_eq!(by_index.body, index.to_string());

    for form in [
        format!("ttl=500&index={index}"),
        "ttl=500&value=me".to_owned(),
    ] {
        let reply = raw.put(LOCK, &form).await;
        assert_eq!((&*reply.status, &*reply.body), ("HTTP/1.1 200 OK", ""));
        let place = &places(&mut raw).await[0];
        assert_eq!(place.value.as_deref(), Some("me"), "{form}");
        assert!((499..=500).contains(&place.ttl), "{form}");
    }
    let form = format!("ttl=500&index={index}&value=other");
    raw.put(LOCK, &form).await;
    assert_eq!(raw.get(LOCK).await.body, "other");

    let released = raw
        .ask("DELETE", "/mod/v2/lock/a/b?value=other", None)
        .await;
    assert_eq!(
        (&*released.status, &*released.body),
        ("HTTP/1.1 200 OK", "")
    );
    let free = raw.get(LOCK).await;
    assert_eq!((&*free.status, &*free.body), ("HTTP/1.1 200 OK", ""));

    for (path, cause) in [
        ("/mod/v2/lock/a/b?value=other", "Release"),
        ("/mod/v2/lock/a/b?index=x", "Release"),
    ] {
        let reply = raw.ask("DELETE", path, None).await;
        assert_eq!(reply.status, "HTTP/1.1 404 Not Found");
        assert_eq!(reply.body, error(100, "Key not found", cause));
    }
    let reply = raw.put(LOCK, &format!("ttl=5&index={index}")).await;
    assert!(
        reply.body.contains("\"cause\":\"/_etcd/mod/lock/a/b/"),
        "{reply}"
    );
}

#[tokio::test]
async fn the_lock_is_granted_in_order_and_to_nobody_else() {
    let (server, mut raw) = start().await;
    let first = granted(&raw.ask("POST", LOCK, Some("ttl=100")).await);
    let mut waiting = Vec::new();
    for count in 2..=4 {
        waiting.push(begin(&server, "POST", LOCK, "ttl=100").await);
        until_queue_has(&mut raw, count).await;
    }
    // What happens to the place before is no grant, and nor is it that somebody gives up in the middle.
    raw.put(LOCK, &format!("ttl=100&index={first}&value=changed"))
        .await;
    let places = places(&mut raw).await;
    let index = |node: &Node| node.key.rsplit_once('/').unwrap().1.parse::<u64>().unwrap();
    let second = index(&places[2]);
    raw.ask("DELETE", &format!("{LOCK}?index={second}"), None)
        .await;
    let gone = end(waiting.remove(1)).await;
    assert_eq!(gone.status, "HTTP/1.1 404 Not Found", "{gone}");
    let last = waiting.pop().unwrap();
    let middle = waiting.pop().unwrap();

    // Somebody who does not wait is refused, so that the others have looked at the queue, too.
    let refused = raw.ask("POST", LOCK, Some("ttl=100&timeout=0")).await;
    assert_eq!(refused.status, "HTTP/1.1 500 Internal Server Error");
    assert_eq!(refused.body, "failed to acquire lock\n");
    assert!(!middle.is_finished() && !last.is_finished());

    raw.ask("DELETE", &format!("{LOCK}?index={first}"), None)
        .await;
    let granted_second = granted(&end(middle).await);
    assert_eq!(granted_second, index(&places[1]));
    assert!(!last.is_finished());
    // A holder that renews nothing loses the lock.
    server.advance_time(Duration::from_secs(50));
    raw.put(LOCK, &format!("ttl=200&index={}", index(&places[3])))
        .await;
    server.advance_time(Duration::from_secs(60));
    let granted_last = granted(&end(last).await);
    assert_eq!(granted_last, index(&places[3]));
    assert!(first < granted_second && granted_second < granted_last);
}

/// Eight contenders for one lock, some of which hang up at any moment: there are never two holders, each
/// grant has a higher index, and nobody is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn there_are_never_two_holders() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let server = Arc::new(builder().start().await.unwrap());
    let lock = Arc::new(Held::default());
    let contenders: Vec<_> = (0..8)
        .map(|contender| {
            let random = fastrand::Rng::with_seed(seed + contender);
            let (server, lock) = (Arc::clone(&server), Arc::clone(&lock));
            tokio::spawn(contend(server, lock, contender, random))
        })
        .collect();
    for contender in contenders {
        // Each that hangs up may keep the others waiting for its two seconds.
        timeout(6 * PATIENCE, contender).await.unwrap().unwrap();
    }
    assert!(lock.last.load(SeqCst) > 0);
    until_queue_has(&mut Raw::connect(&server).await, 0).await;
}

#[derive(Default)]
struct Held {
    holders: AtomicU64,
    last: AtomicU64,
}

async fn contend(server: Arc<Server>, lock: Arc<Held>, contender: u64, mut random: fastrand::Rng) {
    let mut raw = Raw::connect(&server).await;
    for round in 0..6 {
        let value = format!("{contender}-{round}");
        if random.u8(..3) == 0 {
            // It may be granted just when the caller is gone, and then nobody knows but the clock.
            let form = format!("ttl=2&value={value}");
            let mut waiting = begin(&server, "POST", LOCK, &form).await;
            let moment = Duration::from_micros(random.u64(..20_000));
            match timeout(moment, &mut waiting).await {
                Ok(_) => {
                    raw.ask("DELETE", &format!("{LOCK}?value={value}"), None)
                        .await;
                }
                Err(_) => waiting.abort(),
            }
            continue;
        }
        let form = format!("ttl=100&value={value}");
        let index = granted(&raw.ask("POST", LOCK, Some(&form)).await);
        assert_eq!(lock.holders.fetch_add(1, SeqCst), 0, "two holders");
        assert!(lock.last.swap(index, SeqCst) < index);
        tokio::task::yield_now().await;
        lock.holders.fetch_sub(1, SeqCst);
        let released = format!("{LOCK}?index={index}");
        let released = raw.ask("DELETE", &released, None).await;
        assert_eq!(released.status, "HTTP/1.1 200 OK", "{released}");
    }
}

#[tokio::test]
async fn a_place_goes_with_its_caller() {
    let (server, mut raw) = start().await;
    granted(&raw.ask("POST", LOCK, Some("ttl=100")).await);
    let waiting = begin(&server, "POST", LOCK, "ttl=100").await;
    until_queue_has(&mut raw, 2).await;
    waiting.abort();
    until_queue_has(&mut raw, 1).await;
}

#[tokio::test]
async fn who_waits_is_kept_alive() {
    let (server, mut raw) = start().await;
    granted(&raw.ask("POST", LOCK, Some("ttl=100")).await);
    // Long enough that the server may pause for a second.
    let waiting = begin(&server, "POST", LOCK, "ttl=4").await;
    let places = until_queue_has(&mut raw, 2).await;
    let first_end = places[1].expiration.unwrap();
    let outlived = timeout(PATIENCE, async {
        loop {
            let places = self::places(&mut raw).await;
            let end = places.get(1).map(|place| place.expiration.unwrap());
            match end {
                Some(end) if end > first_end + Duration::from_millis(1500) => return true,
                Some(_) => {}
                None => return false,
            }
        }
    });
    assert!(outlived.await.unwrap());
    waiting.abort();
}

#[tokio::test]
async fn waiting_has_an_end() {
    let (server, mut raw) = start().await;
    granted(&raw.ask("POST", LOCK, Some("ttl=100")).await);
    let late = end(begin(&server, "POST", LOCK, "ttl=100&timeout=1").await).await;
    assert_eq!(late.status, "HTTP/1.1 500 Internal Server Error");
    assert_eq!(late.body, "failed to acquire lock\n");
    assert_eq!(places(&mut raw).await.len(), 1);
    // A negative number is for ever, until the server stops.
    let waiting = begin(&server, "POST", LOCK, "ttl=100&timeout=-1").await;
    until_queue_has(&mut raw, 2).await;
    server.shutdown().await.unwrap();
    let stopped = end(waiting).await;
    assert!(stopped.body.contains("server stopped"), "{stopped}");
}

#[tokio::test]
async fn the_same_value_is_the_same_place() {
    let (server, mut raw) = start().await;
    let first = granted(&raw.ask("POST", LOCK, Some("ttl=100&value=a")).await);
    let again = raw.ask("POST", LOCK, Some("ttl=300&value=a")).await;
    assert_eq!(granted(&again), first);
    assert!(places(&mut raw).await[0].ttl > 200);

    let one = begin(&server, "POST", LOCK, "ttl=100&value=b").await;
    let place = until_queue_has(&mut raw, 2).await[1].modified_index;
    let two = begin(&server, "POST", LOCK, "ttl=100&value=b").await;
    let joined = async { while places(&mut raw).await[1].modified_index == place {} };
    timeout(PATIENCE, joined).await.unwrap();
    // One may go, and the place stays.
    one.abort();
    let gone = raw
        .ask("POST", LOCK, Some("ttl=100&timeout=0&value=b"))
        .await;
    assert_eq!(gone.status, "HTTP/1.1 500 Internal Server Error");
    assert_eq!(places(&mut raw).await.len(), 2);
    raw.ask("DELETE", &format!("{LOCK}?value=a"), None).await;
    assert!(granted(&end(two).await) > first);
    assert_eq!(raw.get(LOCK).await.body, "b");
}

#[tokio::test]
async fn a_leader_is_who_holds_the_lock() {
    let (server, mut raw) = start().await;
    assert_eq!(raw.get(LEADER).await.status, "HTTP/1.1 404 Not Found");
    let first = granted(&raw.put(LEADER, "name=one&ttl=100").await);
    assert_eq!(granted(&raw.put(LEADER, "name=one&ttl=100").await), first);
    assert_eq!(raw.get(LEADER).await.body, "one");
    let waiting = begin(&server, "PUT", LEADER, "name=two&ttl=100").await;
    until_queue_has(&mut raw, 2).await;
    let resigned = raw.ask("DELETE", &format!("{LEADER}?name=one"), None).await;
    assert_eq!(
        (&*resigned.status, &*resigned.body),
        ("HTTP/1.1 200 OK", "")
    );
    assert!(granted(&end(waiting).await) > first);
    assert_eq!(raw.get(LEADER).await.body, "two");
    // A leader that renews nothing is none.
    server.advance_time(Duration::from_secs(101));
    let nobody = raw.get(LEADER).await;
    assert_eq!((&*nobody.status, &*nobody.body), ("HTTP/1.1 200 OK", ""));
}

#[tokio::test]
async fn the_queue_is_a_key_that_one_must_be_permitted() {
    let server = builder().bcrypt_cost(4).start().await.unwrap();
    let mut raw = Raw::connect(&server).await;
    raw.ask("POST", LOCK, Some("ttl=100")).await;
    for (path, json) in [
        ("/v2/auth/users/root", r#"{"user":"root","password":"pw"}"#),
        (
            "/v2/auth/roles/guest",
            r#"{"role":"guest","permissions":{"kv":{"read":["/_etcd/mod/lock/a/*"]}}}"#,
        ),
        ("/v2/auth/enable", ""),
    ] {
        assert!(
            raw.put(path, json).await.status.starts_with("HTTP/1.1 20"),
            "{path}"
        );
    }
    assert_eq!(raw.get(LOCK).await.body, "-");
    for (method, path) in [
        ("POST", "/mod/v2/lock/a/b?ttl=5"),
        ("PUT", "/mod/v2/leader/a/b?ttl=5&name=n"),
        ("DELETE", "/mod/v2/lock/a/b?value=-"),
        ("GET", "/mod/v2/lock/c"),
    ] {
        let reply = raw.ask(method, path, None).await;
        assert_eq!(reply.status, "HTTP/1.1 401 Unauthorized", "{method} {path}");
    }
}

#[tokio::test]
async fn the_cluster_is_told_in_the_words_of_0_4() {
    let server = builder()
        .advertise_client_urls(["http://c:2379"])
        .advertise_peer_urls(["http://p:2380"])
        .start()
        .await
        .unwrap();
    let mut raw = Raw::connect(&server).await;
    let own = |state: &str| {
        format!(
            r#"{{"name":"m","state":"{state}","clientURL":"http://c:2379","peerURL":"http://p:2380"}}"#
        )
    };
    for (path, body) in [
        ("/v2/leader", "http://p:2380".to_owned()),
        ("/etcdURL", "http://c:2379".to_owned()),
        ("/v2/admin/machines", format!("[{}]\n", own("leader"))),
        ("/v2/admin/machines/m", format!("{}\n", own("leader"))),
        ("/v2/admin/machines/n", "null\n".to_owned()),
        (
            "/v2/admin/config",
            "{\"activeSize\":9,\"removeDelay\":1800,\"syncInterval\":5}\n".to_owned(),
        ),
    ] {
        let reply = raw.get(path).await;
        assert_eq!(reply.status, "HTTP/1.1 200 OK", "{path}");
        assert_eq!(reply.body, body, "{path}");
        let refused = raw.put(path, "").await;
        assert_eq!(refused.header("Allow"), Some("GET,HEAD"), "{path}");
    }
    server.faults().lose_leader();
    let reply = raw.get("/v2/leader").await;
    assert_eq!(reply.status, "HTTP/1.1 500 Internal Server Error");
    let nobody = "{\"errorCode\":301,\"message\":\"During Leader Election\",\"index\":3}\n";
    assert_eq!(reply.body, nobody);
    let machines = raw.get("/v2/admin/machines").await.body;
    assert_eq!(machines, format!("[{}]\n", own("follower")));
}
