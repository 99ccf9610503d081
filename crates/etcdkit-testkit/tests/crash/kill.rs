//! A server of its own process, killed again and again.

use std::{
    io::{self, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use etcdkit::{Client, ErrorKind, KeyRange, WatchUpdate};
use etcdkit_proto::etcdserverpb::AlarmType;
use etcdkit_server::Server;
use etcdkit_testkit::{
    alarm,
    crash::{Checker, Workload},
    watch_checker::{Asked, Delivery, History, Watched},
};
use tokio::task::JoinHandle;

use crate::support::{check, client, patient, seed, variable};

const DIRECTORY: &str = "ETCDKIT_CRASH_DIRECTORY";
const ADDRESS: &str = "ETCDKIT_CRASH_ADDRESS";

/// Not a test: the server that is killed. Ends by itself when its parent is gone.
#[test]
#[ignore = "run by a_killed_server_has_kept_what_it_promised"]
fn serve_until_killed() {
    let directory = std::env::var(DIRECTORY).expect("a directory");
    let address = std::env::var(ADDRESS).expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = Server::builder()
        .listen(address)
        .data_dir(directory)
        .enable_v2(true);
    let _server = runtime.block_on(server.start()).expect("a server");
    // Nothing is ever written there.
    let _ = io::stdin().read(&mut [0]);
}

/// The process; killed when it is dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(directory: &Path, address: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .args(["--ignored", "--exact", "kill::serve_until_killed"])
            .env(DIRECTORY, directory)
            .env(ADDRESS, address)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        Self(child.expect("this program starts"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A watch of everything, over all crashes.
struct Watching {
    watched: Arc<Mutex<Watched>>,
    task: JoinHandle<()>,
}

impl Watching {
    async fn start(endpoint: &str) -> Self {
        let watched = Watched::new(Asked::all(KeyRange::all(), 2));
        let watched = Arc::new(Mutex::new(watched));
        let client = patient(endpoint).await;
        let watch = client.watch(KeyRange::all()).from_revision(2).prev_kv();
        let mut watch = watch.await.expect("a watch");
        let record = Arc::clone(&watched);
        let task = tokio::spawn(async move {
            // The watch holds on to its client.
            while let Some(update) = watch.try_next().await.expect("no end") {
                note(&record, &update);
            }
        });
        Self { watched, task }
    }

    fn watched(&self) -> Watched {
        let watched = self.watched.lock();
        watched.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reached(&self) -> i64 {
        let watched = self.watched.lock();
        watched.unwrap_or_else(PoisonError::into_inner).reached()
    }

    async fn reaches(&self, revision: i64) {
        let reached = async {
            while self.reached() < revision {
                assert!(!self.task.is_finished(), "the watch has ended");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
        let at = self.reached();
        assert!(reached.is_ok(), "the watch is at {at}, not {revision}");
    }
}

fn note(record: &Mutex<Watched>, update: &WatchUpdate) {
    let mut watched = record.lock().unwrap_or_else(PoisonError::into_inner);
    watched.deliveries.push(Delivery::from(update));
}

/// A loopback address that nothing listens on.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_kept_what_it_promised() {
    let crashes = variable("ETCDKIT_CRASHES").unwrap_or(6);
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let address = free_address();
    let endpoint = format!("http://{address}");
    let workload = Workload::new();
    let mut checker = Checker::new();
    let mut process = Process::start(directory.path(), &address);
    let watching = Watching::start(&endpoint).await;
    for crash in 1..=crashes {
        patient(&endpoint).await;
        let working = workload.start(&client(&endpoint), seed.wrapping_add(crash));
        let enough = workload.ledger().writes.applied() + random.usize(..100);
        while workload.ledger().writes.applied() < enough {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(random.u64(..5_000))).await;
        working.last_orders();
        drop(process);
        working.end().await;
        process = Process::start(directory.path(), &address);
        while random.u8(..4) == 0 {
            // Before it has recovered, or only just.
            tokio::time::sleep(Duration::from_millis(random.u64(..60))).await;
            drop(process);
            process = Process::start(directory.path(), &address);
        }
        let what = format!("crash {crash} of seed {seed}");
        check(&what, &endpoint, &workload, &mut checker, 200).await;
        // Whoever watches must have seen what is compacted.
        watching.reaches(checker.revision()).await;
        workload.allow_compaction(checker.revision() - 1);
    }
    let mut events = checker.events().to_vec();
    events.iter_mut().for_each(|event| event.prev_kv = None);
    let history = History::new(events).expect("a history");
    let history = history.compacted_at(workload.ledger().compacting);
    let violations = history.check(&watching.watched(), checker.revision());
    assert!(violations.is_empty(), "{violations:?}");
    let ledger = workload.ledger();
    println!(
        "{crashes} crashes: {} writes acknowledged, {} leases, {} users and roles, compacted at {}, \
         revision {}",
        ledger.writes.applied(),
        ledger.leases.len(),
        ledger.users.len() + ledger.roles.len(),
        ledger.compacted,
        checker.revision(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_and_authentication_outlive_the_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let address = free_address();
    let endpoint = format!("http://{address}");
    let process = Process::start(directory.path(), &address);
    let client = patient(&endpoint).await;
    client.put("k", "v").await.expect("a put");
    let auth = client.auth();
    auth.user("root").add("secret").await.expect("a user");
    auth.role("root").add().await.expect("a role");
    let granted = auth.user("root").grant_role("root").await;
    granted.expect("a grant");
    alarm::raise(&endpoint, AlarmType::Nospace)
        .await
        .expect("an alarm");
    auth.enable().await.expect("authentication");
    drop(process);

    let process = Process::start(directory.path(), &address);
    let stranger = client_of(&endpoint, None);
    let refused = stranger.get("k").await.expect_err("nobody is let in");
    assert_eq!(refused.kind(), ErrorKind::UserEmpty);
    let root = client_of(&endpoint, Some("secret"));
    let found = root.get("k").await.expect("a read").expect("a pair");
    assert_eq!(found.value, "v");
    let full = root.put("k", "w").await.expect_err("the alarm is on");
    assert_eq!(full.kind(), ErrorKind::NoSpace);
    let alarms = root.maintenance().disarm_all().await.expect("an answer");
    assert_eq!(alarms.alarms.len(), 1, "{alarms:?}");
    root.auth().disable().await.expect("an answer");
    drop(process);

    let _process = Process::start(directory.path(), &address);
    let anybody = client_of(&endpoint, None);
    anybody.put("k", "w").await.expect("no alarm, no password");
    let alarms = anybody.maintenance().alarms().await.expect("a list");
    assert!(alarms.alarms.is_empty(), "{alarms:?}");
    let users = anybody.auth().users().await.expect("a list").users;
    assert_eq!(users, ["root"]);
}

/// A client of a server that is starting, of root if there is a password.
fn client_of(endpoint: &str, password: Option<&str>) -> Client {
    let mut builder = Client::builder()
        .endpoints([endpoint])
        .request_timeout(Duration::from_secs(60));
    if let Some(password) = password {
        builder = builder.user("root", password);
    }
    builder.connect_lazy().expect("a client")
}
