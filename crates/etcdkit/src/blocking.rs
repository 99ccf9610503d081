//! The client for programs without `async`.
//!
//! [`Client`] has every operation of the asynchronous client, with the same builders and options; what
//! is awaited there ends in [`.wait()`](Wait::wait) here, and what is a stream there is an iterator here
//! by [`.iter()`](Iterate::iter).
//!
//! One background thread does the work that goes on between calls: connections, watches, leases. All
//! blocking clients of the process share it, and it ends with the last of them and of what they made, such
//! as leases and watches. Calls themselves run on the thread that makes them. Needs the feature
//! `blocking`.
//!
//! # Examples
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # let server = runtime.block_on(etcdkit_server::Server::builder().start())?;
//! # let endpoint = server.endpoint();
//! use etcdkit::{
//!     KeyRange,
//!     blocking::{Client, Iterate, Wait},
//! };
//!
//! let client = Client::connect(endpoint)?;
//! client.put("jobs/1", "new").wait()?;
//! let replaced = client.put("jobs/1", "done").prev_kv().wait()?.prev_kv;
//! assert_eq!(replaced.unwrap().value, "new");
//!
//! for job in client.scan(KeyRange::prefix("jobs/")).iter() {
//!     println!("{}", job?.key_str()?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # In asynchronous code
//!
//! Waiting works on any thread, also on one that runs a tokio runtime, and never panics. As any
//! blocking call it then keeps that thread from running other tasks, so asynchronous code is better off
//! with the [asynchronous client](crate::Client). Where what is waited for depends on the thread that
//! waits, such as a server in the same single-threaded runtime, a call fails with
//! [`Timeout`](crate::ErrorKind::Timeout).

mod background;

use std::{
    fmt,
    future::{IntoFuture, poll_fn},
    ops::Deref,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures_core::Stream;

pub(crate) use self::background::Background;
use crate::{Blob, ClientBuilder, Result, transport::endpoint::IntoEndpoints};

/// A client of one etcd cluster for programs without `async`: see the [module](self).
///
/// It derefs to the [asynchronous client](crate::Client), whose operations it has; they do nothing until
/// [`.wait()`](Wait::wait) or [`.iter()`](Iterate::iter) is called on what they give. Cheap to clone,
/// `Send` and `Sync`; all clones share connections.
#[derive(Clone)]
pub struct Client {
    client: crate::Client,
}

impl Client {
    /// Connects to a cluster with default settings and verifies that it can be reached: one endpoint
    /// or several, such as `"http://127.0.0.1:2379"`. For other settings see
    /// [`ClientBuilder::connect_blocking`].
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::connect_blocking`].
    pub fn connect(endpoints: impl IntoEndpoints) -> Result<Self> {
        crate::Client::builder()
            .endpoints(endpoints)
            .connect_blocking()
    }

    /// Makes a blocking client of an asynchronous one, which it shares connections with. Those that are
    /// open already stay with the runtime that opened them; a client made by
    /// [`connect_lazy`](ClientBuilder::connect_lazy) has none yet.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the system lets no thread be started.
    pub fn new(client: crate::Client) -> Result<Self> {
        let background = Background::shared()?;
        // The core of a client that was blocking before holds the same one already.
        let _ = client.core.background.set(background);
        Ok(Self { client })
    }

    /// The same client, confined to the keys that begin with `prefix`; see
    /// [`Client::namespaced`](crate::Client::namespaced).
    #[must_use = "the client itself stays as it is"]
    pub fn namespaced<'a>(&self, prefix: impl Into<Blob<'a>>) -> Self {
        Self {
            client: self.client.namespaced(prefix),
        }
    }
}

impl Deref for Client {
    type Target = crate::Client;

    fn deref(&self) -> &crate::Client {
        &self.client
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.client).finish()
    }
}

impl ClientBuilder {
    /// Makes a [blocking client](crate::blocking::Client), and verifies that an endpoint can be reached
    /// and serves etcd. Needs the feature `blocking`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the
    /// system lets no thread be started.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let server = runtime.block_on(etcdkit_server::Server::builder().start())?;
    /// # let endpoint = server.endpoint();
    /// use std::time::Duration;
    ///
    /// use etcdkit::blocking::Wait;
    ///
    /// let client = etcdkit::Client::builder()
    ///     .endpoint(endpoint)
    ///     .request_timeout(Duration::from_secs(2))
    ///     .connect_blocking()?;
    /// assert_eq!(client.get("no such key").wait()?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_blocking(self) -> Result<Client> {
        // Held until the client holds it, too.
        let _background = Background::shared()?;
        Client::new(self.connect().wait()?)
    }
}

/// Waiting for what would be awaited: for every request builder, and every other future.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # let server = runtime.block_on(etcdkit_server::Server::builder().start())?;
/// # let client = etcdkit::blocking::Client::connect(server.endpoint())?;
/// use std::time::Duration;
///
/// use etcdkit::{Op, blocking::Wait};
///
/// client.txn().then([Op::put("a", "1"), Op::put("b", "2")]).wait()?;
/// assert_eq!(client.range(..).count_only().wait()?.count, 2);
/// # Ok(())
/// # }
/// ```
pub trait Wait: IntoFuture + Sized {
    /// Blocks the thread until there is a result. Calls have a time limit of their own, that of
    /// [`timeout`](crate::Put::timeout) or the client's.
    fn wait(self) -> Self::Output {
        background::enter(|| background::block_on(pin!(self.into_future())))
    }

    /// Blocks the thread until there is a result, but no longer than this: `None` when the time is up.
    /// What was waited for is then dropped, with the same effect as when its future is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let server = runtime.block_on(etcdkit_server::Server::builder().start())?;
    /// # let client = etcdkit::blocking::Client::connect(server.endpoint())?;
    /// use std::time::Duration;
    ///
    /// use etcdkit::blocking::Wait;
    ///
    /// let mut watch = client.watch("key").wait()?;
    /// let update = watch.try_next().wait_for(Duration::from_millis(10));
    /// assert!(update.is_none(), "nothing has changed");
    /// # Ok(())
    /// # }
    /// ```
    fn wait_for(self, limit: Duration) -> Option<Self::Output> {
        background::enter(|| background::block_on_for(pin!(self.into_future()), limit))
    }
}

impl<F: IntoFuture> Wait for F {}

/// Iterating over what is a stream: scans, watches and whatever else yields items over time.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # let server = runtime.block_on(etcdkit_server::Server::builder().start())?;
/// # let client = etcdkit::blocking::Client::connect(server.endpoint())?;
/// use etcdkit::blocking::{Iterate, Wait};
///
/// let mut watch = client.watch("jobs/1").wait()?;
/// client.put("jobs/1", "new").wait()?;
/// for update in watch.iter() {
///     if update?.events()[0].kv().value == "new" {
///         break;
///     }
/// }
/// watch.cancel().wait();
/// # Ok(())
/// # }
/// ```
pub trait Iterate: Stream + Unpin {
    /// The items as they come: each waits for the next one. The stream itself can be used again
    /// afterwards, where the iterator has left it.
    fn iter(&mut self) -> Iter<'_, Self> {
        Iter {
            stream: self,
            _background: Background::shared().ok(),
        }
    }
}

impl<S: Stream + Unpin + ?Sized> Iterate for S {}

/// The items of a stream, made by [`Iterate::iter`].
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct Iter<'a, S: ?Sized> {
    stream: &'a mut S,
    /// Lives at least as long as the iterator, or a stream that has nothing of its own to hold it
    /// would have a new one for each item.
    _background: Option<Arc<Background>>,
}

impl<S: Stream + Unpin + ?Sized> Iterator for Iter<'_, S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        let mut stream = Pin::new(&mut *self.stream);
        let next = poll_fn(|cx| stream.as_mut().poll_next(cx));
        background::enter(|| background::block_on(pin!(next)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}
