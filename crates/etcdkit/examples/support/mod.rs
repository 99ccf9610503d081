//! Where an example runs: on the endpoints given as arguments, or on a server of its own.

use std::error::Error;

use etcdkit::{Client, Result};

/// Connects, runs the example and cleans up.
pub(crate) async fn run(
    example: impl AsyncFnOnce(Client) -> Result<()>,
) -> Result<(), Box<dyn Error>> {
    let endpoints: Vec<String> = std::env::args().skip(1).collect();
    if endpoints.is_empty() {
        let server = etcdkit_server::Server::builder().start().await?;
        println!("an embedded server listens on {}\n", server.endpoint());
        example(Client::connect(server.endpoint()).await?).await?;
        server.shutdown().await?;
    } else {
        example(Client::connect(endpoints).await?).await?;
    }
    Ok(())
}
