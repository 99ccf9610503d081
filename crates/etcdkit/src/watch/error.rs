//! How watches end.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::{Error, ErrorKind, Revision};

/// Why a watch ended, and how far it had come. Nothing follows it.
///
/// Broken connections, restarts, elections and expired tokens do not end a watch. It ends only when
/// going on could lose or repeat something, when the server no longer allows it, or when the program
/// asked for it.
#[derive(Clone)]
pub struct WatchError {
    end: WatchEnd,
    revision: Revision,
    source: Option<Arc<Error>>,
}

/// Why a watch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEnd {
    /// The history that the watch would go on from has been compacted. What happened in between can
    /// be found by reading the keys again; [`Client::list_then_watch`](crate::Client::list_then_watch)
    /// does that.
    Compacted {
        /// The oldest revision that can be watched. 0 if the server did not say.
        compact_revision: Revision,
    },
    /// The server ended the watch or refused it, for a reason in its words.
    Cancelled {
        /// The server's reason; empty if it gave none.
        reason: String,
    },
    /// The user may not, or no longer, read the keys; or cannot log in any more.
    PermissionDenied,
    /// The store is behind what was already seen of it, as after a restore from an old backup.
    WentBackwards {
        /// The newest revision that was seen before.
        seen: Revision,
        /// The store's revision now.
        now: Revision,
    },
    /// An endpoint belongs to another cluster than the one the watch began on.
    OtherCluster {
        /// The id of the cluster that the watch began on.
        expected: u64,
        /// The id of the cluster that answered.
        found: u64,
    },
    /// The program fell behind, and asked for the watch to fail then
    /// ([`Overflow::Fail`](crate::Overflow::Fail)).
    Overflow,
    /// The client was closed, or the runtime that the watch was opened on has ended.
    Closed,
    /// The server refuses watches altogether; the source says how.
    Refused,
}

impl WatchError {
    pub(super) fn new(end: WatchEnd, revision: Revision) -> Self {
        Self {
            end,
            revision,
            source: None,
        }
    }

    pub(super) fn with_source(mut self, source: Option<Arc<Error>>) -> Self {
        self.source = source;
        self
    }

    /// Why the watch ended.
    pub fn end(&self) -> &WatchEnd {
        &self.end
    }

    /// How far the watch had come: everything up to this revision was delivered. A new watch from
    /// the revision after it misses nothing, where the reason allows one.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What kind of failure this is, in the terms of all errors of the client.
    pub fn kind(&self) -> ErrorKind {
        match &self.end {
            WatchEnd::Compacted { .. } => ErrorKind::Compacted,
            WatchEnd::Cancelled { .. } => ErrorKind::WatchCanceled,
            WatchEnd::PermissionDenied => ErrorKind::PermissionDenied,
            WatchEnd::WentBackwards { .. } => ErrorKind::WentBackwards,
            WatchEnd::OtherCluster { .. } => ErrorKind::OtherCluster,
            WatchEnd::Overflow => ErrorKind::Overflow,
            WatchEnd::Closed => ErrorKind::Closed,
            WatchEnd::Refused => self
                .source
                .as_ref()
                .map_or(ErrorKind::Server, |source| source.kind()),
        }
    }
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the watch ended after revision {}: ", self.revision)?;
        match &self.end {
            WatchEnd::Compacted {
                compact_revision: 0,
            } => write!(f, "what follows has been compacted"),
            WatchEnd::Compacted { compact_revision } => write!(
                f,
                "what follows has been compacted, the oldest revision to watch is {compact_revision}"
            ),
            WatchEnd::Cancelled { reason } if reason.is_empty() => {
                write!(f, "the server cancelled it without a reason")
            }
            WatchEnd::Cancelled { reason } => write!(f, "the server cancelled it: {reason}"),
            WatchEnd::PermissionDenied => write!(f, "permission denied"),
            WatchEnd::WentBackwards { seen, now } => write!(
                f,
                "the store went back to revision {now} after {seen} had been seen; it was restored \
                 from a backup or replaced"
            ),
            WatchEnd::OtherCluster { expected, found } => write!(
                f,
                "an endpoint belongs to cluster {found:x} instead of {expected:x}"
            ),
            WatchEnd::Overflow => write!(f, "the program did not take its updates fast enough"),
            WatchEnd::Closed => write!(f, "the client was closed"),
            WatchEnd::Refused => match &self.source {
                Some(source) => write!(f, "{source}"),
                None => write!(f, "the server refuses it"),
            },
        }
    }
}

impl fmt::Debug for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchError")
            .field("end", &self.end)
            .field("revision", &self.revision)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for WatchError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<WatchError> for Error {
    fn from(error: WatchError) -> Self {
        Self::new(error.kind(), error.to_string())
            .with_operation("watch")
            .with_source(error)
    }
}
