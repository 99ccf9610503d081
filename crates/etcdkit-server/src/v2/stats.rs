//! `/v2/stats`: what the member has done.

use std::collections::BTreeMap;
use std::time::Duration;

use etcdkit_proto::duration;
use etcdkit_proto::v2::{LeaderInfo, LeaderStats, SelfStats, StoreStats};
use http::{Response, StatusCode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Call, V2, answer};
use crate::body::Body;
use crate::grpc::Status;

/// What became of requests to the store.
pub(super) async fn store(call: &Call<'_>) -> Response<Body> {
    if let Err(refusal) = call.require_method("GET") {
        return *refusal;
    }
    let applier = &call.node().applier;
    let stats = match applier.ask(|store| Ok(store.v2().stats())).await {
        Ok(stats) => stats,
        Err(status) => return internal(&status),
    };
    match applier.watching(|_, hub| hub.v2.count()) {
        Ok(watchers) => answer::json(StatusCode::OK, &StoreStats { watchers, ..stats }),
        Err(status) => internal(&status),
    }
}

/// What a member alone has exchanged with others, which is nothing.
pub(super) fn own(v2: &V2, call: &Call<'_>) -> Response<Body> {
    if let Err(refusal) = call.require_method("GET") {
        return *refusal;
    }
    let identity = &call.node().identity;
    let id = format!("{:x}", identity.member_id);
    let uptime = OffsetDateTime::now_utc() - v2.started;
    // etcd's members, too, say so when they have lost their leader.
    let stats = SelfStats {
        name: identity.name.clone(),
        id: id.clone(),
        state: "StateLeader".to_owned(),
        start_time: date(v2.started),
        leader_info: LeaderInfo {
            leader: id,
            uptime: duration::format(Duration::try_from(uptime).unwrap_or_default()),
            start_time: date(v2.started),
        },
        ..SelfStats::default()
    };
    answer::json(StatusCode::OK, &stats)
}

/// How the followers are, of which there are none.
pub(super) fn leader(call: &Call<'_>) -> Response<Body> {
    if let Err(refusal) = call.require_method("GET") {
        return *refusal;
    }
    if call.node().leadership.is_lost() {
        return answer::message(StatusCode::FORBIDDEN, "not current leader");
    }
    let stats = LeaderStats {
        leader: format!("{:x}", call.node().identity.member_id),
        followers: BTreeMap::new(),
    };
    answer::json(StatusCode::OK, &stats)
}

/// What etcd says when it keeps the reason to itself.
fn internal(status: &Status) -> Response<Body> {
    tracing::warn!(?status, "there are no statistics");
    answer::message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// The years that RFC 3339 cannot write are not those of clocks.
fn date(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
