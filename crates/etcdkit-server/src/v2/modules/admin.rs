//! What 0.x tells of the cluster: its leader, its machines and its configuration.

use std::sync::PoisonError;

use etcdkit_proto::v2::{ErrorCode, KeysError};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::body::Body;
use crate::node::Node;
use crate::v2::{Call, answer, keys};

/// Nothing here can be changed.
const READS: &str = "GET,HEAD";

/// A member, in the words of 0.4.
#[derive(Serialize)]
struct Machine {
    name: String,
    state: &'static str,
    #[serde(rename = "clientURL")]
    client_url: String,
    #[serde(rename = "peerURL")]
    peer_url: String,
}

/// When members of 0.4 become standbys and go again; its values unless somebody changes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    active_size: u32,
    remove_delay: u32,
    sync_interval: u32,
}

const CONFIG: Config = Config {
    active_size: 9,
    remove_delay: 1800,
    sync_interval: 5,
};

/// The peer URL of the leader.
pub(super) async fn leader(call: &Call<'_>) -> Response<Body> {
    let node = call.node();
    if let Err(refusal) = call.require_method(READS) {
        return *refusal;
    }
    if !node.leadership.is_lost() {
        return answer::plain(peer_url(node));
    }
    let index = node.applier.ask(|store| Ok(store.v2().index()));
    answer::keys_error(&index.await.map_or_else(keys::failed, |index| {
        KeysError::new(ErrorCode::LeaderElect, "", index)
    }))
}

pub(super) fn machines(call: &Call<'_>) -> Response<Body> {
    read_json(call, &[own(call.node())])
}

/// The machine with a name; `null` if there is none.
pub(super) fn machine(call: &Call<'_>, name: &[u8]) -> Response<Body> {
    let own = own(call.node());
    read_json(call, &(own.name.as_bytes() == name).then_some(own))
}

pub(super) fn config(call: &Call<'_>) -> Response<Body> {
    read_json(call, &CONFIG)
}

/// Where clients find the member.
pub(super) fn client_url(call: &Call<'_>) -> Response<Body> {
    match call.require_method(READS) {
        Ok(()) => answer::plain(own(call.node()).client_url),
        Err(refusal) => *refusal,
    }
}

fn own(node: &Node) -> Machine {
    let identity = &node.identity;
    Machine {
        name: identity.name.clone(),
        state: match node.leadership.is_lost() {
            true => "follower",
            false => "leader",
        },
        client_url: identity.client_urls.first().cloned().unwrap_or_default(),
        peer_url: peer_url(node),
    }
}

fn peer_url(node: &Node) -> String {
    let urls = node.identity.peer_urls.read();
    let urls = urls.unwrap_or_else(PoisonError::into_inner);
    urls.first().cloned().unwrap_or_default()
}

fn read_json(call: &Call<'_>, value: &impl Serialize) -> Response<Body> {
    match call.require_method(READS) {
        Ok(()) => answer::json_line(StatusCode::OK, value),
        Err(refusal) => *refusal,
    }
}
