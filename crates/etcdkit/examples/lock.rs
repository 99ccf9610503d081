//! One at a time: locks, and writes that are done only while the lock is held.
//!
//! `cargo run -p etcdkit --example lock [ENDPOINT]`: without an endpoint, on an embedded server.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use etcdkit::{Client, ErrorKind, KeyRange, Op, Result};

const ORDERS: &str = "examples/locks/orders";
const PAID: &str = "examples/orders/1";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(lock).await
}

async fn lock(client: Client) -> Result<()> {
    // Waits for its turn. The key is on a lease that is kept alive: should this program die, the lock
    // is free again ten seconds later.
    let guard = client
        .lock(ORDERS)
        .ttl(Duration::from_secs(10))
        .value("till 1")
        .wait_at_most(Duration::from_secs(5))
        .await?;
    println!("held by {:?}, token {}", guard.key(), guard.fencing_token());

    // Others see who has it, and need not wait.
    let holder = client.lock(ORDERS).holder().await?;
    println!("the holder says {:?}", holder.map(|holder| holder.value));
    assert!(client.lock(ORDERS).try_lock().await?.is_none());
    let late = client.lock(ORDERS).wait_at_most(Duration::from_millis(50));
    let error = late.await.err().map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::Timeout));

    // What the lock protects is written through the guard: as one with the proof that it is still held.
    guard.put(PAID, "paid").await?;
    guard.txn().then([Op::put(PAID, "shipped")]).await?;

    // This tells whether it was still ours. Dropping the guard releases it, too, in the background.
    println!("released: {}", guard.unlock().await?);

    // A lock can be lost while the program believes to have it: it stood still for too long, or somebody
    // deleted the key. Whoever works under it listens, and nothing is written all the same.
    let guard = client.lock(ORDERS).await?;
    client.delete(guard.key()).await?;
    println!("{}", guard.lost().await);
    let refused = guard.put(PAID, "twice").await.err();
    assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::NotHeld));
    assert!(!guard.unlock().await?);

    several_by_one_session(&client).await?;
    client.delete(KeyRange::prefix("examples/")).await?;
    Ok(())
}

/// A session is one lease for many locks. Who has a lock by it already has it again at once.
async fn several_by_one_session(client: &Client) -> Result<()> {
    let session = client.session().ttl(Duration::from_secs(10)).await?;
    let left = session.lock("examples/locks/left").await?;
    let right = session.lock("examples/locks/right").await?;
    let again = session.lock("examples/locks/left").await?;
    assert_eq!(left.fencing_token(), again.fencing_token());
    drop((left, again, right));

    // The end of the session is the end of all that it holds.
    let left = session.lock("examples/locks/left").await?;
    session.close().await?;
    println!("{}", left.lost().await);
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn the_example_runs() {
    support::embedded(lock).await.expect("no error");
}
