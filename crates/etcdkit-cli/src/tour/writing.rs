//! Steps that write: put, delete, transaction.

use etcdkit::{Compare, KeyRange, Op, OpResponse};

use super::Tour;
use crate::error::Result;

impl Tour<'_> {
    pub(super) async fn put(&mut self) -> Result {
        let key = self.key("greeting");
        let screen = &mut *self.screen;
        screen.step(
            "Put",
            "Keys and values are bytes. Every write makes a new revision of the whole store.",
        )?;
        screen.rust(&format!("client.put({key:?}, \"hello\").await?;"))?;
        screen.shell(&format!("etcdkit put {key} hello"))?;
        let first = self.client.put(&key, "hello").await?;
        screen.reply(&format!("revision {}", first.header.revision))?;

        screen.rust(&format!(
            "client.put({key:?}, \"good day\").prev_kv().await?;"
        ))?;
        screen.shell(&format!("etcdkit put {key} 'good day' --prev-kv"))?;
        let second = self.client.put(&key, "good day").prev_kv().await?;
        let before = second.prev_kv.unwrap_or_default();
        screen.reply(&format!(
            "revision {}, before it {:?} at revision {}",
            second.header.revision,
            String::from_utf8_lossy(&before.value),
            before.mod_revision
        ))?;
        screen.check(
            second.header.revision > first.header.revision,
            "a later write has a higher revision",
        )?;
        screen.check(
            before.value == "hello" && before.mod_revision == first.header.revision,
            "the value that was replaced comes back",
        )
    }

    pub(super) async fn delete(&mut self) -> Result {
        let one = self.key("jobs/a");
        let all = self.key("jobs/");
        let screen = &mut *self.screen;
        screen.step(
            "Delete",
            "One key or a range; what was deleted can come back in the answer.",
        )?;
        screen.rust(&format!("client.delete({one:?}).prev_kv().await?;"))?;
        screen.shell(&format!("etcdkit del {one} --prev-kv"))?;
        let deleted = self.client.delete(&one).prev_kv().await?;
        let value = deleted.prev_kvs.first().map(|kv| kv.value.clone());
        screen.reply(&format!("{} deleted", deleted.deleted))?;
        screen.check(
            deleted.deleted == 1 && value.is_some_and(|value| value == "30"),
            "the deleted key comes back with its value",
        )?;

        screen.rust(&format!("client.delete(KeyRange::prefix({all:?})).await?;"))?;
        screen.shell(&format!("etcdkit del --prefix {all}"))?;
        let deleted = self.client.delete(KeyRange::prefix(&all)).await?;
        screen.reply(&format!("{} deleted", deleted.deleted))?;
        screen.check(deleted.deleted == 4, "the other four are gone at once")?;
        let left = self.client.get(&one).await?;
        screen.check(left.is_none(), "a deleted key is no more")
    }

    pub(super) async fn transaction(&mut self) -> Result {
        let key = self.key("leader");
        let screen = &mut *self.screen;
        screen.step(
            "Transaction",
            "Conditions and operations in one atomic step: compare-and-swap, locks, elections.",
        )?;
        self.client.put(&key, "host-1").await?;

        let swap = |from: &str, to: &str| {
            let when = [Compare::value(&key).eq(from)];
            let then = [Op::put(&key, to)];
            let or_else = [Op::get(&key)];
            self.client.txn().when(when).then(then).or_else(or_else)
        };
        screen.rust(&format!(
            "client.txn().when([Compare::value({key:?}).eq(\"host-1\")])"
        ))?;
        screen.rust(&format!("    .then([Op::put({key:?}, \"host-2\")])"))?;
        screen.rust(&format!("    .or_else([Op::get({key:?})]).await?;"))?;
        screen.shell(&format!(
            r#"printf 'val("{key}") = "host-1"\n\nput {key} host-2\n\nget {key}\n\n' | etcdkit txn"#
        ))?;
        let won = swap("host-1", "host-2").await?;
        screen.reply(&format!("succeeded: {}", won.succeeded))?;
        screen.check(
            won.succeeded,
            "the value was as expected, so the put was done",
        )?;

        let lost = swap("host-1", "host-3").await?;
        let found = match lost.responses.first() {
            Some(OpResponse::Range(range)) => range.kvs.first().map(|kv| kv.value.clone()),
            _ => None,
        };
        let found = found.unwrap_or_default();
        screen.reply(&format!(
            "the same once more: succeeded: {}, the key is {:?}",
            lost.succeeded,
            String::from_utf8_lossy(&found)
        ))?;
        screen.check(
            !lost.succeeded && found == "host-2",
            "it no longer was, so nothing was written and the other branch read it",
        )
    }
}
