//! Transactions in memory: read and write as if alone.

mod attempts;
#[cfg(feature = "blocking")]
mod blocking;
mod isolation;
mod memory;
mod run;
mod store;
mod transaction;
mod value;

use std::{fmt, time::Duration};

use bytes::Bytes;

use self::run::Run;
#[cfg(feature = "serde")]
pub use self::value::Json;
pub use self::{
    isolation::Isolation,
    transaction::{Transaction, Written},
    value::{FromValue, IntoValue, ValueError},
};
use super::Held;
use crate::{Blob, Client, Error, Result, Revision};

/// How often a transaction is tried, if nothing else is said.
const ATTEMPTS: u32 = 1000;

/// How many conditions and operations etcd takes in one transaction, if nothing else is said.
const MAX_OPS: usize = 128;

impl Client {
    /// Runs a transaction in memory: the closure reads and writes as if nobody else did, and what it has
    /// written is written to the store at once, if what it has read is still so. Otherwise the closure
    /// runs again, with what is so now.
    ///
    /// This is [`stm_builder`](Self::stm_builder) without options; see [`Stm`] for what is promised, and
    /// [`Stm::run`] for the errors. The semantics are those of `concurrency.NewSTM` of etcd's Go client.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let total = client
    ///     .stm(async |tx| {
    ///         let n: i64 = tx.get("n").await?.unwrap_or(0);
    ///         tx.put("n", n + 1);
    ///         Ok(n + 1)
    ///     })
    ///     .await?;
    /// assert_eq!(total, 1);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn stm<T, F>(&self, f: F) -> Result<T>
    where
        F: Clone + AsyncFnOnce(&mut Transaction) -> Result<T>,
    {
        self.stm_builder().run(f).await
    }

    /// Begins a transaction in memory with options; see [`stm`](Self::stm).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// # client.put("from", "10").await?;
    /// #[derive(Debug, thiserror::Error)]
    /// enum TransferError {
    ///     #[error("not enough money")]
    ///     Short,
    ///     #[error(transparent)]
    ///     Etcd(#[from] etcdkit::Error),
    /// }
    ///
    /// let transfer = client
    ///     .stm_builder()
    ///     .prefetch(["from", "to"])
    ///     .attempts(10)
    ///     .try_run(async |tx| {
    ///         let from = tx.get::<u64>("from").await?.unwrap_or(0);
    ///         let to = tx.get::<u64>("to").await?.unwrap_or(0);
    ///         tx.put("from", from.checked_sub(30).ok_or(TransferError::Short)?);
    ///         tx.put("to", to + 30);
    ///         Ok(())
    ///     })
    ///     .await;
    /// assert!(matches!(transfer, Err(TransferError::Short)));
    /// assert_eq!(client.get("to").await?, None);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn stm_builder(&self) -> Stm<'_> {
        Stm {
            client: self,
            isolation: Isolation::default(),
            prefetch: Vec::new(),
            attempts: ATTEMPTS,
            timeout: None,
            max_ops: MAX_OPS,
            held: None,
        }
    }
}

/// A transaction in memory that has not begun: made by [`Client::stm_builder`].
///
/// # Attempts
///
/// The closure runs until a commit succeeds: each attempt runs a copy of the closure, so that none sees
/// what another has changed. That is why it must be `Clone`, which closures are that borrow, or own what
/// is `Clone`; what it finds out it returns. Whatever else it does, besides reading and writing by its
/// [`Transaction`], happens as often as it is tried.
///
/// An attempt that has met others is followed by the next one at once, which begins with what the losing
/// commit has found. After several in a row there are pauses, which grow with the time that an attempt
/// takes and are random in length. A revision that is compacted while it is read is as a conflict.
///
/// # What is certain
///
/// A transaction is applied at most once: a commit of unknown outcome is not repeated. One that has only
/// read sends no commit, if its reads are of one [revision](Isolation). Dropping the future is the same as
/// of any write: a commit under way may be applied.
#[must_use = "a transaction does nothing until it is run"]
pub struct Stm<'a> {
    client: &'a Client,
    isolation: Isolation,
    prefetch: Vec<Bytes>,
    attempts: u32,
    timeout: Option<Duration>,
    max_ops: usize,
    held: Option<&'a Held>,
}

impl<'a> Stm<'a> {
    /// How much it may notice of others; [`SerializableSnapshot`](Isolation::SerializableSnapshot)
    /// otherwise.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Fetches keys with one request before each attempt, so that reading them costs none. Keys that are
    /// not read then do no harm. Given several times, it adds.
    pub fn prefetch<'k, K: Into<Blob<'k>>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(|key| key.into().into_bytes());
        self.prefetch.extend(keys);
        self
    }

    /// How often it is tried at the most, 1000 times otherwise. 0 is the same as 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Limits the time for all attempts: no request is waited for any longer, and no attempt begins.
    /// Without it there is no limit but those of the single requests, which are the client's. What the
    /// closure does besides is not interrupted.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How many keys it may depend on, and how many it may write; 128 otherwise, as etcd's
    /// `--max-txn-ops`.
    pub fn max_ops(mut self, max_ops: usize) -> Self {
        self.max_ops = max_ops;
        self
    }

    /// Commits only if something is still held: a lock, a permit, a leadership. The commit carries the
    /// condition, also of a transaction that only reads. It counts as one of the
    /// [operations](Self::max_ops).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let guard = client.lock("orders").await?;
    /// client
    ///     .stm_builder()
    ///     .fence(&guard)
    ///     .run(async |tx| {
    ///         let paid: u32 = tx.get("orders/paid").await?.unwrap_or(0);
    ///         tx.put("orders/paid", paid + 1);
    ///         Ok(())
    ///     })
    ///     .await?;
    /// guard.unlock().await?;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn fence(mut self, held: &'a Held) -> Self {
        self.held = Some(held);
        self
    }

    /// Runs the closure until a commit succeeds, and gives what it returned then.
    ///
    /// # Errors
    ///
    /// - Whatever the closure returns; nothing is written then.
    /// - [`Conflict`](crate::ErrorKind::Conflict) after too many [attempts](Self::attempts), or too
    ///   long a [time](Self::timeout), with the key that others have changed. Not applied.
    /// - [`TooManyOps`](crate::ErrorKind::TooManyOps) if it depends on or writes too many keys. Found
    ///   before sending.
    /// - [`NotHeld`](crate::ErrorKind::NotHeld) if it is fenced and what guards it is lost.
    /// - [`Timeout`](crate::ErrorKind::Timeout), and what reads and [transactions](crate::Txn) fail
    ///   with. If the [outcome](Error::outcome) is unknown, the commit may have been applied.
    pub async fn run<T, F>(self, f: F) -> Result<T>
    where
        F: Clone + AsyncFnOnce(&mut Transaction) -> Result<T>,
    {
        self.try_run(f).await
    }

    /// As [`run`](Self::run), for closures with an error type of their own.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), as the closure's type.
    pub async fn try_run<T, E, F>(self, f: F) -> Result<T, E>
    where
        E: From<Error>,
        F: Clone + AsyncFnOnce(&mut Transaction) -> Result<T, E>,
    {
        Ok(self.try_commit(f).await?.value)
    }

    /// As [`run`](Self::run), and tells more about the transaction.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let done = client
    ///     .stm_builder()
    ///     .commit(async |tx| {
    ///         tx.put("mode", "on");
    ///         Ok(())
    ///     })
    ///     .await?;
    /// let mode = client.get("mode").await?.unwrap();
    /// assert_eq!((done.revision, done.attempts), (Some(mode.mod_revision), 1));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn commit<T, F>(self, f: F) -> Result<Committed<T>>
    where
        F: Clone + AsyncFnOnce(&mut Transaction) -> Result<T>,
    {
        self.try_commit(f).await
    }

    /// As [`commit`](Self::commit), for closures with an error type of their own.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), as the closure's type.
    pub async fn try_commit<T, E, F>(self, f: F) -> Result<Committed<T>, E>
    where
        E: From<Error>,
        F: Clone + AsyncFnOnce(&mut Transaction) -> Result<T, E>,
    {
        let mut run = Run::new(self);
        loop {
            let mut transaction = run.begin().await?;
            let result = f.clone()(&mut transaction).await;
            if let Some(committed) = run.end(transaction, result).await? {
                return Ok(committed);
            }
        }
    }
}

impl fmt::Debug for Stm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stm")
            .field("isolation", &self.isolation)
            .field("prefetch", &self.prefetch)
            .field("attempts", &self.attempts)
            .field("timeout", &self.timeout)
            .field("max_ops", &self.max_ops)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// A transaction in memory that has [ended well](Stm::commit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed<T> {
    /// What the closure returned.
    pub value: T,
    /// The revision of its writes. Of one without writes, the revision at which everything it has read
    /// was so; `None` if it has read nothing, or reads without any check.
    pub revision: Option<Revision>,
    /// How many attempts it took.
    pub attempts: u32,
}
