//! What a call may allocate: counted, not timed, so that it holds on any machine.
//!
//! The counter counts the allocations of one thread. The client has the test's thread to itself, by a
//! runtime of one thread, and the server has another.

use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
};

use etcdkit::{Client, ClientBuilder};
use etcdkit_server::Server;
use tokio::{
    runtime::{self, Runtime},
    sync::oneshot,
    task::JoinSet,
};

/// The most allocations one put or get may make, those of the connection for it among them.
const CEILING: f64 = if cfg!(feature = "metrics") {
    // The labels of each metric that a call records are a list of their own.
    12.0 + 5.0
} else {
    12.0
};
/// The most bytes they may have.
const CEILING_BYTES: f64 = 3_000.0;

/// Calls that go before, until buffers have their size.
const WARM_UP: usize = 500;
/// Calls that are counted.
const CALLS: usize = 2_000;

const KEY: &[u8; 16] = b"0123456789abcdef";
const VALUE: &[u8; 128] = &[b'v'; 128];

#[test]
fn a_put_allocates_little() {
    check(Verb::Put, 1);
}

#[test]
fn a_get_allocates_little() {
    check(Verb::Get, 1);
}

#[test]
fn puts_at_the_same_time_allocate_little() {
    check(Verb::Put, 16);
}

#[test]
fn gets_at_the_same_time_allocate_little() {
    check(Verb::Get, 16);
}

#[test]
fn a_namespace_costs_a_put_and_a_get_nothing() {
    let namespace = "namespace/";
    let bytes = (namespace.len() + 2) as f64;
    for verb in [Verb::Put, Verb::Get] {
        let (count, size) = measure(verb, 1, Client::builder());
        let inside = Client::builder().namespace(namespace);
        let (inside_count, inside_size) = measure(verb, 1, inside);
        assert!(inside_count <= count + 0.05, "{inside_count} and {count}");
        // The keys of requests and answers are longer, and nothing else; a tenth is for how reads and
        // writes of the socket happen to fall.
        assert!(
            inside_size <= size * 1.1 + 2.0 * bytes,
            "{inside_size} and {size}"
        );
    }
}

#[test]
fn a_token_costs_a_put_and_a_get_nothing() {
    for verb in [Verb::Put, Verb::Get] {
        let (count, size) = measure(verb, 1, Client::builder());
        let with_token = Client::builder().token("NsQIlcMYQnKRIMtb.1234567");
        let (token_count, token_size) = measure(verb, 1, with_token);
        assert!(token_count <= count + 0.05, "{token_count} and {count}");
        // One more header in a copy of all.
        assert!(token_size <= size * 1.1 + 150.0, "{token_size} and {size}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Verb {
    Put,
    Get,
}

impl Verb {
    async fn call(self, client: &Client) {
        match self {
            Self::Put => {
                client.put(KEY, VALUE).await.expect("put");
            }
            Self::Get => {
                let found = client.get(KEY).await.expect("get");
                assert_eq!(found.expect("it was put").value, &VALUE[..]);
            }
        }
    }
}

/// Counts what calls allocate when so many callers make them, and fails if it is too much.
fn check(verb: Verb, callers: usize) {
    let (count, bytes) = measure(verb, callers, Client::builder());
    assert!(
        count <= CEILING && bytes <= CEILING_BYTES,
        "{verb:?}, {callers} at a time: {count:.2} allocations and {bytes:.0} bytes a call; at most \
         {CEILING} and {CEILING_BYTES} are allowed"
    );
}

/// Counts the allocations of a call, and their bytes, when so many callers make them.
fn measure(verb: Verb, callers: usize, builder: ClientBuilder) -> (f64, f64) {
    let server = ServerThread::start();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let client = runtime
        .block_on(builder.endpoint(&server.endpoint).connect())
        .expect("connect");
    repeat(&runtime, &client, Verb::Put, 1, 1);
    repeat(&runtime, &client, verb, callers, WARM_UP);

    let counted = allocation_counter::measure(|| repeat(&runtime, &client, verb, callers, CALLS));

    let count = counted.count_total as f64 / CALLS as f64;
    let bytes = counted.bytes_total as f64 / CALLS as f64;
    println!("{verb:?}, {callers} at a time: {count:.2} allocations and {bytes:.0} bytes a call");
    assert!(count > 1.0, "nothing was counted: {counted:?}");
    server.stop();
    (count, bytes)
}

/// Makes so many calls, shared equally by the callers.
fn repeat(runtime: &Runtime, client: &Client, verb: Verb, callers: usize, calls: usize) {
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let client = client.clone();
            tasks.spawn(async move {
                for _ in 0..calls / callers {
                    verb.call(&client).await;
                }
            });
        }
        tasks.join_all().await;
    });
}

/// An embedded server on a thread of its own.
struct ServerThread {
    endpoint: String,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl ServerThread {
    fn start() -> Self {
        let (started, endpoint) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("runtime");
            runtime.block_on(async {
                let server = Server::builder().start().await.expect("start");
                started.send(server.endpoint()).expect("report");
                // An error means that the test has failed and dropped its end.
                let _ = stopped.await;
                server.shutdown().await.expect("shutdown");
            });
        });
        Self {
            endpoint: endpoint.recv().expect("the server starts"),
            stop,
            thread,
        }
    }

    fn stop(self) {
        self.stop.send(()).expect("the server runs");
        self.thread.join().expect("the server ends");
    }
}
