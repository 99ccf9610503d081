//! A gRPC proxy that passes everything on unchanged and writes down the messages.

use crate::{
    Failure,
    journal::Journal,
    transcript::{Direction, Message, Refusal},
};
use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, combinators::MapFrame};
use hyper::{
    body::{Frame, Incoming},
    client, server,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, Status};

/// Which messages a proxy writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Requests and responses: for clients whose requests are of interest.
    All,
    /// Responses only: for requests that this project made, which prove nothing.
    Responses,
}

/// Starts a proxy in front of `upstream` (`host:port`) and returns its own `host:port`.
pub(crate) async fn start(
    upstream: String,
    journal: Journal,
    keep: Keep,
) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (upstream, journal) = (upstream.clone(), journal.clone());
            tokio::spawn(async move {
                // A connection that breaks is noticed by its client; there is nobody to tell here.
                let _ = serve(stream, upstream, journal, keep).await;
            });
        }
    });
    Ok(address)
}

async fn serve(
    stream: TcpStream,
    upstream: String,
    journal: Journal,
    keep: Keep,
) -> Result<(), Failure> {
    let onward = TcpStream::connect(upstream).await?;
    let (sender, connection) =
        client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(onward)).await?;
    tokio::spawn(connection);
    let service = service_fn(move |request: Request<Incoming>| {
        let (mut sender, journal) = (sender.clone(), journal.clone());
        async move {
            let method = request.uri().path().trim_start_matches('/').to_string();
            let (head, body) = request.into_parts();
            let body = tap(body, Direction::Request, &method, &journal, keep);
            let response = sender.send_request(Request::from_parts(head, body)).await?;
            let (head, body) = response.into_parts();
            // A call refused at once has its status in the headers and no body.
            note_refusal(&head.headers, &method, &journal);
            let body = tap(body, Direction::Response, &method, &journal, keep);
            Ok::<_, hyper::Error>(Response::from_parts(head, body))
        }
    });
    server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

type Tapped = MapFrame<Incoming, Box<dyn FnMut(Frame<Bytes>) -> Frame<Bytes> + Send>>;

/// The same body, whose messages are written down as they pass.
fn tap(
    body: Incoming,
    direction: Direction,
    method: &str,
    journal: &Journal,
    keep: Keep,
) -> Tapped {
    let mut messages = Splitter::default();
    let (method, journal) = (method.to_string(), journal.clone());
    let ignored = keep == Keep::Responses && direction == Direction::Request;
    body.map_frame(Box::new(move |frame| {
        if let Some(trailers) = frame.trailers_ref() {
            note_refusal(trailers, &method, &journal);
        }
        if let Some(data) = frame.data_ref().filter(|_| !ignored) {
            messages.buffer.extend_from_slice(data);
            while let Some(bytes) = messages.next() {
                journal.message(Message {
                    direction,
                    method: method.clone(),
                    bytes,
                });
            }
        }
        frame
    }))
}

/// Writes down a status other than success.
fn note_refusal(headers: &HeaderMap, method: &str, journal: &Journal) {
    if let Some(status) =
        Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
    {
        journal.refusal(Refusal {
            method: method.to_string(),
            code: i32::from(status.code()).unsigned_abs(),
            text: status.message().to_string(),
        });
    }
}

/// Cuts a body into messages: each has a byte that says "compressed" and its length in 4 bytes in
/// front. etcd never compresses.
#[derive(Default)]
struct Splitter {
    buffer: Vec<u8>,
}

impl Splitter {
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut head = self.buffer.get(..5)?;
        let _compressed = head.get_u8();
        let end = 5 + head.get_u32() as usize;
        let message = self.buffer.get(5..end)?.to_vec();
        self.buffer.drain(..end);
        Some(message)
    }
}
