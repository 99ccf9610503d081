//! gRPC: calls in, messages and a status out.
//!
//! Calls are framed here rather than by tonic's server, because etcd's answers to oversize,
//! malformed and unknown calls have exact codes and texts, and a unary call then costs one buffer
//! for its reply and no boxed future.

mod frame;
mod status;
mod stream;

use bytes::Bytes;
use etcdkit_proto::Code;
use futures_core::Stream;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use prost::Message;
use tokio::sync::watch;
use tokio_stream::StreamExt as _;

pub(crate) use self::status::Status;

pub(crate) use self::stream::{Requests, UntilStopped};

pub(crate) use self::frame::encode;

use self::frame::{Messages, decode};
use self::stream::Frames;
use crate::body::Body;
use crate::incoming::Incoming;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Whether a request is meant for gRPC, as etcd decides it.
pub(crate) fn is_grpc<B>(request: &Request<B>) -> bool {
    request.version() == http::Version::HTTP_2
        && content_type(request.headers()).starts_with(b"application/grpc")
}

/// Splits `/package.Service/Method`, after the checks grpc-go makes before it looks at the path.
pub(crate) fn service_and_method(request: &Parts) -> Result<(&str, &str), Refusal> {
    if request.method != Method::POST {
        let text = format!(
            "Received a HEADERS frame with :method {:?} which should be POST",
            request.method.as_str()
        );
        return Err(Refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            Status::new(Code::Internal, text),
        ));
    }
    let content_type = content_type(&request.headers);
    if !matches!(
        content_type.get(b"application/grpc".len()),
        None | Some(b'+' | b';')
    ) {
        let text = format!(
            "invalid gRPC request content-type {:?}",
            String::from_utf8_lossy(content_type)
        );
        return Err(Refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Status::new(Code::InvalidArgument, text),
        ));
    }
    let path = request.uri.path();
    path.strip_prefix('/')
        .and_then(|path| path.rsplit_once('/'))
        .ok_or_else(|| {
            let text = format!("malformed method name: {path:?}");
            Refusal(StatusCode::OK, Status::new(Code::Unimplemented, text))
        })
}

/// A request that is no proper gRPC call.
pub(crate) struct Refusal(StatusCode, Status);

impl From<Refusal> for Response<Body> {
    fn from(Refusal(http_status, status): Refusal) -> Self {
        let mut response = failed(&status);
        *response.status_mut() = http_status;
        response
    }
}

fn content_type(headers: &HeaderMap) -> &[u8] {
    headers.get(CONTENT_TYPE).map_or(&[], HeaderValue::as_bytes)
}

/// Reads the one request, lets `handler` answer it, and sends the one reply.
pub(crate) async fn unary<Req, Reply>(
    body: Incoming,
    max_bytes: usize,
    handler: impl AsyncFnOnce(Req) -> Result<Reply, Status>,
) -> Response<Body>
where
    Req: Message + Default,
    Reply: Message,
{
    unary_encoded(body, max_bytes, async |request| {
        encode(&handler(request).await?)
    })
    .await
}

/// The same for a handler that [`encode`]s its reply itself.
pub(crate) async fn unary_encoded<Req>(
    body: Incoming,
    max_bytes: usize,
    handler: impl AsyncFnOnce(Req) -> Result<Bytes, Status>,
) -> Response<Body>
where
    Req: Message + Default,
{
    let answer = async { handler(decode(only_message(body, max_bytes).await?)?).await };
    match answer.await {
        Ok(message) => reply(Body::message(message)),
        Err(status) => failed(&status),
    }
}

/// Reads the one request and sends every reply of the stream that `handler` makes.
pub(crate) async fn server_streaming<Req, Reply, Replies>(
    body: Incoming,
    max_bytes: usize,
    stopping: watch::Receiver<bool>,
    handler: impl AsyncFnOnce(Req) -> Result<Replies, Status>,
) -> Response<Body>
where
    Req: Message + Default,
    Reply: Message + 'static,
    Replies: Stream<Item = Result<Reply, Status>> + Send + 'static,
{
    let answer = async { handler(decode(only_message(body, max_bytes).await?)?).await };
    match answer.await {
        Ok(replies) => send(replies, stopping).await,
        Err(status) => failed(&status),
    }
}

/// Gives the peer's requests to `handler`, and sends every reply of the stream that it makes of them.
///
/// What the stream does not read of the requests, the peer's flow control holds back.
pub(crate) async fn bidirectional<Req, Reply, Replies>(
    body: Incoming,
    max_bytes: usize,
    stopping: watch::Receiver<bool>,
    handler: impl FnOnce(Requests<Req>) -> Replies,
) -> Response<Body>
where
    Req: Message + Default,
    Reply: Message + 'static,
    Replies: Stream<Item = Result<Reply, Status>> + Send + 'static,
{
    let requests = Requests::new(Messages::new(body, max_bytes));
    send(handler(requests), stopping).await
}

/// Sends replies, until the stream ends or the server stops: a stream may have no end of its own.
///
/// Like with grpc-go, nothing is sent before the first reply, not even headers; a client that waits
/// for them before its first request waits for ever. After that the stream is polled only when the
/// peer has room for the next message.
async fn send<Reply, Replies>(replies: Replies, stopping: watch::Receiver<bool>) -> Response<Body>
where
    Reply: Message + 'static,
    Replies: Stream<Item = Result<Reply, Status>> + Send + 'static,
{
    let mut frames = Box::pin(Frames::new(UntilStopped::new(replies, stopping)));
    match frames.next().await {
        Some(Ok(first)) => reply(Body::messages(tokio_stream::once(Ok(first)).chain(frames))),
        Some(Err(status)) => failed(&status),
        None => reply(Body::no_message()),
    }
}

/// The only message of a request that has exactly one, once the peer has ended the request.
async fn only_message(body: Incoming, max_bytes: usize) -> Result<Bytes, Status> {
    let mut messages = Messages::new(body, max_bytes);
    let message = messages
        .next()
        .await?
        .ok_or_else(|| Status::new(Code::Internal, "the call ended without a request message"))?;
    match messages.next().await? {
        None => Ok(message),
        Some(_) => Err(Status::new(
            Code::Internal,
            "the call has more than one request message, but the method takes one",
        )),
    }
}

/// A call that ends with `status` and no message.
pub(crate) fn failed(status: &Status) -> Response<Body> {
    let mut response = reply(Body::empty());
    status.write_to(response.headers_mut());
    response
}

fn reply(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}
