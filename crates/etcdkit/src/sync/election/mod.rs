//! Elections: one leader at a time, and everybody knows who.

mod candidates;
mod leader;
mod observe;

use std::fmt;

use bytes::Bytes;

pub use self::{
    leader::{Leader, Observation},
    observe::Observe,
};
use crate::{Blob, Client, KeyRange, Result, SortOrder, SortTarget};

impl Client {
    /// An election by its name: to stand for, to follow, or to ask who leads. Nothing is sent yet.
    ///
    /// A candidate is a key below `<name>/`, as of etcd's Go client, `etcdctl elect` and the server's
    /// election service, so all of them take part in the same election. Any key there counts, however
    /// deep: the names `a` and `a/b` are two elections only in so far as nobody stands for the latter.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let election = client.election("workers");
    /// let mut leaders = election.observe().await?;
    /// let first = leaders.try_next().await?.expect("how it is now");
    /// assert_eq!(first.leader, None);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn election<'a>(&self, name: impl Into<Blob<'a>>) -> Election {
        Election::new(self.clone(), name.into().as_slice())
    }
}

/// An election; made by [`Client::election`].
///
/// Cheap to clone.
#[derive(Clone)]
#[must_use = "an election does nothing by itself"]
pub struct Election {
    client: Client,
    /// What all candidates' keys begin with.
    prefix: Bytes,
}

impl Election {
    fn new(client: Client, name: &[u8]) -> Self {
        Self {
            client,
            prefix: [name, b"/"].concat().into(),
        }
    }

    /// Who leads now; `None` if nobody does. One linearizable read.
    ///
    /// # Errors
    ///
    /// As [`Client::range`].
    pub async fn leader(&self) -> Result<Option<Leader>> {
        let oldest = self
            .client
            .range(self.candidates())
            .sort_by(SortTarget::CreateRevision, SortOrder::Ascending)
            .limit(1)
            .linearizable()
            .await?;
        // Kept for longer than the answer.
        let oldest = oldest.kvs.first().map(|kv| kv.detach());
        Ok(oldest.map(Leader::new))
    }

    /// Follows who leads, what leaders proclaim, and when nobody leads. See [`Observe`].
    ///
    /// # Errors
    ///
    /// As [`Client::list_then_watch`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future, or the stream, leaves nothing behind.
    pub async fn observe(&self) -> Result<Observe> {
        Observe::open(&self.client, self.candidates()).await
    }

    fn candidates(&self) -> KeyRange<'_> {
        KeyRange::prefix(&self.prefix)
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Election")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
