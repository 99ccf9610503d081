//! gRPC's framing: each message has a flag byte and its length before it.
//!
//! The length is checked before anything is read or allocated for it, with the code and the text of
//! grpc-go, which clients of etcd match on.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use etcdkit_proto::Code;
use http_body::Body;
use prost::Message;

use super::Status;

/// Flag byte and big-endian length.
const PREFIX: usize = 5;

/// etcd's limit for one message it sends.
const MAX_SEND_BYTES: usize = i32::MAX as usize;

/// Splits a request body into messages.
pub(crate) struct Messages<B> {
    body: B,
    /// What has arrived and belongs to no message yet.
    buffer: Bytes,
    /// A message of which the length is known and not everything is here.
    partial: Option<Partial>,
    max_bytes: usize,
}

struct Partial {
    length: usize,
    message: BytesMut,
}

impl<B: Body<Data = Bytes> + Unpin> Messages<B> {
    /// Reads from `body`, and refuses any message longer than `max_bytes`.
    pub(crate) fn new(body: B, max_bytes: usize) -> Self {
        Self {
            body,
            buffer: Bytes::new(),
            partial: None,
            max_bytes,
        }
    }

    /// The next message, or `None` when the peer has sent all it wants to. Loses nothing when dropped.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            if let Some(message) = self.take_message()? {
                return Poll::Ready(Ok(Some(message)));
            }
            match ready!(self.poll_chunk(cx))? {
                Some(chunk) if self.buffer.is_empty() => self.buffer = chunk,
                Some(chunk) => {
                    let mut joined = BytesMut::with_capacity(self.buffer.len() + chunk.len());
                    joined.extend_from_slice(&self.buffer);
                    joined.extend_from_slice(&chunk);
                    self.buffer = joined.freeze();
                }
                None if self.buffer.is_empty() && self.partial.is_none() => {
                    return Poll::Ready(Ok(None));
                }
                None => return Poll::Ready(Err(truncated())),
            }
        }
    }

    /// A message that has arrived as a whole.
    fn take_message(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(mut partial) = self.partial.take() else {
            if self.buffer.len() < PREFIX {
                return Ok(None);
            }
            let length = self.take_prefix()?;
            if self.buffer.len() >= length {
                return Ok(Some(self.buffer.split_to(length)));
            }
            let mut message = BytesMut::with_capacity(length);
            message.extend_from_slice(&std::mem::take(&mut self.buffer));
            self.partial = Some(Partial { length, message });
            return Ok(None);
        };
        let missing = partial.length - partial.message.len();
        let piece = self.buffer.split_to(missing.min(self.buffer.len()));
        partial.message.extend_from_slice(&piece);
        if partial.message.len() == partial.length {
            return Ok(Some(partial.message.freeze()));
        }
        self.partial = Some(partial);
        Ok(None)
    }

    /// Takes a prefix off the buffer, which has it. Returns the message's length.
    fn take_prefix(&mut self) -> Result<usize, Status> {
        let flag = self.buffer.get_u8();
        let length = self.buffer.get_u32() as usize;
        match flag {
            0 => {}
            1 => {
                return Err(Status::new(
                    Code::Unimplemented,
                    "grpc: compressed requests are not supported by this server",
                ));
            }
            _ => {
                return Err(Status::new(
                    Code::Internal,
                    format!("grpc: received unexpected payload format {flag}"),
                ));
            }
        }
        if length > self.max_bytes {
            return Err(Status::new(
                Code::ResourceExhausted,
                format!(
                    "grpc: received message larger than max ({length} vs. {})",
                    self.max_bytes
                ),
            ));
        }
        Ok(length)
    }

    /// The next piece of the body, whatever its size.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) if chunk.is_empty() => {}
                    Ok(chunk) => return Poll::Ready(Ok(Some(chunk))),
                    // Trailers of a request mean nothing in gRPC.
                    Err(_) => {}
                },
                // The peer reset the call or went away; nobody reads this answer.
                Some(Err(_)) => {
                    return Poll::Ready(Err(Status::new(
                        Code::Cancelled,
                        "the call was cancelled",
                    )));
                }
            }
        }
    }
}

fn truncated() -> Status {
    Status::new(Code::Internal, "unexpected EOF")
}

/// Decodes a message; its byte fields share the memory of `bytes`.
pub(crate) fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| {
        Status::new(
            Code::Internal,
            format!("grpc: error unmarshalling request: {error}"),
        )
    })
}

/// Encodes a message together with its prefix.
pub(crate) fn encode<M: Message>(message: &M) -> Result<Bytes, Status> {
    let mut frame = BytesMut::with_capacity(PREFIX + message.encoded_len());
    encode_into(message, &mut frame)?;
    Ok(frame.freeze())
}

/// Appends a message together with its prefix.
pub(crate) fn encode_into<M: Message>(message: &M, frames: &mut BytesMut) -> Result<(), Status> {
    let length = message.encoded_len();
    let prefix = u32::try_from(length)
        .ok()
        .filter(|_| length <= MAX_SEND_BYTES);
    let Some(prefix) = prefix else {
        return Err(Status::new(
            Code::ResourceExhausted,
            format!("grpc: trying to send message larger than max ({length} vs. {MAX_SEND_BYTES})"),
        ));
    };
    frames.reserve(PREFIX + length);
    frames.put_u8(0);
    frames.put_u32(prefix);
    message.encode_raw(frames);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use etcdkit_proto::etcdserverpb::PutRequest;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    fn body(chunks: Vec<Bytes>) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        StreamBody::new(tokio_stream::iter(
            chunks
                .into_iter()
                .map(|chunk| Ok::<_, Infallible>(Frame::data(chunk))),
        ))
    }

    async fn read_all(chunks: Vec<Bytes>, max_bytes: usize) -> Result<Vec<Bytes>, Status> {
        let mut messages = Messages::new(body(chunks), max_bytes);
        let mut all = Vec::new();
        while let Some(message) = messages.next().await? {
            all.push(message);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn messages_are_the_same_however_the_body_is_cut() {
        let puts: Vec<PutRequest> = [0, 1, 300]
            .map(|size| PutRequest {
                key: "k".into(),
                value: vec![7; size].into(),
                ..Default::default()
            })
            .into();
        let mut wire = Vec::new();
        for put in &puts {
            wire.extend_from_slice(&encode(put).unwrap());
        }
        for step in 1..=wire.len() {
            let chunks = wire.chunks(step).map(Bytes::copy_from_slice).collect();
            let decoded: Vec<PutRequest> = read_all(chunks, 1 << 20)
                .await
                .unwrap()
                .into_iter()
                .map(|bytes| decode(bytes).unwrap())
                .collect();
            assert_eq!(decoded, puts, "cut every {step} bytes");
        }
    }

    #[tokio::test]
    async fn the_length_is_refused_before_the_message_arrives() {
        let error = read_all(
            vec![Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff])],
            2_097_152,
        )
        .await
        .unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert_eq!(
            error.message(),
            "grpc: received message larger than max (4294967295 vs. 2097152)"
        );
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_an_error() {
        for wire in [&[0, 0, 0][..], &[0, 0, 0, 0, 2, 1][..]] {
            let error = read_all(vec![Bytes::from_static(wire)], 100)
                .await
                .unwrap_err();
            assert_eq!(error, truncated(), "{wire:?}");
        }
    }

    #[tokio::test]
    async fn flags_other_than_plain_are_refused() {
        for (flag, code) in [(1, Code::Unimplemented), (2, Code::Internal)] {
            let error = read_all(vec![vec![flag, 0, 0, 0, 0].into()], 100)
                .await
                .unwrap_err();
            assert_eq!(error.code(), code);
        }
    }
}
