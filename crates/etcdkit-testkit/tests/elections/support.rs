//! What the scenarios share.

use std::{future::IntoFuture, time::Duration};

use etcdkit::{Client, KeyRange, Result, sync::Observe};
use etcdkit_testkit::patience::{in_time, until};
use tokio::time::timeout;

/// How long something is watched that must not happen.
const A_WHILE: Duration = Duration::from_millis(200);

pub(crate) const TTL: Duration = Duration::from_secs(10);

/// Waits for what must come.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    in_time("what must come", future).await
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
    until("nothing to be left", async || {
        values(client, prefix).await.is_empty()
    })
    .await;
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
