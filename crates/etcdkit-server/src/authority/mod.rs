//! Clients that send a URL or a path as `:authority`.
//!
//! The Go client up to 3.4, and with it etcdctl 3.4, sends `http://host:port` there on calls to one chosen endpoint
//! (`endpoint status`, `endpoint hashkv`), and a path when connected by unix socket. etcd does not look at
//! it; the HTTP/2 library here refuses such a call as malformed, and cannot be told otherwise. So the
//! bytes of the header are exchanged for harmless ones before the library reads them.
//!
//! Only the value changes, never its length, before or after decompression: the compression tables of
//! both sides must stay equal. A connection whose first call is well-formed is not looked at any further.

mod hpack;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
/// The longest frame a peer may send unless told otherwise, and it is not.
const MAX_FRAME: usize = 16 * 1024;
const CHUNK: usize = 4 * 1024;

/// Repairs what it reads, and writes straight through.
pub(crate) struct RepairAuthority<I> {
    io: I,
    /// Bytes read from `io` and not yet passed on.
    buffer: BytesMut,
    state: State,
}

enum State {
    /// Reading HTTP/2 frames; the first `ready` bytes of the buffer may be passed on.
    Looking { ready: usize, at: At },
    /// Nothing more to repair.
    Through,
}

#[derive(Clone, Copy)]
enum At {
    Preface,
    FrameHead { repairing: bool },
    Payload { left: usize, repairing: bool },
}

impl<I> RepairAuthority<I> {
    pub(crate) fn new(io: I) -> Self {
        let state = State::Looking {
            ready: 0,
            at: At::Preface,
        };
        Self {
            io,
            buffer: BytesMut::new(),
            state,
        }
    }

    /// Looks at what was read since the last time.
    fn look(&mut self) {
        while let State::Looking { ready, at } = &mut self.state {
            let rest = self.buffer.get_mut(*ready..).unwrap_or_default();
            match *at {
                At::Preface => {
                    let known = rest.len().min(PREFACE.len());
                    if rest.get(..known) != PREFACE.get(..known) {
                        self.state = State::Through;
                    } else if known < PREFACE.len() {
                        return;
                    } else {
                        *ready += PREFACE.len();
                        *at = At::FrameHead { repairing: false };
                    }
                }
                At::Payload { left, repairing } => {
                    let here = left.min(rest.len());
                    *ready += here;
                    if here < left {
                        *at = At::Payload {
                            left: left - here,
                            repairing,
                        };
                        return;
                    }
                    *at = At::FrameHead { repairing };
                }
                At::FrameHead { repairing } => {
                    let Some((head, payload)) = rest.split_at_mut_checked(FRAME_HEAD) else {
                        return;
                    };
                    let &mut [a, b, c, kind, flags, ..] = head else {
                        return;
                    };
                    let length = u32::from_be_bytes([0, a, b, c]) as usize;
                    if kind != HEADERS {
                        *ready += FRAME_HEAD;
                        *at = At::Payload {
                            left: length,
                            repairing,
                        };
                    } else if length > MAX_FRAME {
                        self.state = State::Through;
                    } else {
                        let Some(payload) = payload.get_mut(..length) else {
                            return;
                        };
                        let repaired = hpack::repair_authority(payload, flags);
                        if repaired || repairing {
                            *ready += FRAME_HEAD + length;
                            *at = At::FrameHead { repairing: true };
                        } else {
                            self.state = State::Through;
                        }
                    }
                }
            }
        }
    }
}

impl<I: AsyncRead + Unpin> RepairAuthority<I> {
    /// Whether the peer speaks HTTP/2; waits for as many bytes as it takes to know. To be asked before
    /// anything is read.
    pub(crate) async fn is_http2(&mut self) -> io::Result<bool> {
        poll_fn(|cx| {
            while let State::Looking {
                at: At::Preface, ..
            } = self.state
            {
                ready!(self.poll_fill(cx))?;
            }
            Poll::Ready(Ok(self.buffer.starts_with(PREFACE)))
        })
        .await
    }

    /// Reads more, and looks at it.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; CHUNK];
        let mut chunk = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk))?;
        if chunk.filled().is_empty() {
            self.state = State::Through;
        } else {
            self.buffer.extend_from_slice(chunk.filled());
            self.look();
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for RepairAuthority<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let ready = match &this.state {
                State::Looking { ready, .. } => *ready,
                State::Through if this.buffer.is_empty() => {
                    return Pin::new(&mut this.io).poll_read(cx, buf);
                }
                State::Through => this.buffer.len(),
            };
            if ready > 0 {
                let taken = ready.min(buf.remaining());
                buf.put_slice(this.buffer.get(..taken).unwrap_or_default());
                this.buffer.advance(taken);
                if let State::Looking { ready, .. } = &mut this.state {
                    *ready -= taken;
                }
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_fill(cx))?;
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for RepairAuthority<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, 4, 0, 0, 0, 1]);
        frame.extend(payload);
        frame
    }

    /// Gives its bytes a few at a time.
    struct Steps {
        bytes: Vec<u8>,
        step: usize,
    }

    impl AsyncRead for Steps {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let n = self.step.min(self.bytes.len()).min(buf.remaining());
            buf.put_slice(&self.bytes[..n]);
            self.bytes.drain(..n);
            Poll::Ready(Ok(()))
        }
    }

    async fn through(wire: &[u8], step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut io = RepairAuthority::new(Steps {
            bytes: wire.to_vec(),
            step,
        });
        io.read_to_end(&mut out).await.unwrap();
        out
    }

    #[tokio::test]
    async fn only_the_authority_of_calls_changes() {
        let plain = |value: &str| [&[0x41, value.len() as u8], value.as_bytes()].concat();
        let wire = |url: &str| {
            let mut wire = PREFACE.to_vec();
            wire.extend(frame(4, b""));
            wire.extend(frame(HEADERS, &plain(url)));
            wire.extend(frame(0, &plain("http://data:1")));
            wire.extend(frame(HEADERS, &plain("/again")));
            wire.extend(b"half a fr");
            wire
        };
        for step in [1, 2, 3, 7, 24, 33, 1000] {
            let out = through(&wire("http://a:1"), step).await;
            let text = String::from_utf8_lossy(&out);
            assert!(
                text.contains("httpB..aB1") && !text.contains("http://a:1"),
                "{text:?}"
            );
            assert!(
                text.contains("http://data:1") && text.contains(".again"),
                "{text:?}"
            );
            assert!(text.ends_with("half a fr"), "{text:?}");
            assert_eq!(out.len(), wire("http://a:1").len());
        }
        for untouched in [
            wire("host:2379"),
            b"GET http://a/ HTTP/1.1\r\n\r\n".to_vec(),
            b"PRI".to_vec(),
        ] {
            for step in [1, 5, 1000] {
                assert_eq!(through(&untouched, step).await, untouched);
            }
        }
    }
}
