//! Where an example runs: on the endpoints given as arguments, or on a server of its own.

use std::error::Error;

use etcdkit::{Client, Result};

/// Connects, runs the example and cleans up.
pub(crate) async fn run(
    example: impl AsyncFnOnce(Client) -> Result<()>,
) -> Result<(), Box<dyn Error>> {
    let endpoints: Vec<String> = std::env::args().skip(1).collect();
    if endpoints.is_empty() {
        return embedded(example).await;
    }
    example(Client::connect(endpoints).await?).await?;
    Ok(())
}

/// Runs the example on an embedded server.
pub(crate) async fn embedded(
    example: impl AsyncFnOnce(Client) -> Result<()>,
) -> Result<(), Box<dyn Error>> {
    let server = etcdkit_server::Server::builder().start().await?;
    println!("an embedded server listens on {}\n", server.endpoint());
    example(Client::connect(server.endpoint()).await?).await?;
    server.shutdown().await?;
    Ok(())
}
