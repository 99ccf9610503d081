//! What the member notes about itself, at indexes that users see missing.

use std::sync::PoisonError;

use etcdkit_proto::v2::KeysError;
use etcdkit_store::v2::{Member, Tree};

use crate::node::Node;

/// Notes the start of the member, if the API is answered at all. Whoever reads anything waits until that is
/// durable.
pub(crate) fn note_start(node: &Node) {
    let identity = &node.identity;
    let peer_urls = identity.peer_urls.read();
    let peer_urls = peer_urls.unwrap_or_else(PoisonError::into_inner);
    let member = Member {
        id: identity.member_id,
        name: &identity.name,
        peer_urls: &peer_urls,
        client_urls: &identity.client_urls,
    };
    let version = identity.version.of_cluster().to_string();
    note(node, |tree| {
        tree.begin(member, &version, node.clock.unix_time())
    });
}

/// Notes where the member says it listens to others.
pub(crate) fn note_peer_urls(node: &Node, urls: &[String]) {
    let id = node.identity.member_id;
    note(node, |tree| {
        tree.set_peer_urls(id, urls, node.clock.unix_time())
    });
}

fn note(node: &Node, change: impl FnOnce(&mut Tree) -> Result<(), KeysError>) {
    if node.v2.is_none() {
        return;
    }
    let noted = node.applier.stage(|store| Ok(change(store.v2_mut())));
    match noted {
        Ok(Ok(())) => {}
        // Nobody removes the member's keys, and users cannot reach them.
        Ok(Err(error)) => tracing::error!(?error, "the member has lost its keys of v2"),
        Err(status) => tracing::error!(?status, "the member cannot be noted in v2"),
    }
}
