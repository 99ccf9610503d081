//! Where an example of the v2 API runs: on the endpoints given as arguments, or on a server of its own.

use std::error::Error;

use etcdkit::v2::Client;

pub(crate) type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// Connects and runs the example.
pub(crate) async fn run(example: impl AsyncFnOnce(Client) -> Result) -> Result {
    let endpoints: Vec<String> = std::env::args().skip(1).collect();
    if endpoints.is_empty() {
        return embedded(example).await;
    }
    example(Client::connect(endpoints).await?).await
}

/// Runs the example on an embedded server, which has what etcd 0.x had, too.
pub(crate) async fn embedded(example: impl AsyncFnOnce(Client) -> Result) -> Result {
    let server = etcdkit_server::Server::builder()
        .enable_v2(true)
        .v2_modules(true)
        .start()
        .await?;
    println!("an embedded server listens on {}\n", server.endpoint());
    example(Client::connect(server.endpoint()).await?).await?;
    server.shutdown().await?;
    Ok(())
}
