//! Leading.

use std::{fmt, ops::Deref};

use crate::{
    Blob, Result,
    sync::{FencedPut, Held},
};

/// A leadership; made by awaiting [`Election::campaign`](super::Election::campaign) or
/// [`resume`](super::Election::resume). Derefs to [`Held`], which tells when it is [lost](Held::lost) and makes
/// writes that are done only by the leader ([`txn`](Held::txn), [`put`](Held::put)).
///
/// Dropping it resigns in the background. Leaderships of the same election by one session are one: it ends
/// with the last of them.
#[must_use = "a leadership ends when it is dropped"]
pub struct Leadership {
    held: Held,
}

impl Leadership {
    pub(super) fn new(held: Held) -> Self {
        Self { held }
    }

    /// Changes the value that observers see, if this still leads. Awaiting the result sends the request.
    ///
    /// # Errors
    ///
    /// As [`FencedPut`]: [`NotHeld`](crate::ErrorKind::NotHeld), and nothing is proclaimed, if it does not lead any
    /// more.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let election = client.election("workers");
    /// let leadership = election.campaign("host-7").await?;
    /// leadership.proclaim("host-7, at work").await?;
    /// let leader = election.leader().await?.expect("somebody leads");
    /// assert_eq!(leader.value, "host-7, at work");
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn proclaim<'a>(&'a self, value: impl Into<Blob<'a>>) -> FencedPut<'a> {
        let put = self.held.put(self.held.key(), value);
        put.lease(self.held.session().id())
    }

    /// Gives the leadership up, so that the candidate next in the queue leads, and says whether it was
    /// held until then. Where other leaderships of the session share it, it goes on, and this says whether
    /// it is held.
    ///
    /// # Errors
    ///
    /// Those of a transaction. Resigning goes on in the background then, and when the future is dropped.
    pub async fn resign(self) -> Result<bool> {
        self.held.release("resign").await
    }
}

impl Deref for Leadership {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leadership").field(&self.held).finish()
    }
}
