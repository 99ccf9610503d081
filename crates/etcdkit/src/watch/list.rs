//! A range's contents, and then every change of them, whatever is compacted meanwhile.

use std::{
    collections::BTreeMap,
    fmt,
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_core::{FusedStream, Stream};
use tokio::time::sleep;

use super::{Event, Watch, WatchEnd, WatchUpdate};
use crate::{
    Client, ErrorKind, Header, KeyRange, KeyValue, Result, Revision, transport::backoff::Backoff,
};

/// The pause before a list is read again after a failure.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(5);

impl Client {
    /// Reads a range of keys and watches it from there on: the pairs as of one revision, and then
    /// every change after it.
    ///
    /// Where an ordinary watch ends because what follows has been compacted, this reads the range
    /// again and delivers the difference as one update
    /// ([`WatchUpdate::is_relist`]): a put for each key that is new or changed, a deletion for each
    /// that is gone. What happened to a key in between is lost, but never where it ended up.
    ///
    /// Remembers each key with the revision of its last change; with
    /// [`prev_kv`](ListThenWatch::prev_kv) its value, too.
    ///
    /// # Errors
    ///
    /// Those of [`scan`](Self::scan) and [`watch`](Self::watch).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// # client.put("hosts/a", "up").await?;
    /// use etcdkit::KeyRange;
    ///
    /// let mut hosts = client.list_then_watch(KeyRange::prefix("hosts/")).await?;
    /// for kv in hosts.take_snapshot() {
    ///     println!("{:?} is {:?}", kv.key, kv.value);
    /// }
    /// # client.put("hosts/b", "up").await?;
    /// while let Some(update) = hosts.try_next().await? {
    ///     for event in update.events() {
    ///         println!("{:?} is now {:?}", event.key(), event.kv().value);
    ///     }
    /// #   break;
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn list_then_watch<'a>(&self, keys: impl Into<KeyRange<'a>>) -> ListThenWatch {
        ListThenWatch {
            plan: Plan {
                client: self.clone(),
                keys: keys.into().into_owned(),
                prev_kv: false,
            },
        }
    }
}

/// A list with a watch behind it, to be opened; made by [`Client::list_then_watch`], opened when
/// awaited.
#[derive(Clone, Debug)]
#[must_use = "the list is read when awaited"]
pub struct ListThenWatch {
    plan: Plan,
}

impl ListThenWatch {
    /// Delivers each changed key as it was before, too. Keeps the values of all keys in memory.
    pub fn prev_kv(mut self) -> Self {
        self.plan.prev_kv = true;
        self
    }
}

impl IntoFuture for ListThenWatch {
    type Output = Result<ListWatch>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<ListWatch>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Listed {
                kvs,
                header,
                revision,
                watch,
            } = self.plan.list().await?;
            let mut known = Known::new(self.plan.prev_kv);
            known.learn(&kvs);
            Ok(ListWatch {
                plan: self.plan,
                known,
                snapshot: kvs,
                header,
                revision,
                state: State::Watching(watch),
            })
        })
    }
}

/// What to list and watch.
#[derive(Clone, Debug)]
struct Plan {
    client: Client,
    keys: KeyRange<'static>,
    prev_kv: bool,
}

/// A list, and the watch that goes on from there.
struct Listed {
    kvs: Vec<KeyValue>,
    header: Header,
    revision: Revision,
    watch: Watch,
}

impl Plan {
    async fn list(&self) -> Result<Listed> {
        let core = &self.client.core;
        let within = core.config.request_timeout;
        let (key, _) = self.client.namespace.own_range(self.keys.clone());
        loop {
            let revision = core.watches.now.read(core, &key, within).await?;
            match self.list_at(revision).await {
                Ok(listed) => return Ok(listed),
                // Overtaken by a compaction, so a newer one has to do.
                Err(error) if error.kind() == ErrorKind::Compacted => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn list_at(&self, revision: Revision) -> Result<Listed> {
        let open = self
            .client
            .watch(&self.keys)
            .from_revision(revision + 1)
            // Moves on while nothing matches, so that an idle watch is not compacted away.
            .progress_notify();
        let watch = match self.prev_kv {
            true => open.prev_kv().await?,
            false => open.await?,
        };
        let mut scan = self
            .client
            .scan(&self.keys)
            .linearizable()
            .revision(revision);
        let mut kvs = Vec::new();
        while let Some(kv) = scan.try_next().await? {
            kvs.push(kv);
        }
        Ok(Listed {
            kvs,
            header: *watch.header(),
            revision,
            watch,
        })
    }

    /// Lists until it works, or cannot work.
    async fn list_again(self) -> Result<Listed> {
        let mut pauses = Backoff::new(PAUSE_FIRST, PAUSE_MOST);
        loop {
            match self.list().await {
                Err(error) if error.is_temporary() => {
                    tracing::warn!(%error, "a compacted list cannot be read again yet");
                    sleep(pauses.next(fastrand::f64())).await;
                }
                listed => return listed,
            }
        }
    }
}

/// A range's contents and every change of them; made by awaiting [`Client::list_then_watch`].
///
/// Poll it as a [`Stream`] or call [`try_next`](Self::try_next); both can be dropped and taken up again
/// without losing anything. After an error there is nothing more.
pub struct ListWatch {
    plan: Plan,
    known: Known,
    snapshot: Vec<KeyValue>,
    header: Header,
    revision: Revision,
    state: State,
}

enum State {
    Watching(Watch),
    Listing(Pin<Box<dyn Future<Output = Result<Listed>> + Send>>),
    Over,
}

impl ListWatch {
    /// The pairs of the first list, in the order of their keys. Empty after
    /// [`take_snapshot`](Self::take_snapshot).
    pub fn snapshot(&self) -> &[KeyValue] {
        &self.snapshot
    }

    /// Takes the pairs of the first list.
    pub fn take_snapshot(&mut self) -> Vec<KeyValue> {
        std::mem::take(&mut self.snapshot)
    }

    /// How far the watch has come: the list's revision at first, then that of the last update.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The header of the answer that began the watch.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next update, or `None` after the watch has ended with an error.
    ///
    /// # Errors
    ///
    /// How the watch ended, other than by compaction ([`WatchError`](crate::WatchError) is the source);
    /// or what forbids to read the list again. Once.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn try_next(&mut self) -> Result<Option<WatchUpdate>> {
        poll_fn(|cx| self.poll_update(cx)).await.transpose()
    }

    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WatchUpdate>>> {
        loop {
            let error = match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Watching(watch) => match ready!(Pin::new(watch).poll_next(cx)) {
                    Some(Ok(update)) => {
                        self.revision = update.revision();
                        if update.is_progress() {
                            continue;
                        }
                        self.known.follow(update.events());
                        return Poll::Ready(Some(Ok(update)));
                    }
                    Some(Err(error)) if matches!(error.end(), WatchEnd::Compacted { .. }) => {
                        tracing::debug!(%error, "reading the list again");
                        self.state = State::Listing(Box::pin(self.plan.clone().list_again()));
                        continue;
                    }
                    Some(Err(error)) => error.into(),
                    None => return Poll::Ready(None),
                },
                State::Listing(listing) => match ready!(listing.as_mut().poll(cx)) {
                    Ok(listed) => {
                        let events = self.known.replace(listed.kvs, listed.revision);
                        self.state = State::Watching(listed.watch);
                        self.revision = listed.revision;
                        if events.is_empty() {
                            continue;
                        }
                        let update = WatchUpdate::relisted(listed.header, listed.revision, events);
                        return Poll::Ready(Some(Ok(update)));
                    }
                    Err(error) => error,
                },
            };
            self.state = State::Over;
            return Poll::Ready(Some(Err(error)));
        }
    }
}

impl Stream for ListWatch {
    type Item = Result<WatchUpdate>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_update(cx)
    }
}

impl FusedStream for ListWatch {
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

impl fmt::Debug for ListWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListWatch")
            .field("keys", &self.plan.keys)
            .field("known", &self.known.keys.len())
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// The keys as the program knows them.
#[derive(Debug)]
struct Known {
    keys: BTreeMap<Bytes, Last>,
    with_values: bool,
}

/// The last change of a key.
#[derive(Debug)]
struct Last {
    revision: Revision,
    kv: Option<KeyValue>,
}

impl Known {
    fn new(with_values: bool) -> Self {
        Self {
            keys: BTreeMap::new(),
            with_values,
        }
    }

    fn last(&self, kv: &KeyValue) -> (Bytes, Last) {
        // In memory of their own: an update's other pairs are not to be kept with them.
        let kv_kept = self.with_values.then(|| kv.detach());
        let key = match &kv_kept {
            Some(kv) => kv.key.clone(),
            None => Bytes::copy_from_slice(&kv.key),
        };
        let last = Last {
            revision: kv.mod_revision,
            kv: kv_kept,
        };
        (key, last)
    }

    fn learn(&mut self, kvs: &[KeyValue]) {
        self.keys = kvs.iter().map(|kv| self.last(kv)).collect();
    }

    fn follow(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Put { kv, .. } => {
                    let (key, last) = self.last(kv);
                    self.keys.insert(key, last);
                }
                Event::Delete { kv, .. } => {
                    self.keys.remove(&kv.key);
                }
            }
        }
    }

    /// Takes a new list, sorted by key, and tells how it differs: what changed in the order of
    /// revisions, after what is gone.
    fn replace(&mut self, kvs: Vec<KeyValue>, revision: Revision) -> Vec<Event> {
        let mut gone = std::mem::take(&mut self.keys);
        let mut changed = Vec::new();
        for kv in kvs {
            let before = gone.remove(&kv.key);
            let (key, last) = self.last(&kv);
            self.keys.insert(key, last);
            if before
                .as_ref()
                .is_none_or(|before| before.revision != kv.mod_revision)
            {
                let prev_kv = before.and_then(|before| before.kv);
                changed.push(Event::Put { kv, prev_kv });
            }
        }
        changed.sort_by_key(Event::revision);
        let deletion = |(key, last): (Bytes, Last)| Event::Delete {
            kv: KeyValue {
                key,
                mod_revision: revision,
                ..KeyValue::default()
            },
            prev_kv: last.kv,
        };
        gone.into_iter().map(deletion).chain(changed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &str, revision: Revision) -> KeyValue {
        KeyValue {
            key: key.to_owned().into(),
            value: format!("{key}@{revision}").into(),
            create_revision: 2,
            mod_revision: revision,
            version: 1,
            lease: None,
        }
    }

    fn put(kv: KeyValue) -> Event {
        Event::Put { kv, prev_kv: None }
    }

    #[test]
    fn a_new_list_is_told_as_what_changed() {
        let mut known = Known::new(true);
        known.learn(&[kv("a", 2), kv("b", 3), kv("c", 4)]);
        let gone = Event::Delete {
            kv: kv("a", 5),
            prev_kv: None,
        };
        known.follow(&[put(kv("d", 6)), gone]);
        let again = known.replace(vec![kv("b", 3), kv("c", 9), kv("e", 8)], 10);
        let text = |event: &Event| {
            let kv = event.kv();
            let key = kv.key_str().expect("text");
            let before = event.prev_kv().map_or(0, |kv| kv.mod_revision);
            format!(
                "{}{key}@{} was {before}",
                if event.is_delete() { '-' } else { '+' },
                kv.mod_revision
            )
        };
        let again: Vec<_> = again.iter().map(text).collect();
        assert_eq!(again, ["-d@10 was 6", "+e@8 was 0", "+c@9 was 4"]);
        assert_eq!(
            known.replace(vec![kv("b", 3), kv("c", 9), kv("e", 8)], 12),
            []
        );
    }

    #[test]
    fn values_are_kept_only_if_asked_for() {
        let mut known = Known::new(false);
        known.learn(&[kv("a", 2)]);
        let again = known.replace(vec![kv("a", 5)], 5);
        assert_eq!(again[0].prev_kv(), None);
    }
}
