//! The keys of the v2 API, killed and on failing disks: what was acknowledged or told to a watch is in the
//! history after it, unchanged and at its index, and the keys are what the history makes of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use etcdkit_proto::v2::{Action, Event, Node};
use etcdkit_server::Server;
use etcdkit_testkit::v2::http::{Answer, Connection, Request};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    disk::{Failure, FaultDisk},
    kill::{Process, free_address},
    support::{seed, variable},
};

const WRITERS: usize = 4;

/// Nothing that certainly comes takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Events by their index, as they were written in JSON.
type Events = BTreeMap<u64, String>;

/// What a server has promised by acknowledging it, or by telling a watch of it.
#[derive(Clone, Default)]
struct Promised(Arc<Mutex<Events>>);

impl Promised {
    fn lock(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, body: &[u8]) {
        let body = String::from_utf8_lossy(body).trim_end().to_owned();
        let index = index_of(&event(&body));
        let before = self.lock().insert(index, body.clone());
        assert!(
            before.as_ref().is_none_or(|before| *before == body),
            "two events of index {index}: {before:?} and {body}"
        );
    }
}

fn event(json: &str) -> Event {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn index_of(event: &Event) -> u64 {
    event.node.as_ref().map_or(0, |node| node.modified_index)
}

/// Writes until it is told to stop, whether there is a server or not.
async fn write(
    endpoint: String,
    promised: Promised,
    stop: Arc<AtomicBool>,
    number: usize,
    seed: u64,
) {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
    let mut connection = Connection::new(&endpoint);
    while !stop.load(Ordering::Relaxed) {
        let own = format!("/v2/keys/{number}");
        let key = format!("{own}/{}", random.u8(..4));
        let value = random.u64(..);
        let request = match random.u8(..8) {
            0..=2 => Request::new("PUT", key).form(format!("value={value}")),
            3 => Request::new("PUT", key).form(format!("value={value}&prevExist=true")),
            4 => Request::new("PUT", key).form(format!("value={value}&ttl={}", random.u8(..2))),
            5 => Request::new("POST", format!("{own}/q")).form(format!("value={value}")),
            6 => Request::new("DELETE", key),
            _ => Request::new("DELETE", format!("{own}/q?recursive=true")),
        };
        match connection.exchange(&request).await {
            Ok(answer) if answer.head.status < 300 => promised.note(&answer.body),
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// Notes every event that a stream tells, for as long as the server lives.
async fn watch(endpoint: String, promised: Promised) {
    let request = Request::new("GET", "/v2/keys/?wait=true&recursive=true&stream=true");
    let Ok(mut poll) = Connection::new(&endpoint).open(&request).await else {
        return;
    };
    let mut read = 0;
    loop {
        let received = poll.until(|received| received.body.len() > read || received.end.is_some());
        let received = received.await;
        let new = &received.body[read..];
        let whole = new
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        for line in new[..whole].split_inclusive(|byte| *byte == b'\n') {
            promised.note(line);
        }
        if received.end.is_some() {
            return;
        }
        read += whole;
    }
}

/// Lets writers work until something has happened, and a little longer.
async fn work(endpoint: &str, promised: &Promised, seed: u64, until: impl AsyncFnOnce()) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for number in 0..WRITERS {
        let (promised, stop) = (promised.clone(), Arc::clone(&stop));
        tasks.spawn(write(endpoint.to_owned(), promised, stop, number, seed));
    }
    let watching = tokio::spawn(watch(endpoint.to_owned(), promised.clone()));
    timeout(PATIENCE, until()).await.expect("in time");
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = timeout(PATIENCE, tasks.join_next()).await.expect("in time") {
        ended.expect("a writer");
    }
    watching.abort();
    if let Err(error) = watching.await {
        assert!(error.is_cancelled(), "{error}");
    }
}

/// Asks a server that may still be starting.
async fn ask(endpoint: &str, request: &Request) -> Answer {
    let asked = async {
        loop {
            match Connection::new(endpoint).exchange(request).await {
                Ok(answer) => return answer,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, asked).await.expect("in time")
}

/// What is known of the whole history.
#[derive(Default)]
struct Checker {
    all: Events,
    starts: u64,
}

impl Checker {
    /// Compares what a server has with what was promised, and its keys with its history.
    async fn check(&mut self, what: &str, endpoint: &str, promised: &Promised) {
        let marker = Request::new("PUT", "/v2/keys/marker").form("");
        let marker = ask(endpoint, &marker).await;
        let last = index_of(&event(&String::from_utf8_lossy(&marker.body)));
        let first = last.saturating_sub(999).max(1);
        let known = self.all.keys().next_back().copied().unwrap_or(0);
        assert!(first <= known + 1, "{what}: more than the history holds");
        let target = format!("/v2/keys/?wait=true&recursive=true&stream=true&waitIndex={first}");
        let request = Request::new("GET", target);
        let poll = Connection::new(endpoint).open(&request).await;
        let mut poll = poll.expect("a watch");
        let end = format!("\"modifiedIndex\":{last},\"createdIndex\":{last}}}");
        let is_all = |body: &[u8]| {
            let text = String::from_utf8_lossy(body);
            text.lines()
                .any(|line| line.contains("/marker") && line.contains(&end))
        };
        let received = poll.until(|received| is_all(&received.body));
        let received = timeout(PATIENCE, received).await.expect("in time");
        for line in String::from_utf8_lossy(&received.body).lines() {
            let index = index_of(&event(line));
            let before = self.all.insert(index, line.to_owned());
            let is_same = before.as_ref().is_none_or(|before| before == line);
            assert!(is_same, "{what}: {before:?} has become {line}");
            assert!(
                before.is_some() || index > known,
                "{what}: {line} came later"
            );
        }
        for (index, body) in promised.lock().iter() {
            assert_eq!(self.all.get(index), Some(body), "{what}: index {index}");
        }
        // What is missing is what the member notes when it starts.
        let missing = (1..=last)
            .filter(|index| !self.all.contains_key(index))
            .count() as u64;
        assert!(
            missing <= 2 + self.starts,
            "{what}: {missing} of {last} are missing"
        );
        let found = ask(endpoint, &Request::new("GET", "/v2/keys/?recursive=true")).await;
        let root = event(&String::from_utf8_lossy(&found.body))
            .node
            .expect("a root");
        let mut listed = BTreeMap::new();
        list(root, &mut listed);
        // What has expired since then is in a history of its own.
        let replayed = self.replayed();
        let listed_keys: BTreeSet<_> = listed.keys().collect();
        for (key, found) in &listed {
            assert_eq!(replayed.get(key), Some(found), "{what}: {key}");
        }
        for (key, (_, _, ends)) in &replayed {
            assert!(*ends || listed_keys.contains(key), "{what}: {key} is lost");
        }
    }

    /// The keys that the whole history leaves: value, index, and whether they end by themselves.
    fn replayed(&self) -> BTreeMap<String, Found> {
        let mut keys = BTreeMap::new();
        for json in self.all.values() {
            let event = event(json);
            let Some(node) = event.node else { continue };
            match event.action {
                Action::Delete | Action::Expire | Action::CompareAndDelete => {
                    let below = format!("{}/", node.key);
                    keys.retain(|key: &String, _| *key != node.key && !key.starts_with(&below));
                }
                _ => drop(keys.insert(node.key.clone(), found(&node))),
            }
        }
        keys
    }
}

/// The value of a key, the index of its last change, and whether it ends by itself.
type Found = (String, u64, bool);

fn found(node: &Node) -> Found {
    (
        node.value.clone().unwrap_or_default(),
        node.modified_index,
        node.expiration.is_some(),
    )
}

fn list(node: Node, keys: &mut BTreeMap<String, Found>) {
    if !node.dir {
        keys.insert(node.key.clone(), found(&node));
    }
    for node in node.nodes {
        list(node, keys);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_v2_outlive_a_killed_server() {
    let crashes = variable("ETCDKIT_CRASHES").unwrap_or(6);
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let address = free_address();
    let mut checker = Checker::default();
    let promised = Promised::default();
    let mut process = Process::start(directory.path(), &address);
    for crash in 1..=crashes {
        checker.starts += 1;
        let before = promised.lock().len();
        let enough = before + random.usize(20..300);
        work(&address, &promised, seed.wrapping_add(crash), async || {
            while promised.lock().len() < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(process);
        })
        .await;
        process = Process::start(directory.path(), &address);
        checker.starts += 1;
        let what = format!("crash {crash} of seed {seed}");
        checker.check(&what, &address, &promised).await;
    }
    println!("{} events promised", promised.lock().len());
}

async fn fail(failure: impl Fn(&mut fastrand::Rng) -> Failure) {
    let cuts = variable("ETCDKIT_CUTS").unwrap_or(60).div_ceil(3);
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut disk, mut checker, mut promised) = Default::default();
    for cut in 0..cuts {
        // Another one begins with an empty disk.
        if cut % 5 == 0 {
            (disk, checker, promised) = (
                FaultDisk::default(),
                Checker::default(),
                Promised::default(),
            );
        }
        let server = start(&disk).await;
        let endpoint = server.endpoint();
        let failure = failure(&mut random);
        disk.fail_in(random.usize(..300), failure);
        checker.starts += 2;
        work(&endpoint, &promised, seed.wrapping_add(cut), async || {
            while !disk.has_failed() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        })
        .await;
        drop(server);
        disk = FaultDisk::holding(disk.cut(&mut random));
        let server = start(&disk).await;
        let what = format!("failure {cut} of seed {seed} ({failure:?})");
        checker.check(&what, &server.endpoint(), &promised).await;
    }
}

async fn start(disk: &FaultDisk) -> Server {
    let server = Server::builder()
        .enable_v2(true)
        .disk(Arc::new(disk.clone()));
    server.start().await.expect("a server")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_v2_outlive_a_power_cut() {
    fail(|_| Failure::PowerCut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_v2_outlive_an_operation_that_fails() {
    fail(|_| Failure::Error).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_v2_outlive_a_full_disk() {
    fail(|random| Failure::Full(random.usize(1..30))).await;
}
