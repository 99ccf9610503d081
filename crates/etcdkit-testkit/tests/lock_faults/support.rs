//! What the scenarios share.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use etcdkit::{Client, Compare, KeyRange, Op, Revision, sync::Held};
use etcdkit_testkit::etcd::{Binary, Cluster};
use futures_util::future::join_all;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// How long what is left without a word stays held.
pub(crate) const TTL: Duration = Duration::from_secs(2);

/// Nothing that certainly comes takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The newest etcd of each minor version that was found.
pub(crate) fn versions() -> Vec<Binary> {
    let all = Binary::all().expect("a real etcd");
    let minors = all.into_iter().map(|etcd| {
        let version = etcd.version();
        ((version.major, version.minor), etcd)
    });
    minors.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// The newest etcd, and the oldest if there is another.
pub(crate) fn oldest_and_newest() -> Vec<Binary> {
    let mut versions = versions();
    if versions.len() > 2 {
        versions.drain(1..versions.len() - 1);
    }
    versions
}

/// Runs a scenario on one member of each etcd, all at once: what takes time is waiting for leases.
pub(crate) async fn on_each<F: Future<Output = ()> + Send>(scenario: impl Fn(Cluster) -> F + Sync) {
    let runs = versions().into_iter().map(|etcd| {
        let scenario = &scenario;
        async move {
            println!("on {etcd}");
            scenario(cluster(&etcd, 1).await).await;
        }
    });
    join_all(runs).await;
}

pub(crate) async fn cluster(etcd: &Binary, members: usize) -> Cluster {
    let cluster = Cluster::builder(etcd).members(members).start().await;
    cluster.expect("a cluster")
}

pub(crate) async fn connect(endpoint: impl Into<String>) -> Client {
    let client = Client::builder()
        .endpoints([endpoint.into()])
        .request_timeout(2 * SECOND);
    client.connect().await.expect("a client")
}

/// Waits until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::time::sleep(5 * MS).await;
    }
}

/// Something that must come.
pub(crate) async fn in_time<T>(what: &str, coming: impl IntoFuture<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(it) => it,
        Err(_) => panic!("waited too long for {what}"),
    }
}

/// How many hold a lock or wait for it.
pub(crate) async fn queued(client: &Client, name: &str) -> i64 {
    let keys = KeyRange::prefix(format!("{name}/"));
    let found = client.range(keys).count_only().await;
    found.expect("a count").count
}

/// Whether a write with the guard's fence is applied, sent by a client that knows nothing of the guard.
pub(crate) async fn passes_the_fence(client: &Client, guard: &Held) -> bool {
    passes(client, guard.fence()).await
}

/// Whether a write is applied under this condition.
pub(crate) async fn passes(client: &Client, fence: Compare) -> bool {
    let write = client.txn().when([fence]).then([Op::put("written", "")]);
    write.await.expect("an answer").succeeded
}

/// Changes something, so that there is history to forget; answers the revision.
pub(crate) async fn age(client: &Client) -> Revision {
    let mut revision = 0;
    for _ in 0..20 {
        let put = client.put("other", "").await;
        revision = put.expect("a put").header.revision;
    }
    revision
}
