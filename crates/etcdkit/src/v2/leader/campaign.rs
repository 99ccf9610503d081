//! Becoming the leader.

use std::{
    fmt,
    future::{Future, IntoFuture},
    time::Duration,
};

use super::LeaderOf;
use crate::v2::{
    Call, ErrorKind, Result, Ttl,
    lock::{Bid, Lock, LockLost, LockPlace, Named, time_to_live, told_as},
};

/// How long a leadership lives that is not renewed, where the program does not say so.
const TTL: u64 = 30;

/// What is asked for.
#[derive(Debug)]
struct Wanted<'a> {
    leader: LeaderOf<'a>,
    value: String,
    ttl: Ttl,
    wait: Option<Duration>,
}

impl<'a> Wanted<'a> {
    fn new(leader: LeaderOf<'a>, value: String) -> Self {
        Self {
            leader,
            value,
            ttl: TTL.into(),
            wait: None,
        }
    }

    fn bid(&self) -> Result<Bid> {
        let (name, value) = (self.leader.name.clone(), self.value.clone());
        Bid::new(self.leader.named()?, name, value, self.ttl, self.wait)
    }
}

/// A candidacy that has not begun: made by [`LeaderOf::campaign`], begun when awaited.
///
/// # Errors
///
/// As [`OpenLock`](crate::v2::OpenLock), which also says what happens when the future is dropped.
///
/// # Panics
///
/// Polling panics outside of a tokio runtime: a task on it renews.
#[derive(Debug)]
#[must_use = "a candidacy begins when awaited"]
pub struct Campaign<'a> {
    wanted: Wanted<'a>,
}

impl<'a> Campaign<'a> {
    pub(super) fn new(leader: LeaderOf<'a>, value: String) -> Self {
        Self {
            wanted: Wanted::new(leader, value),
        }
    }

    /// How long the leadership lives without renewals; 30 s otherwise. See
    /// [`OpenLock::ttl`](crate::v2::OpenLock::ttl).
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.wanted.ttl = ttl.into();
        self
    }

    /// Waits for this long at the most; for ever otherwise.
    pub fn wait_at_most(mut self, wait: Duration) -> Self {
        self.wanted.wait = Some(wait);
        self
    }
}

impl IntoFuture for Campaign<'_> {
    type Output = Result<Leadership>;
    type IntoFuture = Call<Leadership>;

    fn into_future(self) -> Call<Leadership> {
        let bid = self.wanted.bid();
        told_as("campaign", async move {
            let lock = bid?.acquire().await?;
            Ok(Leadership { lock })
        })
    }
}

/// A leadership; made by awaiting [`LeaderOf::campaign`].
///
/// It is kept, and can be lost, as a [`Lock`] is. Dropping it resigns in the background.
#[must_use = "a leadership is resigned when it is dropped"]
pub struct Leadership {
    lock: Lock,
}

impl Leadership {
    /// What is led.
    pub fn name(&self) -> &str {
        self.lock.name()
    }

    /// What the candidate said of itself.
    pub fn value(&self) -> &str {
        self.lock.value()
    }

    /// The fencing index; see [`Lock::index`].
    pub fn index(&self) -> u64 {
        self.lock.index()
    }

    /// How long it lasts at least if no further renewal gets through; zero once it is lost.
    pub fn remaining(&self) -> Duration {
        self.lock.remaining()
    }

    /// Whether it is lost; by the clock.
    pub fn is_lost(&self) -> bool {
        self.lock.is_lost()
    }

    /// Why it is lost; `None` as long as it is not. See [`Lock::loss`].
    pub fn loss(&self) -> Option<LockLost> {
        self.lock.loss()
    }

    /// Waits until it is lost, and tells why; see [`Lock::lost`].
    pub fn lost(&self) -> impl Future<Output = LockLost> + Send + 'static + use<> {
        self.lock.lost()
    }

    /// Renews it now; see [`Lock::renew`].
    ///
    /// # Errors
    ///
    /// As for [`Lock::renew`].
    pub async fn renew(&self) -> Result<()> {
        self.lock.renew().await
    }

    /// Ends it, and waits for the server to confirm that: the next candidate leads.
    ///
    /// # Errors
    ///
    /// As for [`Lock::release`].
    pub async fn resign(self) -> Result<()> {
        self.lock.release().await
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leadership").field(&self.lock).finish()
    }
}

/// A leader to be set: made by [`LeaderOf::set`], set when awaited. Gives the fencing index.
///
/// # Errors
///
/// As [`OpenLock`](crate::v2::OpenLock).
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
/// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
/// let index = client.leader("nightly").set("host-7").ttl(60).await?;
/// // For another minute.
/// assert_eq!(client.leader("nightly").set("host-7").ttl(60).await?, index);
///
/// client.leader("nightly").delete("host-7").await?;
/// assert_eq!(client.leader("nightly").get().await?, None);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a leader is set when awaited"]
pub struct SetLeader<'a> {
    wanted: Wanted<'a>,
}

impl<'a> SetLeader<'a> {
    pub(super) fn new(leader: LeaderOf<'a>, value: String) -> Self {
        Self {
            wanted: Wanted::new(leader, value),
        }
    }

    /// How long the leadership lives; 30 s otherwise, and at least 2 s.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.wanted.ttl = ttl.into();
        self
    }

    /// Waits for this long at the most; for ever otherwise.
    pub fn wait_at_most(mut self, wait: Duration) -> Self {
        self.wanted.wait = Some(wait);
        self
    }
}

impl IntoFuture for SetLeader<'_> {
    type Output = Result<u64>;
    type IntoFuture = Call<u64>;

    fn into_future(self) -> Call<u64> {
        let wanted = self.wanted;
        let prepared = wanted.bid().and_then(|bid| {
            let ttl = time_to_live(wanted.ttl)?;
            Ok((bid, wanted.leader.named()?, ttl))
        });
        let value = wanted.value;
        told_as("set leader", async move {
            let (bid, named, ttl) = prepared?;
            if let Some(index) = go_on(&named, &value, ttl).await? {
                return Ok(index);
            }
            bid.acquire().await?.detach().await
        })
    }
}

/// Renews the leadership of a candidate that leads already.
async fn go_on(named: &Named, value: &str, ttl: Duration) -> Result<Option<u64>> {
    if let Named::Module(_) = named {
        // The server sees to it.
        return Ok(None);
    }
    let holder = named.holder().await?;
    let Some(leader) = holder.filter(|holder| holder.value == value) else {
        return Ok(None);
    };
    match named.renew(&LockPlace::Index(leader.index), ttl).await {
        Ok(()) => Ok(Some(leader.index)),
        // It has expired meanwhile.
        Err(error) if error.kind() == ErrorKind::KeyNotFound => Ok(None),
        Err(error) => Err(error),
    }
}
