//! A byte stream that says why, when the server ends it before its first word.
//!
//! Two common mistakes show only here. A server that rejects the client's certificate in TLS 1.3
//! says so after the client has finished its handshake; and a server that expects TLS hangs up on
//! whoever speaks HTTP/2 in the clear. The client is writing by then, so that what it sees first may
//! be a broken pipe, while the reason waits to be read.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Explains errors until the first bytes from the server; from then on only passes bytes on.
pub(crate) struct FirstWords<I> {
    io: I,
    /// What to make of the server's first words; `None` once it has spoken.
    explain: Option<Explain>,
    /// The write that failed, while the reason is still awaited.
    failed: Option<io::Error>,
}

/// What a stream began with.
#[derive(Debug)]
pub(crate) enum First {
    Byte(u8),
    /// The end, before any byte.
    Failed(io::Error),
}

/// Lets a first byte pass, or gives the error that stands in for it or for a failure.
pub(crate) type Explain = Box<dyn FnOnce(First) -> io::Result<()> + Send>;

impl<I: AsyncRead + AsyncWrite + Unpin> FirstWords<I> {
    pub(crate) fn new(
        io: I,
        explain: impl FnOnce(First) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self {
            io,
            explain: Some(Box::new(explain)),
            failed: None,
        }
    }

    fn read_first(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let first = match ready!(Pin::new(&mut self.io).poll_read(cx, buffer)) {
            Ok(()) if buffer.remaining() == 0 && buffer.filled().len() == before => {
                return Poll::Ready(Ok(()));
            }
            Ok(()) => match buffer.filled().get(before) {
                Some(byte) => First::Byte(*byte),
                None => First::Failed(io::ErrorKind::UnexpectedEof.into()),
            },
            Err(error) => First::Failed(error),
        };
        Poll::Ready(match (first, self.explain.take()) {
            (first, Some(explain)) => explain(first),
            (First::Byte(_), None) => Ok(()),
            (First::Failed(error), None) => Err(error),
        })
    }

    /// Writes, and on failure reads what the server has to say about it.
    fn write_first<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut I>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.failed.is_none() {
            match write(Pin::new(&mut self.io), cx) {
                Poll::Ready(Err(error)) if self.explain.is_some() => self.failed = Some(error),
                other => return other,
            }
        }
        // A stream that cannot be written has been closed by the server, so this does not wait for
        // long; and all of it falls within the time to connect.
        let mut scratch = [0; 64];
        let answer = ready!(self.read_first(cx, &mut ReadBuf::new(&mut scratch)));
        let error = self
            .failed
            .take()
            .unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
        Poll::Ready(Err(answer.err().unwrap_or(error)))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for FirstWords<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.explain {
            None => Pin::new(&mut self.io).poll_read(cx, buffer),
            Some(_) => self.read_first(cx, buffer),
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for FirstWords<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_first(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_first(cx, |io, cx| io.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_first(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A stream whose every write fails, and which gives these results to reads.
    struct Closed {
        reads: VecDeque<Poll<io::Result<&'static [u8]>>>,
    }

    impl AsyncRead for Closed {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            cx.waker().wake_by_ref();
            let bytes = ready!(self.reads.pop_front().expect("a read too many"))?;
            buffer.put_slice(bytes);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Closed {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn closed<const N: usize>(reads: [Poll<io::Result<&'static [u8]>>; N]) -> FirstWords<Closed> {
        let reads = VecDeque::from(reads);
        FirstWords::new(Closed { reads }, |first| match first {
            First::Byte(b'!') => Err(io::Error::other("a shout")),
            First::Byte(_) => Ok(()),
            First::Failed(error) => Err(io::Error::other(format!("explained: {error}"))),
        })
    }

    async fn write(mut stream: FirstWords<Closed>) -> String {
        let error = stream.write_all(b"hello").await.expect_err("it is closed");
        error.to_string()
    }

    #[tokio::test]
    async fn a_failed_write_waits_for_the_reason() {
        let alert = Err(io::Error::other("alert"));
        let stream = closed([Poll::Pending, Poll::Ready(alert)]);
        assert_eq!(write(stream).await, "explained: alert");
        let stream = closed([Poll::Pending, Poll::Pending, Poll::Ready(Ok(b"!"))]);
        assert_eq!(write(stream).await, "a shout");
        let stream = closed([Poll::Ready(Ok(b""))]);
        assert_eq!(write(stream).await, "explained: unexpected end of file");
        let stream = closed([Poll::Ready(Ok(b"ordinary"))]);
        assert_eq!(write(stream).await, "broken pipe");
    }

    #[tokio::test]
    async fn after_the_first_byte_nothing_is_explained() {
        let mut stream = closed([
            Poll::Ready(Ok(b"a")),
            Poll::Ready(Ok(b"!")),
            Poll::Ready(Err(io::Error::other("alert"))),
        ]);
        let mut text = String::new();
        let error = stream.read_to_string(&mut text).await.expect_err("the end");
        assert_eq!(error.to_string(), "alert");
        assert_eq!(write(stream).await, "broken pipe");
    }
}
