//! What the member notes about itself, at indexes that users see missing.

use std::sync::PoisonError;

use etcdkit_proto::v2::KeysError;
use etcdkit_store::v2::Member;

use crate::grpc::Status;
use crate::node::Node;

/// Notes the start of the member, if the API is answered at all. Returns when that is durable, so that indexes
/// are the same for everybody who comes after.
pub(crate) async fn note_start(node: &Node) {
    if node.v2.is_none() {
        return;
    }
    let identity = &node.identity;
    let peer_urls = identity.peer_urls.read();
    let peer_urls = peer_urls.unwrap_or_else(PoisonError::into_inner).clone();
    let member = Member {
        id: identity.member_id,
        name: &identity.name,
        peer_urls: &peer_urls,
        client_urls: &identity.client_urls,
    };
    let version = identity.version.of_cluster().to_string();
    let now = node.clock.unix_time();
    let noted = node
        .applier
        .apply_unlogged(|store| Ok(store.v2_mut().begin(member, &version, now)));
    check(noted.await);
}

/// Notes where the member says it listens to others.
pub(crate) fn note_peer_urls(node: &Node, urls: &[String]) {
    if node.v2.is_none() {
        return;
    }
    let id = node.identity.member_id;
    let now = node.clock.unix_time();
    let noted = node
        .applier
        .stage(|store| Ok(store.v2_mut().set_peer_urls(id, urls, now)));
    check(noted);
}

fn check(noted: Result<Result<(), KeysError>, Status>) {
    match noted {
        Ok(Ok(())) => {}
        // Nobody removes the member's keys, and users cannot reach them.
        Ok(Err(error)) => tracing::error!(?error, "the member has lost its keys of v2"),
        Err(status) => tracing::error!(?status, "the member cannot be noted in v2"),
    }
}
