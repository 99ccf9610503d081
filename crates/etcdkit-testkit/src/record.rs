//! What happened to the keys of a test, read as it grows, and before it is compacted away.

use etcdkit::{Client, ErrorKind, KeyRange, Revision};

use crate::{
    patience::{in_time, insist},
    scenario::replay,
    watch_checker::Event,
};

/// The events of all keys with a prefix, from the beginning of the test on.
#[derive(Debug)]
pub struct Record {
    endpoints: Vec<String>,
    /// Over connections that no fault is done to.
    direct: Client,
    prefix: String,
    /// The first revision that is not read yet.
    next: Revision,
    events: Vec<Event>,
}

impl Record {
    /// Begins now, before anything that the test does.
    ///
    /// # Panics
    ///
    /// When the members do not answer in a minute.
    pub async fn begin(endpoints: Vec<String>, direct: Client, prefix: &str) -> Self {
        let mut record = Self {
            endpoints,
            direct,
            prefix: prefix.to_owned(),
            next: 0,
            events: Vec::new(),
        };
        record.next = record.mark().await;
        record
    }

    /// Reads what happened up to now.
    ///
    /// # Panics
    ///
    /// As [`begin`](Self::begin).
    pub async fn read(&mut self) -> Revision {
        let until = self.mark().await;
        let keys = KeyRange::prefix(self.prefix.as_str());
        let what = "reading the history";
        let (endpoints, next) = (&self.endpoints, self.next);
        let events = insist(what, async || replay(endpoints, &keys, next, until).await);
        self.events.extend(in_time(what, events).await);
        self.next = until + 1;
        until
    }

    /// Compacts everything up to now, after it has been read.
    ///
    /// # Panics
    ///
    /// As [`begin`](Self::begin).
    pub async fn compact(&mut self) {
        let until = self.read().await;
        insist("a compaction", async || {
            match self.direct.compact(until).await {
                // By a request whose answer was lost.
                Err(error) if error.kind() == ErrorKind::Compacted => Ok(()),
                compacted => compacted.map(drop),
            }
        })
        .await;
    }

    /// What was read, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        let mark = self.mark_key();
        self.events.iter().filter(move |event| event.kv.key != mark)
    }

    fn mark_key(&self) -> String {
        format!("{}mark", self.prefix)
    }

    /// A revision after everything that was done before.
    async fn mark(&self) -> Revision {
        let key = self.mark_key();
        let put = insist("a put", async || self.direct.put(&key, "").await);
        put.await.header.revision
    }
}
