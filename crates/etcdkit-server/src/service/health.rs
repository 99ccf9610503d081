//! `grpc.health.v1.Health`. etcd knows one name, the empty one, for the whole server.

use std::sync::Arc;

use etcdkit_proto::Code;
use etcdkit_proto::health::health_check_response::ServingStatus;
use etcdkit_proto::health::{HealthCheckRequest, HealthCheckResponse};
use futures_core::Stream;
use tokio_stream::StreamExt as _;

use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;

pub(crate) async fn check(
    _: &Arc<Node>,
    _: &Credentials,
    request: HealthCheckRequest,
) -> Result<HealthCheckResponse, Status> {
    if request.service.is_empty() {
        Ok(reply(ServingStatus::Serving))
    } else {
        Err(Status::new(Code::NotFound, "unknown service"))
    }
}

/// The status, which never changes while the server runs. A name nobody knows is a status of its own
/// here.
pub(crate) async fn watch(
    _: &Arc<Node>,
    _: &Credentials,
    request: HealthCheckRequest,
) -> Result<impl Stream<Item = Result<HealthCheckResponse, Status>> + Send + use<>, Status> {
    let status = match request.service.as_str() {
        "" => ServingStatus::Serving,
        _ => ServingStatus::ServiceUnknown,
    };
    Ok(tokio_stream::once(Ok(reply(status))).chain(tokio_stream::pending()))
}

fn reply(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
