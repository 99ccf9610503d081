//! Every unary call that is compared, in one table, and the stubs that send it.

use std::fmt;

use etcdkit_proto::{
    etcdserverpb::{
        auth_client::AuthClient, cluster_client::ClusterClient, kv_client::KvClient,
        lease_client::LeaseClient, maintenance_client::MaintenanceClient, *,
    },
    v3electionpb::{
        LeaderRequest, LeaderResponse, ProclaimRequest, ProclaimResponse, ResignRequest,
        ResignResponse, election_client::ElectionClient,
    },
    v3lockpb::{UnlockRequest, UnlockResponse, lock_client::LockClient},
};
use tonic::{Request, Response, Status, metadata::AsciiMetadataValue, transport::Channel};

use super::{
    operation::{QueueAnswer, QueueCall, WatchAnswer, WatchCall},
    outcome::Outcome,
};

/// tonic's stubs for every service.
#[derive(Clone)]
pub(super) struct Stubs {
    kv: KvClient<Channel>,
    leases: LeaseClient<Channel>,
    auth: AuthClient<Channel>,
    maintenance: MaintenanceClient<Channel>,
    cluster: ClusterClient<Channel>,
    locks: LockClient<Channel>,
    elections: ElectionClient<Channel>,
}

impl fmt::Debug for Stubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stubs").finish_non_exhaustive()
    }
}

impl Stubs {
    pub(super) fn new(channel: &Channel) -> Self {
        Self {
            kv: KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX),
            leases: LeaseClient::new(channel.clone()),
            auth: AuthClient::new(channel.clone()),
            maintenance: MaintenanceClient::new(channel.clone()),
            cluster: ClusterClient::new(channel.clone()),
            locks: LockClient::new(channel.clone()),
            elections: ElectionClient::new(channel.clone()),
        }
    }

    /// Renews one lease on a stream of its own.
    pub(super) async fn keep_alive(
        &mut self,
        request: LeaseKeepAliveRequest,
        token: Option<AsciiMetadataValue>,
    ) -> Outcome {
        let requests = futures_util::stream::iter([request]);
        let sent = self.leases.lease_keep_alive(with_token(requests, token));
        let mut responses = match sent.await {
            Ok(response) => response.into_inner(),
            Err(status) => return Outcome::refused(&status),
        };
        match responses.message().await {
            Ok(Some(response)) => Outcome::Answered(Answer::LeaseKeepAlive(response)),
            Ok(None) => Outcome::Late("the stream ended without an answer".to_owned()),
            Err(status) => Outcome::refused(&status),
        }
    }
}

/// A request that says whose it is.
pub(super) fn with_token<T>(message: T, token: Option<AsciiMetadataValue>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("token", token);
    }
    request
}

fn outcome<R>(result: Result<Response<R>, Status>, wrap: fn(R) -> Answer) -> Outcome {
    match result {
        Ok(response) => Outcome::Answered(wrap(response.into_inner())),
        Err(status) => Outcome::refused(&status),
    }
}

macro_rules! calls {
    ($($name:ident = $stub:ident.$method:ident($request:ty) -> $response:ty;)*) => {
        /// What is sent: a request of the method that the variant is named after, or a step of a
        /// longer conversation.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum Call {
            $($name($request),)*
            LeaseKeepAlive(LeaseKeepAliveRequest),
            Watch(WatchCall),
            Queue(QueueCall),
        }

        /// A successful answer to a [`Call`].
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum Answer {
            $($name($response),)*
            LeaseKeepAlive(LeaseKeepAliveResponse),
            Watch(WatchAnswer),
            Queue(QueueAnswer),
        }

        impl Answer {
            /// The header, if this kind of answer has one.
            pub(super) fn header_mut(&mut self) -> Option<&mut ResponseHeader> {
                match self {
                    $(Self::$name(response) => response.header.as_mut(),)*
                    Self::LeaseKeepAlive(response) => response.header.as_mut(),
                    Self::Watch(answer) => answer.header_mut(),
                    Self::Queue(answer) => answer.header_mut(),
                }
            }
        }

        impl Stubs {
            /// Sends a unary request. Returns `None` for the others.
            pub(super) async fn unary(
                &mut self,
                call: Call,
                token: Option<AsciiMetadataValue>,
            ) -> Option<Outcome> {
                match call {
                    $(Call::$name(request) => {
                        let result = self.$stub.$method(with_token(request, token)).await;
                        Some(outcome(result, Answer::$name))
                    })*
                    Call::LeaseKeepAlive(_) | Call::Watch(_) | Call::Queue(_) => None,
                }
            }
        }
    };
}

calls! {
    Range = kv.range(RangeRequest) -> RangeResponse;
    Put = kv.put(PutRequest) -> PutResponse;
    DeleteRange = kv.delete_range(DeleteRangeRequest) -> DeleteRangeResponse;
    Txn = kv.txn(TxnRequest) -> TxnResponse;
    Compact = kv.compact(CompactionRequest) -> CompactionResponse;

    LeaseGrant = leases.lease_grant(LeaseGrantRequest) -> LeaseGrantResponse;
    LeaseRevoke = leases.lease_revoke(LeaseRevokeRequest) -> LeaseRevokeResponse;
    LeaseTimeToLive = leases.lease_time_to_live(LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse;
    LeaseLeases = leases.lease_leases(LeaseLeasesRequest) -> LeaseLeasesResponse;

    AuthEnable = auth.auth_enable(AuthEnableRequest) -> AuthEnableResponse;
    AuthDisable = auth.auth_disable(AuthDisableRequest) -> AuthDisableResponse;
    AuthStatus = auth.auth_status(AuthStatusRequest) -> AuthStatusResponse;
    Authenticate = auth.authenticate(AuthenticateRequest) -> AuthenticateResponse;
    UserAdd = auth.user_add(AuthUserAddRequest) -> AuthUserAddResponse;
    UserGet = auth.user_get(AuthUserGetRequest) -> AuthUserGetResponse;
    UserList = auth.user_list(AuthUserListRequest) -> AuthUserListResponse;
    UserDelete = auth.user_delete(AuthUserDeleteRequest) -> AuthUserDeleteResponse;
    UserChangePassword = auth.user_change_password(AuthUserChangePasswordRequest)
        -> AuthUserChangePasswordResponse;
    UserGrantRole = auth.user_grant_role(AuthUserGrantRoleRequest) -> AuthUserGrantRoleResponse;
    UserRevokeRole = auth.user_revoke_role(AuthUserRevokeRoleRequest)
        -> AuthUserRevokeRoleResponse;
    RoleAdd = auth.role_add(AuthRoleAddRequest) -> AuthRoleAddResponse;
    RoleGet = auth.role_get(AuthRoleGetRequest) -> AuthRoleGetResponse;
    RoleList = auth.role_list(AuthRoleListRequest) -> AuthRoleListResponse;
    RoleDelete = auth.role_delete(AuthRoleDeleteRequest) -> AuthRoleDeleteResponse;
    RoleGrantPermission = auth.role_grant_permission(AuthRoleGrantPermissionRequest)
        -> AuthRoleGrantPermissionResponse;
    RoleRevokePermission = auth.role_revoke_permission(AuthRoleRevokePermissionRequest)
        -> AuthRoleRevokePermissionResponse;

    Alarm = maintenance.alarm(AlarmRequest) -> AlarmResponse;
    Status = maintenance.status(StatusRequest) -> StatusResponse;
    Defragment = maintenance.defragment(DefragmentRequest) -> DefragmentResponse;
    Hash = maintenance.hash(HashRequest) -> HashResponse;
    HashKv = maintenance.hash_kv(HashKvRequest) -> HashKvResponse;
    MoveLeader = maintenance.move_leader(MoveLeaderRequest) -> MoveLeaderResponse;
    Downgrade = maintenance.downgrade(DowngradeRequest) -> DowngradeResponse;

    MemberList = cluster.member_list(MemberListRequest) -> MemberListResponse;
    MemberAdd = cluster.member_add(MemberAddRequest) -> MemberAddResponse;
    MemberRemove = cluster.member_remove(MemberRemoveRequest) -> MemberRemoveResponse;
    MemberUpdate = cluster.member_update(MemberUpdateRequest) -> MemberUpdateResponse;
    MemberPromote = cluster.member_promote(MemberPromoteRequest) -> MemberPromoteResponse;

    Unlock = locks.unlock(UnlockRequest) -> UnlockResponse;
    Proclaim = elections.proclaim(ProclaimRequest) -> ProclaimResponse;
    Leader = elections.leader(LeaderRequest) -> LeaderResponse;
    Resign = elections.resign(ResignRequest) -> ResignResponse;
}
