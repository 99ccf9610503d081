//! What the closure of a transaction in memory reads and writes with.

use std::fmt;

use bytes::Bytes;

use super::{
    FromValue, IntoValue,
    memory::{Found, Look, Memory, Write},
    store::Store,
};
use crate::{Blob, Error, ErrorKind, KeyValue, LeaseId, Result, Revision};

/// One attempt of a [transaction in memory](crate::Client::stm): what its closure reads and writes with.
///
/// What is read is remembered: a key never changes within an attempt, except by the transaction's own
/// writes, which its reads see. Nothing is written before the closure has ended.
///
/// An error of a read should end the closure, by `?`: whatever the closure makes of it, the transaction
/// does not commit after one. (An error of reading a value as a type is another matter: the value has
/// been read, and the closure may go on.)
pub struct Transaction {
    store: Store,
    memory: Memory,
    attempt: u32,
    /// How many keys one request may name.
    room: usize,
    trouble: Option<Trouble>,
}

/// Why an attempt cannot be committed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The revision that is read is gone from the store.
    Compacted,
    /// A read failed, and this is its error in short.
    Unread(ErrorKind, String),
    /// A value could not be made bytes.
    Unwritable(Error),
}

impl Transaction {
    pub(super) fn new(store: Store, memory: Memory, attempt: u32, room: usize) -> Self {
        Self {
            store,
            memory,
            attempt,
            room,
            trouble: None,
        }
    }

    /// Reads a key as the type that is wanted: `None` if it does not exist, which is not the same as an
    /// empty value.
    ///
    /// Asks the store the first time only. With a pinned [isolation](super::Isolation), the first read of
    /// a transaction has the cluster's agreement, and the others are answered by any member that has that
    /// revision. May be dropped before it has ended; the key then counts as not read.
    ///
    /// # Errors
    ///
    /// [`Decode`](ErrorKind::Decode) if the value is not what is wanted; those of [reading a
    /// key](crate::Get), except that a compaction makes the transaction begin anew; and
    /// [`Timeout`](ErrorKind::Timeout) at the end of the [transaction's time](super::Stm::timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// client.put("limit", "10").await?;
    /// let (limit, used) = client
    ///     .stm(async |tx| {
    ///         let limit: Option<u32> = tx.get("limit").await?;
    ///         let used = tx.get::<u32>("used").await?.unwrap_or(0);
    ///         Ok((limit, used))
    ///     })
    ///     .await?;
    /// assert_eq!((limit, used), (Some(10), 0));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn get<'k, T: FromValue>(
        &mut self,
        key: impl Into<Blob<'k>>,
    ) -> impl Future<Output = Result<Option<T>>> + Send {
        let key = key.into().into_bytes();
        async move {
            let value = match self.memory.look(&key) {
                Look::Written(value) => value,
                Look::Found(found) => found.map(|kv| kv.value),
                Look::Unknown => self.fetch_one(&key).await?.map(|kv| kv.value),
            };
            value.map(|value| decode(&key, value)).transpose()
        }
    }

    /// Reads a key as the store has it, with its revisions and its lease. The transaction's own writes
    /// are left out; otherwise as [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), except that there is nothing to decode.
    pub fn stored<'k>(
        &mut self,
        key: impl Into<Blob<'k>>,
    ) -> impl Future<Output = Result<Option<KeyValue>>> + Send {
        let key = key.into().into_bytes();
        async move {
            match self.memory.look_beneath(&key) {
                Look::Found(found) => Ok(found),
                Look::Written(_) | Look::Unknown => self.fetch_one(&key).await,
            }
        }
    }

    /// Fetches several keys with one request, so that reading them costs none. The transaction depends
    /// only on those that it reads.
    ///
    /// # Errors
    ///
    /// As [`stored`](Self::stored).
    pub fn prefetch<'k, K: Into<Blob<'k>>>(
        &mut self,
        keys: impl IntoIterator<Item = K>,
    ) -> impl Future<Output = Result<()>> + Send {
        let keys = keys.into_iter().map(|key| key.into().into_bytes());
        let keys: Vec<_> = keys.filter(|key| self.memory.is_unknown(key)).collect();
        async move { self.fetch(&keys).await }
    }

    /// Writes a key when the transaction commits. Options are methods of what it returns, which may as
    /// well be ignored.
    ///
    /// A value that cannot be made bytes, and an empty key, make the transaction fail.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// let lease = client.lease(std::time::Duration::from_secs(10)).await?;
    /// client
    ///     .stm(async |tx| {
    ///         tx.put("members", 3);
    ///         tx.put("members/me", "10.0.0.1").lease(&lease);
    ///         Ok(())
    ///     })
    ///     .await?;
    /// assert_eq!(client.get("members").await?.unwrap().value, "3");
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn put<'k>(&mut self, key: impl Into<Blob<'k>>, value: impl IntoValue) -> Written<'_> {
        let key = key.into().into_bytes();
        match value.into_value() {
            Ok(value) => {
                let lease = None;
                self.memory.write(key.clone(), Write::Put { value, lease });
            }
            Err(cause) => {
                let message = format!("the value for {key:?} cannot be written");
                let error = Error::new(ErrorKind::InvalidRequest, message).with_operation("stm");
                self.meet(Trouble::Unwritable(error.with_source(cause)));
            }
        }
        let memory = &mut self.memory;
        Written { memory, key }
    }

    /// Deletes a key when the transaction commits. There may be none.
    pub fn delete<'k>(&mut self, key: impl Into<Blob<'k>>) {
        self.memory.write(key.into().into_bytes(), Write::Delete);
    }

    /// The revision that all reads are of: `None` before the first one, and always if the
    /// [isolation](super::Isolation) does not pin reads.
    pub fn revision(&self) -> Option<Revision> {
        self.memory.snapshot()
    }

    /// Which attempt this is, from 1 on.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    async fn fetch_one(&mut self, key: &Bytes) -> Result<Found> {
        self.fetch(std::slice::from_ref(key)).await?;
        match self.memory.look_beneath(key) {
            Look::Found(found) => Ok(found),
            Look::Written(_) | Look::Unknown => Ok(None),
        }
    }

    async fn fetch(&mut self, keys: &[Bytes]) -> Result<()> {
        for keys in keys.chunks(self.room.max(1)) {
            match self.store.read(self.memory.source(), keys).await {
                Ok((revision, found)) => {
                    self.memory.learn(revision, keys.iter().cloned().zip(found));
                }
                Err(error) => {
                    self.meet(match error.kind() {
                        ErrorKind::Compacted => Trouble::Compacted,
                        kind => Trouble::Unread(kind, error.message().to_owned()),
                    });
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Only the first trouble counts; the others follow from it.
    fn meet(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
    }

    pub(super) fn into_parts(self) -> (Memory, Option<Trouble>) {
        (self.memory, self.trouble)
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("attempt", &self.attempt)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

/// A [put](Transaction::put) of a transaction in memory, for its options.
pub struct Written<'t> {
    memory: &'t mut Memory,
    key: Bytes,
}

impl Written<'_> {
    /// Attaches the key to a lease, which deletes it when it ends; 0 is none, which is the default. If
    /// there is no such lease, the transaction fails with
    /// [`LeaseNotFound`](ErrorKind::LeaseNotFound).
    pub fn lease(self, lease: impl Into<LeaseId>) {
        self.memory.attach(&self.key, lease.into());
    }
}

impl fmt::Debug for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn decode<T: FromValue>(key: &Bytes, value: Bytes) -> Result<T> {
    T::from_value(value).map_err(|cause| {
        let wanted = std::any::type_name::<T>();
        let message = format!("the value of {key:?} cannot be read as {wanted}: {cause}");
        Error::new(ErrorKind::Decode, message)
            .with_operation("stm")
            .with_source(cause)
    })
}
