//! The head of a request: what Go's HTTP server refuses by itself, before etcd sees it.

use http::header::{AsHeaderName, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};

use super::answer;
use crate::body::Body;
use crate::http_api::TEXT;

/// The answer to a request that is not carried out, after which the connection ends. HTTP/2 has nothing of it.
pub(super) fn refused(parts: &Parts) -> Option<Response<Body>> {
    if parts.version > Version::HTTP_11 {
        return None;
    }
    let mut response = refusal(parts)?;
    answer::hang_up(&mut response, parts.version);
    Some(response)
}

fn refusal(parts: &Parts) -> Option<Response<Body>> {
    let headers = &parts.headers;
    let host = headers.get(HOST);
    if host.is_some() && only(headers, HOST).is_none() {
        return Some(answer::malformed());
    }
    let needs_host = parts.version == Version::HTTP_11;
    // Where a body ends must not be a matter of opinion. In 1.0 it is not.
    if needs_host && headers.contains_key(TRANSFER_ENCODING) && !is_chunked(headers) {
        let text = "Unsupported transfer encoding";
        return Some(of_text(StatusCode::NOT_IMPLEMENTED, text));
    }
    let wrong = match host {
        None if needs_host => Some("400 Bad Request: missing required Host header"),
        Some(host) if !host.as_bytes().iter().copied().all(may_be_in_host) => {
            Some("400 Bad Request: malformed Host header")
        }
        _ => None,
    };
    if let Some(text) = wrong {
        return Some(of_text(StatusCode::BAD_REQUEST, text));
    }
    let expected = headers.get(EXPECT);
    if expected.is_some_and(|expected| !can_be_met(expected)) {
        return Some(answer::empty(StatusCode::EXPECTATION_FAILED));
    }
    // Only `OPTIONS`, which never gets here, may be about the server as a whole.
    (parts.uri.path() == "*").then(|| answer::empty(StatusCode::BAD_REQUEST))
}

fn is_chunked(headers: &HeaderMap) -> bool {
    only(headers, TRANSFER_ENCODING).is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))
}

/// The value of a header that occurs once.
fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value.as_bytes())
}

/// An answer of Go's server, which does not say which kind of server it is.
fn of_text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::content(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

/// Letters, digits and what RFC 3986 has in hosts, ports included.
fn may_be_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&byte)
}

/// Whether nothing is expected but leave to send the body.
fn can_be_met(expected: &HeaderValue) -> bool {
    let expected = expected.as_bytes();
    expected.is_empty()
        || expected
            .split(|byte| matches!(byte, b',' | b' ' | b'\t'))
            .any(|word| word.eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// The status that a request with these headers is refused with.
    fn status(version: Version, path: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder().version(version).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        refused(&parts).map(|response| response.status().as_u16())
    }

    /// As 3.4.23, 3.5.16 and 3.5.30 answered.
    #[test]
    fn what_go_refuses_is_refused() {
        let host = ("Host", "h:1");
        for (headers, expected) in [
            (&[][..], Some(400)),
            (&[host], None),
            (&[("Host", "")], None),
            (&[("Host", "[::1]:2379")], None),
            (&[host, host], Some(400)),
            (&[("Host", "a b")], Some(400)),
            (&[("Host", "a/b")], Some(400)),
            (&[host, ("Expect", "100-Continue")], None),
            (&[host, ("Expect", "x, 100-continue")], None),
            (&[host, ("Expect", "")], None),
            (&[host, ("Expect", "bananas")], Some(417)),
            (&[host, ("Transfer-Encoding", "Chunked")], None),
            (&[host, ("Transfer-Encoding", "gzip, chunked")], Some(501)),
            (
                &[host, ("Transfer-Encoding", "chunked, chunked")],
                Some(501),
            ),
            (&[("Transfer-Encoding", "gzip")], Some(501)),
            (&[host, host, ("Transfer-Encoding", "gzip")], Some(400)),
        ] {
            let refused = status(Version::HTTP_11, "/v2/keys/a", headers);
            assert_eq!(refused, expected, "{headers:?}");
        }
        let chunked = ("Transfer-Encoding", "chunked");
        let twice = [host, chunked, chunked];
        assert_eq!(status(Version::HTTP_11, "/", &twice), Some(501));
        assert_eq!(status(Version::HTTP_11, "*", &[host]), Some(400));
    }

    #[test]
    fn other_versions_need_less() {
        assert_eq!(status(Version::HTTP_10, "/", &[]), None);
        assert_eq!(status(Version::HTTP_10, "/", &[("Expect", "x")]), Some(417));
        assert_eq!(status(Version::HTTP_10, "/", &[("Host", "a b")]), Some(400));
        assert_eq!(status(Version::HTTP_2, "/", &[("Host", "a b")]), None);
    }
}
