//! The plain HTTP side of the client port: `/health` and `/version`.
//!
//! Bodies, codes and headers are those of etcd 3.6, whose handlers are Go's `net/http`.

use http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde_json::json;

use crate::body::Body;
use crate::node::Node;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Answers a request that is not gRPC.
pub(crate) fn answer<B>(node: &Node, request: &Request<B>) -> Response<Body> {
    match request.uri().path() {
        "/health" => only_get(request, health),
        "/version" => only_get(request, || version(node)),
        _ => text(StatusCode::NOT_FOUND, "404 page not found\n"),
    }
}

/// A member without alarms, alone in its cluster, is healthy whenever it answers.
fn health() -> Response<Body> {
    // etcd names no type here, and Go then finds plain text.
    content(TEXT, r#"{"health":"true","reason":""}"#.to_owned())
}

fn version(node: &Node) -> Response<Body> {
    let version = node.identity.version;
    let mut versions = json!({
        "etcdserver": version.to_string(),
        "etcdcluster": version.of_cluster().to_string(),
    });
    if version.reports_storage() {
        versions["storage"] = version.of_cluster().to_string().into();
    }
    content(JSON, versions.to_string())
}

fn only_get<B>(request: &Request<B>, answer: impl FnOnce() -> Response<Body>) -> Response<Body> {
    if request.method() == Method::GET {
        return answer();
    }
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET"));
    response
}

fn content(content_type: HeaderValue, body: String) -> Response<Body> {
    let mut response = Response::new(Body::content(body));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn text(status: StatusCode, body: &str) -> Response<Body> {
    let mut response = content(TEXT, body.to_owned());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
