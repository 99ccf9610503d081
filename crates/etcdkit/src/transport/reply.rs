//! Reading gRPC from an HTTP/2 response: messages with a five-byte prefix, then the status.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use etcdkit_proto::Code;
use h2::RecvStream;
use http::{HeaderMap, StatusCode};

use super::Failure;
use crate::wire::PREFIX;

/// A message up to this size is copied out of the connection's read buffer, which would otherwise
/// stay alive as long as any key or value of the reply does.
const COPY_UP_TO: usize = 4096;

/// At most this much is reserved on the word of a length prefix alone.
const TRUST_UP_TO: usize = 1 << 20;

/// The messages of one response, in order.
#[derive(Debug)]
pub(crate) struct Messages {
    body: RecvStream,
    /// A frame's rest that has not been looked at yet.
    frame: Bytes,
    /// A message or prefix that arrives in pieces.
    partial: BytesMut,
    /// The length of the message that `partial` will hold, once its prefix is known.
    wanted: Option<usize>,
    limit: usize,
}

impl Messages {
    /// Takes a response's head; an answer that is a status only ends here.
    pub(crate) fn new(response: http::Response<RecvStream>, limit: usize) -> Result<Self, Failure> {
        let (head, body) = response.into_parts();
        if head.headers.contains_key("grpc-status") {
            status(&head.headers)?;
            return Err(Failure::protocol("a success without a message"));
        }
        match head.status {
            StatusCode::OK => {}
            // What gateways answer for a server that they cannot reach; gRPC takes these so, too.
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let message = format!("HTTP status {}", head.status);
                return Err(Failure::Status {
                    code: Code::Unavailable,
                    message,
                });
            }
            other => return Err(Failure::protocol(format!("HTTP status {other}"))),
        }
        let is_grpc = head
            .headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if !is_grpc {
            return Err(Failure::protocol("an answer that is not gRPC"));
        }
        let (frame, partial) = (Bytes::new(), BytesMut::new());
        Ok(Self {
            body,
            frame,
            partial,
            wanted: None,
            limit,
        })
    }

    /// The next message, or `None` once the server has ended the call with success.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            match self.take_message() {
                Ok(None) => {}
                Ok(message) => return Poll::Ready(Ok(message)),
                Err(failure) => return Poll::Ready(Err(failure)),
            }
            match ready!(self.body.poll_data(cx)) {
                Some(Ok(frame)) => {
                    // Given back at once: a reply's size is bounded by `limit`, not by the window.
                    let _ = self.body.flow_control().release_capacity(frame.len());
                    self.frame = frame;
                }
                Some(Err(error)) => return Poll::Ready(Err(Failure::Lost(error.into()))),
                None => break,
            }
        }
        let trailers = match ready!(self.body.poll_trailers(cx)) {
            Ok(Some(trailers)) => trailers,
            Ok(None) => return Poll::Ready(Err(Failure::protocol("an answer without a status"))),
            Err(error) => return Poll::Ready(Err(Failure::Lost(error.into()))),
        };
        status(&trailers)?;
        if !self.partial.is_empty() || self.wanted.is_some() {
            return Poll::Ready(Err(Failure::protocol(
                "an answer that ends inside a message",
            )));
        }
        Poll::Ready(Ok(None))
    }

    /// Takes a whole message out of what has arrived, if there is one.
    fn take_message(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.wanted.is_none() {
            let prefix: [u8; PREFIX] = if self.partial.is_empty() && self.frame.len() >= PREFIX {
                let mut prefix = [0; PREFIX];
                self.frame.copy_to_slice(&mut prefix);
                prefix
            } else {
                let missing = PREFIX - self.partial.len();
                self.partial
                    .extend_from_slice(&self.frame.split_to(missing.min(self.frame.len())));
                match self.partial[..].try_into() {
                    Ok(prefix) => {
                        self.partial.clear();
                        prefix
                    }
                    Err(_) => return Ok(None),
                }
            };
            let [flag, a, b, c, d] = prefix;
            if flag != 0 {
                return Err(Failure::protocol(
                    "a compressed message, which was not asked for",
                ));
            }
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            if length > self.limit {
                return Err(Failure::TooLarge {
                    length,
                    limit: self.limit,
                });
            }
            if self.frame.len() < length {
                self.partial.reserve(length.min(TRUST_UP_TO));
            }
            self.wanted = Some(length);
        }
        let Some(length) = self.wanted else {
            return Ok(None);
        };
        if self.partial.is_empty() && self.frame.len() >= length {
            self.wanted = None;
            let message = self.frame.split_to(length);
            return Ok(Some(match length <= COPY_UP_TO {
                true => Bytes::copy_from_slice(&message),
                false => message,
            }));
        }
        let missing = length - self.partial.len();
        self.partial
            .extend_from_slice(&self.frame.split_to(missing.min(self.frame.len())));
        if self.partial.len() < length {
            return Ok(None);
        }
        self.wanted = None;
        Ok(Some(std::mem::take(&mut self.partial).freeze()))
    }
}

/// Success, or the failure that `grpc-status` and `grpc-message` tell.
fn status(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(number) = headers.get("grpc-status") else {
        return Err(Failure::protocol("an answer without a status"));
    };
    if number.as_bytes() == b"0" {
        return Ok(());
    }
    let number = number
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(u32::MAX);
    let message = headers
        .get("grpc-message")
        .map_or(&b""[..], |value| value.as_bytes());
    Err(Failure::Status {
        code: Code::from_number(number),
        message: percent_decode(message),
    })
}

/// Undoes the percent-encoding of `grpc-message`; what is malformed stays as it is.
fn percent_decode(text: &[u8]) -> String {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        let mut ahead = rest.clone();
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                rest = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_errors_are_percent_decoded() {
        for (text, decoded) in [
            ("etcdserver: no leader", "etcdserver: no leader"),
            ("100%25 a%20b", "100% a b"),
            ("%e2%82%AC", "\u{20ac}"),
            ("%", "%"),
            ("%zz%4", "%zz%4"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(percent_decode(text.as_bytes()), decoded);
        }
    }

    #[test]
    fn a_status_is_read_whatever_it_holds() {
        let mut headers = HeaderMap::new();
        assert!(matches!(status(&headers), Err(Failure::Protocol(_))));
        headers.insert("grpc-status", "0".parse().unwrap());
        assert!(status(&headers).is_ok());
        headers.insert("grpc-status", "99999999999".parse().unwrap());
        headers.insert("grpc-message", "x".parse().unwrap());
        let Err(Failure::Status { code, message }) = status(&headers) else {
            panic!()
        };
        assert_eq!((code, message.as_str()), (Code::Unknown, "x"));
    }
}
