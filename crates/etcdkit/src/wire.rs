//! Requests as bytes: gRPC's five-byte prefix and the protobuf message behind it.
//!
//! The hot requests are encoded by hand ([`Encode`]), straight from what the caller lent; all
//! others go through the generated messages.

use std::{cell::RefCell, fmt};

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::wrap::namespace::Namespace;

/// gRPC's prefix: one byte says "not compressed", four the length of the message.
pub(crate) const PREFIX: usize = 5;

/// Frames are cut from blocks of this size, one block after the other on each thread, so that a
/// request costs no allocation of its own. Larger ones get their own buffer.
const BLOCK: usize = 64 << 10;
const CUT_UP_TO: usize = 4 << 10;

thread_local! {
    static ARENA: RefCell<BytesMut> = RefCell::default();
}

/// An encoded request; cloning it shares the bytes.
#[derive(Clone)]
pub(crate) struct Frame(Bytes);

impl fmt::Debug for Frame {
    /// Says how long it is; what is in it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Frame").field(&self.message_len()).finish()
    }
}

impl Frame {
    /// Encodes a generated message.
    pub(crate) fn of(message: &impl Message) -> Self {
        Self::write(message.encoded_len(), |bytes| message.encode_raw(bytes))
    }

    /// Encodes a message by hand.
    pub(crate) fn build(message: &impl Encode, namespace: &Namespace) -> Self {
        let mut length = Length(0);
        message.encode(namespace, &mut length);
        Self::write(length.0, |bytes| message.encode(namespace, bytes))
    }

    fn write(length: usize, encode: impl FnOnce(&mut BytesMut)) -> Self {
        let write = |mut bytes: BytesMut| {
            bytes.put_u8(0);
            // Longer messages are refused before they are sent, so the cast never truncates one.
            bytes.put_u32(length as u32);
            encode(&mut bytes);
            bytes
        };
        if length > CUT_UP_TO {
            return Self(write(BytesMut::with_capacity(PREFIX + length)).freeze());
        }
        ARENA.with_borrow_mut(|arena| {
            if arena.capacity() < PREFIX + length {
                // Takes the old block again once none of its frames is in use any more.
                arena.reserve(BLOCK);
            }
            let mut bytes = write(std::mem::take(arena));
            let frame = bytes.split().freeze();
            *arena = bytes;
            Self(frame)
        })
    }

    /// The message's length without the prefix.
    pub(crate) fn message_len(&self) -> usize {
        self.0.len() - PREFIX
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.0.clone()
    }
}

/// Frames a generated message behind others.
pub(crate) fn append(out: &mut BytesMut, message: &impl Message) {
    let length = message.encoded_len();
    out.reserve(PREFIX + length);
    out.put_u8(0);
    out.put_u32(length as u32);
    message.encode_raw(out);
}

/// A message that writes its own fields, in the order of their numbers, its keys into a namespace. It
/// is asked twice, first to be measured and then to be written.
pub(crate) trait Encode {
    fn encode(&self, namespace: &Namespace, sink: &mut impl Sink);
}

/// Where encoded fields go. Fields that hold their type's zero are left out, as proto3 wants it.
pub(crate) trait Sink {
    fn byte(&mut self, byte: u8);
    fn slice(&mut self, bytes: &[u8]);

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    fn int_field(&mut self, number: u8, value: i64) {
        if value != 0 {
            self.byte(number << 3);
            self.varint(value as u64);
        }
    }

    fn bool_field(&mut self, number: u8, value: bool) {
        self.int_field(number, value.into());
    }

    fn bytes_field<'a>(&mut self, number: u8, bytes: impl Into<Joined<'a>>) {
        let bytes = bytes.into();
        let length = bytes.len();
        if length != 0 {
            self.byte(number << 3 | 2);
            self.varint(length as u64);
            self.slice(bytes.first);
            self.slice(bytes.then);
            if let Some(last) = bytes.last {
                self.byte(last);
            }
        }
    }
}

/// Bytes that come from several places and are sent as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joined<'a> {
    pub(crate) first: &'a [u8],
    pub(crate) then: &'a [u8],
    pub(crate) last: Option<u8>,
}

impl Joined<'_> {
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.then.len() + usize::from(self.last.is_some())
    }
}

impl<'a> From<&'a [u8]> for Joined<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self {
            first: &[],
            then: bytes,
            last: None,
        }
    }
}

struct Length(usize);

impl Sink for Length {
    fn byte(&mut self, _: u8) {
        self.0 += 1;
    }

    fn slice(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

impl Sink for BytesMut {
    fn byte(&mut self, byte: u8) {
        self.put_u8(byte);
    }

    fn slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}
