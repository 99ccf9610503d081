//! `etcdserverpb.Cluster` for a cluster of one. Like etcd's, the headers have no revision.

use std::sync::{Arc, PoisonError};

use etcdkit_proto::etcdserverpb::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse,
    MemberPromoteRequest, MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse,
    MemberUpdateRequest, MemberUpdateResponse, ResponseHeader,
};
use etcdkit_proto::{Code, EtcdError};
use http::Uri;

use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;

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
        members: members(node),
    })
}

/// Refuses: there is nothing that could make two members agree.
pub(crate) async fn member_add(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: MemberAddRequest,
) -> Result<MemberAddResponse, Status> {
    let urls = &request.peer_ur_ls;
    if urls.is_empty() || !urls.iter().all(|url| is_peer_url(url.trim())) {
        return Err(EtcdError::MemberBadUrls.into());
    }
    node.require_root(credentials)?;
    let own_urls = node.identity.peer_urls.read();
    let own_urls = own_urls.unwrap_or_else(PoisonError::into_inner);
    if urls
        .iter()
        .any(|url| own_urls.iter().any(|own| own == url.trim()))
    {
        return Err(EtcdError::PeerUrlExists.into());
    }
    Err(Status::new(
        Code::Unimplemented,
        "etcdkit: the embedded server is a cluster of one and takes no other members; use an etcd cluster for more",
    ))
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
    let peer_urls = node.identity.peer_urls.write();
    *peer_urls.unwrap_or_else(PoisonError::into_inner) = request.peer_ur_ls;
    Ok(MemberUpdateResponse {
        header: header(node),
        members: members(node),
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

fn members(node: &Node) -> Vec<Member> {
    let identity = &node.identity;
    let peer_urls = identity.peer_urls.read();
    vec![Member {
        id: identity.member_id,
        name: identity.name.clone(),
        peer_ur_ls: peer_urls.unwrap_or_else(PoisonError::into_inner).clone(),
        client_ur_ls: identity.client_urls.clone(),
        is_learner: false,
    }]
}

/// etcd's rule: a host and a port without a path, or a unix socket.
fn is_peer_url(url: &str) -> bool {
    if let Some(path) = url
        .strip_prefix("unix:")
        .or_else(|| url.strip_prefix("unixs:"))
    {
        return !path.is_empty();
    }
    let has_path = url.splitn(4, '/').nth(3).is_some();
    let Ok(url) = url.parse::<Uri>() else {
        return false;
    };
    let scheme = url.scheme_str();
    let authority = url.authority();
    matches!(scheme, Some("http" | "https"))
        && authority.is_some_and(|authority| authority.port().is_some())
        && !has_path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_urls_have_a_host_and_a_port_and_no_path() {
        for url in ["http://a:1", "https://[::1]:2380", "unix:/a", "unixs://a:1"] {
            assert!(is_peer_url(url), "{url}");
        }
        for url in [
            "",
            "a:1",
            "http://a",
            "http://a:1/",
            "http://a:1/b",
            "ftp://a:1",
            "http://",
        ] {
            assert!(!is_peer_url(url), "{url}");
        }
    }
}
