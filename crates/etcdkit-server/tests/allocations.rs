//! What a call may allocate on the server: counted, not timed, so that it holds on any machine.
//!
//! The counter counts the allocations of one thread. The server has the test's thread to itself, by a
//! runtime of one thread, and the client has another.

use std::thread;

use etcdkit_proto::etcdserverpb::kv_client::KvClient;
use etcdkit_proto::etcdserverpb::{PutRequest, RangeRequest};
use etcdkit_server::Server;
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;

/// The most allocations of a put, what is stored among them.
const PUT: f64 = 14.0;
/// The most allocations of a get.
const GET: f64 = 14.0;
/// The most bytes that either may allocate beside what it stores or answers.
const BYTES: f64 = 6_000.0;

/// Calls that go before, until buffers have their size.
const WARM_UP: usize = 500;
/// Calls that are counted.
const CALLS: usize = 2_000;

#[test]
fn a_put_and_a_get_allocate_little() {
    let runtime = one_thread();
    let server = runtime
        .block_on(Server::builder().start())
        .expect("the server starts");
    let (orders, taken) = mpsc::channel(1);
    let endpoint = server.endpoint();
    let client = thread::spawn(move || one_thread().block_on(obey(endpoint, taken)));
    let calls = |call, count| {
        runtime.block_on(async {
            let (done, told) = oneshot::channel();
            orders.send((call, count, done)).await.expect("it listens");
            told.await.expect("the calls succeed");
        });
    };
    for (call, most) in [(Call::Put, PUT), (Call::Get, GET)] {
        calls(call, WARM_UP);
        let counted = allocation_counter::measure(|| calls(call, CALLS));
        let count = counted.count_total as f64 / CALLS as f64;
        let bytes = counted.bytes_total as f64 / CALLS as f64;
        println!("{call:?}: {count:.2} allocations and {bytes:.0} bytes a call");
        assert!(count > 1.0, "nothing was counted: {counted:?}");
        assert!(
            count <= most && bytes <= BYTES,
            "{call:?}: {count:.2} allocations and {bytes:.0} bytes a call; at most {most} and {BYTES} \
             are allowed"
        );
    }
    drop(orders);
    client.join().expect("the client ends");
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Put,
    Get,
}

/// Makes the calls that were ordered, one after the other.
async fn obey(endpoint: String, mut orders: mpsc::Receiver<(Call, usize, oneshot::Sender<()>)>) {
    let channel = Channel::from_shared(endpoint).expect("a URI");
    let mut kv = KvClient::new(channel.connect().await.expect("connect"));
    while let Some((call, count, done)) = orders.recv().await {
        for _ in 0..count {
            call.make(&mut kv).await;
        }
        done.send(()).expect("somebody waits");
    }
}

impl Call {
    async fn make(self, kv: &mut KvClient<Channel>) {
        let key = "0123456789abcdef";
        match self {
            Self::Put => {
                let put = PutRequest {
                    key: key.into(),
                    value: vec![b'v'; 128].into(),
                    ..Default::default()
                };
                kv.put(put).await.expect("put");
            }
            Self::Get => {
                let get = RangeRequest {
                    key: key.into(),
                    ..Default::default()
                };
                let found = kv.range(get).await.expect("get").into_inner();
                assert_eq!(found.count, 1);
            }
        }
    }
}

fn one_thread() -> Runtime {
    let mut builder = runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("runtime")
}
