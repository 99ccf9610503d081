//! The plain HTTP side of the client port: `/health`, `/version` and `/metrics`, and the way to v2.
//!
//! Bodies, codes and headers are those of etcd 3.6, whose handlers are Go's `net/http`.

use std::sync::Arc;

use etcdkit_proto::etcdserverpb::AlarmType;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW,
    CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::body::Body;
use crate::connection::Line;
use crate::incoming::Incoming;
use crate::metrics::page;
use crate::node::Node;
use crate::v2;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const METRICS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Answers a request that is not gRPC.
pub(crate) async fn answer(line: &Arc<Line>, request: Request<Incoming>) -> Response<Body> {
    let node = &*line.node;
    let is_head = request.method() == Method::HEAD;
    let mut response = match (request.method(), request.uri().path()) {
        (&Method::OPTIONS, _) => Response::new(Body::empty()),
        (&Method::GET, "/health") => health(node, request.uri().query().unwrap_or_default()),
        (&Method::GET, "/version") => version(node),
        (_, "/metrics") => metrics(node),
        (_, "/health" | "/version") => only_get(),
        _ => v2::serve(line, request).await,
    };
    allow_every_origin(&mut response);
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// A member alone in its cluster is healthy whenever it answers, unless an alarm is raised that the
/// query does not exclude, as `exclude=NOSPACE` does.
fn health(node: &Node, query: &str) -> Response<Body> {
    let response = checked(node, query);
    let metrics = &node.metrics;
    let counter = match response.status() {
        StatusCode::OK => &metrics.health_checks_passed,
        _ => &metrics.health_checks_failed,
    };
    counter.add(1);
    response
}

fn checked(node: &Node, query: &str) -> Response<Body> {
    let excluded = |name| {
        query
            .split('&')
            .any(|pair| pair.strip_prefix("exclude=") == Some(name))
    };
    let Ok(alarms) = node
        .applier
        .read(|store| Ok(store.alarms().list(AlarmType::None.into())))
    else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "broken\n");
    };
    let mut names = alarms
        .iter()
        .map(|alarm| match AlarmType::try_from(alarm.alarm) {
            Ok(known) => known.as_str_name(),
            Err(_) => "UNKNOWN",
        });
    let reason = match names.find(|name| !excluded(*name)) {
        Some(raised) => format!("ALARM {raised}"),
        None if node.leadership.is_lost() => "RAFT NO LEADER".to_owned(),
        // etcd names no type here, and Go then finds plain text.
        None => return content(TEXT, r#"{"health":"true","reason":""}"#),
    };
    let body = format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}\n");
    text(StatusCode::SERVICE_UNAVAILABLE, &body)
}

fn metrics(node: &Node) -> Response<Body> {
    match page(node) {
        Ok(page) => content(METRICS, page),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "broken\n"),
    }
}

fn version(node: &Node) -> Response<Body> {
    let version = node.identity.version;
    let cluster = version.of_cluster();
    content(
        JSON,
        if version.reports_storage() {
            format!(
                r#"{{"etcdserver":"{version}","etcdcluster":"{cluster}","storage":"{cluster}"}}"#
            )
        } else {
            format!(r#"{{"etcdserver":"{version}","etcdcluster":"{cluster}"}}"#)
        },
    )
}

fn only_get() -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET"));
    response
}

/// What etcd's `--cors` does unless set otherwise.
fn allow_every_origin(response: &mut Response<Body>) {
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            ACCESS_CONTROL_ALLOW_METHODS,
            "POST, GET, OPTIONS, PUT, DELETE",
        ),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "accept, content-type, authorization",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
}

fn content(content_type: HeaderValue, body: impl Into<String>) -> Response<Body> {
    let body = body.into();
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Body::content(body));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

pub(crate) fn text(status: StatusCode, body: &str) -> Response<Body> {
    let mut response = content(TEXT, body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
