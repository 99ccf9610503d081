//! Setting a client up: by the environment, a URL or a builder; following the cluster's members; closing.
//!
//! `cargo run -p etcdkit --example configuration [ENDPOINT]...`: without an endpoint, on an embedded
//! server.

#[path = "support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use etcdkit::{CallOptions, Client, ClientBuilder, EndpointMode, ErrorKind, Result, RetryPolicy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(configure).await
}

async fn configure(client: Client) -> Result<()> {
    let endpoints: Vec<String> = client.endpoints().collect();

    // What etcdctl would do in the same environment; nothing is connected yet.
    println!("by the environment: {:?}\n", ClientBuilder::from_env()?);

    // The same in one string, such as a program has in a variable of its own. No secret is ever shown.
    let url = "etcds://app:secret@10.0.0.1:2379,10.0.0.2:2379/app/?timeout=3s&endpoint-mode=pinned";
    println!("by a URL: {:?}\n", ClientBuilder::from_url(url)?);

    // And by hand.
    let client = Client::builder()
        .endpoints(endpoints)
        .endpoint_mode(EndpointMode::Pinned)
        .request_timeout(Duration::from_secs(3))
        .retry(RetryPolicy::default().max_attempts(10))
        .namespace("example/")
        .connect()
        .await?;

    // One endpoint is enough to find the others. `auto_sync` does this now and then.
    let sync = client.sync_endpoints().await?;
    println!("endpoints: {:?}", sync.endpoints);
    for rejected in sync.rejected {
        println!("not used: {}: {}", rejected.endpoint, rejected.error);
    }

    // Limits for single calls, here one deadline for two.
    let deadline = Instant::now() + Duration::from_secs(10);
    client.put("greeting", "hello").deadline(deadline).await?;
    let kv = client
        .get("greeting")
        .deadline(deadline)
        .retry(RetryPolicy::never());
    println!("{:?}", kv.await?.map(|kv| kv.value));

    client.close().await;
    let error = client
        .get("greeting")
        .await
        .expect_err("the client is closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    println!("{error}");
    Ok(())
}
