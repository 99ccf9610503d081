//! Locks that one session holds at a time.

use std::{fmt, future::IntoFuture, ops::Deref, time::Duration};

use bytes::Bytes;

use super::{
    Held, Pending, Session,
    queue::{self, Want},
    session::Via,
};
use crate::{Blob, Client, KeyRange, KeyValue, LeaseId, Result, Revision};

impl Client {
    /// Acquires a lock, and keeps it until the guard is dropped. Awaiting the result waits in a queue until
    /// it is one's turn; see [`Lock`] for options and errors, [`LockGuard`] for what holding it means.
    ///
    /// Each time a session of its own is opened, so that tasks of a program exclude each other as programs
    /// do. To share one see [`Session::lock`].
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let guard = client.lock("orders").ttl(Duration::from_secs(10)).await?;
    ///
    /// // Written only while the lock is held.
    /// guard.put("orders/1", "paid").await?;
    ///
    /// // Somebody else has to wait.
    /// assert!(client.lock("orders").try_lock().await?.is_none());
    /// let soon = client.lock("orders").wait_at_most(Duration::from_millis(50));
    /// assert!(soon.await.is_err());
    ///
    /// assert!(guard.unlock().await?, "it was ours until now");
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn lock<'a>(&self, name: impl Into<Blob<'a>>) -> Lock {
        Lock::new(Via::own(self), name.into())
    }
}

impl Session {
    /// Acquires a lock by this session. As [`Client::lock`], except that it shares the session's lease, and
    /// that who asks for a lock that the session holds gets a guard of the same hold.
    pub fn lock<'a>(&self, name: impl Into<Blob<'a>>) -> Lock {
        Lock::new(Via::lent(self), name.into())
    }
}

/// A lock that has not been acquired: made by [`Client::lock`] and [`Session::lock`], acquired when
/// awaited.
///
/// # The queue
///
/// The key is `NAME/LEASE`, with the lease's id in hexadecimal, as etcd's Go client has it; so locks of
/// Go programs, `etcdctl lock` and the [lock service](crate::service) are the same locks. Who came first,
/// by the revision that created the key, holds the lock. By a session that is open, a lock that is free
/// takes one round trip.
///
/// Whatever is below `NAME/` stands in the queue, however deep, as for etcd's Go client: do not nest names.
/// A lock `a/b` is in the way of a lock `a`, and who holds the former and asks for the latter waits for itself.
///
/// # Waiting
///
/// Whoever waits watches the key before its own, so that a release wakes one waiter, and reads the queue
/// again, together with its own key, before it takes the lock for its own. So a lock is handed over with one
/// message and one round trip after it. The message alone would not do: each key has a watch of its own, and
/// that nothing was told of the own key does not say that nothing has happened to it; one watch of all keys
/// would say so, and wake everybody each time. Waits go on through broken connections, elections and
/// compactions, as long as the lease is kept alive.
///
/// # Errors
///
/// [`Timeout`](crate::ErrorKind::Timeout) when the time to [wait](Self::wait_at_most) is over;
/// [`SessionLost`](crate::ErrorKind::SessionLost) when the session is lost meanwhile;
/// [`NotHeld`](crate::ErrorKind::NotHeld) when somebody deleted the key during the wait; and failures of
/// requests that waiting is no cure for, such as
/// [`PermissionDenied`](crate::ErrorKind::PermissionDenied). Whatever the error, the lock is not held, and
/// the key is deleted, if need be in the background.
///
/// # Cancellation
///
/// Dropping the future deletes the key in the background.
///
/// # Panics
///
/// Polling panics outside of a tokio runtime: tasks on it keep the lease alive, and release what is
/// dropped.
#[derive(Clone)]
#[must_use = "a lock is acquired when awaited"]
pub struct Lock {
    via: Via,
    name: Bytes,
    value: Bytes,
    wait: Option<Duration>,
}

impl Lock {
    fn new(via: Via, name: Blob<'_>) -> Self {
        Self {
            via,
            name: name.into_bytes(),
            value: Bytes::new(),
            wait: None,
        }
    }

    /// How long others wait after this program has crashed; 60 s otherwise. See
    /// [`OpenSession::ttl`](super::OpenSession::ttl). With a session that exists this is refused, as
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.via.set_ttl(ttl);
        self
    }

    /// Says something with the lock, such as who holds it, for [`holder`](Self::holder). Empty otherwise.
    pub fn value<'a>(mut self, value: impl Into<Blob<'a>>) -> Self {
        self.value = value.into().into_bytes();
        self
    }

    /// Waits for this long at the most, opening a session included, and up to a second more to take the own
    /// key out of the queue; for ever otherwise.
    pub fn wait_at_most(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Acquires the lock if nobody holds it and nobody waits for it; otherwise gives `None`, without having
    /// been in the queue. Awaiting the result tries it.
    pub fn try_lock(self) -> TryLock {
        TryLock { lock: self }
    }

    /// Who holds the lock now, with the cluster's agreement; `None` if nobody does.
    ///
    /// # Errors
    ///
    /// Those of [`Range`](crate::Range).
    pub async fn holder(&self) -> Result<Option<Holder>> {
        let rivals = KeyRange::prefix(self.directory());
        let holders = queue::holders(self.via.client(), &rivals, 1).await?;
        Ok(holders.into_iter().next().map(Holder::from))
    }

    fn directory(&self) -> Bytes {
        queue::directory(&self.name)
    }

    fn want(self, operation: &'static str) -> (Via, Want) {
        let prefix = self.directory();
        let want = Want {
            operation,
            rivals: KeyRange::prefix(prefix.clone()),
            prefix,
            is_numbered: false,
            value: self.value,
            keeps_value: false,
            is_agreed: false,
            limit: 1,
            excludes: None,
        };
        (self.via, want)
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("via", &self.via)
            .field("name", &self.name)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for Lock {
    type Output = Result<LockGuard>;
    type IntoFuture = Pending<LockGuard>;

    fn into_future(self) -> Pending<LockGuard> {
        let wait = self.wait;
        let (via, want) = self.want("lock");
        Box::pin(async move {
            let held = queue::acquire(via, want, wait).await?;
            Ok(LockGuard { held })
        })
    }
}

/// An attempt to acquire a lock: made by [`Lock::try_lock`], made when awaited. `None` if somebody else has
/// it or waits for it.
///
/// # Errors
///
/// As [`Lock`]; and a failure of the connection or the cluster that outlasts the client's request timeout,
/// which a wait would go on after.
#[derive(Clone, Debug)]
#[must_use = "a lock is acquired when awaited"]
pub struct TryLock {
    lock: Lock,
}

impl IntoFuture for TryLock {
    type Output = Result<Option<LockGuard>>;
    type IntoFuture = Pending<Option<LockGuard>>;

    fn into_future(self) -> Pending<Option<LockGuard>> {
        let wait = self.lock.wait;
        let (via, want) = self.lock.want("try lock");
        Box::pin(async move {
            let held = queue::try_acquire(via, want, wait).await?;
            Ok(held.map(|held| LockGuard { held }))
        })
    }
}

/// A lock that is held: made by awaiting [`Client::lock`] or [`Session::lock`].
///
/// It derefs to [`Held`], which has the fenced writes, the fencing token and
/// [`lost`](Held::lost).
///
/// # Dropped
///
/// A guard that is dropped releases the lock in the background, unless another guard of the same session
/// shares it. If that does not reach the server, say because the program ends, the lock is free when the
/// lease has run out. [`unlock`](Self::unlock) tells how it went.
#[derive(Debug)]
#[must_use = "a lock is released when its guard is dropped"]
pub struct LockGuard {
    held: Held,
}

impl LockGuard {
    /// Releases the lock, waits for the server to confirm it, and says whether it was held until then.
    /// `false` means that somebody else may have held it before this.
    ///
    /// Where another guard of the same session shares the lock, it goes on being held, and this says
    /// whether it is.
    ///
    /// # Errors
    ///
    /// Those of a [transaction](crate::Txn). The lock is then released in the background.
    ///
    /// # Cancellation
    ///
    /// When the future is dropped, the lock is released in the background.
    pub async fn unlock(self) -> Result<bool> {
        self.held.release("unlock").await
    }
}

impl Deref for LockGuard {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}

/// Who holds something: given by [`Lock::holder`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The key that stands for the hold.
    pub key: Bytes,
    /// What the holder said with it.
    pub value: Bytes,
    /// The lease of the holder's session; `None` if the key has none and stays until it is deleted.
    pub lease: Option<LeaseId>,
    /// The revision that created the key, as the holder's [`Held::fencing_token`] has it.
    pub fencing_token: Revision,
}

impl From<KeyValue> for Holder {
    fn from(kv: KeyValue) -> Self {
        Self {
            key: kv.key,
            value: kv.value,
            lease: kv.lease,
            fencing_token: kv.create_revision,
        }
    }
}
