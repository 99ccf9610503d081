//! Semaphores: so many holders at a time.

use std::{fmt, future::Future, ops::Deref, time::Duration};

use bytes::Bytes;

use super::{
    Held, Holder, Session,
    queue::{Want, acquire, directory, holders, try_acquire},
    session::Via,
};
use crate::{Blob, Client, Error, KeyRange, Result};

impl Client {
    /// A semaphore by its name: at most `limit` permits at a time. Nothing is sent yet; see [`Semaphore`].
    ///
    /// Each permit is on a lease of its own. For several on one lease see [`Session::semaphore`].
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let printers = client.semaphore("printers", 2).ttl(Duration::from_secs(10));
    /// let first = printers.acquire().await?;
    /// let second = printers.acquire().await?;
    /// assert_eq!(printers.available().await?, 0);
    /// assert!(printers.try_acquire().await?.is_none());
    ///
    /// assert!(first.release().await?);
    /// second.put("printed", "page 1").await?; // fails if the permit is no longer ours
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn semaphore<'a>(&self, name: impl Into<Blob<'a>>, limit: u32) -> Semaphore {
        Semaphore::new(Via::own(self), name.into(), limit)
    }
}

impl Session {
    /// A semaphore by its name: at most `limit` permits at a time, those of the session on its lease.
    /// Nothing is sent yet; see [`Semaphore`].
    pub fn semaphore<'a>(&self, name: impl Into<Blob<'a>>, limit: u32) -> Semaphore {
        Semaphore::new(Via::lent(self), name.into(), limit)
    }
}

/// A lock with room for several: so many permits are held at a time; made by [`Client::semaphore`] or
/// [`Session::semaphore`]. Cheap to clone, and good for any number of permits.
///
/// Each acquisition is a permit of its own, also by one session. Permits come in the order of asking, and
/// each release wakes no more who wait than there are permits.
///
/// # Keys
///
/// A permit is a key `<name>/<lease>-<number>`, the lease in hexadecimal and the number that of the permit
/// in its session, attached to the lease; its value is the limit in decimal. Whatever is below
/// `<name>/` takes part, however deep: keep names free of keys of others, and do not nest them.
///
/// # Errors
///
/// Acquiring fails as a [lock](Client::lock) does, and besides with
/// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a limit of 0, and if a permit is held or
/// waited for under another limit: all who use a semaphore have to mean the same number. To change it,
/// let all permits be released first. No error leaves a key behind, and nor does a future that is
/// dropped.
#[derive(Clone)]
#[must_use = "a permit is had by acquire()"]
pub struct Semaphore {
    via: Via,
    name: Bytes,
    limit: u32,
    wait: Option<Duration>,
}

impl Semaphore {
    fn new(via: Via, name: Blob<'_>, limit: u32) -> Self {
        Self {
            via,
            name: name.into_bytes(),
            limit,
            wait: None,
        }
    }

    /// The time to live of the lease that is granted for a permit; 60 s otherwise, as etcd's Go client
    /// does. Refused for the semaphore of a session, which has its own.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.via.set_ttl(ttl);
        self
    }

    /// Limits the time of an acquisition, with the time for granting its lease; none otherwise.
    pub fn wait_at_most(mut self, limit: Duration) -> Self {
        self.wait = Some(limit);
        self
    }

    /// Waits for a permit.
    pub fn acquire(&self) -> impl Future<Output = Result<Permit>> + Send + 'static + use<> {
        let (via, wait, want) = (self.via.clone(), self.wait, self.want("acquire permit"));
        async move {
            let held = acquire(via, want?, wait).await?;
            Ok(Permit { held })
        }
    }

    /// Takes a permit if there is one and nobody waits for it: `None` otherwise, without having been in
    /// anybody's way.
    pub fn try_acquire(
        &self,
    ) -> impl Future<Output = Result<Option<Permit>>> + Send + 'static + use<> {
        let (via, wait, want) = (self.via.clone(), self.wait, self.want("try acquire permit"));
        async move {
            let held = try_acquire(via, want?, wait).await?;
            Ok(held.map(|held| Permit { held }))
        }
    }

    /// How many permits are free now; 0 if others wait. One linearizable read.
    ///
    /// # Errors
    ///
    /// As [`Client::range`], and [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for a limit of 0.
    pub async fn available(&self) -> Result<u32> {
        self.check()?;
        let found = self.via.client().range(self.range()).linearizable();
        let taken = found.count_only().await?.count;
        Ok(self
            .limit
            .saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX)))
    }

    /// Who has a permit now, those who asked first in front. One linearizable read.
    ///
    /// # Errors
    ///
    /// As [`available`](Self::available).
    pub async fn holders(&self) -> Result<Vec<Holder>> {
        self.check()?;
        let holders = holders(self.via.client(), &self.range(), self.places()).await?;
        Ok(holders.into_iter().map(Holder::from).collect())
    }

    fn want(&self, operation: &'static str) -> Result<Want> {
        self.check()
            .map_err(|error| error.with_operation(operation))?;
        Ok(Want {
            operation,
            prefix: self.prefix(),
            is_numbered: true,
            value: self.limit.to_string().into(),
            keeps_value: false,
            is_agreed: true,
            rivals: self.range(),
            limit: self.places(),
            excludes: None,
        })
    }

    fn check(&self) -> Result<()> {
        match self.limit {
            0 => Err(Error::invalid_request(
                "a semaphore without permits; give it a limit of 1 or more",
            )),
            _ => Ok(()),
        }
    }

    fn places(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    fn prefix(&self) -> Bytes {
        directory(&self.name)
    }

    fn range(&self) -> KeyRange<'static> {
        KeyRange::prefix(self.prefix())
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("via", &self.via)
            .field("wait", &self.wait)
            .finish()
    }
}

/// One of a [`Semaphore`]'s permits; made by [`Semaphore::acquire`] or [`Semaphore::try_acquire`]. Derefs to
/// what can be done with it, [`Held`].
///
/// Dropping it gives it back in the background.
#[derive(Debug)]
#[must_use = "a permit is given back when it is dropped"]
pub struct Permit {
    held: Held,
}

impl Permit {
    /// Gives the permit back, and says whether it was held until then.
    ///
    /// # Errors
    ///
    /// Those of a [transaction](Client::txn). It is then given back in the background, and when the future
    /// is dropped, too.
    pub async fn release(self) -> Result<bool> {
        self.held.release("release permit").await
    }
}

impl Deref for Permit {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}
