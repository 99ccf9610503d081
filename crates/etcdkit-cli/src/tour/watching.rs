//! Steps that watch: changes as they happen, and through a connection that is cut.

use std::time::Duration;

use etcdkit::{Client, Event, KeyRange, Watch};
use tokio::time::timeout;

use super::{Tour, relay::Relay};
use crate::error::{Exit, Failure, Result};

/// The longest time in which a change must arrive.
const SOON: Duration = Duration::from_secs(10);

impl Tour<'_> {
    pub(super) async fn watch(&mut self) -> Result {
        let all = self.key("light/");
        let left = self.key("light/left");
        let screen = &mut *self.screen;
        screen.step(
            "Watch",
            "Changes arrive as they happen, each once, in the order of their revisions.",
        )?;
        screen.rust(&format!(
            "let mut watch = client.watch(KeyRange::prefix({all:?})).prev_kv().await?;"
        ))?;
        screen.rust("while let Some(update) = watch.try_next().await? { … }")?;
        screen.shell(&format!("etcdkit watch --prefix {all} --prev-kv"))?;
        let keys = KeyRange::prefix(&all);
        let mut watch = self.client.watch(&keys).prev_kv().await?;
        let first = self.client.put(&left, "red").await?.header.revision;
        self.client.put(&left, "green").await?;
        self.client.delete(&left).await?;
        let seen = take(&mut watch, 3, &all).await?;
        screen.reply(&seen.join(", "))?;
        let expected = ["left=red", "left=green, was red", "left deleted, was green"];
        screen.check(
            seen == expected,
            "two puts and a deletion, each with what was there before",
        )?;

        screen.rust(&format!(
            "client.watch(KeyRange::prefix({all:?})).from_revision({first}).await?;"
        ))?;
        screen.shell(&format!("etcdkit watch --prefix {all} --rev {first}"))?;
        let mut again = self.client.watch(&keys).from_revision(first).await?;
        let seen = take(&mut again, 3, &all).await?;
        screen.reply(&seen.join(", "))?;
        screen.check(
            seen == ["left=red", "left=green", "left deleted"],
            "the past can be watched as well, from any revision that is not compacted",
        )
    }

    /// On the embedded server only: others are not reached through a relay of the tour's own.
    pub(super) async fn interruption(&mut self, endpoint: &str) -> Result {
        let all = self.key("light/");
        let right = self.key("light/right");
        let screen = &mut *self.screen;
        screen.step(
            "Interruption",
            "A watch outlives its connection, and misses nothing that happens meanwhile.",
        )?;
        let relay = Relay::start(endpoint).await?;
        let far = Client::connect(relay.endpoint()).await?;
        screen.rust(&format!(
            "let mut watch = far.watch(KeyRange::prefix({all:?})).await?;"
        ))?;
        let mut watch = far.watch(KeyRange::prefix(&all)).await?;
        self.client.put(&right, "1").await?;
        let mut seen = take(&mut watch, 1, &all).await?;
        relay.cut();
        screen.note("every connection of the watching client is cut, and none is let through")?;
        self.client.put(&right, "2").await?;
        self.client.put(&right, "3").await?;
        screen.note("the key changes twice; then connections are possible again")?;
        relay.mend();
        seen.extend(take(&mut watch, 2, &all).await?);
        self.client.put(&right, "4").await?;
        seen.extend(take(&mut watch, 1, &all).await?);
        screen.reply(&seen.join(", "))?;
        screen.check(
            seen == ["right=1", "right=2", "right=3", "right=4"],
            "nothing is lost, and nothing comes twice",
        )
    }
}

/// The next changes, in words.
async fn take(watch: &mut Watch, count: usize, prefix: &str) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let Ok(update) = timeout(SOON, watch.try_next()).await else {
            let late = format!("the watch is silent after {}", seen.join(", "));
            return Err(Failure::new(Exit::Error, late));
        };
        let Some(update) = update.map_err(etcdkit::Error::from)? else {
            break;
        };
        seen.extend(update.events().iter().map(|event| told(event, prefix)));
    }
    Ok(seen)
}

fn told(event: &Event, prefix: &str) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let name = text(event.key().get(prefix.len()..).unwrap_or_default());
    let change = match event.is_delete() {
        true => format!("{name} deleted"),
        false => format!("{name}={}", text(&event.kv().value)),
    };
    match event.prev_kv() {
        Some(before) => format!("{change}, was {}", text(&before.value)),
        None => change,
    }
}
