//! What the scenarios share.

use std::{future::IntoFuture, time::Duration};

use etcdkit::{Client, KeyRange, Result, sync::Observe};
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster};
use tokio::time::timeout;

/// What must happen does in this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long something is watched that must not happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(200);

pub(crate) const TTL: Duration = Duration::from_secs(10);

/// A server: what it is, for messages, and where.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) what: &'a str,
    pub(crate) endpoint: &'a str,
}

impl Place<'_> {
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.endpoint).await.expect("a client")
    }
}

/// Runs a scenario on the embedded server and on each real etcd.
pub(crate) async fn everywhere(scenario: impl AsyncFn(Place<'_>)) {
    let server = Server::builder().start().await.expect("a server");
    let place = Place {
        what: "the embedded server",
        endpoint: &server.endpoint(),
    };
    println!("on {}", place.what);
    scenario(place).await;
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let place = Place {
            what: &etcd.to_string(),
            endpoint: cluster.endpoint(),
        };
        println!("on {}", place.what);
        scenario(place).await;
    }
}

/// Waits for what must come soon.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    let result = timeout(PATIENCE, future).await;
    result.expect("does not come in half a minute")
}

/// What is there below a prefix, in the order of keys.
pub(crate) async fn values(client: &Client, prefix: &str) -> Vec<String> {
    let range = client.range(KeyRange::prefix(prefix)).await;
    let kvs = range.expect("a range").kvs;
    let values = kvs
        .iter()
        .map(|kv| kv.value_str().expect("text").to_owned());
    values.collect()
}

/// Waits until nothing is left below a prefix.
pub(crate) async fn nothing_left(client: &Client, prefix: &str) {
    let emptied = async {
        while !values(client, prefix).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let emptied = timeout(PATIENCE, emptied).await;
    assert!(
        emptied.is_ok(),
        "{:?} is left",
        values(client, prefix).await
    );
}

/// Who leads next, as an observer tells it.
pub(crate) async fn next(observe: &mut Observe) -> Option<String> {
    let observed = soon(observe.try_next()).await.expect("goes on");
    let leader = observed.expect("goes on").leader?;
    Some(leader.value_str().expect("text").to_owned())
}

/// What leads now.
pub(crate) async fn leader(client: &Client, name: &str) -> Option<String> {
    let leader = client.election(name).leader().await.expect("an answer")?;
    Some(leader.value_str().expect("text").to_owned())
}

/// Lets a future run that must not come to an end.
pub(crate) async fn must_wait<T>(future: impl Future<Output = Result<T>> + Unpin) {
    if let Ok(result) = timeout(A_WHILE, future).await {
        panic!("it should wait: {:?}", result.map(drop));
    }
}
