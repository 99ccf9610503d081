//! Requests as bytes: gRPC's five-byte prefix and the protobuf message behind it.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// gRPC's prefix: one byte says "not compressed", four the length of the message.
pub(crate) const PREFIX: usize = 5;

/// An encoded request; cloning it shares the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Frame(Bytes);

impl Frame {
    /// Encodes a message.
    pub(crate) fn of(message: &impl Message) -> Self {
        let length = message.encoded_len();
        let mut bytes = Self::begin(length);
        message.encode_raw(&mut bytes);
        Self(bytes.freeze())
    }

    fn begin(length: usize) -> BytesMut {
        let mut bytes = BytesMut::with_capacity(PREFIX + length);
        bytes.put_u8(0);
        // Longer messages are refused before they are sent, so the cast never truncates one.
        bytes.put_u32(length as u32);
        bytes
    }

    /// The message's length without the prefix.
    pub(crate) fn message_len(&self) -> usize {
        self.0.len() - PREFIX
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.0.clone()
    }
}
