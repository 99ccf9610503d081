//! Steps that read: get, range, scan, history.

use std::time::Instant;

use etcdkit::{KeyRange, KeyValue, Op, SortOrder, SortTarget};

use super::Tour;
use crate::error::Result;

/// How many keys the scan reads, and how many of them one transaction writes; a server takes 128.
const SCANNED: usize = 1_000;
const BATCH: usize = 100;

impl Tour<'_> {
    pub(super) async fn get(&mut self) -> Result {
        let key = self.key("greeting");
        let missing = self.key("farewell");
        let screen = &mut *self.screen;
        screen.step(
            "Get",
            "A pair knows when it was created, when it was changed, and how often.",
        )?;
        screen.rust(&format!("let kv = client.get({key:?}).await?;"))?;
        screen.shell(&format!("etcdkit get {key} -w fields"))?;
        let kv = self.client.get(&key).await?.unwrap_or_default();
        screen.reply(&format!(
            "{:?}, created at revision {}, changed at {}, version {}",
            String::from_utf8_lossy(&kv.value),
            kv.create_revision,
            kv.mod_revision,
            kv.version
        ))?;
        screen.check(
            kv.value == "good day" && kv.version == 2,
            "the newest value is read, whichever server answers",
        )?;
        screen.rust(&format!("client.get({missing:?}).await?;"))?;
        let none = self.client.get(&missing).await?;
        screen.reply(&format!("{none:?}"))?;
        screen.check(none.is_none(), "a key that does not exist is no error")
    }

    pub(super) async fn range(&mut self) -> Result {
        let all = self.key("jobs/");
        for (name, value) in [
            ("a", "30"),
            ("b", "10"),
            ("c", "50"),
            ("d", "20"),
            ("e", "40"),
        ] {
            self.client.put(format!("{all}{name}"), value).await?;
        }
        let jobs = KeyRange::prefix(&all);
        let show = |kvs: &[KeyValue]| {
            let pair = |kv: &KeyValue| {
                let name = kv.key.get(all.len()..).unwrap_or_default();
                let value = String::from_utf8_lossy(&kv.value);
                format!("{}={value}", String::from_utf8_lossy(name))
            };
            kvs.iter().map(pair).collect::<Vec<_>>().join(" ")
        };
        let screen = &mut *self.screen;
        screen.step(
            "Range",
            "By prefix or between two keys; limited, sorted, or only counted.",
        )?;
        screen.rust(&format!("let jobs = KeyRange::prefix({all:?});"))?;
        screen.rust("client.range(&jobs).limit(3).await?;")?;
        screen.shell(&format!("etcdkit get --prefix {all} --limit 3"))?;
        let page = self.client.range(&jobs).limit(3).await?;
        let shown = show(&page.kvs);
        screen.reply(&format!(
            "{shown}, more: {}, count: {}",
            page.more, page.count
        ))?;
        screen.check(
            shown == "a=30 b=10 c=50" && page.more && page.count == 5,
            "three in the order of their keys, and how many there are in all",
        )?;

        screen.rust(
            "client.range(&jobs).sort_by(SortTarget::Value, SortOrder::Descending).await?;",
        )?;
        screen.shell(&format!(
            "etcdkit get --prefix {all} --sort-by VALUE --order DESCEND"
        ))?;
        let sorted = self.client.range(&jobs);
        let sorted = sorted
            .sort_by(SortTarget::Value, SortOrder::Descending)
            .await?;
        let shown = show(&sorted.kvs);
        screen.reply(&shown)?;
        screen.check(shown == "c=50 e=40 a=30 d=20 b=10", "the server sorts")?;

        screen.rust("client.range(&jobs).count_only().await?;")?;
        screen.shell(&format!(
            "etcdkit get --prefix {all} --count-only -w fields"
        ))?;
        let counted = self.client.range(&jobs).count_only().await?;
        screen.reply(&format!("count: {}", counted.count))?;
        screen.check(
            counted.count == 5 && counted.kvs.is_empty(),
            "counting sends no pairs",
        )
    }

    pub(super) async fn scan(&mut self) -> Result {
        let all = self.key("events/");
        let screen = &mut *self.screen;
        screen.step(
            "Scan",
            "A range of any size in pages, all at one revision, with one page in memory.",
        )?;
        let names: Vec<String> = (0..SCANNED).map(|n| format!("{all}{n:04}")).collect();
        for batch in names.chunks(BATCH) {
            let puts = batch.iter().map(|name| Op::put(name, "happened"));
            self.client.txn().then(puts).await?;
        }
        screen.rust(&format!(
            "let mut events = client.scan(KeyRange::prefix({all:?}));"
        ))?;
        screen.rust("while let Some(kv) = events.try_next().await? { … }")?;
        screen.shell(&format!("etcdkit get --prefix {all} --stream"))?;
        let begin = Instant::now();
        let mut scan = self.client.scan(KeyRange::prefix(&all)).page_bytes(8 << 10);
        let mut expected = names.iter();
        let mut in_order = true;
        let mut read = 0;
        while let Some(kv) = scan.try_next().await? {
            // A write in the middle of the scan, which must not show in it.
            if read == 0 {
                self.client
                    .put(self.prefix.clone() + "events/9999", "late")
                    .await?;
            }
            in_order &= expected.next().is_some_and(|name| kv.key == *name);
            read += 1;
        }
        screen.reply(&format!("{read} pairs in {:.1?}", begin.elapsed()))?;
        screen.check(
            in_order && read == SCANNED,
            "each once and in order; a key written meanwhile does not show",
        )
    }

    pub(super) async fn history(&mut self) -> Result {
        let key = self.key("greeting");
        let screen = &mut *self.screen;
        screen.step(
            "History",
            "Reads go back to any revision that is not compacted.",
        )?;
        let now = self.client.get(&key).await?.unwrap_or_default();
        self.client.delete(&key).await?;
        let before = now.create_revision;
        screen.rust(&format!("client.get({key:?}).revision({before}).await?;"))?;
        screen.shell(&format!("etcdkit get {key} --rev {before}"))?;
        let old = self
            .client
            .get(&key)
            .revision(before)
            .await?
            .unwrap_or_default();
        let value = String::from_utf8_lossy(&old.value);
        screen.reply(&format!("{value:?}, version {}", old.version))?;
        screen.check(
            old.value == "hello" && old.version == 1,
            "the first value is still there, though the key was changed and then deleted",
        )?;
        let gone = self.client.get(&key).await?;
        screen.check(
            gone.is_none(),
            "read without a revision, the key does not exist",
        )
    }
}
