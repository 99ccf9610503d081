//! etcd's errors as it sends them: one row an error, and the only place in the project that has them.
//!
//! The rows are wire facts: texts and codes of etcd's `api/v3rpc/rpctypes` and of the services
//! beside it. The server picks a row to answer with; the client finds the row by the text it got.

/// Calls `$callback!` with every row: `Variant Code "text" "meaning";`.
///
/// The code is the name of a gRPC status code. `etcdkit` makes its error kinds from the same rows.
#[macro_export]
macro_rules! for_each_etcd_error {
    ($callback:ident) => {
        $callback! {
            EmptyKey InvalidArgument "etcdserver: key is not provided" "A request names no key.";
            KeyNotFound InvalidArgument "etcdserver: key not found" "`ignore_value` or `ignore_lease` on a key that does not exist; also an empty transaction operation.";
            ValueProvided InvalidArgument "etcdserver: value is provided" "A value was given together with `ignore_value`.";
            LeaseProvided InvalidArgument "etcdserver: lease is provided" "A lease was given together with `ignore_lease`.";
            TooManyOps InvalidArgument "etcdserver: too many operations in txn request" "A transaction exceeds the server's `--max-txn-ops` (128 by default).";
            DuplicateKey InvalidArgument "etcdserver: duplicate key given in txn request" "One branch of a transaction changes the same key twice.";
            InvalidClientApiVersion InvalidArgument "etcdserver: invalid client api version" "The `client-api-version` metadata is not a version.";
            InvalidSortOption InvalidArgument "etcdserver: invalid sort option" "Unknown sort order or target (3.6).";
            MemberBadUrls InvalidArgument "etcdserver: given member URLs are invalid" "A member's peer URLs are missing or malformed.";
            RequestTooLarge InvalidArgument "etcdserver: request is too large" "The request exceeds the server's `--max-request-bytes` (1.5 MiB by default).";
            UserEmpty InvalidArgument "etcdserver: user name is empty" "No user name; with authentication on, also any request without a token.";
            RoleEmpty InvalidArgument "etcdserver: role name is empty" "No role name.";
            AuthFailed InvalidArgument "etcdserver: authentication failed, invalid user ID or password" "Wrong user or password; the server does not say which.";
            PermissionNotGiven InvalidArgument "etcdserver: permission not given" "A grant without a permission.";
            InvalidAuthManagement InvalidArgument "etcdserver: invalid auth management" "A change that would lock the root user out, or a malformed key range in a permission.";
            AuthOldRevision InvalidArgument "etcdserver: revision of auth store is old" "The token is older than the last change of users or roles.";
            WrongDowngradeVersionFormat InvalidArgument "etcdserver: wrong downgrade target version format" "The downgrade target is not a version (3.5).";
            InvalidDowngradeTargetVersion InvalidArgument "etcdserver: invalid downgrade target version" "The downgrade target is not one minor version below (3.5).";
            Compacted OutOfRange "etcdserver: mvcc: required revision has been compacted" "The revision asked for is older than the last compaction.";
            FutureRevision OutOfRange "etcdserver: mvcc: required revision is a future revision" "The revision asked for is newer than the member's store.";
            LeaseTtlTooLarge OutOfRange "etcdserver: too large lease TTL" "A TTL above 9,000,000,000 s.";
            NoSpace ResourceExhausted "etcdserver: mvcc: database space exceeded" "The backend quota is used up; compact, defragment and disarm the alarm.";
            TooManyRequests ResourceExhausted "etcdserver: too many requests" "Too many proposals wait to be applied. Sent with code Unknown.";
            LeaseNotFound NotFound "etcdserver: requested lease not found" "The lease does not exist or has expired.";
            MemberNotFound NotFound "etcdserver: member not found" "No member has this id.";
            LeaseExists FailedPrecondition "etcdserver: lease already exists" "The chosen lease id is taken.";
            MemberExists FailedPrecondition "etcdserver: member ID already exist" "The member id is taken.";
            PeerUrlExists FailedPrecondition "etcdserver: Peer URLs already exists" "Another member uses one of the peer URLs.";
            MemberNotEnoughStarted FailedPrecondition "etcdserver: re-configuration failed due to not enough started members" "The change would leave the cluster without quorum. Sent with code Unknown.";
            MemberNotLearner FailedPrecondition "etcdserver: can only promote a learner member" "The member to promote is a voter already.";
            LearnerNotReady FailedPrecondition "etcdserver: can only promote a learner member which is in sync with leader" "The learner lags too far behind the leader.";
            TooManyLearners FailedPrecondition "etcdserver: too many learner members in cluster" "The cluster allows no further learner.";
            ClusterIdMismatch FailedPrecondition "etcdserver: cluster ID mismatch" "The request was meant for another cluster.";
            RootUserNotExist FailedPrecondition "etcdserver: root user does not exist" "Authentication needs a user named root.";
            RootRoleNotExist FailedPrecondition "etcdserver: root user does not have root role" "Authentication needs the root role on the user root.";
            UserExists FailedPrecondition "etcdserver: user name already exists" "The user name is taken.";
            UserNotFound FailedPrecondition "etcdserver: user name not found" "No user has this name.";
            RoleExists FailedPrecondition "etcdserver: role name already exists" "The role name is taken.";
            RoleNotFound FailedPrecondition "etcdserver: role name not found" "No role has this name.";
            RoleNotGranted FailedPrecondition "etcdserver: role is not granted to the user" "The user does not have the role to revoke.";
            PermissionNotGranted FailedPrecondition "etcdserver: permission is not granted to the role" "The role does not have the permission to revoke.";
            AuthNotEnabled FailedPrecondition "etcdserver: authentication is not enabled" "Authentication is off.";
            NotLeader FailedPrecondition "etcdserver: not leader" "The request must go to the leader.";
            NotCapable FailedPrecondition "etcdserver: not capable" "The cluster's version does not offer this request yet. Sent with code Unavailable up to 3.5.";
            NotSupportedForLearner FailedPrecondition "etcdserver: rpc not supported for learner" "A learner serves serializable reads and status only. Sent with code Unavailable up to 3.5.";
            BadLeaderTransferee FailedPrecondition "etcdserver: bad leader transferee" "The chosen member cannot become leader.";
            ClusterVersionUnavailable FailedPrecondition "etcdserver: cluster version not found during downgrade" "The cluster version is not decided yet (3.5, there with code Unavailable).";
            DowngradeInProcess FailedPrecondition "etcdserver: cluster has a downgrade job in progress" "A downgrade is under way already (3.5).";
            NoInflightDowngrade FailedPrecondition "etcdserver: no inflight downgrade job" "There is no downgrade to cancel (3.5; 3.6 cancels without complaint).";
            PermissionDenied PermissionDenied "etcdserver: permission denied" "The user may not do this.";
            InvalidAuthToken Unauthenticated "etcdserver: invalid auth token" "The token is unknown or has expired.";
            NoLeader Unavailable "etcdserver: no leader" "The member knows no leader.";
            LeaderChanged Unavailable "etcdserver: leader changed" "The leader changed while a linearizable read waited.";
            Stopped Unavailable "etcdserver: server stopped" "The member is shutting down.";
            ServerTimeout Unavailable "etcdserver: request timed out" "The member gave up waiting for the request to be applied.";
            TimeoutDueToLeaderFail Unavailable "etcdserver: request timed out, possibly due to previous leader failure" "As `ServerTimeout`, around a leader change.";
            TimeoutDueToConnectionLost Unavailable "etcdserver: request timed out, possibly due to connection lost" "As `ServerTimeout`, while the leader was out of reach.";
            TimeoutWaitAppliedIndex Unavailable "etcdserver: request timed out, waiting for the applied index took too long" "The member lags behind; nothing was applied.";
            TimeoutLeaderTransfer Unknown "etcdserver: request timed out, leader transfer took too long" "The leadership did not move in time.";
            Unhealthy Unavailable "etcdserver: unhealthy cluster" "A membership change was refused because members are unreachable.";
            Corrupt DataLoss "etcdserver: corrupt cluster" "A corruption alarm stops the cluster from serving.";
            WatchCanceled Cancelled "etcdserver: watch canceled" "The server ended the watch.";
            RequestCanceled Cancelled "etcdserver: request canceled" "The server saw the request cancelled.";
            ServerDeadlineExceeded DeadlineExceeded "etcdserver: context deadline exceeded" "The server saw the deadline pass.";
            NoPasswordUser Unknown "auth: authentication failed, password was given for no password user" "A login with a password as a user who can only have a certificate.";
            UnknownMethod Unknown "etcdserver: unknown method" "A downgrade request with an unknown action.";
            NotPrimaryLessor Unknown "not a primary lessor" "The member is not sure to be the leader that keeps leases.";
            ProposalDropped Unknown "raft proposal dropped" "The proposal never entered the log; nothing was applied.";
            WatcherNotExist Unknown "mvcc: watcher does not exist" "No watcher has this id.";
            WatchEmptyRange Unknown "mvcc: watcher range is empty" "A watch whose range end is not above its key.";
            WatchDuplicateId Unknown "mvcc: duplicate watch ID provided on the WatchStream" "The chosen watch id is taken on this stream.";
            ElectionNoLeader Unknown "election: no leader" "The election service: nobody leads.";
            ElectionNotLeader Unknown "election: not leader" "The election service: the key given does not lead.";
            ElectionLeaderMissing Unknown "\"leader\" field must be provided" "The election service: a request of the leader without its key.";
            LockSessionExpired Unknown "mutex: session is expired" "The lock service: the lease ended before the lock was acquired.";
        }
    };
}

macro_rules! define {
    ($($name:ident $code:ident $text:literal $doc:literal;)*) => {
        /// An error that an etcd server answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EtcdError {
            $(#[doc = $doc] $name,)*
        }

        impl EtcdError {
            /// Every error, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The status code that belongs to the error.
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)* }
            }

            /// The exact text on the wire.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

for_each_etcd_error!(define);

/// Texts that servers send in place of the error's own.
const OTHER_TEXTS: &[(&str, EtcdError)] = &[
    // Up to 3.5 servers pass on, with code Unknown, what their auth package says when they refuse
    // maintenance requests.
    ("auth: user name is empty", EtcdError::UserEmpty),
    ("auth: invalid auth token", EtcdError::InvalidAuthToken),
    ("auth: permission denied", EtcdError::PermissionDenied),
    (
        "auth: revision in header is old",
        EtcdError::AuthOldRevision,
    ),
    // Sent with code Unknown by a member that stops while a proposal is on its way.
    ("raft: stopped", EtcdError::Stopped),
    // Go's own errors when the server finds the call cancelled or late; all versions up to 3.7 pass
    // them on.
    ("context canceled", EtcdError::RequestCanceled),
    (
        "context deadline exceeded",
        EtcdError::ServerDeadlineExceeded,
    ),
];

/// What a server's gRPC says of a request that is too large even to be read; the sizes follow.
const TOO_LARGE_TO_READ: &str = "grpc: received message larger than max";

impl EtcdError {
    /// The code a real server puts on the wire, which differs from [`code`](Self::code) where etcd
    /// returns the client-side form of the error and gRPC then knows no code for it.
    pub const fn wire_code(self) -> Code {
        match self {
            Self::TooManyRequests | Self::MemberNotEnoughStarted => Code::Unknown,
            other => other.code(),
        }
    }

    /// The error that has exactly this text, or one of the other texts that some servers send for
    /// it.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.starts_with(TOO_LARGE_TO_READ) {
            return Some(Self::RequestTooLarge);
        }
        let row = Self::ALL.iter().find(|error| error.text() == text);
        row.copied().or_else(|| {
            let mut others = OTHER_TEXTS.iter();
            others
                .find(|(other, _)| *other == text)
                .map(|(_, error)| *error)
        })
    }
}

impl std::fmt::Display for EtcdError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for EtcdError {}

/// gRPC's status codes, with their numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// Success.
    Ok = 0,
    /// The caller, or the server, cancelled the call.
    Cancelled = 1,
    /// No better code; etcd sends it for errors it has not typed.
    Unknown = 2,
    /// The request is wrong whatever the state of the server.
    InvalidArgument = 3,
    /// The deadline passed; the call may still have taken effect.
    DeadlineExceeded = 4,
    /// The thing asked for does not exist.
    NotFound = 5,
    /// The thing to be made exists already.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// A quota or size limit is used up.
    ResourceExhausted = 8,
    /// The state of the server does not allow the request.
    FailedPrecondition = 9,
    /// A conflict with another call.
    Aborted = 10,
    /// A revision or value outside the valid range.
    OutOfRange = 11,
    /// The server does not know the method.
    Unimplemented = 12,
    /// A broken invariant in the server, or a malformed message.
    Internal = 13,
    /// The server cannot serve now.
    Unavailable = 14,
    /// Data is lost or corrupt.
    DataLoss = 15,
    /// No valid credentials.
    Unauthenticated = 16,
}

impl Code {
    /// The code of a number on the wire; numbers outside gRPC's list count as [`Code::Unknown`].
    pub const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Ok,
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_leads_back_to_its_error() {
        for error in EtcdError::ALL {
            assert_eq!(EtcdError::from_text(error.text()), Some(*error));
        }
        for (text, error) in OTHER_TEXTS {
            assert_eq!(EtcdError::from_text(text), Some(*error));
            assert_ne!(error.text(), *text);
        }
        assert_eq!(EtcdError::from_text("etcdserver: no such text"), None);
    }

    #[test]
    fn what_is_too_large_to_be_read_is_too_large() {
        let text = "grpc: received message larger than max (900007 vs. 525288)";
        let error = EtcdError::from_text(text);
        assert_eq!(error, Some(EtcdError::RequestTooLarge));
    }

    #[test]
    fn code_numbers_are_grpcs() {
        for number in 0..=16 {
            assert_eq!(Code::from_number(number) as u32, number);
        }
        assert_eq!(Code::from_number(17), Code::Unknown);
    }
}
