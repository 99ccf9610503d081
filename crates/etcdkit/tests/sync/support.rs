//! A server, clients of it, and looks at what is in the store.

use std::{fmt::Debug, future::Future, time::Duration};

use etcdkit::{Client, KeyRange, LeaseId, SortOrder, SortTarget};
use etcdkit_server::Server;
use tokio::time::timeout;

/// Longer than anything takes unless it never comes, also on a machine that is slow and busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than the patience, so that nothing that should be released goes with its lease instead.
pub(crate) const TTL: Duration = Duration::from_secs(120);

pub(crate) async fn start() -> (Server, Client) {
    let server = Server::builder().without_listener().start().await.unwrap();
    let client = client_of(&server).await;
    (server, client)
}

pub(crate) async fn client_of(server: &Server) -> Client {
    let client = Client::builder().connector(server.connector());
    client.connect().await.unwrap()
}

/// The result of something that has to come to an end.
pub(crate) async fn soon<T>(what: impl IntoFuture<Output = T>) -> T {
    let ended = timeout(PATIENCE, what.into_future()).await;
    ended.expect("it ends within the patience of the tests")
}

/// The keys with this prefix, in the order in which they were created.
pub(crate) async fn keys(client: &Client, prefix: &str) -> Vec<String> {
    let found = client
        .range(KeyRange::prefix(prefix))
        .sort_by(SortTarget::CreateRevision, SortOrder::Ascending)
        .await
        .unwrap();
    let keys = found.kvs.iter().map(|kv| kv.key_str().unwrap().to_owned());
    keys.collect()
}

/// Looks until there are so many keys with this prefix.
pub(crate) async fn until_count(client: &Client, prefix: &str, count: usize) {
    let looking = async {
        while keys(client, prefix).await.len() != count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if timeout(PATIENCE, looking).await.is_err() {
        panic!("the keys stay as {:?}", keys(client, prefix).await);
    }
}

/// Looks until nothing is left: no key, and no lease.
pub(crate) async fn until_nothing_is_left(client: &Client) {
    until_count(client, "", 0).await;
    let looking = async {
        while !client.leases().list().await.unwrap().leases.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon(looking).await;
}

/// The id as etcd's Go client has it in keys.
pub(crate) fn hex(lease: LeaseId) -> String {
    format!("{:x}", lease.0)
}

/// What is not there yet must not be there for good reason: other tasks have had their turn since.
pub(crate) async fn assert_waits<T: Debug>(what: &mut (impl Future<Output = T> + Unpin)) {
    let waited = timeout(Duration::from_millis(50), what).await;
    assert!(waited.is_err(), "it does not wait: {waited:?}");
}
