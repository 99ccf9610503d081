//! A lock that has not been acquired.

use std::{fmt, future::IntoFuture, time::Duration};

use super::{
    LOCKS, Lock,
    bid::Bid,
    directory,
    modules::Module,
    named::{LockHolder, LockPlace, Named},
    time_to_live, told_as,
};
use crate::v2::{Call, Client, Result, Ttl};

/// How long a lock lives that is not renewed, where the program does not say so.
const TTL: u64 = 30;

impl Client {
    /// Acquires a lock, and keeps it until the guard is dropped. Awaiting the result waits in a queue
    /// until it is one's turn; see [`OpenLock`] for options and errors, [`Lock`] for what holding it
    /// means.
    ///
    /// The queue is of in-order keys below `/_locks/NAME`, each with a time to live; the first has the
    /// lock. Whoever waits watches the key before its own, so that a release wakes one waiter, and
    /// all are served in the order they came.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let lock = client.lock("mylock").ttl(100).value("host-7").await?;
    /// let holder = client.lock_holder("mylock").await?.expect("it is held");
    /// assert_eq!((holder.value.as_str(), holder.index), ("host-7", lock.index()));
    ///
    /// // Somebody else has to wait.
    /// assert!(client.lock("mylock").try_lock().await?.is_none());
    /// let soon = client.lock("mylock").wait_at_most(Duration::from_millis(50));
    /// assert!(soon.await.is_err());
    ///
    /// lock.release().await?;
    /// assert!(client.lock("mylock").try_lock().await?.is_some());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn lock(&self, name: impl Into<String>) -> OpenLock<'_> {
        OpenLock {
            client: self,
            name: name.into(),
            value: String::new(),
            ttl: TTL.into(),
            parent: LOCKS.to_owned(),
            wait: None,
            via_modules: false,
        }
    }

    /// Who has a lock now; see [`OpenLock::holder`].
    pub fn lock_holder(&self, name: impl Into<String>) -> Call<Option<LockHolder>> {
        self.lock(name).holder()
    }

    /// Renews a lock without its guard; see [`OpenLock::renew`].
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
    /// // Held for a minute, whether this program goes on or not.
    /// let index = client.lock("nightly").ttl(60).await?.detach().await?;
    ///
    /// client.renew_lock("nightly", index, 60).await?;
    /// client.release_lock("nightly", index).await?;
    /// assert_eq!(client.lock_holder("nightly").await?, None);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn renew_lock(
        &self,
        name: impl Into<String>,
        which: impl Into<LockPlace>,
        ttl: impl Into<Ttl>,
    ) -> Call<()> {
        self.lock(name).ttl(ttl).renew(which)
    }

    /// Releases a lock without its guard; see [`OpenLock::release`].
    pub fn release_lock(&self, name: impl Into<String>, which: impl Into<LockPlace>) -> Call<()> {
        self.lock(name).release(which)
    }
}

/// A lock that has not been acquired: made by [`Client::lock`].
///
/// # Waiting
///
/// A place in the queue is renewed as a lock that is held is. Should it be lost all the same, a new one
/// is taken at the end of the queue. Dropping the future gives the place up in the background.
///
/// # Errors
///
/// [`Timeout`](crate::v2::ErrorKind::Timeout) when the time to [wait](Self::wait_at_most) is over;
/// [`InvalidRequest`](crate::v2::ErrorKind::InvalidRequest) before anything is sent; and the failures of requests,
/// where repeating them is no cure or takes longer than the client's request timeout. Whatever the
/// error, the lock is not held, and a key that may be left behind is removed in the background or
/// expires.
///
/// # Panics
///
/// Polling panics outside of a tokio runtime: a task on it renews.
#[must_use = "a lock is acquired when awaited"]
pub struct OpenLock<'a> {
    client: &'a Client,
    name: String,
    value: String,
    ttl: Ttl,
    parent: String,
    wait: Option<Duration>,
    via_modules: bool,
}

impl<'a> OpenLock<'a> {
    /// How long the lock, or the place in the queue, lives without renewals: how long others wait
    /// after this program has crashed. 30 s otherwise, and at least 2 s.
    ///
    /// On a cluster give it 15 s or more. When a leader fails, renewals are not answered for some
    /// seconds, and a lock that lives no longer than that is lost.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Says something with the lock, such as who holds it; see
    /// [`lock_holder`](Client::lock_holder). At most 1024 bytes.
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// Waits for this long at the most, and up to a second more to take one's place out of the queue; for
    /// ever otherwise.
    pub fn wait_at_most(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Keeps the queue in another directory than `/_locks`. All who want the lock must agree on it.
    pub fn below(mut self, directory: impl Into<String>) -> Self {
        self.parent = directory.into();
        self
    }

    /// Has the server keep the queue: by `/mod/v2/lock`, which etcd 0.2 and 0.3 have, and this
    /// project's server on request. Others answer [`NotServed`](crate::v2::ErrorKind::NotServed).
    ///
    /// Here a [value](Self::value) is a name: whoever comes with the value of a lock that is held, or
    /// waited for, shares it.
    pub fn via_modules(mut self) -> Self {
        self.via_modules = true;
        self
    }

    /// Acquires the lock if nobody has it and nobody waits for it; otherwise gives `None` at once.
    pub fn try_lock(self) -> TryLock<'a> {
        TryLock { lock: self }
    }

    /// Who has the lock now, with the cluster's agreement; `None` if nobody has.
    ///
    /// # Errors
    ///
    /// Those of [`Get`](crate::v2::Get).
    pub fn holder(self) -> Call<Option<LockHolder>> {
        let named = self.named();
        told_as("lock holder", async move { named?.holder().await })
    }

    /// Renews a lock, or a place in its queue, without a guard: by its index or its value, for the
    /// [time to live](Self::ttl).
    ///
    /// # Errors
    ///
    /// [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound) if there is no such place, or no longer.
    pub fn renew(self, which: impl Into<LockPlace>) -> Call<()> {
        let which = which.into();
        let (named, ttl) = (self.named(), time_to_live(self.ttl));
        told_as(
            "renew lock",
            async move { named?.renew(&which, ttl?).await },
        )
    }

    /// Releases a lock, or gives up a place in its queue, without a guard: by its index or its value.
    ///
    /// # Errors
    ///
    /// [`KeyNotFound`](crate::v2::ErrorKind::KeyNotFound) if there is no such place, or no longer.
    pub fn release(self, which: impl Into<LockPlace>) -> Call<()> {
        let which = which.into();
        let named = self.named();
        told_as("release lock", async move { named?.release(&which).await })
    }

    fn named(&self) -> Result<Named> {
        let client = self.client.clone();
        match self.via_modules {
            true => Ok(Named::Module(Module::lock(client, &self.name)?)),
            false => Ok(Named::Keys {
                client,
                directory: directory(&self.parent, &self.name)?,
            }),
        }
    }

    fn bid(self) -> Result<Bid> {
        Bid::new(self.named()?, self.name, self.value, self.ttl, self.wait)
    }
}

impl IntoFuture for OpenLock<'_> {
    type Output = Result<Lock>;
    type IntoFuture = Call<Lock>;

    fn into_future(self) -> Call<Lock> {
        let bid = self.bid();
        told_as("lock", async move { bid?.acquire().await })
    }
}

/// An attempt to acquire a lock: made by [`OpenLock::try_lock`], made when awaited. `None` if somebody
/// else has it.
///
/// # Errors
///
/// As [`OpenLock`].
#[derive(Debug)]
#[must_use = "a lock is acquired when awaited"]
pub struct TryLock<'a> {
    lock: OpenLock<'a>,
}

impl IntoFuture for TryLock<'_> {
    type Output = Result<Option<Lock>>;
    type IntoFuture = Call<Option<Lock>>;

    fn into_future(self) -> Call<Option<Lock>> {
        let bid = self.lock.bid();
        told_as("try lock", async move { bid?.try_acquire().await })
    }
}

impl fmt::Debug for OpenLock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenLock")
            .field("name", &self.name)
            .field("ttl", &self.ttl)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
