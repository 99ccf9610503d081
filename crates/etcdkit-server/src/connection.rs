//! Serving connections, of whatever kind, and ending them.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::authority::RepairAuthority;
use crate::node::Node;
use crate::route::route;
use crate::tls::{CertificateUser, Security};

/// What a peer may send ahead on one stream: any request etcd accepts, without waiting.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// What a peer may send ahead on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// How many calls a peer may cancel before the server has looked at them. The HTTP/2 library
/// ends a connection at 20, which a client that drops a batch of calls reaches.
const MAX_CANCELLED_CALLS: usize = 100_000;

/// etcd's `--grpc-keepalive-interval` and `--grpc-keepalive-timeout`.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2 * 60 * 60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// etcd's limit for the time that the headers of an HTTP/1 request may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The first byte of every TLS connection: the type of the record with the client's first message. No
/// HTTP request begins so.
const TLS_HANDSHAKE: u8 = 22;

/// How long running calls may go on after the server was told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

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

    pub(crate) fn node(&self) -> &Node {
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

/// Shakes hands and serves what comes then.
async fn serve_tls<I>(
    io: I,
    security: Security,
    node: Arc<Node>,
    mut stopping: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let secured = tokio::select! {
        secured = security.accept(io) => secured,
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
    let service = service_fn(move |mut request: Request<Incoming>| {
        let node = Arc::clone(&node);
        if let Some(user) = &user {
            request.extensions_mut().insert(user.clone());
        }
        async move { Ok::<_, Infallible>(route(&node, request).await) }
    });
    let builder = http_builder();
    let mut connection =
        pin!(builder.serve_connection(TokioIo::new(RepairAuthority::new(io)), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told_to_stop(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is also a reason to stop.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn http_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        // etcd sets no limit, and many watches share one connection.
        .max_concurrent_streams(None)
        .max_pending_accept_reset_streams(MAX_CANCELLED_CALLS)
        .max_local_error_reset_streams(MAX_CANCELLED_CALLS)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}
