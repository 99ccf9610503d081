//! Snapshots of a member's backend.

mod check;
mod file;
mod save;

use std::{
    borrow::Cow,
    fmt,
    future::{Future, IntoFuture, poll_fn},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb as pb;
use futures_core::Stream;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::{Instant, sleep, timeout};

use self::check::{Check, Flaw};
pub use self::save::{SaveSnapshot, SavedSnapshot, SnapshotProgress};
use crate::{
    Client, Error, ErrorKind, Result,
    client::Core,
    exec::{Broken, Method, Replies, Request},
    policy::Class,
    transport::{backoff::Backoff, pick::Tried},
    wire::Frame,
};

static SNAPSHOT: Method = Method {
    name: "snapshot",
    path: PathAndQuery::from_static("/etcdserverpb.Maintenance/Snapshot"),
};

/// A member writes out what it has before it sends the first byte, which takes seconds at most; after
/// that it sends as fast as it can read.
const USUAL_SILENCE: Duration = Duration::from_secs(15);

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(1);

/// A request for a snapshot; made by [`Maintenance::snapshot`](crate::Maintenance::snapshot), sent
/// when awaited.
///
/// It travels on a connection of its own, so that it holds up no other call, and may take as long as
/// it takes while bytes keep arriving. Until the first of them has, a request that fails for a passing
/// reason is sent again, to another endpoint where none was [named](Self::from).
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct OpenSnapshot<'a> {
    client: &'a Client,
    from: Option<Cow<'a, str>>,
    silence: Duration,
    timeout: Option<Duration>,
}

impl<'a> OpenSnapshot<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            client,
            from: None,
            silence: USUAL_SILENCE,
            timeout: None,
        }
    }

    /// Takes the snapshot from the member behind this endpoint and no other. It need not be one of
    /// the client's endpoints. Learners and members without a leader give snapshots, too.
    pub fn from(mut self, endpoint: impl Into<Cow<'a, str>>) -> Self {
        self.from = Some(endpoint.into());
        self
    }

    /// Saves the snapshot as a file instead of reading it as a stream; see [`SaveSnapshot`].
    pub fn save(self, path: impl Into<PathBuf>) -> SaveSnapshot<'a> {
        SaveSnapshot::new(self, path.into())
    }
}

impl OpenSnapshot<'_> {
    /// The longest time without a byte, for the first one and between any two. Default 15 s.
    pub fn silence(mut self, limit: Duration) -> Self {
        self.silence = limit;
        self
    }

    /// Limits the time for the whole snapshot, to its last byte. Not limited by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn open(self) -> Result<Snapshot> {
        let started = Instant::now();
        let deadline = self.timeout.and_then(|limit| started.checked_add(limit));
        let core = Arc::clone(&self.client.core);
        let mut pauses = Backoff::new(PAUSE_FIRST, PAUSE_MOST);
        let mut tried = Tried::default();
        let chances = core.roster.places().len().max(2);
        let mut chance = 1;
        loop {
            let once = self.open_once(&core, &mut tried, started, deadline);
            let broken = match once.await {
                Ok(snapshot) => return Ok(snapshot),
                Err(broken) => broken,
            };
            let pause = pauses.next(fastrand::f64());
            let in_time = deadline.is_none_or(|deadline| Instant::now() + pause < deadline);
            if !(broken.passing && chance < chances && in_time) {
                let error = broken.error.with_operation(SNAPSHOT.name);
                return Err(error.with_story(chance as u32, started.elapsed()));
            }
            tracing::debug!(operation = SNAPSHOT.name, error = %broken.error, "trying again");
            chance += 1;
            sleep(pause).await;
        }
    }

    async fn open_once(
        &self,
        core: &Arc<Core>,
        tried: &mut Tried,
        started: Instant,
        deadline: Option<Instant>,
    ) -> Result<Snapshot, Broken> {
        let within = match deadline {
            Some(deadline) => self
                .silence
                .min(deadline.saturating_duration_since(Instant::now())),
            None => self.silence,
        };
        let (from, place) = match &self.from {
            Some(endpoint) => {
                let (from, place) = core.at(endpoint).map_err(finally)?;
                (from, Some(place))
            }
            None => (Arc::clone(core), None),
        };
        let patience = from.config.request_timeout.min(within);
        let chosen = timeout(patience, from.pool.chosen(*tried, place)).await;
        let connection = chosen
            .unwrap_or_else(|_| Err(from.pool.unreachable(place)))
            .map_err(finally)?;
        tried.insert(connection.place);
        let apart = match Arc::ptr_eq(&from, core) {
            true => core.apart((*connection.endpoint).clone()),
            // It is not one of the client's endpoints, and has no other calls to hold up.
            false => from,
        };
        let request = Request {
            method: &SNAPSHOT,
            frame: Frame::of(&pb::SnapshotRequest {}),
            class: Class::Local,
            timeout: Some(within),
            // It has one endpoint.
            only: None,
        };
        let replies = Replies::open(&apart, request).await.map_err(finally)?;
        let mut snapshot = Snapshot {
            stage: Stage::Receiving(Box::new(replies)),
            check: Check::default(),
            held: None,
            version: None,
            endpoint: Arc::clone(&connection.endpoint.text),
            started,
            silence: self.silence,
            deadline,
        };
        poll_fn(|cx| snapshot.poll_first(cx)).await?;
        Ok(snapshot)
    }
}

/// A failure that trying again cannot cure.
fn finally(error: Error) -> Broken {
    Broken {
        error,
        passing: false,
    }
}

impl<'a> IntoFuture for OpenSnapshot<'a> {
    type Output = Result<Snapshot>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Snapshot>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

/// A snapshot that is being received: a [`Stream`] of its bytes, made by
/// [`Maintenance::snapshot`](crate::Maintenance::snapshot).
///
/// All chunks together are the file that `etcdctl snapshot save` would write: the backend, and behind
/// it the 32 bytes of its SHA-256 digest, which the tools that restore it look at. The digest is
/// verified before the last chunk is given out, which etcd's own client never does, so a stream that
/// ends without an error has given exactly what the server sent. Until then it has not.
///
/// What is not read waits in the member, up to some megabytes on the way. Dropping the snapshot
/// cancels it.
///
/// # Errors
///
/// An error ends the stream, and says after how many bytes.
/// [`SnapshotCorrupt`](crate::ErrorKind::SnapshotCorrupt) if the digest or the size is not what the
/// server promised; [`Timeout`](crate::ErrorKind::Timeout) if nothing arrives for
/// [too long](OpenSnapshot::silence), [`Disconnected`](crate::ErrorKind::Disconnected) if the
/// connection breaks. A snapshot cannot be taken up again in the middle.
///
/// # Panics
///
/// Polling panics outside of a tokio runtime.
///
/// # Examples
///
/// ```
/// # async fn example(client: etcdkit::Client) -> etcdkit::Result<()> {
/// let mut snapshot = client.maintenance().snapshot().await?;
/// let mut received = Vec::with_capacity(snapshot.size() as usize);
/// while let Some(chunk) = snapshot.try_next().await? {
///     received.extend_from_slice(&chunk);
/// }
/// assert_eq!(received.len() as u64, snapshot.size());
/// # Ok(())
/// # }
/// ```
pub struct Snapshot {
    stage: Stage,
    check: Check,
    /// A chunk that is not given out yet: the first, which the stream was opened with, and the last
    /// until it is verified.
    held: Option<Bytes>,
    version: Option<String>,
    endpoint: Arc<str>,
    started: Instant,
    silence: Duration,
    deadline: Option<Instant>,
}

enum Stage {
    Receiving(Box<Replies>),
    /// All is there and verified.
    Complete,
    Failed,
}

impl Snapshot {
    /// How many bytes the snapshot has, the digest included.
    pub fn size(&self) -> u64 {
        self.check.size()
    }

    /// How many bytes have been received.
    pub fn received(&self) -> u64 {
        self.check.received()
    }

    /// The version of the backend's format, such as `3.6.0`: the oldest etcd to restore it with.
    /// `None` before etcd 3.6, and in a new cluster that has not settled on its version yet.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The endpoint that the snapshot comes from.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The next chunk, usually 32 KiB; `None` once everything was received and verified.
    ///
    /// Cancel-safe: no byte is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// As [`Snapshot`]; the stream has ended then.
    pub async fn try_next(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Waits for the first chunk, with which the size is known.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let first = match ready!(self.poll_reply(cx)) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                let flaw = self.check.finish().err().unwrap_or(Flaw::Empty);
                return Poll::Ready(Err(finally(self.flawed(flaw))));
            }
            Err(broken) => return Poll::Ready(Err(broken)),
        };
        self.held = Some(first).filter(|chunk| !chunk.is_empty());
        Poll::Ready(Ok(()))
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            if let Some(chunk) = self.held.take_if(|_| self.check.is_verified_so_far()) {
                return Poll::Ready(Ok(Some(chunk)));
            }
            if matches!(self.stage, Stage::Complete | Stage::Failed) {
                return Poll::Ready(Ok(None));
            }
            match ready!(self.poll_reply(cx)) {
                Ok(Some(chunk)) if chunk.is_empty() => {}
                Ok(Some(chunk)) => self.held = Some(chunk),
                Ok(None) => match self.check.finish() {
                    Ok(()) => self.stage = Stage::Complete,
                    Err(flaw) => return Poll::Ready(Err(self.flawed(flaw))),
                },
                Err(broken) => return Poll::Ready(Err(self.ended(broken.error))),
            }
        }
    }

    /// The next message's bytes, counted and hashed.
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        let within = self.next_within();
        let Stage::Receiving(replies) = &mut self.stage else {
            return Poll::Ready(Ok(None));
        };
        replies.limit_silence(within);
        let reply = ready!(replies.poll_next(cx));
        let Some(reply) = reply? else {
            return Poll::Ready(Ok(None));
        };
        let message = match pb::SnapshotResponse::decode(reply) {
            Ok(message) => message,
            Err(error) => {
                let what = format!("the server sent something else than etcd's answer: {error}");
                let error = Error::new(ErrorKind::Protocol, what).with_source(error);
                return Poll::Ready(Err(finally(error)));
            }
        };
        if self.version.is_none() && !message.version.is_empty() {
            self.version = Some(message.version);
        }
        let taken = self.check.take(&message.blob, message.remaining_bytes);
        Poll::Ready(match taken {
            Ok(()) => Ok(Some(message.blob)),
            Err(flaw) => Err(finally(self.flawed(flaw))),
        })
    }

    fn next_within(&self) -> Duration {
        match self.deadline {
            Some(deadline) => self
                .silence
                .min(deadline.saturating_duration_since(Instant::now())),
            None => self.silence,
        }
    }

    fn flawed(&mut self, flaw: Flaw) -> Error {
        let error = Error::new(ErrorKind::SnapshotCorrupt, flaw.to_string());
        self.ended(error.with_endpoint(Arc::clone(&self.endpoint)))
    }

    /// Ends the stream with what went wrong, and where.
    fn ended(&mut self, error: Error) -> Error {
        self.stage = Stage::Failed;
        self.held = None;
        let (received, size) = (self.received(), self.size());
        let progress = match size {
            0 => "before the first byte".to_owned(),
            size => format!("after {received} of {size} bytes"),
        };
        error
            .with_progress(progress)
            .with_operation(SNAPSHOT.name)
            .with_story(1, self.started.elapsed())
    }
}

impl Stream for Snapshot {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx).map(Result::transpose)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("endpoint", &self.endpoint)
            .field("received", &self.received())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
