//! A watch that has not begun.

use std::{future::IntoFuture, ops::ControlFlow, time::Duration};

use super::{Watch, WatchEvent, scope::Scope, source::Source};
use crate::v2::{Call, Client, Error, Event, Result};

/// How long an answer without an event is listened to, while the store is quiet.
const LONGEST_WAIT: Duration = Duration::from_secs(180);

impl Client {
    /// Watches a key or directory, which need not exist. Awaiting the result gives the next change;
    /// [`stream`](OpenWatch::stream) gives all of them. See [`OpenWatch`] for options.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let mut watch = client.watch("/jobs").recursive().stream().await?;
    /// client.set("/jobs/1", "mow").await?;
    /// client.delete("/jobs/1").await?;
    ///
    /// let first = watch.next_change().await?.expect("a change");
    /// assert_eq!((first.key(), first.value()), ("/jobs/1", Some("mow")));
    /// let second = watch.next_change().await?.expect("a change");
    /// assert!(second.action.is_removal());
    ///
    /// // What has happened already can be watched, too.
    /// let again = client.watch("/jobs/1").from_index(first.index()).await?;
    /// assert_eq!(again, first);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn watch(&self, key: impl Into<String>) -> OpenWatch<'_> {
        OpenWatch {
            client: self,
            key: key.into(),
            recursive: false,
            from: None,
            longest_wait: LONGEST_WAIT,
        }
    }
}

/// A watch that has not begun: made by [`Client::watch`].
///
/// Without [`recursive`](Self::recursive) only the key itself, or the directory itself, is watched. When
/// a directory above is removed or expires, that is told as well, with the directory's key.
///
/// What is below a name that begins with `_` is not told to who watches above it. A
/// [refresh](Client::refresh) of a time to live is told to nobody.
///
/// # Errors
///
/// When no server begins to answer within the client's request timeout, and what [`Watch`] ends with.
/// For the next change alone, also
/// [`EventIndexCleared`](crate::v2::ErrorKind::EventIndexCleared) if the index to watch from is older
/// than the history of a thousand changes.
#[derive(Debug)]
#[must_use = "a watch begins when awaited"]
pub struct OpenWatch<'a> {
    client: &'a Client,
    key: String,
    recursive: bool,
    from: Option<u64>,
    longest_wait: Duration,
}

impl OpenWatch<'_> {
    /// Watches everything below the key, too.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// Begins with the first change of this index or a later one, which may have happened already. 0,
    /// like the default, begins with what happens from now on.
    ///
    /// To miss nothing after a read, begin at its header's
    /// [`etcd_index`](crate::v2::Header::etcd_index) plus one; after a change, at its
    /// [`index`](Event::index) plus one.
    pub fn from_index(mut self, index: u64) -> Self {
        self.from = (index != 0).then_some(index);
        self
    }

    /// Asks the server anew at the latest after this time without a change; three minutes otherwise,
    /// and earlier on a store that others change a lot. Shorter times help where something between the
    /// client and the server forgets connections.
    pub fn ask_anew_after(mut self, time: Duration) -> Self {
        self.longest_wait = time;
        self
    }

    /// Waits for the next change: the same as awaiting this.
    ///
    /// # Errors
    ///
    /// See [`OpenWatch`].
    pub async fn next(self) -> Result<Event> {
        self.await
    }

    /// Opens the watch for every change, and returns when a server listens: whatever happens after
    /// that is told.
    ///
    /// # Errors
    ///
    /// See [`OpenWatch`]. If the index to watch from is no longer in the history, this is told as a
    /// [`Resync`](crate::v2::Resync) instead.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime: a task on it asks for changes.
    pub async fn stream(self) -> Result<Watch> {
        let mut source = self.source(true);
        source.arm().await?;
        Ok(Watch::start(source))
    }

    /// Waits for the first change, or [`Resync`](crate::v2::Resync), that is wanted.
    ///
    /// # Errors
    ///
    /// See [`OpenWatch`].
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let start = client.set("/light", "red").await?.index();
    /// client.set("/light", "green").await?;
    ///
    /// let is_green = |change: &etcdkit::v2::WatchEvent| {
    ///     change.change().is_some_and(|event| event.value() == Some("green"))
    /// };
    /// let green = client.watch("/light").from_index(start).until(is_green).await?;
    /// assert_eq!(green.index(), start + 1);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn until(self, is_wanted: impl FnMut(&WatchEvent) -> bool) -> Result<WatchEvent> {
        let mut watch = self.stream().await?;
        match watch.find(is_wanted).await? {
            Some(event) => Ok(event),
            None => Err(ended()),
        }
    }

    /// Calls a function with each change until it breaks, and gives back what it breaks with. The next
    /// change waits until the function is done with the last.
    ///
    /// # Errors
    ///
    /// See [`OpenWatch`].
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// use std::ops::ControlFlow::{Break, Continue};
    ///
    /// let start = client.set("/count", "1").await?.index();
    /// client.set("/count", "2").await?;
    ///
    /// let mut seen = Vec::new();
    /// client
    ///     .watch("/count")
    ///     .from_index(start)
    ///     .for_each(async |change| {
    ///         seen.extend(change.change().and_then(|event| event.value()).map(str::to_owned));
    ///         if seen.len() == 2 { Break(()) } else { Continue(()) }
    ///     })
    ///     .await?;
    /// assert_eq!(seen, ["1", "2"]);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn for_each<B>(
        self,
        call: impl AsyncFnMut(WatchEvent) -> ControlFlow<B>,
    ) -> Result<B> {
        let mut watch = self.stream().await?;
        match watch.for_each(call).await? {
            Some(result) => Ok(result),
            None => Err(ended()),
        }
    }

    fn source(self, resyncs: bool) -> Source {
        let scope = Scope::new(self.key, self.recursive);
        let client = self.client.clone();
        Source::new(client, scope, self.from, self.longest_wait, resyncs)
    }
}

impl IntoFuture for OpenWatch<'_> {
    type Output = Result<Event>;
    type IntoFuture = Call<Event>;

    fn into_future(self) -> Call<Event> {
        let mut source = self.source(false);
        Call::new(async move {
            source.arm().await?;
            loop {
                if let WatchEvent::Change(event) = source.next().await? {
                    return Ok(event);
                }
            }
        })
    }
}

/// A watch only ends without an error when its runtime does.
fn ended() -> Error {
    let kind = crate::v2::ErrorKind::Disconnected;
    Error::new(kind, "the runtime that the watch was opened on has ended")
}
