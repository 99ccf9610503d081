//! Connecting, and asking the cluster who it is.
//!
//! `cargo run -p etcdkit --example connect [ENDPOINT]...`: without an endpoint, on an embedded
//! server.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use etcdkit::{Client, Result};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(connect).await
}

async fn connect(client: Client) -> Result<()> {
    // `Client::connect(endpoints)` has verified that an endpoint answers. A builder sets more:
    let endpoints: Vec<String> = client.endpoints().collect();
    let client = Client::builder()
        .endpoints(endpoints)
        .connect_timeout(Duration::from_secs(2))
        .request_timeout(Duration::from_secs(5))
        .connect()
        .await?;

    let members = client.cluster().members().await?;
    println!("cluster {:x}", members.header.cluster_id);
    for member in members.members {
        println!(
            "  member {} {:?} {:?}",
            member.id, member.name, member.client_urls
        );
    }

    for endpoint in client.endpoints() {
        let status = client.maintenance().status(&endpoint).await?;
        println!(
            "{endpoint}: etcd {}, revision {}, {} bytes on disk",
            status.version, status.header.revision, status.db_size
        );
    }

    // One endpoint that is down does not matter as long as another is up; if none is, the error
    // says why.
    match Client::connect("http://127.0.0.1:1").await {
        Ok(_) => println!("something listens on port 1"),
        Err(error) => println!("\n{error}\nhint: {}", error.hint().unwrap_or("none")),
    }
    Ok(())
}
