//! `etcdserverpb.Cluster` for a cluster of one. Like etcd's, the headers have no revision.

use std::sync::{Arc, PoisonError};

use etcdkit_proto::etcdserverpb::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse, ResponseHeader,
};
use etcdkit_proto::{Code, EtcdError};
use http::uri::Authority;

use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;
use crate::v2;

/// Why no member is added.
pub(crate) const NO_OTHER_MEMBERS: &str = "etcdkit: the embedded server is a cluster of one and takes no other members; use an etcd cluster for more";

pub(crate) async fn member_list(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: MemberListRequest,
) -> Result<MemberListResponse, Status> {
    if request.linearizable {
        node.leadership.needed_to_read().await?;
    }
    node.require_user(credentials)?;
    Ok(MemberListResponse {
        header: header(node),
        members: vec![own(node)],
    })
}

/// Refuses: there is nothing that could make two members agree.
pub(crate) async fn member_add(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: MemberAddRequest,
) -> Result<MemberAddResponse, Status> {
    let urls = &request.peer_ur_ls;
    if urls.is_empty() || !urls.iter().all(|url| check_peer_url(url).is_ok()) {
        return Err(EtcdError::MemberBadUrls.into());
    }
    node.require_root(credentials)?;
    if is_own_url(node, urls) {
        return Err(EtcdError::PeerUrlExists.into());
    }
    Err(Status::new(Code::Unimplemented, NO_OTHER_MEMBERS))
}

/// Refuses: without its only member there is no cluster.
pub(crate) async fn member_remove(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: MemberRemoveRequest,
) -> Result<MemberRemoveResponse, Status> {
    node.require_root(credentials)?;
    find(node, request.id)?;
    Err(EtcdError::MemberNotEnoughStarted.into())
}

/// Changes the peer URLs that the member list shows; nothing listens there.
pub(crate) async fn member_update(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: MemberUpdateRequest,
) -> Result<MemberUpdateResponse, Status> {
    node.require_root(credentials)?;
    find(node, request.id)?;
    set_peer_urls(node, request.peer_ur_ls);
    Ok(MemberUpdateResponse {
        header: header(node),
        members: vec![own(node)],
    })
}

/// Refuses: the one member votes already.
pub(crate) async fn member_promote(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: MemberPromoteRequest,
) -> Result<MemberPromoteResponse, Status> {
    node.require_root(credentials)?;
    find(node, request.id)?;
    Err(EtcdError::MemberNotLearner.into())
}

fn header(node: &Node) -> Option<ResponseHeader> {
    Some(node.header(0))
}

fn find(node: &Node, id: u64) -> Result<(), EtcdError> {
    if id == node.identity.member_id {
        Ok(())
    } else {
        Err(EtcdError::MemberNotFound)
    }
}

/// The one member.
pub(crate) fn own(node: &Node) -> Member {
    let identity = &node.identity;
    let peer_urls = identity.peer_urls.read();
    Member {
        id: identity.member_id,
        name: identity.name.clone(),
        peer_ur_ls: peer_urls.unwrap_or_else(PoisonError::into_inner).clone(),
        client_ur_ls: identity.client_urls.clone(),
        is_learner: false,
    }
}

/// Whether the member is reached by one of these.
pub(crate) fn is_own_url(node: &Node, urls: &[String]) -> bool {
    let own = node.identity.peer_urls.read();
    let own = own.unwrap_or_else(PoisonError::into_inner);
    urls.iter()
        .any(|url| own.iter().any(|own| own == url.trim()))
}

/// Changes what the member list shows.
pub(crate) fn set_peer_urls(node: &Node, urls: Vec<String>) {
    v2::own::note_peer_urls(node, &urls);
    let own = node.identity.peer_urls.write();
    *own.unwrap_or_else(PoisonError::into_inner) = urls;
}

/// etcd's rule, in etcd's words: a host and a port without a path, or a unix socket.
pub(crate) fn check_peer_url(url: &str) -> Result<(), String> {
    let url = url.trim();
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        "unix" | "unixs" if !rest.is_empty() => return Ok(()),
        "http" | "https" => {}
        _ => {
            let expected = "URL scheme must be http, https, unix, or unixs";
            return Err(format!("{expected}: {url}"));
        }
    }
    let has_path = url.splitn(4, '/').nth(3).is_some();
    let authority = rest.trim_start_matches('/').split('/').next();
    let port = authority.and_then(|authority| authority.rsplit_once(':'));
    if let Some((_, port)) = port
        && !port.ends_with(']')
        && !port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(format!(
            "parse \"{url}\": invalid port \":{port}\" after host"
        ));
    }
    // A host may be missing, as in `http://:2380`, which is no URI.
    let authority = authority.filter(|authority| !authority.starts_with(':'));
    let port = match authority.map(str::parse::<Authority>) {
        None => Some(()),
        Some(Ok(authority)) => authority.port().map(drop),
        Some(Err(error)) => return Err(format!("parse \"{url}\": {error}")),
    };
    if port.is_none() {
        let expected = "URL address does not have the form \"host:port\"";
        return Err(format!("{expected}: {url}"));
    }
    if has_path {
        return Err(format!("URL must not contain a path: {url}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_urls_have_a_host_and_a_port_and_no_path() {
        for url in ["http://a:1", "https://[::1]:2380", "unix:/a", "unixs://a:1"] {
            assert_eq!(check_peer_url(url), Ok(()), "{url}");
        }
        for url in [
            "",
            "a:1",
            "http://a",
            "http://a:1/",
            "http://a:1/b",
            "ftp://a:1",
            "http://a:b",
            "http://",
        ] {
            assert!(check_peer_url(url).is_err(), "{url}");
        }
    }
}
