//! Sessions: one lease for many locks.

use std::{
    fmt,
    future::{Future, IntoFuture},
    sync::Arc,
    time::Duration,
};

use tokio::{runtime::Handle, spawn, time::timeout};
use tracing::Instrument;

use super::{
    Pending,
    queue::{Numbers, Slots},
};
use crate::{Client, Error, ErrorKind, Lease, LeaseId, LeaseLost, Result};

/// How long a session lives without its client, unless told otherwise: as long as one of etcd's Go client.
pub(super) const TTL: Duration = Duration::from_secs(60);

/// How long to wait for the news that a session is lost.
const ASKING: Duration = Duration::from_millis(500);

impl Client {
    /// Opens a session: a lease of one's own that locks, permits and leaderships can share. Awaiting the
    /// result opens it; see [`OpenSession`] for options and errors.
    ///
    /// Programs that hold one lock at a time need no session; [`lock`](Self::lock) opens one by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let session = client.session().ttl(Duration::from_secs(10)).await?;
    /// let orders = session.lock("orders").await?;
    /// let stock = session.lock("stock").await?;
    ///
    /// // Both go at once, with the lease that they share.
    /// session.close().await?;
    /// assert!(orders.is_lost() && stock.is_lost());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn session(&self) -> OpenSession {
        OpenSession {
            client: self.clone(),
            lease: Source::Grant(TTL),
        }
    }
}

/// A session that is not open yet: made by [`Client::session`], opened when awaited.
///
/// Of [`ttl`](Self::ttl), [`resume`](Self::resume) and [`lease`](Self::lease) the last one counts.
///
/// # Errors
///
/// Those of [`OpenLease`](crate::OpenLease), and with `resume` those of
/// [`KeepAliveOnce`](crate::KeepAliveOnce):
/// [`LeaseNotFound`](ErrorKind::LeaseNotFound) if the lease has run out.
///
/// # Cancellation
///
/// A future that is dropped before it is ready leaves no lease behind: a grant that is under way goes on in the
/// background, and what it gives is revoked. One that nobody can revoke, say because the program ends, runs out.
///
/// # Panics
///
/// Polling panics outside of a tokio runtime: keeping the lease alive and releasing what is dropped are
/// tasks on it.
#[derive(Debug)]
#[must_use = "a session is opened when awaited"]
pub struct OpenSession {
    client: Client,
    lease: Source,
}

/// Where the lease comes from.
#[derive(Debug)]
enum Source {
    Grant(Duration),
    Resume(LeaseId),
    Given(Lease),
}

impl OpenSession {
    /// How long the session lives after the client has last been heard of; 60 s otherwise. Parts of
    /// seconds are rounded up, and the server may grant more.
    ///
    /// A short time lets others take over soon after a crash. On a cluster give it 10 s or more: while a
    /// leader fails, renewals are not answered for some seconds.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.lease = Source::Grant(ttl);
        self
    }

    /// Takes up a lease that exists, as after a restart of the program, and with it the locks and
    /// leaderships that have keys attached to it: who asks for one of them again by this session has it
    /// at once.
    ///
    /// Dropping the session leaves the lease to run out. Only one session at a time should have a lease,
    /// since by the lease it is told who holds what.
    pub fn resume(mut self, lease: impl Into<LeaseId>) -> Self {
        self.lease = Source::Resume(lease.into());
        self
    }

    /// Uses a lease that the program keeps alive. It is revoked when all handles of it are dropped, the
    /// program's included, if it is one to be revoked. Make one session of it, and clone that: two sessions
    /// of one lease have the same keys without knowing of each other, so they do not exclude each other.
    pub fn lease(mut self, lease: Lease) -> Self {
        self.lease = Source::Given(lease);
        self
    }

    async fn open(self) -> Result<Session> {
        let Self { client, lease } = self;
        // Only keys of a lease that is new are certain to be those of this session.
        let is_exclusive = matches!(lease, Source::Grant(_));
        let lease = match lease {
            Source::Grant(ttl) => grant(&client, ttl).await?,
            Source::Resume(id) => client.leases().keep_alive(id).await?,
            Source::Given(lease) => lease,
        };
        let shared = Shared {
            client,
            lease,
            is_exclusive,
            runtime: Handle::current(),
            slots: Slots::default(),
            numbers: Numbers::default(),
        };
        Ok(Session {
            shared: Arc::new(shared),
        })
    }
}

/// Grants a lease in a task of its own, which goes on when this is dropped: what is granted all the same then
/// has a handle, and is revoked with it.
async fn grant(client: &Client, ttl: Duration) -> Result<Lease> {
    let client = client.clone();
    let granting = async move { client.lease(ttl).await };
    let granted = spawn(granting.in_current_span()).await;
    granted.unwrap_or_else(|_| {
        let what = "the runtime has ended while a lease was granted";
        Err(Error::new(ErrorKind::Closed, what))
    })
}

impl IntoFuture for OpenSession {
    type Output = Result<Session>;
    type IntoFuture = Pending<Session>;

    fn into_future(self) -> Pending<Session> {
        Box::pin(self.open())
    }
}

/// A lease that is kept alive, and whatever is held by it.
///
/// Made by [`Client::session`]. Clones are the same session. Everything that is held or waited for by a
/// session shares its fate: when its lease is lost, all waits end at once with
/// [`SessionLost`](ErrorKind::SessionLost), all guards are lost, and other sessions take over.
///
/// By one session a lock is re-entrant: who asks for it while another task of the session holds it gets a
/// guard of the same hold, and the lock is released with the last of them. For tasks that are to exclude
/// each other use a session each, which is what [`Client::lock`] does.
///
/// When the last clone and the last guard are dropped, the lease is revoked in the background, unless it
/// was [taken up](OpenSession::resume).
#[derive(Clone)]
#[must_use = "a session ends when it is dropped"]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    lease: Lease,
    is_exclusive: bool,
    /// Where what is dropped is released, since that may happen on a thread without a runtime.
    runtime: Handle,
    slots: Slots,
    numbers: Numbers,
}

impl Session {
    /// The id of the session's lease.
    pub fn id(&self) -> LeaseId {
        self.shared.lease.id()
    }

    /// The time to live of the lease, as the server last told it.
    pub fn ttl(&self) -> Duration {
        self.shared.lease.ttl()
    }

    /// The session's lease.
    pub fn lease(&self) -> &Lease {
        &self.shared.lease
    }

    /// The client that the session was opened with.
    pub fn client(&self) -> &Client {
        &self.shared.client
    }

    /// Why the session is lost; `None` as long as it is not. By the clock; see [`Lease::loss`].
    pub fn loss(&self) -> Option<LeaseLost> {
        self.shared.lease.loss()
    }

    /// Whether the session is lost.
    pub fn is_lost(&self) -> bool {
        self.shared.lease.is_lost()
    }

    /// Waits until the session is lost, and tells why; at once if it is. Can be awaited in any number of
    /// places. Dropping the future has no effect, and the future does not keep the session open.
    pub fn lost(&self) -> impl Future<Output = LeaseLost> + Send + 'static + use<> {
        self.shared.lease.lost()
    }

    /// Ends the session: revokes its lease, with which everything that is held by it goes at once, in one
    /// revision.
    ///
    /// # Errors
    ///
    /// As [`Lease::revoke`]; the session then goes on. A lease that is not there any more is no error.
    pub async fn close(&self) -> Result<()> {
        match self.shared.lease.revoke().await {
            Err(error) if error.kind() != ErrorKind::LeaseNotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Stops keeping the lease alive, without revoking it, and gives its id, for somebody to
    /// [resume](OpenSession::resume) it. What is held by it stays held until the lease runs out, though
    /// guards take it for lost; what is waited for is given up.
    pub fn detach(self) -> LeaseId {
        self.shared.lease.clone().detach()
    }

    /// Whether whatever is found under a key of the session's lease was put there by the session.
    pub(super) fn is_exclusive(&self) -> bool {
        self.shared.is_exclusive
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.shared.runtime
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.shared.slots
    }

    pub(super) fn numbers(&self) -> &Numbers {
        &self.shared.numbers
    }

    /// Asks the server for the lease of a key that has disappeared. If it has gone the same way, its
    /// session is lost when this ends, unless the server is slow to answer.
    pub(super) async fn ask_about(client: &Client, lease: LeaseId) {
        let renewal = client.leases().keep_alive_once(lease);
        // Whatever the answer is, the session hears of it.
        let _ = timeout(ASKING, renewal.into_future()).await;
    }

    /// The failure of what was waited for.
    pub(super) fn lost_error(lost: LeaseLost) -> Error {
        let what = format!("the session is lost: {lost}");
        Error::new(ErrorKind::SessionLost, what).with_source(lost)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("lease", &self.shared.lease)
            .finish_non_exhaustive()
    }
}

/// By which session somebody queues.
#[derive(Clone, Debug)]
pub(super) enum Via {
    /// One of its own, with this time to live, or 60 s.
    Own {
        client: Client,
        ttl: Option<Duration>,
    },
    /// One that exists. It has its own time to live, so a wish for another is refused.
    Lent {
        session: Session,
        ttl: Option<Duration>,
    },
}

impl Via {
    pub(super) fn own(client: &Client) -> Self {
        Self::Own {
            client: client.clone(),
            ttl: None,
        }
    }

    pub(super) fn lent(session: &Session) -> Self {
        Self::Lent {
            session: session.clone(),
            ttl: None,
        }
    }

    pub(super) fn set_ttl(&mut self, wanted: Duration) {
        let (Self::Own { ttl, .. } | Self::Lent { ttl, .. }) = self;
        *ttl = Some(wanted);
    }

    /// The client to ask with.
    pub(super) fn client(&self) -> &Client {
        match self {
            Self::Own { client, .. } => client,
            Self::Lent { session, .. } => session.client(),
        }
    }

    /// The session, which is opened if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`OpenSession`], and [`InvalidRequest`](ErrorKind::InvalidRequest) where a time to live is
    /// set for a session that exists.
    pub(super) async fn session(&self) -> Result<Session> {
        match self {
            Self::Own { client, ttl } => client.session().ttl(ttl.unwrap_or(TTL)).await,
            Self::Lent { session, ttl: None } => Ok(session.clone()),
            Self::Lent { ttl: Some(_), .. } => Err(Error::invalid_request(
                "a session has one time to live: give it to the session when it is opened",
            )),
        }
    }
}
