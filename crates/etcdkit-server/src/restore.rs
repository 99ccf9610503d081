//! A store of what a snapshot holds.

use std::path::Path;
use std::time::Duration;

use etcdkit_snapshot::{Entry, Snapshot, Visit};
use etcdkit_store::{Bucket, Recovery, RecoveryError, Store};

use crate::version::Version;

/// Where etcd 3.6 and later note the version of the file's format.
const STORAGE_VERSION: &[u8] = b"storageVersion";

/// Why a server cannot be started from a snapshot. Nothing of it was used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The file cannot be read, or is not what was once written: it is cut short, damaged, in use, or no
    /// file of etcd's.
    #[error(transparent)]
    File(#[from] etcdkit_snapshot::Error),
    /// An entry cannot be one of etcd's.
    #[error("the snapshot is not of etcd's making: {0}")]
    Entry(#[from] RecoveryError),
    /// There is a table that no known etcd makes.
    #[error("the snapshot is of a newer etcd, or of something else: it has a bucket {name:?}")]
    UnknownBucket {
        /// Its name.
        name: String,
    },
    /// There are no keys, not even the table for them.
    #[error("the snapshot is not of etcd's making: it has no bucket \"key\"")]
    NoKeys,
    /// The format is newer than any known one.
    #[error(
        "the snapshot is of a newer etcd: its format is {found:?}, the newest known is {known}"
    )]
    Newer {
        /// The version of the format.
        found: String,
        /// The newest version that can be read.
        known: String,
    },
}

/// Reads a whole snapshot. Leases have their whole TTL from `now` on.
pub(crate) fn store_of(path: &Path, now: Duration) -> Result<Store, RestoreError> {
    let mut content = Content {
        recovery: Recovery::new(),
        problem: None,
        has_keys: false,
    };
    Snapshot::open(path)?.read(|visit| content.take(visit))?;
    if let Some(problem) = content.problem {
        return Err(problem);
    }
    if !content.has_keys {
        return Err(RestoreError::NoKeys);
    }
    Ok(content.recovery.finish(now)?)
}

/// What was read so far.
struct Content {
    recovery: Recovery,
    /// What is wrong with it. That the file is of a newer etcd comes last of all and explains the
    /// rest.
    problem: Option<RestoreError>,
    has_keys: bool,
}

impl Content {
    fn take(&mut self, visit: Visit<'_>) -> Result<(), RestoreError> {
        let problem = match visit {
            Visit::Bucket(name) => self.begin(name),
            Visit::Entry(entry) if entry.bucket == Bucket::Meta.name().as_bytes() => {
                check_version(&entry)?;
                self.add(&entry)
            }
            Visit::Entry(entry) => self.add(&entry),
        };
        self.problem = self.problem.take().or(problem.err());
        Ok(())
    }

    fn begin(&mut self, name: &[u8]) -> Result<(), RestoreError> {
        match Bucket::of_name(name) {
            Some(bucket) => {
                self.has_keys |= bucket == Bucket::Key;
                Ok(())
            }
            None => Err(RestoreError::UnknownBucket {
                name: String::from_utf8_lossy(name).into_owned(),
            }),
        }
    }

    fn add(&mut self, entry: &Entry<'_>) -> Result<(), RestoreError> {
        match Bucket::of_name(entry.bucket) {
            Some(bucket) if self.problem.is_none() => {
                Ok(self.recovery.take(bucket, entry.key, entry.value)?)
            }
            _ => Ok(()),
        }
    }
}

fn check_version(entry: &Entry<'_>) -> Result<(), RestoreError> {
    // etcd empties it when a cluster is downgraded to 3.5.
    if entry.key != STORAGE_VERSION || entry.value.is_empty() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(entry.value).into_owned();
    match Version::parse(&found) {
        Some(version) if version <= Version::NEWEST_STORAGE => Ok(()),
        _ => Err(RestoreError::Newer {
            found,
            known: Version::NEWEST_STORAGE.to_string(),
        }),
    }
}
