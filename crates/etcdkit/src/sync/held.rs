//! What is held, and how one learns that it no longer is.

use std::{
    fmt,
    future::{Future, ready},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{select, time::sleep};

use super::{
    FencedDelete, FencedPut, FencedTxn, Session,
    queue::{Hold, Status, look},
};
use crate::{Blob, Client, Compare, Error, ErrorKind, KeyRange, LeaseLost, Result, Revision};

/// The pause before a key is watched again that could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// Something that is held: a lock, a permit, a leadership. All guards deref to it.
///
/// # Fenced
///
/// Somebody who holds something may lose it without knowing yet. Writes that must not happen then go
/// through [`txn`](Self::txn), [`put`](Self::put) or [`delete`](Self::delete), which are done only if the
/// key that stands for the hold is still there, in the same step. Where something other than etcd is
/// written to, let it remember the highest [`fencing_token`](Self::fencing_token) and refuse lower ones.
///
/// # Lost
///
/// [`lost`](Self::lost) tells when the session is lost or the key is deleted by somebody else. The loss of
/// the session is known by the clock, no later than the server can have let the lease run out.
pub struct Held {
    hold: Arc<Hold>,
    is_shared: bool,
}

impl Held {
    pub(super) fn first(hold: Arc<Hold>) -> Self {
        let is_shared = false;
        Self { hold, is_shared }
    }

    pub(super) fn shared(hold: Arc<Hold>) -> Self {
        let is_shared = true;
        Self { hold, is_shared }
    }

    /// Whether the session had it already when it was asked for.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Gives it up, and says whether it was held until then; where other guards of the session share it,
    /// whether it still is.
    ///
    /// # Errors
    ///
    /// Those of a transaction. Giving it up goes on in the background then, and when the future is
    /// dropped.
    pub(super) async fn release(self, operation: &'static str) -> Result<bool> {
        let released = self.hold.release().await;
        released.map_err(|error| error.with_operation(operation))
    }

    /// The key that stands for the hold, attached to the session's lease. Who writes to it attaches it again:
    /// without the lease it would stay when the session is lost, and everybody would wait for it.
    pub fn key(&self) -> &Bytes {
        &self.hold.status().key
    }

    /// The revision that created the key, which grows from holder to holder.
    pub fn fencing_token(&self) -> Revision {
        self.hold.status().created
    }

    /// The condition that it is still held, for transactions of one's own: that the key is the one
    /// that was created by this hold. See [`txn`](Self::txn) for one that has it already.
    pub fn fence(&self) -> Compare {
        Compare::create_revision(self.key()).eq(self.fencing_token())
    }

    /// The session that it is held by.
    pub fn session(&self) -> &Session {
        self.hold.session()
    }

    /// Why it is lost; `None` as long as that is not known. The loss of the session is known by the clock,
    /// the deletion of the key only if somebody awaits [`lost`](Self::lost), or once a fenced write was
    /// refused.
    pub fn loss(&self) -> Option<HoldLost> {
        self.hold.loss()
    }

    /// Whether it is known to be lost; see [`loss`](Self::loss).
    pub fn is_lost(&self) -> bool {
        self.loss().is_some()
    }

    /// Waits until it is lost, and tells why; at once if it is. Can be awaited in any number of places.
    ///
    /// While somebody awaits it the key is watched. Where that is not possible, because the user must not
    /// read the key, only the loss of the session is found.
    ///
    /// # Cancellation
    ///
    /// Dropping the future has no effect, and the future does not keep anything held: when the last guard
    /// is dropped it ends with [`Released`](HoldLostReason::Released).
    pub fn lost(&self) -> impl Future<Output = HoldLost> + Send + 'static + use<> {
        let status = Arc::clone(self.hold.status());
        let client = self.session().client().clone();
        let (lease, session) = (self.session().id(), self.session().lost());
        async move {
            let lost = |reason| HoldLost::new(&status.key, reason);
            let mut session = pin!(session);
            let mut losses = status.loss.subscribe();
            select! {
                biased;
                known = losses.wait_for(Option::is_some) => {
                    let known = known.ok().and_then(|known| known.clone());
                    return known.unwrap_or_else(|| lost(HoldLostReason::Released));
                }
                gone = &mut session => return lost(HoldLostReason::Session(gone)),
                () = deleted(&client, &status) => {}
            }
            Session::ask_about(&client, lease).await;
            select! {
                biased;
                gone = session => lost(HoldLostReason::Session(gone)),
                () = ready(()) => {
                    status.lose(HoldLostReason::Deleted);
                    // Another reason may have been first.
                    let first = status.loss.borrow().clone();
                    first.unwrap_or_else(|| lost(HoldLostReason::Deleted))
                }
            }
        }
    }

    /// A transaction that is done only if this is still held. Awaiting the result sends it; see
    /// [`FencedTxn`] for its errors.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use etcdkit::{Compare, ErrorKind, Op};
    ///
    /// let guard = client.lock("orders").await?;
    /// let done = guard
    ///     .txn()
    ///     .when([Compare::missing("orders/1")])
    ///     .then([Op::put("orders/1", "paid")])
    ///     .await?;
    /// assert!(done.succeeded);
    ///
    /// // Somebody breaks the lock.
    /// client.delete(guard.key()).await?;
    /// let refused = guard.txn().then([Op::put("orders/1", "sent")]).await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::NotHeld);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn txn(&self) -> FencedTxn<'_> {
        FencedTxn::new(self)
    }

    /// A put that is done only if this is still held. Awaiting the result sends it; see [`FencedPut`] for
    /// options and errors.
    pub fn put<'a>(
        &'a self,
        key: impl Into<Blob<'a>>,
        value: impl Into<Blob<'a>>,
    ) -> FencedPut<'a> {
        FencedPut::new(self, key.into(), value.into())
    }

    /// Deletes keys, but only if this is still held. Awaiting the result sends the request; see
    /// [`FencedDelete`] for options and errors.
    pub fn delete<'a>(&'a self, keys: impl Into<KeyRange<'a>>) -> FencedDelete<'a> {
        FencedDelete::new(self, keys.into())
    }

    /// Fails if it is known to be lost.
    pub(super) fn check(&self) -> Result<()> {
        match self.loss() {
            Some(lost) => Err(lost.into_refusal()),
            None => Ok(()),
        }
    }

    /// The server has found the fence broken.
    pub(super) async fn refused(&self) -> Error {
        self.hold.found_gone().await;
        let lost = self.loss();
        lost.unwrap_or_else(|| HoldLost::new(self.key(), HoldLostReason::Deleted))
            .into_refusal()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("key", self.key())
            .field("fencing_token", &self.fencing_token())
            .field("loss", &self.loss())
            .finish_non_exhaustive()
    }
}

/// Waits until the key of a hold is not there any more.
async fn deleted(client: &Client, status: &Status) {
    let (key, created) = (&status.key, status.created);
    let mut reached = created;
    loop {
        let watch = client.watch(KeyRange::key(key)).filter_puts();
        let error = match watch.from_revision(reached.saturating_add(1)).once().await {
            Ok(_) => return,
            Err(error) => error,
        };
        if error.kind() == ErrorKind::Compacted {
            match look(client, key).await {
                Ok((revision, Some(found))) if found == created => reached = revision,
                Ok(_) => return,
                Err(_) => sleep(PAUSE).await,
            }
        } else {
            sleep(PAUSE).await;
        }
    }
}

/// Something is no longer held, as far as its guard knows.
#[derive(Clone, Debug)]
pub struct HoldLost {
    key: Bytes,
    reason: HoldLostReason,
}

/// Why something is no longer held.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HoldLostReason {
    /// The session that it was held by is lost.
    Session(LeaseLost),
    /// The key was deleted by somebody else, while the session went on.
    Deleted,
    /// It was given up: unlocked, resigned, or all guards dropped.
    Released,
}

impl HoldLost {
    pub(super) fn new(key: &Bytes, reason: HoldLostReason) -> Self {
        let key = key.clone();
        Self { key, reason }
    }

    /// The key that stood for the hold.
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// Why it was lost.
    pub fn reason(&self) -> &HoldLostReason {
        &self.reason
    }

    /// The failure of what is not done because of it.
    fn into_refusal(self) -> Error {
        Error::new(ErrorKind::NotHeld, self.to_string()).with_source(self)
    }
}

impl fmt::Display for HoldLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no longer held: ", self.key.escape_ascii())?;
        match &self.reason {
            HoldLostReason::Session(lost) => lost.fmt(f),
            HoldLostReason::Deleted => f.write_str("its key was deleted by somebody else"),
            HoldLostReason::Released => f.write_str("it was given up"),
        }
    }
}

impl std::error::Error for HoldLost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            HoldLostReason::Session(lost) => Some(lost),
            HoldLostReason::Deleted | HoldLostReason::Released => None,
        }
    }
}
