//! From the path of a request to the function that answers it.

use std::pin::Pin;
use std::sync::Arc;

use etcdkit_proto::Code;
use futures_core::Stream;
use http::{Request, Response};
use prost::Message;

use crate::body::Body;
use crate::connection::Line;
use crate::faults::{self, OpenStream, Step};
use crate::gate::Credentials;
use crate::grpc::{self, Requests, Status};
use crate::http_api;
use crate::incoming::Incoming;
use crate::metrics::Tally;
use crate::node::Node;
use crate::rpc::Rpc;
use crate::service::{
    auth, cluster, election, health, kv, lease, lock, maintenance, snapshot, watch,
};

/// Answers any request.
pub(crate) async fn route(line: &Arc<Line>, request: Request<Incoming>) -> Response<Body> {
    if grpc::is_grpc(&request) {
        call(line, request).await
    } else {
        // Boxed, so that gRPC's calls are not as large as these.
        Box::pin(http_api::answer(line, request)).await
    }
}

async fn call(line: &Arc<Line>, request: Request<Incoming>) -> Response<Body> {
    let node = &line.node;
    let (parts, body) = request.into_parts();
    let (service, method) = match grpc::service_and_method(&parts) {
        Ok(names) => names,
        Err(refusal) => return refusal.into(),
    };
    let Some(rpc) = Rpc::find(service, method) else {
        return grpc::failed(&unknown(service, method));
    };
    let mut tally = Tally::begin(&**node, rpc);
    let mut once_applied = Step::default();
    if node.faults.concerns_calls() {
        match Box::pin(faults::before(line, rpc, &parts.headers)).await {
            Ok(step) => once_applied = step,
            Err(response) => {
                tally.end(Status::code_of(&response));
                return response;
            }
        }
    }
    let call = Call {
        node,
        tally,
        wants_leader: faults::wants_leader(&parts.headers),
        credentials: Credentials::of_call(&parts),
        body,
    };
    let response = answer(rpc, call).await;
    if once_applied.is_nothing() {
        return response;
    }
    let taken = Box::pin(faults::take(line, once_applied)).await;
    taken.err().unwrap_or(response)
}

async fn answer(rpc: Rpc, call: Call<'_>) -> Response<Body> {
    match rpc {
        Rpc::KvRange => call.range().await,
        Rpc::KvRangeStream => Box::pin(call.server_streaming(kv::range_stream)).await,
        Rpc::KvPut => call.frequent(kv::put).await,
        Rpc::KvDeleteRange => call.frequent(kv::delete_range).await,
        Rpc::KvTxn => call.frequent(kv::txn).await,
        Rpc::KvCompact => call.unary(kv::compact).await,

        Rpc::Watch => Box::pin(call.bidirectional(watch::watch)).await,

        Rpc::LeaseGrant => call.unary(lease::grant).await,
        Rpc::LeaseRevoke => call.unary(lease::revoke).await,
        Rpc::LeaseKeepAlive => Box::pin(call.bidirectional(lease::keep_alive)).await,
        Rpc::LeaseTimeToLive => call.unary(lease::time_to_live).await,
        Rpc::LeaseLeases => call.unary(lease::leases).await,

        Rpc::AuthEnable => call.unary(auth::enable).await,
        Rpc::AuthDisable => call.unary(auth::disable).await,
        Rpc::AuthStatus => call.unary(auth::status).await,
        Rpc::AuthAuthenticate => call.unary(auth::authenticate).await,
        Rpc::AuthUserAdd => call.unary(auth::user_add).await,
        Rpc::AuthUserGet => call.unary(auth::user_get).await,
        Rpc::AuthUserList => call.unary(auth::user_list).await,
        Rpc::AuthUserDelete => call.unary(auth::user_delete).await,
        Rpc::AuthUserChangePassword => call.unary(auth::user_change_password).await,
        Rpc::AuthUserGrantRole => call.unary(auth::user_grant_role).await,
        Rpc::AuthUserRevokeRole => call.unary(auth::user_revoke_role).await,
        Rpc::AuthRoleAdd => call.unary(auth::role_add).await,
        Rpc::AuthRoleGet => call.unary(auth::role_get).await,
        Rpc::AuthRoleList => call.unary(auth::role_list).await,
        Rpc::AuthRoleDelete => call.unary(auth::role_delete).await,
        Rpc::AuthRoleGrantPermission => call.unary(auth::role_grant_permission).await,
        Rpc::AuthRoleRevokePermission => call.unary(auth::role_revoke_permission).await,

        Rpc::Lock => call.unary(lock::lock).await,
        Rpc::Unlock => call.unary(lock::unlock).await,

        Rpc::ElectionCampaign => call.unary(election::campaign).await,
        Rpc::ElectionProclaim => call.unary(election::proclaim).await,
        Rpc::ElectionLeader => call.unary(election::leader).await,
        Rpc::ElectionObserve => Box::pin(call.server_streaming(election::observe)).await,
        Rpc::ElectionResign => call.unary(election::resign).await,

        Rpc::ClusterMemberList => call.unary(cluster::member_list).await,

        Rpc::ClusterMemberAdd => call.unary(cluster::member_add).await,
        Rpc::ClusterMemberRemove => call.unary(cluster::member_remove).await,
        Rpc::ClusterMemberUpdate => call.unary(cluster::member_update).await,
        Rpc::ClusterMemberPromote => call.unary(cluster::member_promote).await,

        Rpc::MaintenanceAlarm => call.unary(maintenance::alarm).await,
        Rpc::MaintenanceDefragment => call.unary(maintenance::defragment).await,
        Rpc::MaintenanceDowngrade => call.unary(maintenance::downgrade).await,
        Rpc::MaintenanceHash => call.unary(maintenance::hash).await,
        Rpc::MaintenanceHashKv => call.unary(maintenance::hash_kv).await,
        Rpc::MaintenanceMoveLeader => call.unary(maintenance::move_leader).await,
        Rpc::MaintenanceSnapshot => Box::pin(call.server_streaming(snapshot::snapshot)).await,
        Rpc::MaintenanceStatus => call.unary(maintenance::status).await,

        Rpc::HealthCheck => call.unary(health::check).await,
        Rpc::HealthWatch => Box::pin(call.server_streaming(health::watch)).await,
    }
}

/// A gRPC call on its way to the function that answers it.
struct Call<'a> {
    node: &'a Arc<Node>,
    tally: Tally<&'a Node>,
    wants_leader: bool,
    credentials: Credentials,
    body: Incoming,
}

impl<'a> Call<'a> {
    /// Any call with one request and one reply. Boxed, so that what is called all the time is not as
    /// large as what is called now and then.
    fn unary<Req, Reply, Handler>(
        self,
        handler: Handler,
    ) -> Pin<Box<impl Future<Output = Response<Body>> + use<'a, Req, Reply, Handler>>>
    where
        Req: Message + Default,
        Reply: Message,
        Handler: AsyncFnOnce(&Arc<Node>, &Credentials, Req) -> Result<Reply, Status>,
    {
        Box::pin(self.frequent(handler))
    }

    /// The same for what is called all the time.
    async fn frequent<Req, Reply>(
        mut self,
        handler: impl AsyncFnOnce(&Arc<Node>, &Credentials, Req) -> Result<Reply, Status>,
    ) -> Response<Body>
    where
        Req: Message + Default,
        Reply: Message,
    {
        let max_bytes = self.node.limits.max_message_bytes();
        let response = grpc::unary(self.body, max_bytes, async |request| {
            handler(self.node, &self.credentials, request).await
        })
        .await;
        self.tally.end(Status::code_of(&response));
        response
    }

    /// A long read gets a task of its own, beside the other calls of its connection.
    async fn range(self) -> Response<Body> {
        let Self {
            node,
            mut tally,
            credentials,
            body,
            ..
        } = self;
        let max_bytes = node.limits.max_message_bytes();
        let response = grpc::unary_encoded(body, max_bytes, async |request| {
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
        .await;
        tally.end(Status::code_of(&response));
        response
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
        let mut open = OpenStream::new(self.node, self.tally, self.wants_leader);
        grpc::server_streaming(
            self.body,
            max_bytes,
            stopping,
            async move |request| match handler(self.node, &self.credentials, request).await {
                Ok(replies) => Ok(open.replies(replies)),
                Err(status) => {
                    open.end(&status);
                    Err(status)
                }
            },
        )
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
        let open = OpenStream::new(self.node, self.tally, self.wants_leader);
        grpc::bidirectional(self.body, max_bytes, stopping, |requests| {
            open.replies(handler(Arc::clone(self.node), self.credentials, requests))
        })
        .await
    }
}

/// The texts are grpc-go's.
fn unknown(service: &str, method: &str) -> Status {
    let text = if Rpc::is_service(service) {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    };
    Status::new(Code::Unimplemented, text)
}
