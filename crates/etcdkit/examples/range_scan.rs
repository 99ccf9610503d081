//! Reading many keys: ranges in one answer, and scans of any size.
//!
//! `cargo run -p etcdkit --example range_scan [ENDPOINT]`: without an endpoint, on an embedded
//! server.

#[path = "support/mod.rs"]
mod support;

use etcdkit::{Client, KeyRange, Result, SortOrder, SortTarget};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(range_scan).await
}

async fn range_scan(client: Client) -> Result<()> {
    let jobs = KeyRange::prefix("examples/jobs/");
    for job in 0..1000 {
        let key = format!("examples/jobs/{job:04}");
        client.put(key, format!("priority {}", job % 7)).await?;
    }

    let page = client.range(&jobs).limit(3).await?;
    println!(
        "{} of {} jobs, more: {}",
        page.kvs.len(),
        page.count,
        page.more
    );
    for kv in &page.kvs {
        println!("  {:?} = {:?}", kv.key, kv.value);
    }

    // Rust's ranges are ranges of keys.
    let some = client
        .range("examples/jobs/0010"..="examples/jobs/0012")
        .keys_only()
        .await?;
    println!("from 10 to 12: {} keys", some.kvs.len());

    let newest = client
        .range(&jobs)
        .sort_by(SortTarget::ModRevision, SortOrder::Descending)
        .limit(1)
        .await?;
    println!("the newest: {:?}", newest.kvs.first().map(|kv| &kv.key));

    println!("counted: {}", client.range(&jobs).count_only().await?.count);

    // A scan reads everything at one revision, in pages, whatever is written meanwhile.
    let mut scan = client.scan(&jobs);
    let (mut found, mut bytes) = (0, 0);
    while let Some(kv) = scan.try_next().await? {
        (found, bytes) = (found + 1, bytes + kv.value.len());
        if found == 1 {
            client.put("examples/jobs/late", "not in this scan").await?;
        }
    }
    let revision = scan.pinned_revision();
    println!("scanned: {found} jobs, {bytes} bytes, revision {revision:?}");

    let deleted = client.delete(&jobs).await?.deleted;
    println!("deleted: {deleted}");
    Ok(())
}
