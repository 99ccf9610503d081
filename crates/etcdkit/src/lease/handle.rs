//! The handle of a lease that is kept alive.

use std::{
    fmt,
    future::{Future, IntoFuture},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Pending,
    grant::Granting,
    held::Held,
    lost::{LeaseLost, LostReason},
    renew::{LeaseKeepAlive, renew},
    revoke::{LeaseRevoke, revoke},
};
use crate::{Client, ErrorKind, LeaseId, Result, client::Core};

impl Client {
    /// Grants a lease and keeps it alive until the handle is dropped. Awaiting the result grants it;
    /// see [`OpenLease`] for options and errors, [`Lease`] for what keeping it alive means.
    ///
    /// The time to live is rounded up to whole seconds, and the server may grant more: at least one and
    /// a half times its election timeout, which is 2 s by default.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let lease = client.lease(Duration::from_secs(10)).await?;
    /// client.put("services/web/1", "10.0.0.7:80").lease(&lease).await?;
    ///
    /// tokio::select! {
    ///     lost = lease.lost() => eprintln!("{lost}"),
    ///     served = serve() => served?,
    /// }
    /// lease.revoke().await?; // the key is gone, too
    /// # Ok(())
    /// # }
    /// # async fn serve() -> std::io::Result<()> { Ok(()) }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn lease(&self, ttl: Duration) -> OpenLease<'_> {
        OpenLease {
            client: self,
            ttl,
            id: LeaseId(0),
            timeout: None,
        }
    }
}

/// A lease that has not been granted yet: made by [`Client::lease`], granted when awaited.
///
/// # Errors
///
/// As [`GrantLease`](crate::GrantLease). A future that is dropped before it is ready may leave a lease
/// behind that nobody keeps alive, and which runs out.
///
/// # Panics
///
/// Polling panics outside of a tokio runtime: renewals are sent by a task on it.
#[derive(Debug)]
#[must_use = "a lease is granted when awaited"]
pub struct OpenLease<'a> {
    client: &'a Client,
    ttl: Duration,
    id: LeaseId,
    timeout: Option<Duration>,
}

impl OpenLease<'_> {
    /// Grants the lease under this id; 0, the default, takes a random positive one.
    pub fn id(mut self, id: impl Into<LeaseId>) -> Self {
        self.id = id.into();
        self
    }

    /// Limits the time for granting; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for OpenLease<'_> {
    type Output = Result<Lease>;
    type IntoFuture = Pending<Lease>;

    fn into_future(self) -> Pending<Lease> {
        let opening = self.opening();
        Box::pin(async move { opening?.open().await })
    }
}

impl OpenLease<'_> {
    pub(super) fn opening(&self) -> Result<Opening> {
        Ok(Opening {
            core: Arc::clone(&self.client.core),
            granting: Granting::new(&self.client.core, self.ttl, self.id, self.timeout)?,
            timeout: self.timeout,
        })
    }
}

/// All that is needed to grant leases and to keep them alive, again and again.
pub(super) struct Opening {
    core: Arc<Core>,
    granting: Granting,
    timeout: Option<Duration>,
}

impl Opening {
    pub(super) async fn open(&self) -> Result<Lease> {
        let core = &self.core;
        let granted = self.granting.run().await?;
        let (id, cluster) = (granted.grant.id, granted.grant.header.cluster_id);
        let (mut ttl, mut until) = (granted.grant.ttl, granted.until);
        // A grant that took long may have used up much of what it gave.
        if until.saturating_duration_since(Instant::now()) < ttl / 2 {
            let renewed = renew(core, id, self.timeout).await?;
            (ttl, until) = (renewed.answer.ttl, renewed.until);
        }
        let held = core.leases.hold(core, id, cluster, ttl, until);
        Ok(Lease::new(Arc::clone(core), held, true))
    }

    /// Grants a lease in place of one that was lost. Under a chosen id that one may still be there,
    /// since a server lets leases run out later than clients must assume.
    pub(super) async fn open_again(&self) -> Result<Lease> {
        let error = match self.open().await {
            Ok(lease) => return Ok(lease),
            Err(error) => error,
        };
        let (core, id) = (Arc::clone(&self.core), self.granting.chosen);
        if error.kind() != ErrorKind::LeaseExists {
            return Err(error);
        }
        Lease::attach(core, id, self.timeout, true).await
    }
}

/// The handle of a lease that is kept alive.
///
/// Made by [`Client::lease`], which grants the lease, or by
/// [`Leases::keep_alive`](crate::Leases::keep_alive) for a lease that exists. Clones are handles of
/// the same lease.
///
/// # Kept alive
///
/// As long as there is a handle the lease is renewed each time a third of its time to live has passed,
/// by a task on the runtime that the handle was made on. All leases of a client share one stream on a
/// connection of its own. Restarts of members, changes of leader and broken connections are survived
/// for as long as the time to live allows: a stream that breaks, or that stops answering, is replaced by
/// one to another endpoint, and what was not answered is sent again.
///
/// # Dropped
///
/// When the last handle is dropped, a lease that was granted by [`Client::lease`] is revoked in the
/// background, so that its keys go at once and not only when its time is over. If the revocation does
/// not reach the server, say because the program ends, the lease runs out. A lease that existed before
/// is left to run out. [`detach`](Self::detach) leaves the lease alone in any case, and
/// [`revoke`](Self::revoke) tells how revoking went.
///
/// # Lost
///
/// A lease can be lost all the same. [`lost`](Self::lost) then tells when and [why](LostReason). The
/// handle counts from the time when the last answered renewal was *sent*, by the monotonic clock, so it
/// takes a lease for lost before the server can have let it run out. On machines that sleep (laptops,
/// suspended virtual machines), that clock may stand still meanwhile; the first renewal after it
/// tells. A lost lease does not come back; see
/// [`OpenLease::regrant`] for one that does.
///
/// That a lease is not lost says that its keys are there, but not that nobody else has taken over in
/// the time that a message takes: guard writes by a transaction that compares a key of the lease.
#[derive(Clone)]
#[must_use = "a lease is revoked when its handle is dropped"]
pub struct Lease {
    shared: Arc<Shared>,
}

/// What the clones of a handle share. Dropping it ends their interest in the lease.
struct Shared {
    core: Arc<Core>,
    held: Arc<Held>,
    /// Whether to revoke the lease in the end.
    owned: AtomicBool,
}

impl Lease {
    fn new(core: Arc<Core>, held: Arc<Held>, owned: bool) -> Self {
        let owned = AtomicBool::new(owned);
        Self {
            shared: Arc::new(Shared { core, held, owned }),
        }
    }

    /// Takes up a lease that exists, which a first renewal proves.
    pub(super) async fn attach(
        core: Arc<Core>,
        id: LeaseId,
        timeout: Option<Duration>,
        owned: bool,
    ) -> Result<Self> {
        let renewed = renew(&core, id, timeout).await?;
        let (ttl, cluster) = (renewed.answer.ttl, renewed.answer.header.cluster_id);
        let held = core.leases.hold(&core, id, cluster, ttl, renewed.until);
        Ok(Self::new(core, held, owned))
    }

    /// The lease's id.
    pub fn id(&self) -> LeaseId {
        self.held().id
    }

    /// The time to live, as the server last told it.
    pub fn ttl(&self) -> Duration {
        self.held().ttl()
    }

    /// How long the lease will live at least if no further renewal gets through. Zero once it is
    /// [lost](Self::lost), except that a [detached](Self::detach) lease still has what is left of it.
    pub fn remaining(&self) -> Duration {
        self.held().remaining(Instant::now())
    }

    /// Why the lease is lost; `None` as long as it is not.
    pub fn loss(&self) -> Option<LeaseLost> {
        self.held().loss(Instant::now())
    }

    /// Whether the lease is lost. By the clock, so also where the runtime is too busy for
    /// [`lost`](Self::lost) to be told in time.
    pub fn is_lost(&self) -> bool {
        self.loss().is_some()
    }

    /// Waits until the lease is lost, and tells why; at once if it is. Can be awaited in any number of
    /// places.
    ///
    /// The future does not keep the lease alive: when the last handle is dropped it ends with
    /// [`Revoked`](LostReason::Revoked) or [`Detached`](LostReason::Detached). Dropping it has no effect.
    pub fn lost(&self) -> impl Future<Output = LeaseLost> + Send + 'static + use<> {
        Arc::clone(self.held()).lost()
    }

    /// Renews the lease now, besides the renewals that happen anyway. This also proves that it is alive
    /// at a time after the call began.
    ///
    /// # Errors
    ///
    /// As [`Leases::keep_alive_once`](crate::Leases::keep_alive_once).
    pub async fn renew(&self) -> Result<LeaseKeepAlive> {
        Ok(renew(&self.shared.core, self.id(), None).await?.answer)
    }

    /// Revokes the lease, which deletes its keys, and waits for the server to confirm it.
    ///
    /// All handles of this lease are then [lost](Self::lost) as [`Revoked`](LostReason::Revoked).
    ///
    /// # Errors
    ///
    /// As [`Leases::revoke`](crate::Leases::revoke). After an error the lease is kept alive as before,
    /// except that it is lost if the server [does not know it](crate::ErrorKind::LeaseNotFound).
    pub async fn revoke(&self) -> Result<LeaseRevoke> {
        let core = &self.shared.core;
        let result = revoke(core, self.id(), None).await;
        match &result {
            Ok(_) => core.leases.forget(self.id(), LostReason::Revoked),
            Err(error) if error.kind() == ErrorKind::LeaseNotFound => {
                core.leases.forget(self.id(), LostReason::NotFound);
            }
            Err(_) => {}
        }
        result
    }

    /// Stops keeping the lease alive without revoking it, for all clones of the handle, and gives its
    /// id. It runs out after [`remaining`](Self::remaining), unless somebody else renews it.
    pub fn detach(self) -> LeaseId {
        self.shared.owned.store(false, Ordering::Relaxed);
        self.shared.end(LostReason::Detached);
        self.id()
    }

    fn held(&self) -> &Arc<Held> {
        &self.shared.held
    }
}

impl Shared {
    fn end(&self, reason: LostReason) {
        self.held.lose(LeaseLost::new(self.held.id, reason, None));
        self.core.leases.release(&self.held);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let is_owned = self.owned.load(Ordering::Relaxed);
        let is_lost = self.held.loss(Instant::now()).is_some();
        self.end(match is_owned {
            true => LostReason::Revoked,
            false => LostReason::Detached,
        });
        if is_owned && !is_lost {
            self.core.leases.revoke_later(&self.core, self.held.id);
        }
    }
}

impl From<&Lease> for LeaseId {
    fn from(lease: &Lease) -> Self {
        lease.id()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("id", &format_args!("{}", self.id()))
            .field("ttl", &self.ttl())
            .field("remaining", &self.remaining())
            .field("loss", &self.loss())
            .finish_non_exhaustive()
    }
}
