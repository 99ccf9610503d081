//! List and tree: read what a directory holds.

use std::{future::IntoFuture, time::Duration};

use super::{Draft, find, send};
use crate::v2::{Call, Client, ErrorKind, Listing, Result, exec::Answer};

impl Client {
    /// Lists what a directory holds, ordered by the bytes of the names. What is hidden is left out.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.set("/app/b", "2").await?;
    /// client.set("/app/a", "1").await?;
    /// client.set("/app/_hidden", "3").await?;
    ///
    /// for node in client.list("/app").await? {
    ///     println!("{} = {:?}", node.name(), node.value);
    /// }
    /// let listing = client.list("/app").await?;
    /// assert!(listing.entries().eq([("/app/a", "1"), ("/app/b", "2")]));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn list(&self, dir: impl Into<String>) -> List<'_> {
        List {
            client: self,
            quorum: self.core.config.quorum,
            in_order: false,
            draft: Draft::read("list", dir).flag("sorted"),
        }
    }

    /// Lists everything below a directory, each level ordered by the bytes of the names. What is hidden is
    /// left out.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// client.set("/app/web/port", "80").await?;
    /// client.set("/app/db/port", "5432").await?;
    ///
    /// let tree = client.tree("/").await?;
    /// assert!(tree.values().eq(["5432", "80"]));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn tree(&self, dir: impl Into<String>) -> List<'_> {
        let mut list = self.list(dir);
        list.draft.request.operation = "tree";
        list.draft = list.draft.flag("recursive");
        list
    }
}

/// A listing that has not been sent yet: made by [`Client::list`] and [`Client::tree`], sent when awaited.
///
/// # Errors
///
/// Those of [`Get`](crate::v2::Get), and [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound) if there is no
/// such directory, [`NotADirectory`](crate::v2::ErrorKind::NotADirectory) if it is a key. To read
/// what may not be there, [`get`](Client::get) it.
///
/// Reads are sent again, to another endpoint if there is one, until they succeed or time is up.
#[derive(Debug)]
#[must_use = "a listing is sent when awaited"]
pub struct List<'a> {
    client: &'a Client,
    quorum: bool,
    in_order: bool,
    draft: Draft,
}

impl List<'_> {
    /// Orders names that are numbers by their value and before all others: the order in which
    /// [`create_in_order`](Client::create_in_order) made them, on servers before etcd 2.2 as well. See
    /// [`Node::sort_in_order`](crate::v2::Node::sort_in_order).
    pub fn in_order(mut self) -> Self {
        self.in_order = true;
        self
    }

    /// Reads what the cluster agrees on; see [`Get::quorum`](crate::v2::Get::quorum).
    pub fn quorum(mut self) -> Self {
        self.quorum = true;
        self
    }

    /// Reads what the member that answers has; see [`Get::local`](crate::v2::Get::local).
    pub fn local(mut self) -> Self {
        self.quorum = false;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.draft.request.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for List<'_> {
    type Output = Result<Listing>;
    type IntoFuture = Call<Listing>;

    fn into_future(self) -> Call<Listing> {
        let draft = self.draft.quorum(self.quorum);
        match self.in_order {
            true => send(self.client, draft, |answer| {
                let mut listing = list(answer)?;
                listing.node.sort_in_order();
                Ok(listing)
            }),
            false => send(self.client, draft, list),
        }
    }
}

fn list(answer: Result<Answer>) -> Result<Listing> {
    let answer = answer?;
    let told = answer.told.clone();
    let (header, node) = find(Ok(answer))?;
    // Servers answer with the key, as to any read.
    if !node.is_dir {
        let what = format!("{} is a key, not a directory", node.key);
        return Err(told.error(ErrorKind::NotADirectory, what));
    }
    Ok(Listing { header, node })
}
