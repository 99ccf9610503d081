//! `/v2/members`: a cluster of one.

use etcdkit_proto::v2::{Member, MemberRequest, Members};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::error::Category;

use super::{Call, answer, auth};
use crate::body::Body;
use crate::http_api::text;
use crate::node::Node;
use crate::service::cluster;

/// Longer than any list of URLs.
const LONGEST_BODY: usize = 1024 * 1024;

pub(super) async fn serve(call: &mut Call<'_>, id: &[u8]) -> Response<Body> {
    if matches!(*call.method(), Method::POST | Method::PUT | Method::DELETE)
        && let Err(refusal) = auth::require_root(call.node(), &call.parts).await
    {
        return *refusal;
    }
    let id = String::from_utf8_lossy(id).into_owned();
    let response = match *call.method() {
        Method::GET => list(call.node(), &id),
        Method::POST => add(call).await,
        Method::PUT => update(call, &id).await,
        Method::DELETE => remove(call.node(), &id),
        _ => return answer::method_not_allowed("GET,POST,DELETE,PUT"),
    };
    answer::with_cluster_id(response, call.node().identity.cluster_id)
}

fn list(node: &Node, id: &str) -> Response<Body> {
    match id {
        "" => {
            let members = vec![own(node)];
            answer::json_line(StatusCode::OK, &Members { members })
        }
        "leader" if node.leadership.is_lost() => {
            answer::message(StatusCode::SERVICE_UNAVAILABLE, "During election")
        }
        "leader" => answer::json_line(StatusCode::OK, &own(node)),
        _ => answer::message(StatusCode::NOT_FOUND, "Not found"),
    }
}

/// Refuses, as the service of v3 does.
async fn add(call: &mut Call<'_>) -> Response<Body> {
    let urls = match peer_urls(call).await {
        Ok(urls) => urls,
        Err(refusal) => return *refusal,
    };
    if call.node().leadership.is_lost() {
        return unable();
    }
    if cluster::is_own_url(call.node(), &urls) {
        return answer::message(StatusCode::CONFLICT, "membership: peerURL exists");
    }
    answer::message(StatusCode::NOT_IMPLEMENTED, cluster::NO_OTHER_MEMBERS)
}

/// Changes the peer URLs that the member list shows; nothing listens there.
async fn update(call: &mut Call<'_>, id: &str) -> Response<Body> {
    let id = match member(id) {
        Ok(id) => id,
        Err(refusal) => return *refusal,
    };
    let urls = match peer_urls(call).await {
        Ok(urls) => urls,
        Err(refusal) => return *refusal,
    };
    if call.node().leadership.is_lost() {
        return unable();
    }
    if id != call.node().identity.member_id {
        return no_such_member(&format!("{id:x}"));
    }
    cluster::set_peer_urls(call.node(), urls);
    answer::empty(StatusCode::NO_CONTENT)
}

/// Refuses: without its only member there is no cluster.
fn remove(node: &Node, id: &str) -> Response<Body> {
    match member(id) {
        Ok(id) if id == node.identity.member_id || node.leadership.is_lost() => unable(),
        Ok(id) => no_such_member(&format!("{id:x}")),
        Err(refusal) => *refusal,
    }
}

/// What etcd says when the members as they are do not allow a change, or have no leader to make it.
fn unable() -> Response<Body> {
    answer::message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

fn own(node: &Node) -> Member {
    let member = cluster::own(node);
    Member {
        id: format!("{:x}", member.id),
        name: member.name,
        peer_urls: member.peer_ur_ls,
        client_urls: member.client_ur_ls,
    }
}

/// The id in a path: hexadecimal without a sign.
fn member(id: &str) -> Result<u64, Box<Response<Body>>> {
    if id.is_empty() {
        let refusal = text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
        return Err(Box::new(refusal));
    }
    let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hex.then(|| u64::from_str_radix(id, 16).ok()).flatten();
    number.ok_or_else(|| Box::new(no_such_member(id)))
}

fn no_such_member(id: &str) -> Response<Body> {
    answer::message(StatusCode::NOT_FOUND, format!("No such member: {id}"))
}

/// The URLs in a body, sorted as etcd sorts them, if they can be used.
async fn peer_urls(call: &mut Call<'_>) -> Result<Vec<String>, Box<Response<Body>>> {
    let media_type = media_type(&call.parts.headers);
    if media_type != "application/json" {
        let reason = format!("Bad Content-Type {media_type}, accept application/json");
        let refusal = answer::message(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
        return Err(Box::new(refusal));
    }
    let body = call.body.read(LONGEST_BODY).await.unwrap_or_default();
    // Go takes `null` for a request without URLs.
    let request: Result<Option<MemberRequest>, _> = serde_json::from_slice(&body);
    let request = request.map_err(|error| match error.classify() {
        Category::Eof => "unexpected end of JSON input".to_owned(),
        _ => error.to_string(),
    });
    let urls = request.and_then(|request| {
        let MemberRequest { peer_urls } = request.unwrap_or_default();
        if peer_urls.is_empty() {
            return Err("no valid URLs given".to_owned());
        }
        let mut urls = Vec::with_capacity(peer_urls.len());
        for url in &peer_urls {
            cluster::check_peer_url(url)?;
            urls.push(url.trim().to_owned());
        }
        urls.sort();
        Ok(urls)
    });
    urls.map_err(|reason| Box::new(answer::message(StatusCode::BAD_REQUEST, reason)))
}

/// The type of the body. etcd takes capital letters only if parameters follow.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let value = String::from_utf8_lossy(value.unwrap_or_default());
    match value.split_once(';') {
        Some((media_type, _)) => media_type.to_lowercase().trim().to_owned(),
        None => value.into_owned(),
    }
}
