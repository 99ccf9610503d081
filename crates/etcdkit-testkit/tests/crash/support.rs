//! What the tests share.

use std::time::{Duration, Instant};

use etcdkit::Client;
use etcdkit_testkit::crash::{Checker, Found, Loss, Workload};

/// Nothing that certainly comes takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

pub(crate) fn seed() -> u64 {
    let seed = variable("ETCDKIT_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    seed
}

/// A client that gives up soon, as its server will be gone.
pub(crate) fn client(endpoint: &str) -> Client {
    let client = Client::builder()
        .endpoints([endpoint])
        .request_timeout(Duration::from_millis(500))
        .connect_lazy();
    client.expect("a client")
}

/// A client that waits for a server that is starting, on a busy machine.
pub(crate) async fn patient(endpoint: &str) -> Client {
    let start = Instant::now();
    loop {
        let client = Client::builder()
            .endpoints([endpoint])
            .request_timeout(PATIENCE);
        match client.connect().await {
            Ok(client) => return client,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What a server has lost in a crash, or invented.
pub(crate) async fn losses(
    what: &str,
    endpoint: &str,
    workload: &Workload,
    checker: &mut Checker,
    hashes: usize,
) -> Vec<Loss> {
    let client = patient(endpoint).await;
    let found = Found::read(&client, endpoint, hashes).await;
    let found = found.unwrap_or_else(|error| panic!("{what}: cannot be read: {error}"));
    checker.check(&mut workload.ledger(), &found)
}

/// Fails if a server has lost anything in a crash, or invented.
pub(crate) async fn check(
    what: &str,
    endpoint: &str,
    workload: &Workload,
    checker: &mut Checker,
    hashes: usize,
) {
    let losses = losses(what, endpoint, workload, checker, hashes).await;
    let shown: Vec<String> = losses.iter().take(5).map(Loss::to_string).collect();
    assert!(
        losses.is_empty(),
        "{what}: {} losses:\n{}",
        losses.len(),
        shown.join("\n")
    );
}
