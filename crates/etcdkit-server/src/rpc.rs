//! The one table of the RPCs that the server offers.

/// How many messages go which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unary,
    ServerStream,
    BidiStream,
}

impl Kind {
    /// What Prometheus' gRPC interceptors, and so etcd, call it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

/// Makes [`Rpc`] from its rows: variant, service, method, kind.
macro_rules! rpcs {
    ($($variant:ident $service:literal $method:literal $kind:ident;)*) => {
        /// An RPC of an etcd server; the names are those of its gRPC path.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rpc {
            $(#[doc = concat!("`/", $service, "/", $method, "`")] $variant,)*
        }

        impl Rpc {
            /// Every RPC that the server offers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The service's full name, such as `etcdserverpb.KV`.
            pub const fn service(self) -> &'static str {
                match self { $(Self::$variant => $service,)* }
            }

            /// The method's name, such as `Put`.
            pub const fn method(self) -> &'static str {
                match self { $(Self::$variant => $method,)* }
            }

            pub(crate) const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// The RPC with this path, if there is one.
            pub(crate) fn find(service: &str, method: &str) -> Option<Self> {
                Some(match (service, method) {
                    $(($service, $method) => Self::$variant,)*
                    _ => return None,
                })
            }
        }
    };
}

rpcs! {
    KvRange "etcdserverpb.KV" "Range" Unary;
    KvRangeStream "etcdserverpb.KV" "RangeStream" ServerStream;
    KvPut "etcdserverpb.KV" "Put" Unary;
    KvDeleteRange "etcdserverpb.KV" "DeleteRange" Unary;
    KvTxn "etcdserverpb.KV" "Txn" Unary;
    KvCompact "etcdserverpb.KV" "Compact" Unary;

    Watch "etcdserverpb.Watch" "Watch" BidiStream;

    LeaseGrant "etcdserverpb.Lease" "LeaseGrant" Unary;
    LeaseRevoke "etcdserverpb.Lease" "LeaseRevoke" Unary;
    LeaseKeepAlive "etcdserverpb.Lease" "LeaseKeepAlive" BidiStream;
    LeaseTimeToLive "etcdserverpb.Lease" "LeaseTimeToLive" Unary;
    LeaseLeases "etcdserverpb.Lease" "LeaseLeases" Unary;

    AuthEnable "etcdserverpb.Auth" "AuthEnable" Unary;
    AuthDisable "etcdserverpb.Auth" "AuthDisable" Unary;
    AuthStatus "etcdserverpb.Auth" "AuthStatus" Unary;
    AuthAuthenticate "etcdserverpb.Auth" "Authenticate" Unary;
    AuthUserAdd "etcdserverpb.Auth" "UserAdd" Unary;
    AuthUserGet "etcdserverpb.Auth" "UserGet" Unary;
    AuthUserList "etcdserverpb.Auth" "UserList" Unary;
    AuthUserDelete "etcdserverpb.Auth" "UserDelete" Unary;
    AuthUserChangePassword "etcdserverpb.Auth" "UserChangePassword" Unary;
    AuthUserGrantRole "etcdserverpb.Auth" "UserGrantRole" Unary;
    AuthUserRevokeRole "etcdserverpb.Auth" "UserRevokeRole" Unary;
    AuthRoleAdd "etcdserverpb.Auth" "RoleAdd" Unary;
    AuthRoleGet "etcdserverpb.Auth" "RoleGet" Unary;
    AuthRoleList "etcdserverpb.Auth" "RoleList" Unary;
    AuthRoleDelete "etcdserverpb.Auth" "RoleDelete" Unary;
    AuthRoleGrantPermission "etcdserverpb.Auth" "RoleGrantPermission" Unary;
    AuthRoleRevokePermission "etcdserverpb.Auth" "RoleRevokePermission" Unary;

    Lock "v3lockpb.Lock" "Lock" Unary;
    Unlock "v3lockpb.Lock" "Unlock" Unary;

    ElectionCampaign "v3electionpb.Election" "Campaign" Unary;
    ElectionProclaim "v3electionpb.Election" "Proclaim" Unary;
    ElectionLeader "v3electionpb.Election" "Leader" Unary;
    ElectionObserve "v3electionpb.Election" "Observe" ServerStream;
    ElectionResign "v3electionpb.Election" "Resign" Unary;

    ClusterMemberList "etcdserverpb.Cluster" "MemberList" Unary;
    ClusterMemberAdd "etcdserverpb.Cluster" "MemberAdd" Unary;
    ClusterMemberRemove "etcdserverpb.Cluster" "MemberRemove" Unary;
    ClusterMemberUpdate "etcdserverpb.Cluster" "MemberUpdate" Unary;
    ClusterMemberPromote "etcdserverpb.Cluster" "MemberPromote" Unary;

    MaintenanceAlarm "etcdserverpb.Maintenance" "Alarm" Unary;
    MaintenanceDefragment "etcdserverpb.Maintenance" "Defragment" Unary;
    MaintenanceDowngrade "etcdserverpb.Maintenance" "Downgrade" Unary;
    MaintenanceHash "etcdserverpb.Maintenance" "Hash" Unary;
    MaintenanceHashKv "etcdserverpb.Maintenance" "HashKV" Unary;
    MaintenanceMoveLeader "etcdserverpb.Maintenance" "MoveLeader" Unary;
    MaintenanceSnapshot "etcdserverpb.Maintenance" "Snapshot" ServerStream;
    MaintenanceStatus "etcdserverpb.Maintenance" "Status" Unary;

    HealthCheck "grpc.health.v1.Health" "Check" Unary;
    HealthWatch "grpc.health.v1.Health" "Watch" ServerStream;
}

impl Rpc {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Whether the server offers a service of this name.
    pub(crate) fn is_service(name: &str) -> bool {
        Self::ALL.iter().any(|rpc| rpc.service() == name)
    }
}

/// The gRPC path, such as `/etcdserverpb.KV/Put`.
impl std::fmt::Display for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}/{}", self.service(), self.method())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_names_at_its_place() {
        for (index, rpc) in Rpc::ALL.iter().enumerate() {
            assert_eq!(Rpc::find(rpc.service(), rpc.method()), Some(*rpc));
            assert_eq!(rpc.index(), index);
        }
        assert_eq!(Rpc::find("etcdserverpb.KV", "Take"), None);
        assert_eq!(Rpc::find("KV", "Put"), None);
    }

    #[test]
    fn its_text_is_its_path() {
        assert_eq!(Rpc::KvPut.to_string(), "/etcdserverpb.KV/Put");
    }
}
