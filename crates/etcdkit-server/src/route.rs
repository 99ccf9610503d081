//! From the path of a request to the function that answers it.

use std::sync::Arc;

use etcdkit_proto::Code;
use futures_core::Stream;
use http::{Request, Response};
use prost::Message;

use crate::body::Body;
use crate::gate::Credentials;
use crate::grpc::{self, Requests, Status};
use crate::http_api;
use crate::incoming::Incoming;
use crate::node::Node;
use crate::service::{
    auth, cluster, election, health, kv, lease, lock, maintenance, snapshot, watch,
};

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
    let call = Call {
        node,
        credentials: Credentials::of_call(&parts),
        body,
    };
    match (service, method) {
        ("etcdserverpb.KV", "Range") => call.range().await,
        ("etcdserverpb.KV", "RangeStream") => call.server_streaming(kv::range_stream).await,
        ("etcdserverpb.KV", "Put") => call.unary(kv::put).await,
        ("etcdserverpb.KV", "DeleteRange") => call.unary(kv::delete_range).await,
        ("etcdserverpb.KV", "Txn") => call.unary(kv::txn).await,
        ("etcdserverpb.KV", "Compact") => call.unary(kv::compact).await,

        ("etcdserverpb.Watch", "Watch") => call.bidirectional(watch::watch).await,

        ("etcdserverpb.Lease", "LeaseGrant") => call.unary(lease::grant).await,
        ("etcdserverpb.Lease", "LeaseRevoke") => call.unary(lease::revoke).await,
        ("etcdserverpb.Lease", "LeaseKeepAlive") => call.bidirectional(lease::keep_alive).await,
        ("etcdserverpb.Lease", "LeaseTimeToLive") => call.unary(lease::time_to_live).await,
        ("etcdserverpb.Lease", "LeaseLeases") => call.unary(lease::leases).await,

        ("etcdserverpb.Auth", "AuthEnable") => call.unary(auth::enable).await,
        ("etcdserverpb.Auth", "AuthDisable") => call.unary(auth::disable).await,
        ("etcdserverpb.Auth", "AuthStatus") => call.unary(auth::status).await,
        ("etcdserverpb.Auth", "Authenticate") => call.unary(auth::authenticate).await,
        ("etcdserverpb.Auth", "UserAdd") => call.unary(auth::user_add).await,
        ("etcdserverpb.Auth", "UserGet") => call.unary(auth::user_get).await,
        ("etcdserverpb.Auth", "UserList") => call.unary(auth::user_list).await,
        ("etcdserverpb.Auth", "UserDelete") => call.unary(auth::user_delete).await,
        ("etcdserverpb.Auth", "UserChangePassword") => call.unary(auth::user_change_password).await,
        ("etcdserverpb.Auth", "UserGrantRole") => call.unary(auth::user_grant_role).await,
        ("etcdserverpb.Auth", "UserRevokeRole") => call.unary(auth::user_revoke_role).await,
        ("etcdserverpb.Auth", "RoleAdd") => call.unary(auth::role_add).await,
        ("etcdserverpb.Auth", "RoleGet") => call.unary(auth::role_get).await,
        ("etcdserverpb.Auth", "RoleList") => call.unary(auth::role_list).await,
        ("etcdserverpb.Auth", "RoleDelete") => call.unary(auth::role_delete).await,
        ("etcdserverpb.Auth", "RoleGrantPermission") => {
            call.unary(auth::role_grant_permission).await
        }
        ("etcdserverpb.Auth", "RoleRevokePermission") => {
            call.unary(auth::role_revoke_permission).await
        }

        ("v3lockpb.Lock", "Lock") => call.unary(lock::lock).await,
        ("v3lockpb.Lock", "Unlock") => call.unary(lock::unlock).await,

        ("v3electionpb.Election", "Campaign") => call.unary(election::campaign).await,
        ("v3electionpb.Election", "Proclaim") => call.unary(election::proclaim).await,
        ("v3electionpb.Election", "Leader") => call.unary(election::leader).await,
        ("v3electionpb.Election", "Observe") => call.server_streaming(election::observe).await,
        ("v3electionpb.Election", "Resign") => call.unary(election::resign).await,

        ("etcdserverpb.Cluster", "MemberList") => call.unary(cluster::member_list).await,

        ("etcdserverpb.Cluster", "MemberAdd") => call.unary(cluster::member_add).await,
        ("etcdserverpb.Cluster", "MemberRemove") => call.unary(cluster::member_remove).await,
        ("etcdserverpb.Cluster", "MemberUpdate") => call.unary(cluster::member_update).await,
        ("etcdserverpb.Cluster", "MemberPromote") => call.unary(cluster::member_promote).await,

        ("etcdserverpb.Maintenance", "Alarm") => call.unary(maintenance::alarm).await,
        ("etcdserverpb.Maintenance", "Defragment") => call.unary(maintenance::defragment).await,
        ("etcdserverpb.Maintenance", "Downgrade") => call.unary(maintenance::downgrade).await,
        ("etcdserverpb.Maintenance", "Hash") => call.unary(maintenance::hash).await,
        ("etcdserverpb.Maintenance", "HashKV") => call.unary(maintenance::hash_kv).await,
        ("etcdserverpb.Maintenance", "MoveLeader") => call.unary(maintenance::move_leader).await,
        ("etcdserverpb.Maintenance", "Snapshot") => call.server_streaming(snapshot::snapshot).await,
        ("etcdserverpb.Maintenance", "Status") => call.unary(maintenance::status).await,

        ("grpc.health.v1.Health", "Check") => call.unary(health::check).await,
        ("grpc.health.v1.Health", "Watch") => call.server_streaming(health::watch).await,

        _ => grpc::failed(&unknown(service, method)),
    }
}

/// A gRPC call on its way to the function that answers it.
struct Call<'a> {
    node: &'a Arc<Node>,
    credentials: Credentials,
    body: Incoming,
}

impl Call<'_> {
    async fn unary<Req, Reply>(
        self,
        handler: impl AsyncFnOnce(&Arc<Node>, &Credentials, Req) -> Result<Reply, Status>,
    ) -> Response<Body>
    where
        Req: Message + Default,
        Reply: Message,
    {
        let max_bytes = self.node.limits.max_message_bytes();
        grpc::unary(self.body, max_bytes, async |request| {
            handler(self.node, &self.credentials, request).await
        })
        .await
    }

    /// A long read gets a task of its own, beside the other calls of its connection.
    async fn range(self) -> Response<Body> {
        let Self {
            node,
            credentials,
            body,
        } = self;
        let max_bytes = node.limits.max_message_bytes();
        grpc::unary_encoded(body, max_bytes, async |request| {
            if !kv::may_be_long(&request) {
                return grpc::encode(&kv::range(node, &credentials, request).await?);
            }
            let node = Arc::clone(node);
            let read = tokio::spawn(async move {
                grpc::encode(&kv::range(&node, &credentials, request).await?)
            });
            read.await
                .unwrap_or_else(|_| Err(Status::new(Code::Internal, "the read ended early")))
        })
        .await
    }

    async fn server_streaming<Req, Reply, Replies>(
        self,
        handler: impl AsyncFnOnce(&Arc<Node>, &Credentials, Req) -> Result<Replies, Status>,
    ) -> Response<Body>
    where
        Req: Message + Default,
        Reply: Message + 'static,
        Replies: Stream<Item = Result<Reply, Status>> + Send + 'static,
    {
        let max_bytes = self.node.limits.max_message_bytes();
        let stopping = self.node.stopping.clone();
        grpc::server_streaming(self.body, max_bytes, stopping, async |request| {
            handler(self.node, &self.credentials, request).await
        })
        .await
    }

    async fn bidirectional<Req, Reply, Replies>(
        self,
        handler: impl FnOnce(Arc<Node>, Credentials, Requests<Req>) -> Replies,
    ) -> Response<Body>
    where
        Req: Message + Default,
        Reply: Message + 'static,
        Replies: Stream<Item = Result<Reply, Status>> + Send + 'static,
    {
        let max_bytes = self.node.limits.max_message_bytes();
        let stopping = self.node.stopping.clone();
        grpc::bidirectional(self.body, max_bytes, stopping, |requests| {
            handler(Arc::clone(self.node), self.credentials, requests)
        })
        .await
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
