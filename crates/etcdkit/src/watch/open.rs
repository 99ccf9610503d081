//! Opening a watch.

use std::{
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{Overflow, Watch, WatchError, WatchUpdate, feed::Feed, watcher::Spec};
use crate::{Client, Error, ErrorKind, KeyRange, Result, Revision, exec::deadline_after};

/// How much a watch queues unless told otherwise.
const QUEUE_BYTES: usize = 4 << 20;

impl Client {
    /// Watches a key or a range of keys: every change from now on, or from a past or future
    /// [revision](OpenWatch::from_revision), each once and in order. Awaiting opens the watch; it is
    /// confirmed by the server then.
    ///
    /// A watch goes on by itself whatever happens to connections and members: broken or silent
    /// connections, restarts, elections and expired tokens cost time, but no change is lost,
    /// delivered twice, or delivered from before the start. It ends only for the reasons in
    /// [`WatchEnd`](crate::WatchEnd), and then says how far it had come.
    ///
    /// All watches of a client share a few streams on a connection of their own, so that thousands
    /// are cheap, and none waits behind the answers of calls.
    ///
    /// "Now" is settled by a read with the cluster's agreement, which needs permission to read the
    /// first key of the range: whatever was written before the call does not show, whatever is written
    /// after it does.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) for a range that cannot be or an id in use;
    /// [`Compacted`](ErrorKind::Compacted) if the start is compacted, unless the server finds that out
    /// after it has confirmed (then the watch ends with it);
    /// [`PermissionDenied`](ErrorKind::PermissionDenied);
    /// [`Timeout`](ErrorKind::Timeout) or [`Connect`](ErrorKind::Connect) if no member confirms in time.
    ///
    /// # Cancellation
    ///
    /// Dropping the future, or the watch, ends the watch on the server, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use etcdkit::KeyRange;
    ///
    /// let mut watch = client.watch(KeyRange::prefix("jobs/")).prev_kv().await?;
    /// client.put("jobs/1", "new").await?;
    ///
    /// while let Some(update) = watch.try_next().await? {
    ///     for event in update.events() {
    ///         println!("{:?} is {:?}", event.key(), event.kv().value);
    ///     }
    /// #   break;
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn watch<'a>(&'a self, keys: impl Into<KeyRange<'a>>) -> OpenWatch<'a> {
        OpenWatch {
            client: self,
            keys: keys.into(),
            start: None,
            prev_kv: false,
            no_puts: false,
            no_deletes: false,
            progress_notify: false,
            needs_leader: true,
            id: None,
            queue_bytes: QUEUE_BYTES,
            overflow: Overflow::Pause,
            timeout: None,
        }
    }
}

/// A watch to be opened; made by [`Client::watch`], opened when awaited.
#[derive(Clone, Debug)]
#[must_use = "the watch is opened when awaited"]
pub struct OpenWatch<'a> {
    client: &'a Client,
    keys: KeyRange<'a>,
    start: Option<Revision>,
    prev_kv: bool,
    no_puts: bool,
    no_deletes: bool,
    progress_notify: bool,
    needs_leader: bool,
    id: Option<i64>,
    queue_bytes: usize,
    overflow: Overflow,
    timeout: Option<Duration>,
}

impl OpenWatch<'_> {
    /// Begins with the changes of this revision, past or future, instead of with what comes next.
    /// Must be at least 1.
    pub fn from_revision(mut self, revision: Revision) -> Self {
        self.start = Some(revision);
        self
    }

    /// Delivers each changed key as it was before, too. Since etcd 3.1.
    pub fn prev_kv(mut self) -> Self {
        self.prev_kv = true;
        self
    }

    /// Leaves puts out. Since etcd 3.1.
    pub fn filter_puts(mut self) -> Self {
        self.no_puts = true;
        self
    }

    /// Leaves deletions out. Since etcd 3.1.
    pub fn filter_deletes(mut self) -> Self {
        self.no_deletes = true;
        self
    }

    /// Delivers an update without events now and then while nothing changes: how far the watch has
    /// come. Servers send one every ten minutes unless told otherwise; see
    /// [`Watch::request_progress`] for one at will.
    pub fn progress_notify(mut self) -> Self {
        self.progress_notify = true;
        self
    }

    /// Watches on a member without a leader, too, which learns nothing new until it has one again.
    /// Otherwise the watch moves to a member that has one.
    pub fn without_leader(mut self) -> Self {
        self.needs_leader = false;
        self
    }

    /// The id of the watch, which [`Watch::id`] gives back and which no other watch of the client may
    /// have. By default the next free number. It stays the same for the watch's whole life; the ids
    /// on the wire are others, and new after each interruption.
    pub fn id(mut self, id: i64) -> Self {
        self.id = Some(id);
        self
    }

    /// How much may wait for the program, in bytes on the wire, before the watch
    /// [overflows](Self::on_overflow). Default 4 MiB. The update that goes beyond it is queued still.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// What happens when the program does not take updates as fast as they come. By default the watch
    /// pauses, and nothing is lost.
    pub fn on_overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Limits the time until the watch is open; the client's request timeout otherwise. An open watch
    /// has no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits for one update and ends the watch.
    ///
    /// # Errors
    ///
    /// Those of opening the watch, and of the watch itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let revision = client.put("flag", "up").await?.header.revision;
    /// let update = client.watch("flag").from_revision(revision).once().await?;
    /// assert_eq!(update.events()[0].kv().value, "up");
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn once(self) -> Result<WatchUpdate> {
        let mut watch = self.await?;
        match watch.try_next().await? {
            Some(update) => Ok(update),
            None => Err(WatchError::new(super::WatchEnd::Closed, watch.revision()).into()),
        }
    }

    fn check(&self) -> Result<()> {
        if let Err(invalid) = self.keys.check() {
            return Err(Error::from(invalid));
        }
        if self.start.is_some_and(|start| start < 1) {
            return Err(Error::invalid_request(
                "a watch begins at revision 1 or later",
            ));
        }
        if self.no_puts && self.no_deletes {
            let what = "a watch without puts and without deletions has nothing to deliver";
            return Err(Error::invalid_request(what));
        }
        Ok(())
    }
}

impl<'a> IntoFuture for OpenWatch<'a> {
    type Output = Result<Watch>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Watch>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let opened = self.open().await;
            opened.map_err(|error| error.with_operation("watch"))
        })
    }
}

impl OpenWatch<'_> {
    async fn open(self) -> Result<Watch> {
        self.check()?;
        let core = &self.client.core;
        let within = self.timeout.unwrap_or(core.config.request_timeout);
        let started = Instant::now();
        let deadline = deadline_after(started, within);
        let late = || {
            let error = match core.watches.trouble() {
                Some(trouble) => {
                    let what = format!("no member has confirmed the watch: {}", trouble.message());
                    Error::new(ErrorKind::Timeout, what).with_source(Error::caused_by(&trouble))
                }
                None => Error::new(ErrorKind::Timeout, "no member has confirmed the watch"),
            };
            error.with_story(1, started.elapsed())
        };
        let id = core.watches.take_id(self.id)?;
        let (key, range_end) = self.client.namespace.own_range(self.keys);
        let start = match self.start {
            Some(start) => start,
            None => {
                let now = core.watches.now.read(core, &key, within);
                timeout_at(deadline, now).await.map_err(|_| late())?? + 1
            }
        };
        let spec = Spec {
            key,
            range_end,
            prev_kv: self.prev_kv,
            no_puts: self.no_puts,
            no_deletes: self.no_deletes,
            progress_notify: self.progress_notify,
            overflow: self.overflow,
            prefix: self.client.namespace.prefix().len(),
        };
        let feed = Arc::new(Feed::new(self.queue_bytes));
        let hub = &core.watches;
        let ticket = hub.attach(core, self.needs_leader, spec, start, Arc::clone(&feed));
        match timeout_at(deadline, poll_fn(|cx| feed.poll_confirmed(cx))).await {
            Ok(Ok(header)) => Ok(Watch::new(feed, ticket, id, header, start)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => match core.streams.is_reachable() {
                true => Err(late()),
                false => Err(core
                    .streams
                    .unreachable(None)
                    .with_story(0, started.elapsed())),
            },
        }
    }
}
