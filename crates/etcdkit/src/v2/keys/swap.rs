//! Compare-and-swap.

use std::{future::IntoFuture, time::Duration};

use super::{Draft, respond, send};
use crate::v2::{Call, Client, Response, Result, Ttl};

impl Client {
    /// Writes a value under a key if the key has another value
    /// ([`prev_value`](CompareAndSwap::prev_value)), or was last modified at an index
    /// ([`prev_index`](CompareAndSwap::prev_index)). To write it only if there is no key,
    /// [`create`](Self::create) it; if there is one, whichever, [`update`](Self::update) it.
    ///
    /// The key keeps its [`created_index`](crate::v2::Node::created_index). Its time to live is what this
    /// write says, by default none.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// use etcdkit::v2::ErrorKind;
    ///
    /// let index = client.set("/leader", "a").await?.index();
    /// client.compare_and_swap("/leader", "b").prev_value("a").await?;
    ///
    /// let error = client
    ///     .compare_and_swap("/leader", "c")
    ///     .prev_index(index)
    ///     .await
    ///     .unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::CompareFailed);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn compare_and_swap(
        &self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> CompareAndSwap<'_> {
        CompareAndSwap {
            client: self,
            draft: Draft::put("compare and swap", key).with("value", value.into()),
        }
    }
}

/// A write of a key under a condition that has not been sent yet: made by [`Client::compare_and_swap`], sent
/// when awaited.
///
/// # Errors
///
/// Before sending: [`InvalidRequest`](crate::v2::ErrorKind::InvalidRequest) without any condition, for an
/// empty value to compare with and for index 0: servers would refuse the value, and write unconditionally
/// otherwise. From the server, among others: [`CompareFailed`](crate::v2::ErrorKind::CompareFailed), whose
/// [`cause_text`](crate::v2::Error::cause_text) shows what was expected and what is there,
/// [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound), and [`NotAFile`](crate::v2::ErrorKind::NotAFile) for
/// directories.
///
/// It is sent again on its own only when the first attempt certainly had no effect: repeated blindly, it
/// would fail on its own success.
#[derive(Debug)]
#[must_use = "a write is sent when awaited"]
pub struct CompareAndSwap<'a> {
    client: &'a Client,
    draft: Draft,
}

impl CompareAndSwap<'_> {
    /// Writes only if the key has this value, which is not empty.
    pub fn prev_value(mut self, value: impl Into<String>) -> Self {
        self.draft = self.draft.prev_value(value.into());
        self
    }

    /// Writes only if the key was last modified at this index, its
    /// [`modified_index`](crate::v2::Node::modified_index).
    pub fn prev_index(mut self, index: u64) -> Self {
        self.draft = self.draft.prev_index(index);
        self
    }

    /// Lets the key expire after this time.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.draft = self.draft.ttl(ttl.into());
        self
    }

    /// Does without the values in the answer. Since etcd 3.1; older servers answer in full.
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

impl IntoFuture for CompareAndSwap<'_> {
    type Output = Result<Response>;
    type IntoFuture = Call<Response>;

    fn into_future(self) -> Call<Response> {
        let draft = self.draft.needs_condition("set");
        send(self.client, draft, respond)
    }
}
