//! etcd's v2 API over HTTP: `/v2/keys` and what is beside it.
//!
//! Answers are those of etcd 3.5.30 with `--enable-v2`, down to bytes and headers.

mod answer;
mod auth;
mod form;
mod head;
mod keys;
mod machines;
mod media_type;
mod members;
mod modules;
pub(crate) mod own;
mod parameters;
mod path;
mod stats;
mod watch;

use std::sync::Arc;

use http::header::EXPECT;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body as _;
use time::OffsetDateTime;

use crate::body::Body;
use crate::connection::Line;
use crate::incoming::Incoming;
use crate::node::Node;
use modules::Modules;
use path::Path;

/// How much of a body that nobody reads Go's server takes, so that the connection can go on.
const LONGEST_LEFTOVER: usize = 256 * 1024;

/// What the front end knows by itself.
pub(crate) struct V2 {
    /// Since when the member runs, and leads.
    started: OffsetDateTime,
    /// What only 0.x has, if it is answered.
    modules: Option<Modules>,
}

impl V2 {
    /// Knows nothing yet. `modules`: whether to answer what only 0.x has.
    pub(crate) fn start(modules: bool) -> Self {
        Self {
            started: OffsetDateTime::now_utc(),
            modules: modules.then(Modules::default),
        }
    }
}

/// A request on its way to the function that answers it.
struct Call<'a> {
    line: &'a Arc<Line>,
    parts: Parts,
    /// Everything after the host, decoded and clean.
    path: Vec<u8>,
    body: Incoming,
}

impl Call<'_> {
    fn node(&self) -> &Node {
        &self.line.node
    }

    fn method(&self) -> &Method {
        &self.parts.method
    }

    /// Refuses all methods but these, which the header `Allow` names as they are given, with commas.
    fn require_method(&self, allowed: &'static str) -> Result<(), Box<Response<Body>>> {
        match allowed.split(',').any(|method| self.method() == method) {
            true => Ok(()),
            false => Err(Box::new(answer::method_not_allowed(allowed))),
        }
    }
}

/// Answers a request for `/v2`, or for nothing that there is.
pub(crate) async fn serve(line: &Arc<Line>, request: Request<Incoming>) -> Response<Body> {
    let Some(v2) = &line.node.v2 else {
        return answer::not_found();
    };
    let (parts, body) = request.into_parts();
    if let Some(refusal) = head::refused(&parts) {
        return refusal;
    }
    let mut call = match Path::of(&parts.uri) {
        Path::Clean(path) => Call {
            line,
            parts,
            path,
            body,
        },
        Path::Elsewhere(place) => return answer::elsewhere(&parts.method, &place),
        Path::Malformed => {
            let mut response = answer::malformed();
            answer::hang_up(&mut response, parts.version);
            return response;
        }
    };
    let mut response = route(v2, &mut call).await;
    if !finish(&mut call).await {
        answer::hang_up(&mut response, call.parts.version);
    }
    response
}

async fn route(v2: &V2, call: &mut Call<'_>) -> Response<Body> {
    let path = std::mem::take(&mut call.path);
    if let Some(modules) = &v2.modules
        && let Some(response) = modules::serve(modules, call, &path).await
    {
        return response;
    }
    let Some(rest) = path.strip_prefix(b"/v2/") else {
        return answer::not_found();
    };
    let end = rest.iter().position(|byte| *byte == b'/');
    let (service, rest) = rest.split_at(end.unwrap_or(rest.len()));
    match (service, rest) {
        (b"keys", key) => keys::serve(call, key).await,
        (b"auth", rest) => auth::serve(call, rest).await,
        (b"machines", b"") => machines::serve(call),
        (b"members", id) => members::serve(call, id.strip_prefix(b"/").unwrap_or(id)).await,
        (b"stats", b"/store") => stats::store(call).await,
        (b"stats", b"/self") => stats::own(v2, call),
        (b"stats", b"/leader") => stats::leader(call),
        _ => answer::not_found(),
    }
}

/// Takes what is left of a request's body. Whether the next request may follow it.
async fn finish(call: &mut Call<'_>) -> bool {
    if call.body.is_end_stream() {
        return true;
    }
    // Whoever waits for leave to send a body was not given it.
    let is_coming = !call.parts.headers.contains_key(EXPECT);
    is_coming && call.body.read(LONGEST_LEFTOVER).await.is_ok()
}
