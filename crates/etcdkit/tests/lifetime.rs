//! A client that is gone leaves nothing running behind.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use etcdkit::Client;
use etcdkit_server::Server;
use tokio::runtime::{Handle, Runtime};

/// An embedded server on a runtime of its own, so that this one has the client's tasks only.
struct Elsewhere {
    server: Server,
    runtime: Runtime,
}

impl Elsewhere {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let server = std::thread::scope(|scope| {
            let starting = scope.spawn(|| runtime.block_on(Server::builder().start()).unwrap());
            starting.join().unwrap()
        });
        Self { server, runtime }
    }

    /// Ends it as a crash does.
    fn kill(self) {
        drop(self.server);
        self.runtime.shutdown_background();
    }
}

/// Waits until all tasks but the test's own have ended.
async fn assert_nothing_runs() {
    let alive = || Handle::current().metrics().num_alive_tasks();
    let ended = async {
        while alive() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let within = Duration::from_secs(10);
    let result = tokio::time::timeout(within, ended).await;
    assert!(result.is_ok(), "{} tasks still run", alive());
}

async fn used(endpoint: String) -> Client {
    let client = Client::connect(endpoint).await.unwrap();
    client.put("k", "v").await.unwrap();
    client.scan(..).try_next().await.unwrap();
    let mut watch = client.watch("k").from_revision(1).await.unwrap();
    watch.try_next().await.unwrap();
    drop(client.lease(Duration::from_secs(60)).await.unwrap());
    let guard = client.lock("l").await.unwrap();
    let in_vain = client.lock("l").wait_at_most(Duration::from_millis(20));
    in_vain.await.unwrap_err();
    drop(guard);
    client
}

#[tokio::test]
async fn nothing_is_left_of_a_client_that_is_dropped() {
    let elsewhere = Elsewhere::start();
    drop(used(elsewhere.server.endpoint()).await);
    assert_nothing_runs().await;
    elsewhere.kill();
}

#[tokio::test]
async fn nothing_is_left_of_a_client_whose_server_has_gone_first() {
    let elsewhere = Elsewhere::start();
    let client = used(elsewhere.server.endpoint()).await;
    let watch = client.watch("k").await.unwrap();
    let lease = client.lease(Duration::from_secs(60)).await.unwrap();
    elsewhere.kill();
    drop(
        client
            .put("k", "v")
            .timeout(Duration::from_millis(50))
            .await,
    );
    drop((client, watch, lease));
    assert_nothing_runs().await;
}
