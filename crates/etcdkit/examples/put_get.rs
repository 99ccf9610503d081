//! Writing and reading single keys.
//!
//! `cargo run -p etcdkit --example put_get [ENDPOINT]`: without an endpoint, on an embedded server.

#[path = "support/mod.rs"]
mod support;

use etcdkit::{Client, ErrorKind, Result};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(put_get).await
}

async fn put_get(client: Client) -> Result<()> {
    let written = client.put("examples/greeting", "hello").await?;
    println!("written at revision {}", written.header.revision);

    match client.get("examples/greeting").await? {
        Some(kv) => println!("{:?} = {:?}, version {}", kv.key, kv.value, kv.version),
        None => println!("somebody else has deleted it already"),
    }

    // A key that does not exist is no error.
    println!("no such key: {:?}", client.get("examples/nothing").await?);

    // What a put replaces comes back if asked for.
    let replaced = client
        .put("examples/greeting", "good day")
        .prev_kv()
        .await?;
    println!("replaced: {:?}", replaced.prev_kv.map(|kv| kv.value));

    // Old values stay readable until they are compacted away.
    let old = client
        .get("examples/greeting")
        .revision(written.header.revision)
        .await?;
    println!("the first value: {:?}", old.map(|kv| kv.value));

    // Keys and values are bytes.
    client.put(b"examples/\xff", vec![0, 1, 2]).await?;

    // What is certainly wrong is refused before it is sent.
    match client.put("", "a key must have a byte").await {
        Err(error) if error.kind() == ErrorKind::EmptyKey => println!("refused: {error}"),
        other => println!("unexpected: {other:?}"),
    }

    let deleted = client.delete("examples/greeting").prev_kv().await?;
    println!("deleted: {:?}", deleted.prev_kvs);
    client.delete(b"examples/\xff").await?;
    Ok(())
}
