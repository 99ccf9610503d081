//! The two directions of a streaming call.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use etcdkit_proto::EtcdError;
use futures_core::Stream;
use pin_project_lite::pin_project;
use prost::Message;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

use super::Status;
use super::frame::{Messages, decode, encode_into};
use crate::incoming::Incoming;

/// How much of what is ready goes into one piece. Each piece costs the HTTP/2 layer far more than
/// a small message costs to encode.
const PIECE_BYTES: usize = 16 * 1024;

/// What the peer of a bidirectional call sends.
pub(crate) struct Requests<Req> {
    messages: Messages<Incoming>,
    request: PhantomData<fn() -> Req>,
}

impl<Req: Message + Default> Requests<Req> {
    pub(super) fn new(messages: Messages<Incoming>) -> Self {
        Self {
            messages,
            request: PhantomData,
        }
    }

    /// The next request, or `None` when the peer has sent all it wants to. Loses nothing when dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Req>, Status> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Req>, Status>> {
        let message = ready!(self.messages.poll_next(cx))?;
        Poll::Ready(message.map(decode).transpose())
    }
}

pin_project! {
    /// Frames replies, and joins those that are ready at the same time.
    pub(super) struct Frames<S> {
        #[pin]
        replies: S,
        // How the stream ended, while there is still a piece to give out before.
        ended: Option<Result<(), Status>>,
    }
}

impl<S> Frames<S> {
    pub(super) fn new(replies: S) -> Self {
        Self {
            replies,
            ended: None,
        }
    }
}

impl<S, Reply> Stream for Frames<S>
where
    S: Stream<Item = Result<Reply, Status>>,
    Reply: Message,
{
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let mut piece = BytesMut::new();
        while this.ended.is_none() && piece.len() < PIECE_BYTES {
            *this.ended = match this.replies.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(reply))) => encode_into(&reply, &mut piece).err().map(Err),
                Poll::Ready(Some(Err(status))) => Some(Err(status)),
                Poll::Ready(None) => Some(Ok(())),
                Poll::Pending if piece.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            };
        }
        if !piece.is_empty() {
            return Poll::Ready(Some(Ok(piece.freeze())));
        }
        // The end stays on record: the stream is not polled again.
        Poll::Ready(match this.ended.replace(Ok(())) {
            Some(Err(status)) => Some(Err(status)),
            Some(Ok(())) | None => None,
        })
    }
}

pin_project! {
    /// Ends a stream with an error when the server stops.
    pub(crate) struct UntilStopped<S> {
        #[pin]
        replies: S,
        stopping: WatchStream<bool>,
    }
}

impl<S> UntilStopped<S> {
    pub(crate) fn new(replies: S, stopping: watch::Receiver<bool>) -> Self {
        Self {
            replies,
            stopping: WatchStream::new(stopping),
        }
    }
}

impl<S, Reply> Stream for UntilStopped<S>
where
    S: Stream<Item = Result<Reply, Status>>,
{
    type Item = Result<Reply, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let polled = this.replies.poll_next(cx);
        if polled.is_ready() {
            return polled;
        }
        loop {
            match ready!(Pin::new(&mut *this.stopping).poll_next(cx)) {
                Some(false) => {}
                // Without a sender the server is gone, too.
                Some(true) | None => return Poll::Ready(Some(Err(EtcdError::Stopped.into()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::etcdserverpb::PutRequest;
    use tokio_stream::StreamExt as _;

    use super::*;

    fn put(len: usize) -> PutRequest {
        PutRequest {
            value: vec![0; len].into(),
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn what_is_ready_goes_out_together_and_the_end_after_it() {
        let replies = vec![Ok(put(10)), Ok(put(20)), Err(EtcdError::NoLeader.into())];
        let mut frames = Frames::new(tokio_stream::iter(replies));
        let piece = frames.next().await.unwrap().unwrap();
        assert_eq!(piece.len(), 5 + 12 + 5 + 22);
        let status = frames.next().await.unwrap().unwrap_err();
        assert_eq!(status, EtcdError::NoLeader.into());
        assert!(frames.next().await.is_none());
    }

    #[tokio::test]
    async fn pieces_are_bounded() {
        let mut frames = Frames::new(tokio_stream::iter((0..10).map(|_| Ok(put(10_000)))));
        let mut pieces = 0;
        while let Some(piece) = frames.next().await {
            assert!(piece.unwrap().len() < PIECE_BYTES + 10_020);
            pieces += 1;
        }
        assert_eq!(pieces, 5);
    }

    #[tokio::test]
    async fn a_stop_ends_a_stream_that_waits() {
        let (stop, stopping) = watch::channel(false);
        let replies = tokio_stream::iter([Ok(put(1))]).chain(tokio_stream::pending());
        let mut replies = UntilStopped::new(replies, stopping);
        replies.next().await.unwrap().unwrap();
        stop.send_replace(true);
        let status = replies.next().await.unwrap().unwrap_err();
        assert_eq!(status, EtcdError::Stopped.into());
    }
}
