//! Delete and compare-and-delete: keys.

use std::{future::IntoFuture, time::Duration};

use super::{Draft, respond, send};
use crate::v2::{Call, Client, Response, Result};

impl Client {
    /// Removes a key. A directory is left alone, with the error
    /// [`NotAFile`](crate::v2::ErrorKind::NotAFile): see [`delete_dir`](Self::delete_dir).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// use etcdkit::v2::ErrorKind;
    ///
    /// client.set("/message", "hello").await?;
    /// assert_eq!(client.delete("/message").await?.prev_value(), Some("hello"));
    ///
    /// let error = client.delete("/message").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::KeyNotFound);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn delete(&self, key: impl Into<String>) -> Delete<'_> {
        Delete {
            client: self,
            draft: Draft::delete("delete", key),
        }
    }

    /// Removes a key if it has a value ([`prev_value`](CompareAndDelete::prev_value)), or was last modified
    /// at an index ([`prev_index`](CompareAndDelete::prev_index)).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// use etcdkit::v2::ErrorKind;
    ///
    /// client.set("/message", "hello").await?;
    /// let error = client
    ///     .compare_and_delete("/message")
    ///     .prev_value("good day")
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::CompareFailed);
    /// assert_eq!(error.cause_text(), Some("[good day != hello]"));
    /// client.compare_and_delete("/message").prev_value("hello").await?;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn compare_and_delete(&self, key: impl Into<String>) -> CompareAndDelete<'_> {
        CompareAndDelete {
            client: self,
            draft: Draft::delete("compare and delete", key),
        }
    }
}

/// A removal of a key that has not been sent yet: made by [`Client::delete`], sent when awaited.
///
/// # Errors
///
/// From the server, among others: [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound) and
/// [`NotAFile`](crate::v2::ErrorKind::NotAFile).
///
/// It is sent again on its own only when the first attempt certainly had no effect.
#[derive(Debug)]
#[must_use = "a delete is sent when awaited"]
pub struct Delete<'a> {
    client: &'a Client,
    draft: Draft,
}

impl Delete<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.draft.request.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Delete<'_> {
    type Output = Result<Response>;
    type IntoFuture = Call<Response>;

    fn into_future(self) -> Call<Response> {
        send(self.client, self.draft, respond)
    }
}

/// A removal of a key under a condition that has not been sent yet: made by
/// [`Client::compare_and_delete`], sent when awaited.
///
/// # Errors
///
/// Before sending: [`InvalidRequest`](crate::v2::ErrorKind::InvalidRequest) without any condition, for an
/// empty value and for index 0: servers would refuse the value, and delete unconditionally otherwise. From
/// the server, among others: [`CompareFailed`](crate::v2::ErrorKind::CompareFailed), whose
/// [`cause_text`](crate::v2::Error::cause_text) shows what was expected and what is there,
/// [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound), and [`NotAFile`](crate::v2::ErrorKind::NotAFile) for
/// directories.
///
/// It is sent again on its own only when the first attempt certainly had no effect.
#[derive(Debug)]
#[must_use = "a delete is sent when awaited"]
pub struct CompareAndDelete<'a> {
    client: &'a Client,
    draft: Draft,
}

impl CompareAndDelete<'_> {
    /// Removes the key only if it has this value, which is not empty.
    pub fn prev_value(mut self, value: impl Into<String>) -> Self {
        self.draft = self.draft.prev_value(value.into());
        self
    }

    /// Removes the key only if it was last modified at this index.
    pub fn prev_index(mut self, index: u64) -> Self {
        self.draft = self.draft.prev_index(index);
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.draft.request.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for CompareAndDelete<'_> {
    type Output = Result<Response>;
    type IntoFuture = Call<Response>;

    fn into_future(self) -> Call<Response> {
        let draft = self.draft.needs_condition("delete");
        send(self.client, draft, respond)
    }
}
