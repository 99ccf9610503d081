//! Servers that misbehave: a gRPC server that does whatever a test says, and an endpoint that says
//! nothing.

pub mod http1;

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    Reason, SendStream,
    server::{Connection, SendResponse},
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

/// What the fake server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers as gRPC should, with this message.
    Message(Bytes),
    /// Answers with a gRPC status and no message.
    Status(u32, &'static str),
    /// Answers like this, but only after a time.
    Late(Duration, Box<Reply>),
    /// Leaves the request open.
    Nothing,
    /// Sends exactly this head, body and end.
    Raw {
        /// The HTTP status.
        status: StatusCode,
        /// The head's headers.
        headers: HeaderMap,
        /// The DATA frames.
        body: Vec<Bytes>,
        /// The trailers; without them the last frame ends the stream.
        trailers: Option<HeaderMap>,
    },
    /// Sends the head and this much of a body, then closes the TCP connection.
    CloseAfter(Bytes),
    /// Closes the TCP connection at once.
    Close,
    /// Resets the stream.
    Reset(Reason),
    /// Answers as [`Reply::Message`] and announces the end of the connection (GOAWAY).
    MessageAndGoAway(Bytes),
}

impl Reply {
    /// A proper answer.
    pub fn message(message: &impl Message) -> Self {
        Self::Message(message.encode_to_vec().into())
    }

    /// A head as it should be, then these frames, then a status of success.
    pub fn frames(body: impl IntoIterator<Item = Bytes>) -> Self {
        Self::Raw {
            status: StatusCode::OK,
            headers: grpc_headers(),
            body: body.into_iter().collect(),
            trailers: Some(success()),
        }
    }
}

/// What a [`FakeServer`] does of its own accord.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// How many requests a connection may have under way; the client is told. `None` sets no limit.
    pub streams: Option<u32>,
    /// Health checks, too, are answered as the function says, as learners refuse them.
    pub learner: bool,
}

/// A gRPC server on loopback that does with each request what a function says.
#[derive(Debug)]
pub struct FakeServer {
    address: SocketAddr,
    seen: Arc<Seen>,
    listening: JoinHandle<()>,
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Seen {
    counts: watch::Sender<Counts>,
    paths: Mutex<Vec<String>>,
}

/// How often things have happened at a [`FakeServer`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Connections accepted.
    pub connections: usize,
    /// Connections that have ended.
    pub closed: usize,
    /// Requests received; health checks count only where [`Limits::learner`] is set.
    pub requests: usize,
    /// Requests that the client cancelled.
    pub cancelled: usize,
}

impl FakeServer {
    /// Starts a server that asks `behave` what to do; it gets the path of the request and how many
    /// requests came before it. Health checks are answered without asking.
    ///
    /// # Errors
    ///
    /// When no port can be listened on.
    pub async fn start(
        behave: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_with(Limits::default(), behave).await
    }

    /// As [`start`](Self::start), with limits.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(
        limits: Limits,
        behave: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let behave: Arc<Behave> = Arc::new(behave);
        let log = Arc::clone(&seen);
        let listening = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                log.counts.send_modify(|counts| counts.connections += 1);
                let (behave, log) = (Arc::clone(&behave), Arc::clone(&log));
                connections.spawn(async move {
                    serve(stream, limits, behave, &log).await;
                    log.counts.send_modify(|counts| counts.closed += 1);
                });
            }
        });
        Ok(Self {
            address,
            seen,
            listening,
        })
    }

    /// What a client connects to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        *self.seen.counts.borrow()
    }

    /// The paths of all requests, in the order of arrival.
    pub fn paths(&self) -> Vec<String> {
        self.seen
            .paths
            .lock()
            .map(|paths| paths.clone())
            .unwrap_or_default()
    }

    /// Waits until what has happened is enough.
    pub async fn wait_for(&self, enough: impl Fn(&Counts) -> bool + Send + Sync) {
        let mut counts = self.seen.counts.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = counts.wait_for(|counts| enough(counts)).await;
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

type Behave = dyn Fn(&str, usize) -> Reply + Send + Sync;

/// A stream whose connection is to be closed. It is kept until then: dropped sooner, h2 would reset
/// it.
type Unfinished = SendStream<Bytes>;

async fn serve(stream: TcpStream, limits: Limits, behave: Arc<Behave>, seen: &Arc<Seen>) {
    let mut builder = h2::server::Builder::new();
    if let Some(streams) = limits.streams {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut connection) = builder.handshake(stream).await else {
        return;
    };
    let mut replies = JoinSet::new();
    let (end, mut ended) = mpsc::unbounded_channel();
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            Some(unfinished) = ended.recv() => {
                flush(&mut connection).await;
                drop((connection, unfinished));
                return;
            }
        };
        let Some(Ok((request, respond))) = accepted else {
            return;
        };
        let path = request.uri().path().to_owned();
        let reply = if path.starts_with("/grpc.health.v1.Health/") && !limits.learner {
            // HealthCheckResponse { status: SERVING }
            Reply::Message(Bytes::from_static(&[0x08, 0x01]))
        } else {
            let mut before = 0;
            seen.counts.send_modify(|counts| {
                before = counts.requests;
                counts.requests += 1;
            });
            if let Ok(mut paths) = seen.paths.lock() {
                paths.push(path.clone());
            }
            behave(&path, before)
        };
        match reply {
            Reply::Close => return,
            reply => {
                if matches!(reply, Reply::MessageAndGoAway(_)) {
                    connection.graceful_shutdown();
                }
                let (seen, end) = (Arc::clone(seen), end.clone());
                replies.spawn(async move {
                    // The body is read to its end before the answer, as a gRPC server does.
                    let mut body = request.into_body();
                    while let Some(Ok(data)) = body.data().await {
                        let _ = body.flow_control().release_capacity(data.len());
                    }
                    let mut reply = reply;
                    while let Reply::Late(after, late) = reply {
                        tokio::time::sleep(after).await;
                        reply = *late;
                    }
                    // An error means that the client has gone, which is its right.
                    if let Ok(Some(unfinished)) = send(reply, respond, &seen).await {
                        let _ = end.send(unfinished);
                    }
                });
            }
        }
    }
}

/// Lets the connection write what it has.
async fn flush(connection: &mut Connection<TcpStream, Bytes>) {
    // h2 does not say when everything is written; on loopback this is long.
    let _ = tokio::time::timeout(Duration::from_millis(50), connection.accept()).await;
}

async fn send(
    reply: Reply,
    mut respond: SendResponse<Bytes>,
    seen: &Seen,
) -> Result<Option<Unfinished>, h2::Error> {
    match reply {
        Reply::Message(message) | Reply::MessageAndGoAway(message) => {
            let mut stream = respond.send_response(head(), false)?;
            stream.send_data(frame(&message), false)?;
            stream.send_trailers(success())?;
            Ok(None)
        }
        Reply::Status(code, message) => {
            let mut response = head();
            let headers = response.headers_mut();
            headers.insert("grpc-status", HeaderValue::from(code));
            headers.insert("grpc-message", HeaderValue::from_static(message));
            respond.send_response(response, true)?;
            Ok(None)
        }
        Reply::Nothing => {
            let reason = poll_fn(|cx| respond.poll_reset(cx)).await?;
            if reason == Reason::CANCEL {
                seen.counts.send_modify(|counts| counts.cancelled += 1);
            }
            Ok(None)
        }
        Reply::Raw {
            status,
            headers,
            body,
            trailers,
        } => {
            let mut response = Response::new(());
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            if body.is_empty() && trailers.is_none() {
                respond.send_response(response, true)?;
                return Ok(None);
            }
            let mut stream = respond.send_response(response, false)?;
            let frames = body.len();
            for (index, data) in body.into_iter().enumerate() {
                let last = index + 1 == frames && trailers.is_none();
                stream.send_data(data, last)?;
            }
            if let Some(trailers) = trailers {
                stream.send_trailers(trailers)?;
            }
            Ok(None)
        }
        Reply::CloseAfter(body) => {
            let mut stream = respond.send_response(head(), false)?;
            stream.send_data(body, false)?;
            Ok(Some(stream))
        }
        Reply::Reset(reason) => {
            respond.send_reset(reason);
            Ok(None)
        }
        // They are dealt with before.
        Reply::Close | Reply::Late(..) => Ok(None),
    }
}

fn head() -> Response<()> {
    let mut response = Response::new(());
    *response.headers_mut() = grpc_headers();
    response
}

/// The headers of a gRPC answer.
pub fn grpc_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers
}

/// The trailers of a gRPC answer that is a success.
pub fn success() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}

/// A message with gRPC's prefix: not compressed, and its length.
pub fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.freeze()
}

/// An endpoint that accepts connections and never says a word.
#[derive(Debug)]
pub struct SilentEndpoint {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl SilentEndpoint {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Ok(Self { address, listening })
    }

    /// What a client connects to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for SilentEndpoint {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// How a [`DisowningEndpoint`] says that it did not process a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disown {
    /// By a GOAWAY whose last processed request is an earlier one.
    GoAway,
    /// By the same, when the head of the answer has already been sent.
    HeadThenGoAway,
    /// By a reset with REFUSED_STREAM, when the head of the answer has already been sent.
    HeadThenRefused,
}

/// An HTTP/2 endpoint that disowns every first request of a connection: it says that no request was
/// processed, so each may be sent again elsewhere; unless it contradicts itself, having begun to
/// answer.
#[derive(Debug)]
pub struct DisowningEndpoint {
    address: SocketAddr,
    listening: JoinHandle<()>,
    disowned: watch::Receiver<usize>,
}

impl DisowningEndpoint {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        Self::start_by(Disown::GoAway).await
    }

    /// As [`start`](Self::start), disowning in another way.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_by(how: Disown) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (count, disowned) = watch::channel(0);
        let listening = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let count = count.clone();
                connections.spawn(async move {
                    if disown(stream, how).await.is_ok() {
                        count.send_modify(|count| *count += 1);
                    }
                });
            }
        });
        Ok(Self {
            address,
            listening,
            disowned,
        })
    }

    /// What a client connects to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests were disowned so far.
    pub fn disowned(&self) -> usize {
        *self.disowned.borrow()
    }
}

impl Drop for DisowningEndpoint {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Speaks just enough HTTP/2 (RFC 9113) for a client to send a request, and disowns it. By hand, as
/// h2's server cannot disown what it has accepted.
async fn disown(mut stream: TcpStream, how: Disown) -> io::Result<()> {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    const ACK: u8 = 1;
    const END_HEADERS: u8 = 4;
    // In HPACK (RFC 7541): `:status: 200`, which is in its static table, and a `content-type`, whose
    // name is.
    const HEAD: &[u8] = b"\x88\x0f\x10\x10application/grpc";

    stream.read_exact(&mut [0; 24]).await?;
    write_frame(&mut stream, SETTINGS, 0, 0, &[]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, request @ ..] = head;
        let request = u32::from_be_bytes(request);
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => write_frame(&mut stream, SETTINGS, ACK, 0, &[]).await?,
            PING if flags & ACK == 0 => write_frame(&mut stream, PING, ACK, 0, &payload).await?,
            HEADERS => {
                if how != Disown::GoAway {
                    write_frame(&mut stream, HEADERS, END_HEADERS, request, HEAD).await?;
                }
                if how == Disown::HeadThenRefused {
                    let refused = u32::from(Reason::REFUSED_STREAM).to_be_bytes();
                    write_frame(&mut stream, RST_STREAM, 0, request, &refused).await?;
                } else {
                    // The last stream processed is 0, none; the reason is NO_ERROR.
                    write_frame(&mut stream, GOAWAY, 0, 0, &[0; 8]).await?;
                }
                // Closing with unread data would turn into a reset that overtakes the GOAWAY.
                stream.shutdown().await?;
                while stream.read(&mut [0; 1024]).await? > 0 {}
                return Ok(());
            }
            _ => {}
        }
    }
}

/// Writes a frame of a request, or of the connection itself, which has the number 0.
async fn write_frame(
    stream: &mut TcpStream,
    kind: u8,
    flags: u8,
    request: u32,
    payload: &[u8],
) -> io::Result<()> {
    let mut frame = BytesMut::new();
    frame.put_uint(payload.len() as u64, 3);
    frame.put_u8(kind);
    frame.put_u8(flags);
    frame.put_u32(request);
    frame.put_slice(payload);
    stream.write_all(&frame).await
}

/// An endpoint on which nothing listens: connecting is refused.
pub fn refusing_endpoint() -> String {
    let port = crate::etcd::free_port();
    format!("http://127.0.0.1:{port}")
}
