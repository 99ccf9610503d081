//! What the scenarios share.

use std::time::Duration;

use etcdkit::{Client, Compare, KeyRange, Op, Revision, sync::Held};
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    places::{at_once, cluster, versions},
};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// How long what is left without a word stays held: long enough for a holder that stands still for
/// a second.
pub(crate) const TTL: Duration = Duration::from_secs(3);

/// For leases that must not run out.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The newest etcd, and the oldest if there is another.
pub(crate) fn oldest_and_newest() -> Vec<Binary> {
    let mut versions = versions();
    if versions.len() > 2 {
        versions.drain(1..versions.len() - 1);
    }
    versions
}

/// Runs a scenario on one member of each etcd.
#[expect(clippy::future_not_send, reason = "a test awaits it on its own thread")]
pub(crate) async fn on_each(scenario: impl AsyncFn(Cluster)) {
    at_once(versions(), async |etcd| {
        scenario(cluster(&etcd, 1).await).await;
    })
    .await;
}

pub(crate) async fn connect(endpoint: impl Into<String>) -> Client {
    let client = Client::builder()
        .endpoints([endpoint.into()])
        .request_timeout(2 * SECOND);
    client.connect().await.expect("a client")
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
