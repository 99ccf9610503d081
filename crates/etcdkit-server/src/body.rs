//! The body of every response.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use crate::grpc::Status;

type Pieces = Pin<Box<dyn Stream<Item = Bytes> + Send>>;
type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// What follows a response's headers.
pub(crate) struct Body(State);

enum State {
    /// Nothing more.
    End,
    /// Plain content of an HTTP response.
    Content(Bytes),
    /// The same without a length, which HTTP/1 sends in chunks.
    Chunked(Bytes),
    /// Content of an HTTP response that comes by and by.
    Pieces(Pieces),
    /// The framed reply of a unary call, then its trailers.
    Message(Bytes),
    /// The trailers of a call that succeeded.
    Trailers,
    /// The framed replies of a streaming call; its end decides the trailers.
    Messages(Messages),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self(State::End)
    }

    pub(crate) fn content(content: impl Into<Bytes>) -> Self {
        Self(State::Content(content.into()))
    }

    /// Content whose length the headers do not say.
    pub(crate) fn chunked(content: impl Into<Bytes>) -> Self {
        Self(State::Chunked(content.into()))
    }

    /// Content that is made while it is sent.
    pub(crate) fn pieces(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(State::Pieces(Box::pin(pieces)))
    }

    pub(crate) fn message(frame: Bytes) -> Self {
        Self(State::Message(frame))
    }

    /// A call that succeeded without a reply.
    pub(crate) fn no_message() -> Self {
        Self(State::Trailers)
    }

    /// The framed reply of a unary call, and its trailers; the body itself if it is anything else.
    pub(crate) fn into_reply(self) -> Result<(Bytes, HeaderMap), Self> {
        match self.0 {
            State::Message(message) => Ok((message, Status::ok_trailers())),
            _ => Err(self),
        }
    }

    pub(crate) fn messages(
        frames: impl Stream<Item = Result<Bytes, Status>> + Send + 'static,
    ) -> Self {
        Self(State::Messages(Box::pin(frames)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let (frame, next) = match &mut self.0 {
            State::End => return Poll::Ready(None),
            State::Content(content) | State::Chunked(content) => {
                (Frame::data(std::mem::take(content)), State::End)
            }
            State::Message(message) => (Frame::data(std::mem::take(message)), State::Trailers),
            State::Trailers => (Frame::trailers(Status::ok_trailers()), State::End),
            State::Pieces(pieces) => match pieces.as_mut().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                Poll::Ready(None) => {
                    self.0 = State::End;
                    return Poll::Ready(None);
                }
            },
            State::Messages(messages) => match messages.as_mut().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(message))) => {
                    return Poll::Ready(Some(Ok(Frame::data(message))));
                }
                Poll::Ready(Some(Err(status))) => (Frame::trailers(status.trailers()), State::End),
                Poll::Ready(None) => (Frame::trailers(Status::ok_trailers()), State::End),
            },
        };
        self.0 = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, State::End)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::End => SizeHint::with_exact(0),
            State::Content(content) => SizeHint::with_exact(content.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
