//! Saving a snapshot as a file.

use std::{
    fmt,
    future::{Future, IntoFuture},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use super::{OpenSnapshot, SNAPSHOT, file::Writer};
use crate::{Error, ErrorKind, Result};

/// A request to save a snapshot as a file; made by [`OpenSnapshot::save`], sent when awaited.
///
/// The bytes go into a file next to it, whose name ends with `.part`, which only its owner may read.
/// When all have arrived, their digest is verified and they are on the disk, that file takes the place
/// of the one asked for, which may have existed before. So at any time, after a power failure too,
/// there is the old file, none or the whole snapshot.
///
/// When it fails, and when its future is dropped, the unfinished file is removed.
///
/// # Errors
///
/// As [`Snapshot`](crate::Snapshot), and [`Io`](crate::ErrorKind::Io) if a file cannot be written.
#[must_use = "the request is sent when awaited"]
pub struct SaveSnapshot<'a> {
    open: OpenSnapshot<'a>,
    path: PathBuf,
    progress: Option<Box<dyn FnMut(SnapshotProgress) + Send + 'a>>,
}

impl<'a> SaveSnapshot<'a> {
    pub(super) fn new(open: OpenSnapshot<'a>, path: PathBuf) -> Self {
        Self {
            open,
            path,
            progress: None,
        }
    }

    /// Calls a function with each chunk that has arrived, usually every 32 KiB.
    pub fn on_progress(mut self, progress: impl FnMut(SnapshotProgress) + Send + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// As [`OpenSnapshot::silence`].
    pub fn silence(mut self, limit: Duration) -> Self {
        self.open = self.open.silence(limit);
        self
    }

    /// As [`OpenSnapshot::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.open = self.open.timeout(timeout);
        self
    }

    async fn save(self) -> Result<SavedSnapshot> {
        let Self {
            open,
            path,
            mut progress,
        } = self;
        let mut snapshot = open.await?;
        let endpoint = Arc::clone(&snapshot.endpoint);
        let cannot_write = |error: std::io::Error, received| {
            Error::new(
                ErrorKind::Io,
                format!("cannot write {}: {error}", path.display()),
            )
            .with_source(error)
            .with_progress(format_args!("after {received} bytes"))
            .with_endpoint(Arc::clone(&endpoint))
            .with_operation(SNAPSHOT.name)
        };
        let mut writer = Writer::start(path.clone());
        while let Some(chunk) = snapshot.try_next().await? {
            if let Err(error) = writer.write(chunk).await {
                return Err(cannot_write(error, snapshot.received()));
            }
            if let Some(progress) = &mut progress {
                progress(SnapshotProgress {
                    received: snapshot.received(),
                    total: snapshot.size(),
                });
            }
        }
        if let Err(error) = writer.finish().await {
            return Err(cannot_write(error, snapshot.received()));
        }
        Ok(SavedSnapshot {
            size: snapshot.received(),
            version: snapshot.version.take(),
            endpoint: endpoint.as_ref().to_owned(),
        })
    }
}

impl<'a> IntoFuture for SaveSnapshot<'a> {
    type Output = Result<SavedSnapshot>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<SavedSnapshot>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.save())
    }
}

impl fmt::Debug for SaveSnapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveSnapshot")
            .field("open", &self.open)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotProgress {
    /// How many bytes have arrived.
    pub received: u64,
    /// How many bytes there are, the digest included.
    pub total: u64,
}

/// A snapshot that has been [saved](OpenSnapshot::save).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedSnapshot {
    /// The size of the file in bytes: the backend and the 32 bytes of its digest.
    pub size: u64,
    /// The version of the backend's format, as [`Snapshot::version`](crate::Snapshot::version).
    pub version: Option<String>,
    /// The endpoint that it came from.
    pub endpoint: String,
}
