//! HTTP/1.1 to etcd's endpoints: one request, one exchange, and what became of it as a fact.
//!
//! Connections are opened when a request needs one and kept for the next; each carries one request at
//! a time. Nothing is decided here: whether a failed request is sent again, and where, is the matter of
//! whoever asks.

mod connection;

use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt, io,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, header::HOST, response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::Instant;

use self::connection::Connection;
use super::{
    dial::{DialError, Dialer},
    endpoint::Endpoint,
};
use crate::observe;

/// How long a connection is kept without a request. HTTP/1.1 has no pings: whether somebody is still at
/// the other end shows only with the next request, and a write that is sent to nobody is in doubt. So
/// only what was in use a moment ago is believed; a new connection costs less than the doubt.
const IDLE_MOST: Duration = Duration::from_secs(5);

/// How many connections to one endpoint are kept without a request.
const IDLE_CONNECTIONS: usize = 32;

/// What is waited for a connection to be done with its last exchange.
const SETTLE: Duration = Duration::from_millis(50);

/// Why an exchange came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection came about, so nothing was sent.
    Unreachable(ConnectError),
    /// The connection ended before the request was on its way.
    NotSent(Box<dyn StdError + Send + Sync>),
    /// The server ended the TLS session before its first answer, as it does with a client's certificate
    /// that it does not accept. It has read no request.
    Rejected(Box<dyn StdError + Send + Sync>),
    /// The connection broke after the request had been handed over.
    Lost(Box<dyn StdError + Send + Sync>),
    /// The answer is larger than the client takes.
    TooLarge { limit: usize },
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{}", .0.source)]
    Dial(DialError),
    #[error("no connection within {0:?}")]
    Silent(Duration),
}

impl ConnectError {
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Dial(DialError { tls: true, .. }))
    }
}

/// Connections to any number of endpoints.
pub(crate) struct Http1 {
    dialer: Arc<Dialer>,
    connect_timeout: Duration,
    idle: Mutex<HashMap<Arc<str>, Vec<Idle>>>,
}

/// How far an exchange has come, for whoever gives it up before its end.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    reused: AtomicBool,
    sent: AtomicBool,
    answered: AtomicBool,
}

impl Progress {
    /// Whether the server may have read the request.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether it went to a connection that had carried others before, and so may be one that something
    /// on its way has forgotten.
    pub(crate) fn is_on_reused(&self) -> bool {
        self.reused.load(Ordering::Relaxed)
    }

    /// Whether the head of an answer is there.
    pub(crate) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Starts over: what came of it was that the request has to be sent to somebody else.
    pub(crate) fn reset(&self) {
        self.reused.store(false, Ordering::Relaxed);
        self.sent.store(false, Ordering::Relaxed);
        self.answered.store(false, Ordering::Relaxed);
    }
}

/// A connection that waits for a request.
struct Idle {
    connection: Connection,
    since: Instant,
}

/// The head of an answer, and its body on the way.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: response::Parts,
    pub(crate) body: Body,
}

/// The body of an answer. Dropped before its end, it takes its connection along, which is how HTTP/1.1
/// cancels.
pub(crate) struct Body {
    incoming: Incoming,
    /// The connection, and where it goes when the body has ended.
    held: Option<(Connection, Weak<Http1>)>,
}

impl Http1 {
    pub(crate) fn new(dialer: Arc<Dialer>, connect_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            dialer,
            connect_timeout,
            idle: Mutex::default(),
        })
    }

    /// Sends a request, whose URI is a path and query, and waits for the head of its answer. Dropping
    /// the future cancels the request on the wire.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        mut request: Request<Bytes>,
        progress: &Progress,
    ) -> Result<Answer, Failure> {
        let host = HeaderValue::from_str(endpoint.authority.as_str());
        let host = host.map_err(|error| Failure::NotSent(error.into()))?;
        request.headers_mut().insert(HOST, host);
        let mut request = request.map(Full::new);
        loop {
            let (mut connection, used) = match self.take(&endpoint.text) {
                Some(connection) => (connection, true),
                None => (self.open(endpoint).await?, false),
            };
            if used && !connection.settles_within(SETTLE).await {
                continue;
            }
            progress.reused.store(used, Ordering::Relaxed);
            progress.sent.store(true, Ordering::Relaxed);
            match connection.send(request).await {
                Ok(response) => {
                    progress.answered.store(true, Ordering::Relaxed);
                    let (head, incoming) = response.into_parts();
                    let held = Some((connection, Arc::downgrade(self)));
                    let mut body = Body { incoming, held };
                    body.give_back_if_ended();
                    return Ok(Answer { head, body });
                }
                Err(mut failed) => {
                    let unsent = failed.take_message();
                    let error = failed.into_error();
                    let Some(unsent) = unsent else {
                        return Err(match endpoint.tls && !used && is_of_tls(&error) {
                            true => Failure::Rejected(error.into()),
                            false => Failure::Lost(error.into()),
                        });
                    };
                    progress.reset();
                    // The server closed an idle connection in this moment; the next one may be well.
                    match used {
                        true => request = unsent,
                        false => return Err(Failure::NotSent(error.into())),
                    }
                }
            }
        }
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Connection, Failure> {
        let opening = Connection::open(&self.dialer, endpoint);
        let opened = match tokio::time::timeout(self.connect_timeout, opening).await {
            Ok(opened) => opened.map_err(ConnectError::Dial),
            Err(_) => Err(ConnectError::Silent(self.connect_timeout)),
        };
        opened.map_err(|error| {
            observe::cannot_connect(&endpoint.text, &error);
            Failure::Unreachable(error)
        })
    }

    /// Closes the connections to an endpoint that wait for a request, after one of them was silent: the
    /// others went the same way.
    pub(crate) fn forget(&self, endpoint: &Arc<str>) {
        self.idle().remove(endpoint);
    }

    /// The connection to an endpoint that was used last.
    fn take(&self, endpoint: &Arc<str>) -> Option<Connection> {
        let mut idle = self.idle();
        let kept = idle.get_mut(endpoint)?;
        kept.retain(Idle::is_good);
        let taken = kept.pop().map(|idle| idle.connection);
        if kept.is_empty() {
            idle.remove(endpoint);
        }
        taken
    }

    fn give_back(&self, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.idle();
        // Those to other endpoints, too: perhaps nobody asks for one of them again.
        idle.retain(|_, kept| {
            kept.retain(Idle::is_good);
            !kept.is_empty()
        });
        let kept = idle.entry(Arc::clone(connection.endpoint())).or_default();
        if kept.len() < IDLE_CONNECTIONS {
            let since = Instant::now();
            kept.push(Idle { connection, since });
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Vec<Idle>>> {
        self.idle
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

impl Idle {
    fn is_good(&self) -> bool {
        !self.connection.is_closed() && self.since.elapsed() < IDLE_MOST
    }
}

impl Body {
    /// The next piece; `None` is the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.incoming.frame().await {
                None => {
                    self.give_back();
                    return Ok(None);
                }
                Some(Err(error)) => return Err(Failure::Lost(error.into())),
                Some(Ok(frame)) => {
                    // Trailers have nothing that etcd would say.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The rest, if it has no more than so many bytes.
    pub(crate) async fn rest(mut self, limit: usize) -> Result<Bytes, Failure> {
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        let mut whole = BytesMut::new();
        let mut next = first;
        loop {
            if whole.len().saturating_add(next.len()) > limit {
                return Err(Failure::TooLarge { limit });
            }
            let Some(more) = self.chunk().await? else {
                return Ok(match whole.is_empty() {
                    true => next,
                    false => {
                        whole.extend_from_slice(&next);
                        whole.freeze()
                    }
                });
            };
            whole.extend_from_slice(&next);
            next = more;
        }
    }

    fn give_back_if_ended(&mut self) {
        if hyper::body::Body::is_end_stream(&self.incoming) {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some((connection, home)) = self.held.take()
            && let Some(home) = home.upgrade()
        {
            home.give_back(connection);
        }
    }
}

/// Whether TLS itself found something wrong: tokio-rustls gives all of that one kind.
fn is_of_tls(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::InvalidData;
        }
        cause = error.source();
    }
    false
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1").finish_non_exhaustive()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}
