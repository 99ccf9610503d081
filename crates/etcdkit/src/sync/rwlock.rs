//! Locks that many readers or one writer hold.

use std::{fmt, future::Future, ops::Deref, time::Duration};

use bytes::Bytes;

use super::{
    Held, Holder, Session,
    answer::range,
    queue::{Want, acquire, directory, try_acquire},
    session::Via,
};
use crate::{Blob, Client, KeyRange, KeyValue, Op, Result, SortOrder, SortTarget};

impl Client {
    /// A lock that many readers hold, or one writer, by its name. Nothing is sent yet; see [`RwLock`].
    ///
    /// Each acquisition is on a lease of its own, so that all exclude each other as if they were of
    /// different programs. For several on one lease see [`Session::rwlock`].
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use std::time::Duration;
    ///
    /// let index = client.rwlock("index").ttl(Duration::from_secs(10));
    /// let reading = [index.read().await?, index.read().await?];
    /// assert!(index.try_write().await?.is_none());
    /// drop(reading);
    ///
    /// let writing = index.write().await?;
    /// writing.put("index/state", "rebuilt").await?; // fails if the lock is no longer ours
    /// assert!(writing.unlock().await?);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn rwlock<'a>(&self, name: impl Into<Blob<'a>>) -> RwLock {
        RwLock::new(Via::own(self), name.into())
    }
}

impl Session {
    /// A lock that many readers hold, or one writer, by its name, on the session's lease. Nothing is sent
    /// yet; see [`RwLock`].
    pub fn rwlock<'a>(&self, name: impl Into<Blob<'a>>) -> RwLock {
        RwLock::new(Via::lent(self), name.into())
    }
}

/// A lock that any number of readers hold at a time, or one writer; made by [`Client::rwlock`] or
/// [`Session::rwlock`]. Cheap to clone, and good for any number of acquisitions.
///
/// # Fair
///
/// All come in the order of asking: a reader waits for the writers that asked before it, a writer for
/// everybody who did. So readers who keep coming do not keep a writer out. Each release wakes one of
/// those who wait for a reader's key, and all readers behind a writer's.
///
/// # By one session
///
/// A session that reads already reads again at once, and one that writes already writes again; the lock
/// is released with the last of the guards. But one that reads and asks to write, or the other way round,
/// would wait for itself: it is refused with [`InvalidRequest`](crate::ErrorKind::InvalidRequest). Release
/// first, and look again at what was read: others may write in between.
///
/// # Keys
///
/// A reader is a key `<name>/read/<lease>`, a writer one `<name>/write/<lease>`, the lease in hexadecimal,
/// attached to it. A reader waits for whatever is older and below `<name>/write/`, a writer for whatever
/// is below `<name>/`, however deep: keep names free of keys of others, and do not nest them. The
/// read-write lock among the recipes of etcd's Go client takes part in the same lock.
///
/// # Errors
///
/// Acquiring fails as a [lock](Client::lock) does: with
/// [`SessionLost`](crate::ErrorKind::SessionLost) if the lease is lost meanwhile, with
/// [`NotHeld`](crate::ErrorKind::NotHeld) if somebody deletes the key, and with
/// [`Timeout`](crate::ErrorKind::Timeout) after [`wait_at_most`](Self::wait_at_most). None of them leaves
/// a key behind, and nor does a future that is dropped.
#[derive(Clone)]
#[must_use = "a lock is acquired by read() or write()"]
pub struct RwLock {
    via: Via,
    name: Bytes,
    value: Bytes,
    wait: Option<Duration>,
}

impl RwLock {
    fn new(via: Via, name: Blob<'_>) -> Self {
        Self {
            via,
            name: name.into_bytes(),
            value: Bytes::new(),
            wait: None,
        }
    }

    /// The time to live of the lease that is granted for an acquisition; 60 s otherwise, as etcd's Go
    /// client does. Refused for the lock of a session, which has its own.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.via.set_ttl(ttl);
        self
    }

    /// What others find as the [holder's](Self::holders) value; nothing otherwise. A place that the session
    /// has from before a restart keeps the value that it was taken with.
    pub fn value<'a>(mut self, value: impl Into<Blob<'a>>) -> Self {
        self.value = value.into().into_bytes();
        self
    }

    /// Limits the time of an acquisition, with the time for granting its lease; none otherwise.
    pub fn wait_at_most(mut self, limit: Duration) -> Self {
        self.wait = Some(limit);
        self
    }

    /// Waits until no writer is left that asked before, and holds the lock together with other readers.
    pub fn read(&self) -> impl Future<Output = Result<ReadGuard>> + Send + 'static + use<> {
        let held = self.acquire(Role::Reader);
        async move { Ok(ReadGuard { held: held.await? }) }
    }

    /// Waits until nobody is left who asked before, and holds the lock alone.
    pub fn write(&self) -> impl Future<Output = Result<WriteGuard>> + Send + 'static + use<> {
        let held = self.acquire(Role::Writer);
        async move { Ok(WriteGuard { held: held.await? }) }
    }

    /// Holds the lock for reading if no writer holds it or waits for it: `None` otherwise, without
    /// having been in anybody's way.
    pub fn try_read(
        &self,
    ) -> impl Future<Output = Result<Option<ReadGuard>>> + Send + 'static + use<> {
        let held = try_acquire(
            self.via.clone(),
            self.want(Role::Reader, "try read lock"),
            self.wait,
        );
        async move { Ok(held.await?.map(|held| ReadGuard { held })) }
    }

    /// Holds the lock for writing if nobody holds it or waits for it: `None` otherwise, without having
    /// been in anybody's way.
    pub fn try_write(
        &self,
    ) -> impl Future<Output = Result<Option<WriteGuard>>> + Send + 'static + use<> {
        let held = try_acquire(
            self.via.clone(),
            self.want(Role::Writer, "try write lock"),
            self.wait,
        );
        async move { Ok(held.await?.map(|held| WriteGuard { held })) }
    }

    /// Who holds the lock now, with the values they [gave](Self::value). One linearizable read.
    ///
    /// # Errors
    ///
    /// As [`Client::txn`].
    pub async fn holders(&self) -> Result<RwLockHolders> {
        let oldest = |role: Role| {
            let keys = KeyRange::prefix(role.directory(&self.name));
            Op::range(keys).sort_by(SortTarget::CreateRevision, SortOrder::Ascending)
        };
        let found = self.via.client().txn();
        let found = found.then([oldest(Role::Writer).limit(1), oldest(Role::Reader)]);
        let mut found = found.await?.responses.into_iter();
        let writer = range(found.next())?.kvs.into_iter().next();
        Ok(RwLockHolders::of(writer, range(found.next())?.kvs))
    }

    fn acquire(&self, role: Role) -> impl Future<Output = Result<Held>> + Send + 'static + use<> {
        let operation = match role {
            Role::Reader => "read lock",
            Role::Writer => "write lock",
        };
        acquire(self.via.clone(), self.want(role, operation), self.wait)
    }

    fn want(&self, role: Role, operation: &'static str) -> Want {
        Want {
            operation,
            prefix: role.directory(&self.name),
            is_numbered: false,
            value: self.value.clone(),
            // Waiters of Go's recipe tell older keys by the revision of their last change.
            keeps_value: true,
            is_agreed: false,
            rivals: role.rivals(&self.name),
            limit: 1,
            excludes: Some(role.other().directory(&self.name)),
        }
    }
}

impl fmt::Debug for RwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock")
            .field("name", &self.name)
            .field("via", &self.via)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// What somebody wants the lock for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Reader,
    Writer,
}

impl Role {
    fn other(self) -> Self {
        match self {
            Self::Reader => Self::Writer,
            Self::Writer => Self::Reader,
        }
    }

    /// Where those have their keys who want the lock for this.
    fn directory(self, name: &[u8]) -> Bytes {
        let directory: &[u8] = match self {
            Self::Reader => b"/read/",
            Self::Writer => b"/write/",
        };
        [name, directory].concat().into()
    }

    /// Which older keys are in the way.
    fn rivals(self, name: &[u8]) -> KeyRange<'static> {
        KeyRange::prefix(match self {
            Self::Reader => Self::Writer.directory(name),
            Self::Writer => directory(name),
        })
    }
}

/// Who holds an [`RwLock`]; given by [`RwLock::holders`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RwLockHolders {
    /// It is free.
    #[default]
    Nobody,
    /// These, those who asked first in front.
    Readers(Vec<Holder>),
    /// This one.
    Writer(Holder),
}

impl RwLockHolders {
    /// Told from the writer that asked first and all readers, those who asked first in front.
    fn of(writer: Option<KeyValue>, readers: Vec<KeyValue>) -> Self {
        let until = writer.as_ref().map(|writer| writer.create_revision);
        let is_in = |reader: &KeyValue| until.is_none_or(|until| reader.create_revision < until);
        let readers: Vec<_> = readers
            .into_iter()
            .take_while(is_in)
            .map(Holder::from)
            .collect();
        match writer {
            _ if !readers.is_empty() => Self::Readers(readers),
            Some(writer) => Self::Writer(writer.into()),
            None => Self::Nobody,
        }
    }
}

/// An [`RwLock`] that is held for reading; made by [`RwLock::read`] or [`RwLock::try_read`]. Derefs to what
/// can be done with it, [`Held`].
///
/// Dropping it releases the lock in the background.
#[derive(Debug)]
#[must_use = "a lock is released when its guard is dropped"]
pub struct ReadGuard {
    held: Held,
}

impl ReadGuard {
    /// Releases the lock, and says whether it was held until then; where other guards of the session share
    /// it, whether it still is.
    ///
    /// # Errors
    ///
    /// Those of a [transaction](Client::txn). The release goes on in the background then, and when the future
    /// is dropped.
    pub async fn unlock(self) -> Result<bool> {
        self.held.release("read unlock").await
    }
}

impl Deref for ReadGuard {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}

/// An [`RwLock`] that is held for writing; made by [`RwLock::write`] or [`RwLock::try_write`]. Derefs to what
/// can be done with it, [`Held`].
///
/// Dropping it releases the lock in the background.
#[derive(Debug)]
#[must_use = "a lock is released when its guard is dropped"]
pub struct WriteGuard {
    held: Held,
}

impl WriteGuard {
    /// Releases the lock, and says whether it was held until then; where other guards of the session share
    /// it, whether it still is.
    ///
    /// # Errors
    ///
    /// Those of a [transaction](Client::txn). The release goes on in the background then, and when the future
    /// is dropped.
    pub async fn unlock(self) -> Result<bool> {
        self.held.release("write unlock").await
    }
}

impl Deref for WriteGuard {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Revision;

    fn key(created: Revision) -> KeyValue {
        KeyValue {
            create_revision: created,
            ..KeyValue::default()
        }
    }

    fn holders(writer: Option<Revision>, readers: &[Revision]) -> RwLockHolders {
        RwLockHolders::of(writer.map(key), readers.iter().copied().map(key).collect())
    }

    #[test]
    fn readers_hold_until_the_first_writer_in_the_order_of_asking() {
        let readers = |tokens: &[Revision]| {
            let holders = tokens.iter().copied().map(key).map(Holder::from);
            RwLockHolders::Readers(holders.collect())
        };
        assert_eq!(holders(None, &[]), RwLockHolders::Nobody);
        assert_eq!(holders(None, &[2, 5]), readers(&[2, 5]));
        assert_eq!(holders(Some(7), &[2, 5, 9]), readers(&[2, 5]));
        assert_eq!(
            holders(Some(1), &[2, 5]),
            RwLockHolders::Writer(key(1).into())
        );
        assert_eq!(holders(Some(7), &[]), RwLockHolders::Writer(key(7).into()));
    }

    #[test]
    fn a_reader_waits_for_writers_and_a_writer_for_all() {
        let (reader, writer) = (b"a/read/1", b"a/write/1");
        let rivals = [Role::Reader, Role::Writer].map(|role| role.rivals(b"a"));
        assert_eq!(
            rivals.each_ref().map(|rivals| rivals.contains(reader)),
            [false, true]
        );
        assert_eq!(
            rivals.each_ref().map(|rivals| rivals.contains(writer)),
            [true, true]
        );
        for other in [&b"ab/write/1"[..], b"a", b"a0write/1"] {
            assert!(rivals.iter().all(|rivals| !rivals.contains(other)));
        }
    }
}
