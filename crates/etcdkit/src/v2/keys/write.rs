//! Set, create and update: keys.

use std::{future::IntoFuture, time::Duration};

use super::{Draft, respond, send};
use crate::v2::{Call, Client, Response, Result, Ttl};

impl Client {
    /// Writes a value under a key, whatever was there before; makes the directories on the way to it.
    ///
    /// The key is made anew: its [`created_index`](crate::v2::Node::created_index) is that of this write,
    /// and its time to live is what this write says, by default none. A directory is never replaced by a
    /// key: the error is [`NotAFile`](crate::v2::ErrorKind::NotAFile).
    ///
    /// Values are text. Other bytes come back changed from etcd's v2 API, whose answers are JSON: encode
    /// them, for example as base64.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let first = client.set("/message", "hello").await?;
    /// assert!(first.created);
    ///
    /// let second = client.set("/message", "good day").ttl(60).await?;
    /// assert_eq!(second.prev_value(), Some("hello"));
    /// assert_eq!(second.node.unwrap().ttl, Some(60));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn set(&self, key: impl Into<String>, value: impl Into<String>) -> Write<'_> {
        Write::new(self, Draft::put("set", key).with("value", value.into()))
    }

    /// Writes a value under a key that does not exist yet; makes the directories on the way to it.
    ///
    /// If a key or directory is there already, the error is
    /// [`KeyExists`](crate::v2::ErrorKind::KeyExists).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// use etcdkit::v2::ErrorKind;
    ///
    /// client.create("/message", "hello").await?;
    /// let error = client.create("/message", "good day").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::KeyExists);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn create(&self, key: impl Into<String>, value: impl Into<String>) -> Write<'_> {
        let draft = Draft::put("create", key).with("value", value.into());
        Write::new(self, draft.with("prevExist", "false"))
    }

    /// Writes a value under a key that exists, and keeps its
    /// [`created_index`](crate::v2::Node::created_index). Its time to live is what this write says, by
    /// default none; [`refresh`](Self::refresh) changes the time alone.
    ///
    /// If there is no such key, the error is [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let created = client.create("/message", "hello").await?.index();
    /// let updated = client.update("/message", "good day").await?.node.unwrap();
    /// assert_eq!(updated.created_index, created);
    /// assert!(updated.modified_index > created);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn update(&self, key: impl Into<String>, value: impl Into<String>) -> Write<'_> {
        let draft = Draft::put("update", key).with("value", value.into());
        Write::new(self, draft.with("prevExist", "true"))
    }

    /// Adds a key to a directory, under a name that the server chooses: greater than those of all keys that
    /// were added like this before. The directory is made if it does not exist.
    ///
    /// The name is the index of the write, with leading zeros since etcd 2.2, so there are gaps.
    /// [`list(dir).in_order()`](crate::v2::List::in_order) lists the keys in the order they came. With
    /// [`Write::ttl`] the key expires, not the directory.
    ///
    /// Repeating this after an [unknown outcome](crate::v2::Error::outcome) may add a second key.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let job = client.create_in_order("/queue", "first").await?;
    /// assert!(job.key().unwrap().starts_with("/queue/0"));
    /// client.create_in_order("/queue", "second").await?;
    ///
    /// let queue = client.list("/queue").in_order().await?;
    /// assert!(queue.values().eq(["first", "second"]));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn create_in_order(&self, dir: impl Into<String>, value: impl Into<String>) -> Write<'_> {
        let draft = Draft::post("create in order", dir);
        Write::new(self, draft.with("value", value.into()))
    }
}

/// A write of a key or directory that has not been sent yet: made by [`Client::set`], [`Client::create`],
/// [`Client::update`], [`Client::create_in_order`] and their like for directories, sent when awaited.
///
/// # Errors
///
/// Before sending: [`InvalidRequest`](crate::v2::ErrorKind::InvalidRequest) for a time to live that etcd
/// cannot keep. From the server, besides those that each operation names:
/// [`NotADirectory`](crate::v2::ErrorKind::NotADirectory) if there is a key where the path needs a
/// directory, [`RootIsReadOnly`](crate::v2::ErrorKind::RootIsReadOnly),
/// [`Unauthorized`](crate::v2::ErrorKind::Unauthorized), and
/// [`RaftInternal`](crate::v2::ErrorKind::RaftInternal) if the cluster did not agree in time.
///
/// A write is sent again on its own only when the first attempt certainly had no effect. One whose
/// [outcome](crate::v2::Error::outcome) is unknown may be applied even after writes that came later and
/// succeeded: read before deciding.
#[derive(Debug)]
#[must_use = "a write is sent when awaited"]
pub struct Write<'a> {
    client: &'a Client,
    draft: Draft,
}

impl<'a> Write<'a> {
    pub(super) fn new(client: &'a Client, draft: Draft) -> Self {
        Self { client, draft }
    }
}

impl Write<'_> {
    /// Lets the key, or the directory with everything in it, expire after this time.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.draft = self.draft.ttl(ttl.into());
        self
    }

    /// Does without the value and what was there before in the answer, for answers that are smaller than the
    /// values. Since etcd 3.1; older servers answer in full.
    pub fn no_value_on_success(mut self) -> Self {
        self.draft = self.draft.flag("noValueOnSuccess");
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.draft.request.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Write<'_> {
    type Output = Result<Response>;
    type IntoFuture = Call<Response>;

    fn into_future(self) -> Call<Response> {
        send(self.client, self.draft, respond)
    }
}
