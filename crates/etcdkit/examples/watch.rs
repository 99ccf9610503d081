//! Watches: every change, once and in order, through whatever happens to connections.
//!
//! `cargo run -p etcdkit --example watch [ENDPOINT]`: without an endpoint, on an embedded server.

#[path = "support/mod.rs"]
mod support;

use std::ops::ControlFlow;

use etcdkit::{Client, Event, KeyRange, Result, WatchEnd};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::run(watch).await
}

async fn watch(client: Client) -> Result<()> {
    let client = client.namespaced("examples/watch/");
    client.put("lamp", "off").await?;

    // From now on: what was before does not show, what comes after does.
    let mut lamps = client.watch(KeyRange::prefix("lamp")).prev_kv().await?;
    let on = client.put("lamp", "on").await?.header.revision;
    client.delete("lamp").await?;
    let last = lamps
        .for_each(async |event| {
            let before = event.prev_kv().map(|kv| &kv.value);
            match &event {
                Event::Put { kv, .. } => println!("{:?} -> {:?}", before, kv.value),
                Event::Delete { .. } => return ControlFlow::Break(event.revision()),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .await?;
    println!("taken away at revision {last:?}");
    lamps.cancel().await;

    // From a revision of the past, one update and no more.
    let update = client.watch("lamp").from_revision(on).once().await?;
    println!("first from {on}: {:?}", update.events()[0].kv().value);

    // What can end a watch is typed. Here history was compacted.
    client.compact(on + 1).await?;
    let mut late = client.watch("lamp").from_revision(on).await?;
    if let Err(error) = late.try_next().await {
        match error.end() {
            WatchEnd::Compacted { compact_revision } => {
                println!("the oldest revision to watch is {compact_revision}");
            }
            _ => return Err(error.into()),
        }
    }

    // Contents and then changes: this one reads the range again where a compaction overtakes it.
    client.put("lamp", "new").await?;
    let mut list = client.list_then_watch(..).await?;
    for kv in list.snapshot() {
        println!("there is {:?}", kv.key);
    }
    client.put("lamp", "old").await?;
    if let Some(update) = list.try_next().await? {
        println!("and now it is {:?}", update.events()[0].kv().value);
    }
    client.delete(..).await?;
    Ok(())
}
