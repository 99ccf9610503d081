//! Compaction, and what errors tell.
//!
//! `cargo run -p etcdkit --example compaction [ENDPOINT]`: without an endpoint, on an embedded
//! server. Compacts the store it runs on: old revisions of *all* keys are forgotten.

#[path = "support/mod.rs"]
mod support;

use etcdkit::{Client, Error, ErrorKind, Result};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(compaction).await
}

async fn compaction(client: Client) -> Result<()> {
    let first = client.put("examples/key", "1").await?.header.revision;
    let second = client.put("examples/key", "2").await?.header.revision;

    let old = client.get("examples/key").revision(first).await?;
    println!("before: {:?} at revision {first}", old.map(|kv| kv.value));

    client.compact(second).physical().await?;
    println!("compacted at revision {second}");

    // Each error has a kind to decide by, and says whether the request may have had an effect.
    if let Err(error) = client.get("examples/key").revision(first).await {
        explain(&error);
    }
    if let Err(error) = client.compact(second).await {
        explain(&error);
    }
    if let Err(error) = client.get("examples/key").revision(second + 1000).await {
        explain(&error);
    }
    if let Err(error) = client.range("z".."a").await {
        explain(&error);
    }

    client.delete("examples/key").await?;
    Ok(())
}

fn explain(error: &Error) {
    println!("\n{error}");
    println!("  kind     {:?}", error.kind());
    println!("  outcome  {:?}", error.outcome());
    println!("  attempts {}", error.attempts());
    if let Some(hint) = error.hint() {
        println!("  hint     {hint}");
    }
    if error.kind() == ErrorKind::Compacted {
        println!("  the past is gone: read the newest revision instead");
    }
}
