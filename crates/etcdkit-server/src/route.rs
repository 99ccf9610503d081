//! From the path of a request to the function that answers it.

use std::sync::Arc;

use etcdkit_proto::Code;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::Body;
use crate::grpc::{self, Status, bidirectional, server_streaming, unary};
use crate::http_api;
use crate::node::Node;
use crate::service::{cluster, health, kv, lease, maintenance, watch};

/// The services of an etcd server; the methods that [`call`] does not list are not offered.
const SERVICES: [&str; 9] = [
    "etcdserverpb.Auth",
    "etcdserverpb.Cluster",
    "etcdserverpb.KV",
    "etcdserverpb.Lease",
    "etcdserverpb.Maintenance",
    "etcdserverpb.Watch",
    "grpc.health.v1.Health",
    "v3electionpb.Election",
    "v3lockpb.Lock",
];

/// Answers any request.
pub(crate) async fn route(node: &Arc<Node>, request: Request<Incoming>) -> Response<Body> {
    if grpc::is_grpc(&request) {
        call(node, request).await
    } else {
        http_api::answer(node, &request)
    }
}

async fn call(node: &Arc<Node>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let (service, method) = match grpc::service_and_method(&parts) {
        Ok(names) => names,
        Err(refusal) => return refusal.into(),
    };
    let max = node.limits.max_message_bytes();
    match (service, method) {
        ("etcdserverpb.KV", "Range") => unary(body, max, async |m| kv::range(node, m).await).await,
        ("etcdserverpb.KV", "RangeStream") => {
            server_streaming(body, max, async |m| kv::range_stream(node, m).await).await
        }
        ("etcdserverpb.KV", "Put") => unary(body, max, async |m| kv::put(node, m).await).await,
        ("etcdserverpb.KV", "DeleteRange") => {
            unary(body, max, async |m| kv::delete_range(node, m).await).await
        }
        ("etcdserverpb.KV", "Txn") => unary(body, max, async |m| kv::txn(node, m).await).await,
        ("etcdserverpb.KV", "Compact") => {
            unary(body, max, async |m| kv::compact(node, m).await).await
        }
        ("etcdserverpb.Lease", "LeaseGrant") => {
            unary(body, max, async |m| lease::grant(node, m).await).await
        }
        ("etcdserverpb.Lease", "LeaseRevoke") => {
            unary(body, max, async |m| lease::revoke(node, m).await).await
        }
        ("etcdserverpb.Lease", "LeaseKeepAlive") => {
            bidirectional(body, max, node.stopping.clone(), |requests| {
                lease::keep_alive(node, requests)
            })
        }
        ("etcdserverpb.Lease", "LeaseTimeToLive") => {
            unary(body, max, async |m| lease::time_to_live(node, m).await).await
        }
        ("etcdserverpb.Lease", "LeaseLeases") => {
            unary(body, max, async |m| lease::leases(node, m).await).await
        }
        ("etcdserverpb.Watch", "Watch") => {
            bidirectional(body, max, node.stopping.clone(), |requests| {
                watch::watch(node, requests)
            })
        }
        ("etcdserverpb.Cluster", "MemberList") => {
            unary(body, max, async |m| cluster::member_list(node, m).await).await
        }
        ("etcdserverpb.Maintenance", "Alarm") => {
            unary(body, max, async |m| maintenance::alarm(node, m).await).await
        }
        ("etcdserverpb.Maintenance", "HashKV") => {
            unary(body, max, async |m| maintenance::hash_kv(node, m).await).await
        }
        ("etcdserverpb.Maintenance", "Status") => {
            unary(body, max, async |m| maintenance::status(node, m).await).await
        }
        ("grpc.health.v1.Health", "Check") => {
            unary(body, max, async |m| health::check(node, m).await).await
        }
        ("grpc.health.v1.Health", "Watch") => {
            server_streaming(body, max, async |m| health::watch(node, m).await).await
        }
        _ => grpc::failed(&unknown(service, method)),
    }
}

/// The texts are grpc-go's.
fn unknown(service: &str, method: &str) -> Status {
    let text = if SERVICES.contains(&service) {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    };
    Status::new(Code::Unimplemented, text)
}
