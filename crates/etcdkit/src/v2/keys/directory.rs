//! Directories: set, create, update and remove.

use std::{future::IntoFuture, time::Duration};

use super::{Draft, respond, send, write::Write};
use crate::v2::{Call, Client, Response, Result, Ttl};

impl Client {
    /// Makes a directory. A key in its place is replaced by it, and
    /// [`prev_node`](Response::prev_node) shows what is lost.
    ///
    /// If there is a directory already, the error is [`NotAFile`](crate::v2::ErrorKind::NotAFile).
    ///
    /// Directories on the way to a key are made by writing the key.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.set("/app", "a key").await?;
    /// let replaced = client.set_dir("/app").ttl(3600).await?;
    /// assert!(replaced.node.as_ref().unwrap().is_dir);
    /// assert_eq!(replaced.prev_value(), Some("a key"));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn set_dir(&self, dir: impl Into<String>) -> Write<'_> {
        Write::new(self, Draft::put("set directory", dir).flag("dir"))
    }

    /// Makes a directory where nothing is yet.
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
    /// client.create_dir("/sessions").ttl(3600).await?;
    /// assert!(client.list("/sessions").await?.nodes().is_empty());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn create_dir(&self, dir: impl Into<String>) -> Write<'_> {
        let draft = Draft::put("create directory", dir).flag("dir");
        Write::new(self, draft.with("prevExist", "false"))
    }

    /// Adds a directory to a directory, under a name that the server chooses, as
    /// [`create_in_order`](Self::create_in_order) does for keys.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// let job = client.create_dir_in_order("/jobs").await?.node.unwrap().key;
    /// client.set(format!("{job}/state"), "new").await?;
    /// assert_eq!(client.tree("/jobs").await?.values().collect::<Vec<_>>(), ["new"]);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn create_dir_in_order(&self, dir: impl Into<String>) -> Write<'_> {
        let draft = Draft::post("create directory in order", dir);
        Write::new(self, draft.flag("dir"))
    }

    /// Gives a directory the time to live that [`Write::ttl`] says, or without it none any more. What it
    /// holds stays.
    ///
    /// If there is no such directory, the error is [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound). If
    /// there is a key, its value becomes empty.
    ///
    /// etcd 3.5 cannot do this: its servers fail (etcd issue 13589), and the error is
    /// [`RaftInternal`](crate::v2::ErrorKind::RaftInternal) with nothing applied and a
    /// [hint](crate::v2::Error::hint). etcd before 3.5 can, and so can etcdkit's own server.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.create_dir("/sessions").ttl(60).await?;
    /// client.update_dir("/sessions").ttl(3600).await?;
    /// assert_eq!(client.list("/sessions").await?.node.ttl, Some(3600));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn update_dir(&self, dir: impl Into<String>) -> Write<'_> {
        let draft = Draft::put("update directory", dir).flag("dir");
        Write::new(self, draft.with("prevExist", "true"))
    }

    /// Gives a directory another time to live, as [`update_dir`](Self::update_dir) does and with its errors,
    /// but without telling watchers. Since etcd 2.3; servers before it do tell them.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.create_dir("/sessions").ttl(60).await?;
    /// client.refresh_dir("/sessions", 3600).await?;
    /// assert_eq!(client.list("/sessions").await?.node.ttl, Some(3600));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn refresh_dir(&self, dir: impl Into<String>, ttl: impl Into<Ttl>) -> Write<'_> {
        let draft = Draft::put("refresh directory", dir)
            .flag("dir")
            .with("prevExist", "true")
            .flag("refresh");
        Write::new(self, draft.ttl(ttl.into()))
    }

    /// Removes an empty directory, or with [`recursive`](DeleteDir::recursive) one with everything in it.
    /// Removes a key as well.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// use etcdkit::v2::ErrorKind;
    ///
    /// client.set("/app/port", "80").await?;
    /// let error = client.delete_dir("/app").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
    /// client.delete_dir("/app").recursive().await?;
    /// assert!(!client.exists("/app/port").await?);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn delete_dir(&self, dir: impl Into<String>) -> DeleteDir<'_> {
        DeleteDir {
            client: self,
            draft: Draft::delete("delete directory", dir).flag("dir"),
        }
    }
}

/// A removal of a directory that has not been sent yet: made by [`Client::delete_dir`], sent when awaited.
///
/// # Errors
///
/// From the server, among others: [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound),
/// [`DirectoryNotEmpty`](crate::v2::ErrorKind::DirectoryNotEmpty) and
/// [`RootIsReadOnly`](crate::v2::ErrorKind::RootIsReadOnly).
///
/// It is sent again on its own only when the first attempt certainly had no effect.
#[derive(Debug)]
#[must_use = "a delete is sent when awaited"]
pub struct DeleteDir<'a> {
    client: &'a Client,
    draft: Draft,
}

impl DeleteDir<'_> {
    /// Removes everything in it, too, what is hidden included. Watchers see one event, that of the
    /// directory.
    pub fn recursive(mut self) -> Self {
        self.draft = self.draft.flag("recursive");
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.draft.request.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for DeleteDir<'_> {
    type Output = Result<Response>;
    type IntoFuture = Call<Response>;

    fn into_future(self) -> Call<Response> {
        send(self.client, self.draft, respond)
    }
}
