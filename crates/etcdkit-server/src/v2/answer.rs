//! Answers, byte for byte as etcd and Go's HTTP server write them.

use etcdkit_proto::json;
use etcdkit_proto::v2::{KeysError, Message};
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use serde::Serialize;

use crate::body::Body;
use crate::http_api::{JSON, TEXT, text};
use crate::node::Node;

const CLUSTER_ID: HeaderName = HeaderName::from_static("x-etcd-cluster-id");
const ETCD_INDEX: HeaderName = HeaderName::from_static("x-etcd-index");
const RAFT_INDEX: HeaderName = HeaderName::from_static("x-raft-index");
const RAFT_TERM: HeaderName = HeaderName::from_static("x-raft-term");

/// What Go buffers: a longer body is on its way before its length is known.
const LONGEST_WITH_LENGTH: usize = 2048;

/// Where the store and the log are, as the headers of an answer tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Indexes {
    pub(super) etcd: u64,
    pub(super) raft: u64,
    pub(super) term: u64,
}

impl Indexes {
    pub(super) fn of(node: &Node, etcd: u64) -> Self {
        Self {
            etcd,
            raft: node.applier.applied_index(),
            term: node.raft_term(),
        }
    }
}

/// An answer in JSON that ends without a newline: statistics and messages.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    content(status, JSON, encode(value))
}

/// An answer in JSON that ends with a newline: everything about keys, members and users.
pub(super) fn json_line(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    content(status, JSON, encode_line(value))
}

/// Plain text.
pub(super) fn plain(content_of: impl Into<Vec<u8>>) -> Response<Body> {
    content(StatusCode::OK, TEXT, content_of.into())
}

/// A status alone.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// What everything but `/v2/keys` says when it refuses.
pub(super) fn message(status: StatusCode, message: impl Into<String>) -> Response<Body> {
    let message = message.into();
    json(status, &Message { message })
}

/// What `/v2/keys` says when it refuses.
pub(super) fn keys_error(error: &KeysError) -> Response<Body> {
    let status = error.code().map(|code| StatusCode::from_u16(code.status()));
    let status = status.and_then(Result::ok);
    let mut response = json_line(status.unwrap_or(StatusCode::BAD_REQUEST), error);
    let index = HeaderValue::from(error.index);
    response.headers_mut().insert(ETCD_INDEX, index);
    response
}

/// The head of an answer about keys, which says where everything is.
pub(super) fn with_indexes(mut response: Response<Body>, indexes: Indexes) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(ETCD_INDEX, HeaderValue::from(indexes.etcd));
    headers.insert(RAFT_INDEX, HeaderValue::from(indexes.raft));
    headers.insert(RAFT_TERM, HeaderValue::from(indexes.term));
    response
}

/// Says which cluster answers.
pub(super) fn with_cluster_id(mut response: Response<Body>, id: u64) -> Response<Body> {
    if let Ok(id) = HeaderValue::try_from(format!("{id:x}")) {
        response.headers_mut().insert(CLUSTER_ID, id);
    }
    response
}

/// An answer whose body comes piece by piece.
pub(super) fn streamed(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub(super) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

pub(super) fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// What Go's server says to a request that it cannot read, before etcd sees it.
pub(super) fn malformed() -> Response<Body> {
    let mut response = Response::new(Body::content("400 Bad Request"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

/// Sends a client to the clean form of its path. Only readers are told in HTML, too.
pub(super) fn elsewhere(method: &Method, place: &str) -> Response<Body> {
    let mut response = match *method {
        Method::GET => {
            let place = escape_html(place);
            let html = format!("<a href=\"{place}\">Moved Permanently</a>.\n\n");
            content(StatusCode::MOVED_PERMANENTLY, HTML, html.into())
        }
        Method::HEAD => {
            let mut response = empty(StatusCode::MOVED_PERMANENTLY);
            response.headers_mut().insert(CONTENT_TYPE, HTML);
            response
        }
        _ => empty(StatusCode::MOVED_PERMANENTLY),
    };
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Closes the connection after this answer. HTTP/2 has no such header.
pub(super) fn hang_up(response: &mut Response<Body>, version: Version) {
    if version > Version::HTTP_11 {
        return;
    }
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// A value with the newline that Go's encoder ends it with.
pub(super) fn encode_line(value: &impl Serialize) -> Vec<u8> {
    let mut encoded = encode(value);
    encoded.push(b'\n');
    encoded
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut encoded = Vec::new();
    // Neither memory nor what is written here can fail.
    if let Err(error) = json::to_writer(&mut encoded, value) {
        tracing::error!(%error, "an answer could not be written as JSON");
    }
    encoded
}

fn content(status: StatusCode, content_type: HeaderValue, content: Vec<u8>) -> Response<Body> {
    let length = content.len();
    let mut response = if length <= LONGEST_WITH_LENGTH {
        let mut response = Response::new(Body::content(content));
        let length = HeaderValue::from(length);
        response.headers_mut().insert(CONTENT_LENGTH, length);
        response
    } else {
        Response::new(Body::chunked(content))
    };
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
