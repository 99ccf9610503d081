//! The lock service.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::{EtcdError, v3lockpb as pb};
use http::uri::PathAndQuery;
use prost::Message;

use crate::{
    Blob, Call, Client, Error, Header, LeaseId, Result,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
    wrap::namespace::{Foreign, Leave, Namespace},
};

static LOCK: Method = Method {
    name: "lock",
    path: PathAndQuery::from_static("/v3lockpb.Lock/Lock"),
};

static UNLOCK: Method = Method {
    name: "unlock",
    path: PathAndQuery::from_static("/v3lockpb.Lock/Unlock"),
};

impl Client {
    /// The server's lock service; see [`service`](crate::service) for what it is and is not.
    pub fn lock_service(&self) -> LockService<'_> {
        LockService { client: self }
    }
}

/// The server's lock service; made by [`Client::lock_service`].
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().start().await?;
/// # let client = etcdkit::Client::connect(server.endpoint()).await?;
/// use std::time::Duration;
/// use etcdkit::{Compare, Op};
///
/// let lease = client.lease(Duration::from_secs(10)).await?;
/// let lock = client.lock_service().lock("orders", &lease).await?;
///
/// // Written only while the lock is held.
/// let held = Compare::create_revision(&lock.key).gt(0);
/// client.txn().when([held]).then([Op::put("orders/1", "paid")]).await?;
///
/// client.lock_service().unlock(lock.key).await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LockService<'a> {
    client: &'a Client,
}

impl<'a> LockService<'a> {
    /// Acquires the lock of a name for a lease, and waits as long as others have it. Awaiting the
    /// result sends the request.
    ///
    /// The lock is held until [`unlock`](Self::unlock), or until the lease ends. A lease that holds it
    /// already gets it again. With lease 0 the server grants one of 60 s, which nobody keeps alive.
    ///
    /// # Errors
    ///
    /// [`LeaseNotFound`](crate::ErrorKind::LeaseNotFound) if there is no such lease,
    /// [`LockSessionExpired`](crate::ErrorKind::LockSessionExpired) if it ended during the wait.
    pub fn lock(&self, name: impl Into<Blob<'a>>, lease: impl Into<LeaseId>) -> Lock<'a> {
        Lock {
            client: self.client,
            name: name.into(),
            lease: lease.into(),
            timeout: None,
        }
    }

    /// Releases a lock by its [key](Locked::key). Awaiting the result sends the request.
    ///
    /// The server deletes the key, whatever it is. A lock that is released already is no error.
    ///
    /// # Errors
    ///
    /// [`EmptyKey`](crate::ErrorKind::EmptyKey), before sending, for a key without a byte.
    pub fn unlock(&self, key: impl Into<Blob<'a>>) -> Unlock<'a> {
        Unlock {
            client: self.client,
            key: key.into(),
            timeout: None,
        }
    }
}

/// A request for a lock; made by [`LockService::lock`], sent when awaited.
///
/// Dropping its future cancels it on the wire, and the server gives up the place in the queue.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct Lock<'a> {
    client: &'a Client,
    name: Blob<'a>,
    lease: LeaseId,
    timeout: Option<Duration>,
}

impl Lock<'_> {
    /// Limits the time for the whole call. Without it the wait has no end while the member answers
    /// pings; the client's request timeout only limits how long it may take to reach one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Lock<'_> {
    type Output = Result<Locked>;
    type IntoFuture = Call<Locked>;

    fn into_future(self) -> Call<Locked> {
        let core = &self.client.core;
        let namespace = &self.client.namespace;
        let request = Request {
            method: &LOCK,
            frame: Frame::of(&pb::LockRequest {
                name: namespace.own_key(self.name.into_bytes()),
                lease: self.lease.0,
            }),
            class: Class::Steps,
            timeout: Some(self.timeout.unwrap_or(Duration::MAX)),
            only: None,
        };
        Call::new(core, request, Locked::decode)
            .patient(core.config.request_timeout)
            .within(namespace)
    }
}

/// A lock that was [acquired](LockService::lock).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Locked {
    /// The answer's header.
    pub header: Header,
    /// The key that exists while the lock is held: what [`unlock`](LockService::unlock) takes, and
    /// what conditions of transactions should look at.
    pub key: Bytes,
}

impl Locked {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        let response = pb::LockResponse::decode(reply)?;
        Ok(Self {
            header: response.header.into(),
            key: response.key,
        })
    }
}

impl Leave for Locked {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.key = namespace.strip(std::mem::take(&mut self.key))?;
        Ok(())
    }
}

/// A request to release a lock; made by [`LockService::unlock`], sent when awaited.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct Unlock<'a> {
    client: &'a Client,
    key: Blob<'a>,
    timeout: Option<Duration>,
}

impl Unlock<'_> {
    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Unlock<'_> {
    type Output = Result<Header>;
    type IntoFuture = Call<Header>;

    fn into_future(self) -> Call<Header> {
        if self.key.as_slice().is_empty() {
            return Call::failed(Error::etcd(EtcdError::EmptyKey).with_operation(UNLOCK.name));
        }
        let key = self.client.namespace.own_key(self.key.into_bytes());
        let request = Request {
            method: &UNLOCK,
            frame: Frame::of(&pb::UnlockRequest { key }),
            class: Class::Write,
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, |reply| {
            Ok(pb::UnlockResponse::decode(reply)?.header.into())
        })
    }
}
