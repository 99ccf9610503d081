//! Serving connections, of whatever kind, and ending them.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::authority::RepairAuthority;
use crate::body::Body;
use crate::http2;
use crate::incoming::Incoming;
use crate::node::Node;
use crate::route::route;
use crate::tls::{CertificateUser, Security};

/// etcd's limit for the time that the headers of an HTTP/1 request may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The first byte of every TLS connection: the type of the record with the client's first message. No
/// HTTP request begins so.
const TLS_HANDSHAKE: u8 = 22;

/// How long running calls may go on after the server was told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// All connections of one server.
pub(crate) struct Connections {
    node: Arc<Node>,
    security: Security,
    runtime: Handle,
    stopping: watch::Sender<bool>,
    /// `None` once the server has stopped.
    tasks: Mutex<Option<JoinSet<()>>>,
}

/// The server has stopped and takes no new connection.
#[derive(Debug)]
pub(crate) struct Stopped;

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Connections {
    /// Connections are served on the runtime that calls this.
    pub(crate) fn new(node: Arc<Node>, security: Security, stopping: watch::Sender<bool>) -> Self {
        Self {
            node,
            security,
            runtime: Handle::current(),
            stopping,
            tasks: Mutex::new(Some(JoinSet::new())),
        }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Serves a connection until it ends or the server stops.
    pub(crate) fn serve<I>(&self, io: I) -> Result<(), Stopped>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.spawn(serve(
            io,
            None,
            Arc::clone(&self.node),
            self.stopping.subscribe(),
        ))
    }

    /// Serves a connection that speaks TLS. The handshake keeps nobody else waiting.
    pub(crate) fn serve_tls<I>(&self, io: I) -> Result<(), Stopped>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.spawn(serve_tls(
            io,
            self.security.clone(),
            Arc::clone(&self.node),
            self.stopping.subscribe(),
        ))
    }

    /// Serves a connection that speaks TLS or not, as its first byte tells.
    pub(crate) fn serve_either(&self, stream: TcpStream) -> Result<(), Stopped> {
        let security = self.security.clone();
        let node = Arc::clone(&self.node);
        let mut stopping = self.stopping.subscribe();
        self.spawn(async move {
            let mut first = [0];
            let known = tokio::select! {
                known = timeout(HEADER_TIMEOUT, stream.peek(&mut first)) => known,
                () = told_to_stop(&mut stopping) => return,
            };
            match (known, first) {
                (Ok(Ok(1)), [TLS_HANDSHAKE]) => serve_tls(stream, security, node, stopping).await,
                (Ok(Ok(1)), _) => serve(stream, None, node, stopping).await,
                _ => tracing::debug!("a connection ended before its first byte"),
            }
        })
    }

    fn spawn(&self, serving: impl Future<Output = ()> + Send + 'static) -> Result<(), Stopped> {
        let mut tasks = self.tasks();
        let tasks = tasks.as_mut().ok_or(Stopped)?;
        if self.node.faults.is_refusing() {
            return Ok(());
        }
        // Connections that ended by themselves are forgotten when the next one comes.
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(serving, &self.runtime);
        Ok(())
    }

    /// Refuses new calls and connections, and waits for running calls up to a bound.
    pub(crate) async fn shutdown(&self) {
        let Some(mut tasks) = self.take_tasks() else {
            return;
        };
        let drained = timeout(SHUTDOWN_GRACE, async {
            while tasks.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "connections were cut: their calls did not end within {SHUTDOWN_GRACE:?}"
            );
            tasks.shutdown().await;
        }
    }

    /// Ends the connections that there are, and takes new ones.
    pub(crate) fn cut_all(&self) {
        if let Some(tasks) = self.tasks().as_mut() {
            tasks.abort_all();
        }
    }

    /// Ends every connection at once.
    pub(crate) fn abort(&self) {
        // Dropping the set ends its tasks.
        drop(self.take_tasks());
    }

    fn take_tasks(&self) -> Option<JoinSet<()>> {
        let tasks = self.tasks().take();
        self.stopping.send_replace(true);
        tasks
    }

    fn tasks(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        // The set stays valid even if a holder of the lock panicked.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, as its calls see it.
pub(crate) struct Line {
    pub(crate) node: Arc<Node>,
    is_cut: AtomicBool,
}

impl Line {
    /// Ends the connection, once the call that says so waits.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }
}

/// Shakes hands and serves what comes then.
async fn serve_tls<I>(
    io: I,
    security: Security,
    node: Arc<Node>,
    mut stopping: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut handshake = pin!(security.accept(io));
    let secured = tokio::select! {
        secured = node.faults.unless_paused(handshake.as_mut()) => secured,
        () = told_to_stop(&mut stopping) => return,
    };
    match secured {
        Ok((stream, user)) => serve(stream, user, node, stopping).await,
        Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
    }
}

/// HTTP/1 and HTTP/2; the first bytes decide.
async fn serve<I>(
    io: I,
    user: Option<CertificateUser>,
    node: Arc<Node>,
    mut stopping: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let line = Arc::new(Line {
        node,
        is_cut: AtomicBool::new(false),
    });
    let calls = Arc::clone(&line);
    let answer = move |mut request: Request<Incoming>| {
        let line = Arc::clone(&calls);
        if let Some(user) = &user {
            request.extensions_mut().insert(user.clone());
        }
        async move { route(&line, request).await }
    };
    let serving = async {
        let mut io = RepairAuthority::new(io);
        let is_http2 = tokio::select! {
            is_http2 = io.is_http2() => is_http2?,
            () = told_to_stop(&mut stopping) => return Ok(()),
        };
        let stop = told_to_stop(&mut stopping);
        match is_http2 {
            true => http2::serve(io, answer, stop).await?,
            false => http1(io, answer, stop).await?,
        }
        Ok::<_, BoxError>(())
    };
    let mut serving = pin!(serving);
    let ended = poll_fn(|cx| {
        ready!(line.node.faults.poll_running(cx));
        match serving.as_mut().poll(cx) {
            // Its calls are polled with it, so one that cuts it need not wake it.
            Poll::Pending if line.is_cut.load(Ordering::Relaxed) => Poll::Ready(Ok(())),
            polled => polled,
        }
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

async fn http1<I, F>(
    io: I,
    answer: impl Fn(Request<Incoming>) -> F + Send + Sync,
    stop: impl Future<Output = ()> + Send,
) -> hyper::Result<()>
where
    I: AsyncRead + AsyncWrite + Send + Unpin,
    F: Future<Output = Response<Body>> + Send,
{
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let answer = answer(request.map(Incoming::from));
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        // As Go writes them; there are clients that look for them so.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is also a reason to stop.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
