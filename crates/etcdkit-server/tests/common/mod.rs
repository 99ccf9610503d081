//! Clients for the tests: tonic's stubs, so that the server is judged by a gRPC it does not share.

#![allow(clippy::unwrap_used)]
#![allow(dead_code)] // each test binary uses its part

pub(crate) mod disk;
pub(crate) mod raw;

use std::task::{Context, Poll};

use etcdkit_proto::etcdserverpb::kv_client::KvClient;
use etcdkit_proto::etcdserverpb::{PutRequest, RangeRequest};
use etcdkit_server::{Connector, Server};
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use tower_service::Service;

/// How a test reaches the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Tcp,
    Pipe,
}

pub(crate) const WAYS: [Way; 2] = [Way::Tcp, Way::Pipe];

pub(crate) async fn start() -> Server {
    Server::builder().start().await.expect("the server starts")
}

pub(crate) async fn channel(server: &Server, way: Way) -> Channel {
    let endpoint = Endpoint::from_shared(server.endpoint()).unwrap();
    match way {
        Way::Tcp => endpoint.connect().await.unwrap(),
        Way::Pipe => endpoint
            .connect_with_connector(TonicConnector(server.connector()))
            .await
            .unwrap(),
    }
}

pub(crate) async fn connect(endpoint: String) -> KvClient<Channel> {
    KvClient::new(
        Endpoint::from_shared(endpoint)
            .unwrap()
            .connect()
            .await
            .unwrap(),
    )
}

pub(crate) async fn kv(server: &Server, way: Way) -> KvClient<Channel> {
    KvClient::new(channel(server, way).await)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

pub(crate) fn put(key: &str, value: impl Into<Vec<u8>>) -> PutRequest {
    PutRequest {
        key: key.to_owned().into(),
        value: value.into().into(),
        ..Default::default()
    }
}

pub(crate) fn get(key: &str) -> RangeRequest {
    RangeRequest {
        key: key.to_owned().into(),
        ..Default::default()
    }
}

/// Every key.
pub(crate) fn all() -> RangeRequest {
    RangeRequest {
        key: (&b"\0"[..]).into(),
        range_end: (&b"\0"[..]).into(),
        ..Default::default()
    }
}

pub(crate) fn is(status: &Status, code: Code, text: &str) {
    assert_eq!((status.code(), status.message()), (code, text));
}

/// tonic wants hyper's kind of stream.
#[derive(Clone)]
struct TonicConnector(Connector);

impl Service<Uri> for TonicConnector {
    type Response = TokioIo<tokio::io::DuplexStream>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(self.0.open().map(TokioIo::new))
    }
}

/// A connector for tonic made of a function.
#[derive(Clone)]
pub(crate) struct ServiceFn<F>(F);

pub(crate) fn service_fn<F>(connect: F) -> ServiceFn<F> {
    ServiceFn(connect)
}

impl<F, T, Connecting> Service<Uri> for ServiceFn<F>
where
    F: FnMut(Uri) -> Connecting,
    Connecting: Future<Output = std::io::Result<T>>,
{
    type Response = T;
    type Error = std::io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        (self.0)(uri)
    }
}
