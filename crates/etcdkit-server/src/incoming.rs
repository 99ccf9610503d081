//! The body of every request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;

/// What follows a request's headers, over either version of HTTP.
pub(crate) struct Incoming {
    source: Source,
    /// Whether all of it was taken.
    is_read: bool,
    /// Whether something in it was wrong, so that nobody knows where it ends.
    is_broken: bool,
}

enum Source {
    Http1(hyper::body::Incoming),
    Http2(h2::RecvStream),
}

/// The rest of a request does not come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken;

/// Why a request's body could not be read whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unread {
    /// It is longer than it may be.
    TooLong,
    /// The rest does not come.
    Broken,
}

impl Incoming {
    /// Reads all of it, up to a number of bytes.
    pub(crate) async fn read(&mut self, longest: usize) -> Result<Vec<u8>, Unread> {
        if self.is_broken {
            return Err(Unread::Broken);
        }
        let mut all = Vec::new();
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame.map_err(|Broken| Unread::Broken)?.into_data() else {
                continue;
            };
            if all.len() + data.len() > longest {
                return Err(Unread::TooLong);
            }
            all.extend_from_slice(&data);
        }
        Ok(all)
    }
}

impl From<Source> for Incoming {
    fn from(source: Source) -> Self {
        Self {
            source,
            is_read: false,
            is_broken: false,
        }
    }
}

impl From<hyper::body::Incoming> for Incoming {
    fn from(body: hyper::body::Incoming) -> Self {
        Source::Http1(body).into()
    }
}

impl From<h2::RecvStream> for Incoming {
    fn from(body: h2::RecvStream) -> Self {
        Source::Http2(body).into()
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = match &mut self.source {
            Source::Http1(body) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(|_| Broken))
            }
            // Trailers of a request mean nothing in gRPC.
            Source::Http2(body) => match ready!(body.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Fails only for more than has come.
                    let _ = body.flow_control().release_capacity(data.len());
                    Some(Ok(Frame::data(data)))
                }
                Some(Err(_)) => Some(Err(Broken)),
                None => None,
            },
        };
        self.is_read |= frame.is_none();
        self.is_broken |= matches!(frame, Some(Err(Broken)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_read
            || match &self.source {
                Source::Http1(body) => body.is_end_stream(),
                Source::Http2(body) => body.is_end_stream(),
            }
    }
}
