//! How a call ends: a gRPC status and its form on the wire.

use std::borrow::Cow;
use std::fmt::Write as _;

use etcdkit_proto::{Code, EtcdError};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A call's failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    code: Code,
    message: Cow<'static, str>,
}

impl Status {
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The same text with another code.
    pub(crate) fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// Writes the status into headers (a reply without messages) or trailers.
    pub(crate) fn write_to(&self, headers: &mut HeaderMap) {
        headers.insert(GRPC_STATUS, HeaderValue::from(self.code as u8 as u16));
        // The encoded text is plain ASCII, so that it is always a valid header value.
        if let Ok(text) = HeaderValue::from_maybe_shared(percent_encoded(&self.message)) {
            headers.insert(GRPC_MESSAGE, text);
        }
    }

    /// The code of a call that was answered in one piece.
    pub(crate) fn code_of<B>(response: &Response<B>) -> Code {
        let written = response.headers().get(GRPC_STATUS);
        let code = written.and_then(|code| code.to_str().ok()?.parse().ok());
        code.map_or(Code::Ok, Code::from_number)
    }

    /// The trailers of a call that succeeded.
    pub(crate) fn ok_trailers() -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
        trailers
    }

    /// The trailers of a call that failed after its headers were sent.
    pub(crate) fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(2);
        self.write_to(&mut trailers);
        trailers
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// The one place where an etcd error becomes what is sent.
impl From<EtcdError> for Status {
    fn from(error: EtcdError) -> Self {
        Self {
            code: error.wire_code(),
            message: Cow::Borrowed(error.text()),
        }
    }
}

/// gRPC's encoding of `grpc-message`: printable ASCII except `%` as it is, the rest as `%XX`.
fn percent_encoded(text: &str) -> bytes::Bytes {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etcd_error_keeps_its_code_and_text() {
        let trailers = Status::from(EtcdError::Compacted).trailers();
        assert_eq!(trailers["grpc-status"], "11");
        assert_eq!(
            trailers["grpc-message"],
            "etcdserver: mvcc: required revision has been compacted"
        );
    }

    #[test]
    fn a_message_survives_any_text() {
        let trailers = Status::new(Code::Unknown, "100 % \n é").trailers();
        assert_eq!(trailers["grpc-message"], "100 %25 %0A %C3%A9");
    }
}
