//! HTTP/2, with all calls of a connection in the connection's one task.
//!
//! Most calls are answered as soon as they are here, in less time than a task of their own would take
//! to make. Whatever has arrived is read before any of it is answered, and the answers leave in one
//! write. Calls that wait for something are polled again when they are woken, each by itself.

mod answering;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Ping, PingPong, RecvStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use self::answering::Answering;
use crate::body::Body;
use crate::incoming::Incoming;

/// What a peer may send ahead on one stream: any request etcd accepts, without waiting.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// What a peer may send ahead on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// The longest list of headers that a request may have.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// How many calls a peer may cancel before the server has looked at them. The HTTP/2 library
/// ends a connection at 20, which a client that drops a batch of calls reaches.
const MAX_CANCELLED_CALLS: usize = 100_000;

/// etcd's `--grpc-keepalive-interval` and `--grpc-keepalive-timeout`.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2 * 60 * 60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many calls are read before they are answered.
const BATCH: usize = 256;

/// Serves a connection until its peer closes it, or the calls under way have ended after `stop`.
pub(crate) async fn serve<I, A, F>(
    io: I,
    answer: A,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), h2::Error>
where
    I: AsyncRead + AsyncWrite + Send + Unpin,
    A: FnMut(Request<Incoming>) -> F + Send,
    F: Future<Output = Response<Body>> + Send,
{
    let mut stop = std::pin::pin!(stop);
    let mut connection = tokio::select! {
        connection = settings().handshake(io) => connection?,
        () = stop.as_mut() => return Ok(()),
    };
    let pings = connection.ping_pong();
    let mut calls = Calls {
        connection,
        answer,
        accepted: Vec::new(),
        next: Box::pin(Answering::none()),
        waiting: FuturesUnordered::new(),
    };
    let mut peer_is_gone = std::pin::pin!(keep_alive(pings));
    tokio::select! {
        biased;
        ended = calls.run() => return ended,
        () = peer_is_gone.as_mut() => return Ok(()),
        () = stop => calls.connection.graceful_shutdown(),
    }
    tokio::select! {
        biased;
        ended = calls.run() => ended,
        () = peer_is_gone => Ok(()),
    }
}

fn settings() -> Builder {
    let mut builder = Builder::new();
    // etcd sets no limit to the number of streams, and many watches share one connection.
    builder
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_CANCELLED_CALLS)
        .max_local_error_reset_streams(Some(MAX_CANCELLED_CALLS));
    builder
}

/// Ends when the peer does not answer any more.
async fn keep_alive(pings: Option<PingPong>) {
    let Some(mut pings) = pings else {
        return std::future::pending().await;
    };
    loop {
        sleep(KEEPALIVE_INTERVAL).await;
        let pong = timeout(KEEPALIVE_TIMEOUT, pings.ping(Ping::opaque())).await;
        if !matches!(pong, Ok(Ok(_))) {
            tracing::debug!("a connection ended: its peer did not answer a ping");
            return;
        }
    }
}

/// A connection and the calls that came over it.
struct Calls<I, A, F> {
    connection: Connection<I, Bytes>,
    answer: A,
    /// Read, and not yet looked at.
    accepted: Vec<(Request<RecvStream>, SendResponse<Bytes>)>,
    /// The place of the next call, used again for as long as calls are answered at once.
    next: Pin<Box<Answering<F>>>,
    /// Those that were not.
    waiting: FuturesUnordered<Pin<Box<Answering<F>>>>,
}

impl<I, A, F> Calls<I, A, F>
where
    I: AsyncRead + AsyncWrite + Send + Unpin,
    A: FnMut(Request<Incoming>) -> F + Send,
    F: Future<Output = Response<Body>> + Send,
{
    async fn run(&mut self) -> Result<(), h2::Error> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            while self.accepted.len() < BATCH {
                match self.connection.poll_accept(cx) {
                    Poll::Ready(Some(Ok(call))) => self.accepted.push(call),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending => break,
                }
            }
            let mut answered = self.begin(cx);
            while let Poll::Ready(Some(())) = self.waiting.poll_next_unpin(cx) {
                answered = true;
            }
            // What was just answered leaves with the next look at the connection.
            if !answered {
                return Poll::Pending;
            }
        }
    }

    /// Begins the calls that were accepted. Returns whether there were any.
    fn begin(&mut self, cx: &mut Context<'_>) -> bool {
        let any = !self.accepted.is_empty();
        for (request, respond) in self.accepted.drain(..) {
            let answer = (self.answer)(request.map(Incoming::from));
            self.next.as_mut().set(Answering::new(answer, respond));
            match self.next.as_mut().poll(cx) {
                Poll::Ready(()) => self.next.as_mut().set(Answering::none()),
                Poll::Pending => {
                    let waiting = std::mem::replace(&mut self.next, Box::pin(Answering::none()));
                    self.waiting.push(waiting);
                }
            }
        }
        any
    }
}
