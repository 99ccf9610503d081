//! Leases: a time to live that keys can share, and the client that keeps it from running out.
//!
//! [`Leases`] has the plain calls. [`Lease`] is the handle that lives: granted, renewed in time over
//! one stream for all leases of a client, and lost with a reason.

mod attach;
mod grant;
mod handle;
mod held;
mod hub;
mod keeper;
mod list;
mod lost;
mod renew;
mod revoke;
mod standing;
mod task;
mod time_to_live;

use std::{future::Future, pin::Pin, time::Duration};

pub(crate) use self::hub::Hub;
pub use self::{
    attach::AttachLease,
    grant::{GrantLease, LeaseGrant},
    handle::{Lease, OpenLease},
    list::{LeaseList, ListLeases},
    lost::{LeaseLost, LostReason},
    renew::{KeepAliveOnce, LeaseKeepAlive},
    revoke::{LeaseRevoke, RevokeLease},
    standing::{OpenStandingLease, StandingLease},
    time_to_live::{GetTimeToLive, LeaseTimeToLive},
};
use crate::{Client, LeaseId, Result};

/// What awaiting a request gives, where it takes more than one call.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

impl Client {
    /// The calls about leases, one by one. For a lease that is kept alive by the client see
    /// [`lease`](Self::lease).
    pub fn leases(&self) -> Leases<'_> {
        Leases { client: self }
    }
}

/// What can be asked and changed about leases; made by [`Client::leases`].
///
/// A lease has an id and a time to live. Keys are [attached](crate::Put::lease) to it, and are
/// deleted, in one revision, when it is revoked or not renewed in time.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().start().await?;
/// # let client = etcdkit::Client::connect(server.endpoint()).await?;
/// use std::time::Duration;
///
/// let granted = client.leases().grant(Duration::from_secs(60)).await?;
/// client.put("sessions/7", "alice").lease(granted.id).await?;
///
/// let state = client.leases().time_to_live(granted.id).keys().await?;
/// assert_eq!(state.keys, ["sessions/7"]);
///
/// client.leases().revoke(granted.id).await?;
/// assert!(client.get("sessions/7").await?.is_none());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Leases<'a> {
    client: &'a Client,
}

impl<'a> Leases<'a> {
    /// Grants a lease, which runs out after `ttl` unless it is renewed. Awaiting the result sends the
    /// request; see [`GrantLease`] for its options and errors.
    ///
    /// Parts of seconds are rounded up. The server may grant more than was asked for, never less:
    /// at least one and a half times its election timeout, which is 2 s by default.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let granted = client.leases().grant(Duration::from_secs(60)).id(7).await?;
    /// assert_eq!((granted.id.0, granted.ttl), (7, Duration::from_secs(60)));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn grant(&self, ttl: Duration) -> GrantLease<'a> {
        GrantLease::new(self.client, ttl)
    }

    /// Ends a lease and deletes the keys attached to it. Awaiting the result sends the request.
    pub fn revoke(&self, id: impl Into<LeaseId>) -> RevokeLease<'a> {
        RevokeLease::new(self.client, id.into())
    }

    /// Asks how long a lease will live, and which keys it has. Awaiting the result sends the request.
    pub fn time_to_live(&self, id: impl Into<LeaseId>) -> GetTimeToLive<'a> {
        GetTimeToLive::new(self.client, id.into())
    }

    /// Renews a lease once, on the stream that all leases of the client share. Awaiting the result sends
    /// the request.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let granted = client.leases().grant(Duration::from_secs(60)).await?;
    /// let renewed = client.leases().keep_alive_once(granted.id).await?;
    /// assert_eq!(renewed.ttl, granted.ttl);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn keep_alive_once(&self, id: impl Into<LeaseId>) -> KeepAliveOnce<'a> {
        KeepAliveOnce::new(self.client, id.into())
    }

    /// Keeps a lease alive that exists, until the handle is dropped. Awaiting the result renews it for
    /// the first time, which shows that it exists.
    ///
    /// Unlike with [`Client::lease`], dropping the handle leaves the lease to run out.
    pub fn keep_alive(&self, id: impl Into<LeaseId>) -> AttachLease<'a> {
        AttachLease::new(self.client, id.into())
    }

    /// Lists all leases. Awaiting the result sends the request.
    pub fn list(&self) -> ListLeases<'a> {
        ListLeases::new(self.client)
    }
}
