//! A lease that is granted anew whenever it is lost.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::AbortHandle, time::sleep};

use super::{
    Pending,
    handle::{Lease, OpenLease, Opening},
    lost::LostReason,
    revoke::LeaseRevoke,
};
use crate::{Error, ErrorKind, Result, transport::backoff::Backoff};

/// The pause before a grant, or the hook, is tried again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

type Hook = Box<dyn FnMut(Lease) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send>;

impl<'a> OpenLease<'a> {
    /// Grants a new lease whenever the old one is lost, and has the hook put its keys again.
    ///
    /// The hook is called with each lease, the first included, before anybody else gets it. When it
    /// fails it is called again, after a pause, with the same lease or with a new one if that is lost
    /// meanwhile. Awaiting the result grants the first lease and calls the hook for it; a failure of
    /// either is returned then, later ones are tried again for as long as the handle exists.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let keys = client.clone();
    /// let registered = client
    ///     .lease(Duration::from_secs(6))
    ///     .regrant(move |lease| {
    ///         let keys = keys.clone();
    ///         async move {
    ///             keys.put("services/web/1", "10.0.0.7:80").lease(&lease).await?;
    ///             Ok(())
    ///         }
    ///     })
    ///     .await?;
    ///
    /// // Somebody revokes the lease: the key comes back, with another one.
    /// let first = registered.lease().id();
    /// client.leases().revoke(first).await?;
    /// let second = registered.regranted().await.expect("the client is not closed");
    /// assert_ne!(second.id(), first);
    /// let kv = client.get("services/web/1").await?.expect("put again");
    /// assert_eq!(kv.lease, Some(second.id()));
    ///
    /// registered.revoke().await?;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn regrant<F, R>(self, mut hook: F) -> OpenStandingLease<'a>
    where
        F: FnMut(Lease) -> R + Send + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        OpenStandingLease {
            open: self,
            hook: Box::new(move |lease| Box::pin(hook(lease))),
        }
    }
}

/// A standing lease that has not been granted yet: made by [`OpenLease::regrant`], granted when
/// awaited.
///
/// # Errors
///
/// As [`OpenLease`], and what the hook gives for the first lease, which is then revoked.
#[must_use = "a lease is granted when awaited"]
pub struct OpenStandingLease<'a> {
    open: OpenLease<'a>,
    hook: Hook,
}

impl IntoFuture for OpenStandingLease<'_> {
    type Output = Result<StandingLease>;
    type IntoFuture = Pending<StandingLease>;

    fn into_future(self) -> Pending<StandingLease> {
        let (opening, mut hook) = (self.open.opening(), self.hook);
        Box::pin(async move {
            let opening = opening?;
            let lease = opening.open().await?;
            hook(lease.clone()).await?;
            let (sender, state) = watch::channel(State {
                lease,
                generation: 0,
                failure: None,
            });
            let task = Regranting {
                opening,
                hook,
                state: sender,
            };
            let task = tokio::spawn(task.run()).abort_handle();
            Ok(StandingLease { state, task })
        })
    }
}

/// A lease that is granted anew whenever it is lost, until the handle is dropped; made by
/// [`OpenLease::regrant`].
///
/// For keys that say "I am here": they come back by themselves after an outage that was longer than
/// their time to live. Not for locks, which somebody else may have got in between.
///
/// Dropping the handle ends this, and revokes the lease in the background unless there is a clone of
/// it ([`lease`](Self::lease)) elsewhere.
#[must_use = "a lease is revoked when its handle is dropped"]
pub struct StandingLease {
    state: watch::Receiver<State>,
    task: AbortHandle,
}

/// What the task shows of its work.
struct State {
    lease: Lease,
    /// How many times a new lease was granted.
    generation: u64,
    failure: Option<Arc<Error>>,
}

impl StandingLease {
    /// The lease of the present, which may be lost already while a new one is granted.
    pub fn lease(&self) -> Lease {
        self.state.borrow().lease.clone()
    }

    /// Why there is no new lease yet: how the latest attempt to grant one, or the hook, failed. `None`
    /// when all is well.
    pub fn failure(&self) -> Option<Arc<Error>> {
        self.state.borrow().failure.clone()
    }

    /// Waits for the next lease to be granted and its keys to be put. `None` if there will be none,
    /// because the lease was revoked or detached by this program, or the client is closed.
    ///
    /// Counts from the call, so that the lease that is there already is not given. Dropping the future
    /// has no effect.
    pub fn regranted(&self) -> impl Future<Output = Option<Lease>> + Send + 'static + use<> {
        let mut state = self.state.clone();
        let known = state.borrow().generation;
        async move {
            let newer = state.wait_for(|state| state.generation > known).await;
            Some(newer.ok()?.lease.clone())
        }
    }

    /// Ends granting new leases, and revokes the present one.
    ///
    /// # Errors
    ///
    /// As [`Lease::revoke`]. The lease is not kept alive after an error either.
    pub async fn revoke(self) -> Result<LeaseRevoke> {
        self.task.abort();
        self.lease().revoke().await
    }
}

impl Drop for StandingLease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task: waits for the loss, grants anew, calls the hook.
struct Regranting {
    opening: Opening,
    hook: Hook,
    state: watch::Sender<State>,
}

impl Regranting {
    async fn run(mut self) {
        loop {
            let lost = self.state.borrow().lease.lost();
            let lost = lost.await;
            match lost.reason() {
                LostReason::Revoked | LostReason::Detached | LostReason::Closed => return,
                _ => tracing::info!(lease = %lost.id(), %lost, "granting a new lease"),
            }
            let Some(lease) = self.grant().await else {
                return;
            };
            self.state.send_modify(|state| {
                state.lease = lease;
                state.generation += 1;
                state.failure = None;
            });
        }
    }

    /// A new lease, with its keys; `None` once the client is closed.
    async fn grant(&mut self) -> Option<Lease> {
        let mut pauses = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        let mut granted = None;
        loop {
            let result = match granted.take().filter(|lease: &Lease| !lease.is_lost()) {
                Some(lease) => Ok(lease),
                None => self.opening.open_again().await,
            };
            let error = match result {
                Ok(lease) => match (self.hook)(lease.clone()).await {
                    Ok(()) => return Some(lease),
                    Err(error) => {
                        granted = Some(lease);
                        error
                    }
                },
                Err(error) => error,
            };
            if error.kind() == ErrorKind::Closed {
                return None;
            }
            tracing::warn!(%error, "a lost lease is not yet replaced");
            let failure = Some(Arc::new(error));
            self.state.send_modify(|state| state.failure = failure);
            sleep(pauses.next(fastrand::f64())).await;
        }
    }
}

impl fmt::Debug for OpenStandingLease<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("OpenStandingLease");
        debug.field("open", &self.open).finish_non_exhaustive()
    }
}

impl fmt::Debug for StandingLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("StandingLease")
            .field("lease", &state.lease)
            .field("failure", &state.failure)
            .finish_non_exhaustive()
    }
}
