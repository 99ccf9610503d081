//! Locks by their names: who has one, and renewing and releasing without a guard.

use std::time::Duration;

use super::{
    keys::{is_gone, read},
    modules::Module,
    queue::Entry,
};
use crate::v2::{Client, Error, ErrorKind, Result};

/// Who has a lock; given by [`Client::lock_holder`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockHolder {
    /// The fencing index, which grows from holder to holder.
    pub index: u64,
    /// What was said with the lock; empty if nothing was.
    pub value: String,
    /// How long the lock lives without a renewal, in seconds. Negative if it is overdue, because the
    /// cluster has no leader. `None` if it lives for ever, and with the server's lock module.
    pub ttl: Option<i64>,
}

/// Which place in a lock's queue is meant: by its [index](crate::v2::Lock::index), or by what was said
/// with it, where the first that fits counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockPlace {
    /// The one with this index.
    Index(u64),
    /// The first with this value.
    Value(String),
}

impl From<u64> for LockPlace {
    fn from(index: u64) -> Self {
        Self::Index(index)
    }
}

impl From<&str> for LockPlace {
    fn from(value: &str) -> Self {
        Self::Value(value.to_owned())
    }
}

impl From<String> for LockPlace {
    fn from(value: String) -> Self {
        Self::Value(value)
    }
}

/// A lock, wherever it is kept.
pub(crate) enum Named {
    Keys { client: Client, directory: String },
    Module(Module),
}

impl Named {
    pub(crate) async fn holder(&self) -> Result<Option<LockHolder>> {
        match self {
            Self::Keys { client, directory } => {
                let (queue, _) = read(client, directory).await?;
                Ok(queue.holder().map(|entry| LockHolder {
                    index: entry.index,
                    value: entry.value().to_owned(),
                    ttl: entry.ttl,
                }))
            }
            Self::Module(module) => module.holder().await,
        }
    }

    pub(crate) async fn renew(&self, which: &LockPlace, ttl: Duration) -> Result<()> {
        let (client, entry) = match self {
            Self::Keys { client, directory } => (client, find(client, directory, which).await?),
            Self::Module(module) => return module.renew(which, ttl).await,
        };
        let refresh = client.refresh(&entry.key, ttl);
        match entry.text.is_empty() {
            true => refresh.await,
            false => refresh.prev_value(&entry.text).await,
        }
        .map(drop)
    }

    pub(crate) async fn release(&self, which: &LockPlace) -> Result<()> {
        let (client, entry) = match self {
            Self::Keys { client, directory } => (client, find(client, directory, which).await?),
            Self::Module(module) => return module.release(which).await,
        };
        let released = match entry.text.is_empty() {
            true => client.delete(&entry.key).await,
            false => {
                let delete = client.compare_and_delete(&entry.key);
                delete.prev_value(&entry.text).await
            }
        };
        match released {
            Err(error) if !is_gone(&error) => Err(error),
            // It has gone meanwhile.
            _ => Ok(()),
        }
    }
}

async fn find(client: &Client, directory: &str, which: &LockPlace) -> Result<Entry> {
    let (queue, index) = read(client, directory).await?;
    let entry = match which {
        LockPlace::Index(index) => queue.by_index(*index),
        LockPlace::Value(value) => queue.by_value(value),
    };
    entry.cloned().ok_or_else(|| {
        let what = match which {
            LockPlace::Index(place) => format!("no place in {directory} has the index {place}"),
            LockPlace::Value(value) => format!("no place in {directory} has the value {value:?}"),
        };
        let code = etcdkit_proto::v2::ErrorCode::KeyNotFound.number();
        Error::new(ErrorKind::KeyNotFound, "Key not found").with_code(code, what, index)
    })
}
