//! Many at a time, but not too many: locks of many readers or one writer, and semaphores.
//!
//! `cargo run -p etcdkit --example rwlock_semaphore [ENDPOINT]`: without an endpoint, on an embedded
//! server.

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use etcdkit::{Client, ErrorKind, KeyRange, Result, sync::RwLockHolders};

const INDEX: &str = "examples/locks/index";
const PRINTERS: &str = "examples/locks/printers";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(rwlock_and_semaphore).await
}

async fn rwlock_and_semaphore(client: Client) -> Result<()> {
    readers_or_a_writer(&client).await?;
    three_at_a_time(&client).await?;
    client.delete(KeyRange::prefix("examples/")).await?;
    Ok(())
}

async fn readers_or_a_writer(client: &Client) -> Result<()> {
    let index = client.rwlock(INDEX).ttl(Duration::from_secs(10));
    let first = index.read().await?;
    let second = index.read().await?;
    assert!(index.try_write().await?.is_none(), "two are reading");

    // It is fair: who wants to read now comes after a writer that waits already.
    let writer = tokio::spawn(index.clone().value("reindexing").write());
    while index.try_read().await?.is_some() {
        tokio::task::yield_now().await;
    }
    if let RwLockHolders::Readers(readers) = index.holders().await? {
        println!("{} are reading", readers.len());
    }
    drop((first, second));
    let writing = writer.await.expect("the writer does not panic")?;
    if let RwLockHolders::Writer(writer) = index.holders().await? {
        println!("{:?} is {:?}", writer.key, writer.value);
    }
    writing.put("examples/index", "new").await?;
    assert!(writing.unlock().await?);
    Ok(())
}

async fn three_at_a_time(client: &Client) -> Result<()> {
    // All permits of this program are on one lease.
    let session = client.session().ttl(Duration::from_secs(10)).await?;
    let printers = session.semaphore(PRINTERS, 3);
    let first = printers.acquire().await?;
    let _second = printers.acquire().await?;
    let _third = printers.acquire().await?;
    assert!(printers.try_acquire().await?.is_none());
    println!("{} of 3 are free", printers.available().await?);

    let (_fourth, released) = tokio::join!(printers.acquire(), first.release());
    assert!(released?);

    // Everybody has to mean the same number.
    let error = client.semaphore(PRINTERS, 4).acquire().await.err();
    println!(
        "{}",
        error.as_ref().map_or("no error", |error| error.message())
    );
    let kind = error.map(|error| error.kind());
    assert_eq!(kind, Some(ErrorKind::InvalidRequest));

    // Its end gives back all permits at once.
    session.close().await?;
    assert_eq!(client.semaphore(PRINTERS, 3).available().await?, 3);
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn the_example_runs() {
    support::embedded(rwlock_and_semaphore)
        .await
        .expect("no error");
}
