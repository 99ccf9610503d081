//! The kinds of failures, and what to do about them.

use etcdkit_proto::{EtcdError, for_each_etcd_error};

macro_rules! define_kinds {
    ($($name:ident $code:ident $text:literal $doc:literal;)*) => {
        /// What kind of failure an [`Error`](crate::Error) is.
        ///
        /// The first kinds are found by the client; the others are etcd's own errors, one kind for
        /// each text a server can send.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            /// The request is wrong and was not sent.
            InvalidRequest,
            /// The client's configuration is wrong: an endpoint, a certificate, a limit.
            InvalidConfig,
            /// No endpoint could be reached; the causes are in the message and the source.
            Connect,
            /// No endpoint could be reached because TLS failed: wrong certificate, name or scheme.
            Tls,
            /// The deadline passed before an answer came.
            Timeout,
            /// The connection broke after the request had been sent.
            Disconnected,
            /// The peer's answer is not what an etcd server sends.
            Protocol,
            /// A snapshot that arrived is not what the server sent: it is cut short or too long, or its
            /// digest differs.
            SnapshotCorrupt,
            /// A local file could not be written; the source says why.
            Io,
            /// The answer is larger than the client's `max_receive_bytes`.
            ResponseTooLarge,
            /// The store is behind what was already seen of it: it was restored from a backup.
            WentBackwards,
            /// An endpoint belongs to another cluster than the others.
            OtherCluster,
            /// The program did not take what a watch delivered fast enough.
            Overflow,
            /// What was to be done with it is no longer held: a lock, a permit or a leadership was lost or
            /// given up, so a write that it guards was not done.
            NotHeld,
            /// The lease of a session is lost, and with it whatever was held or waited for by the session.
            SessionLost,
            /// A transaction in memory met other writers each time it was tried.
            Conflict,
            /// A value is not what the program wants to read it as.
            Decode,
            /// The client was closed.
            Closed,
            /// A server is older than the client was told to accept.
            OldCluster,
            /// The server does not know the request: it is too old, or not etcd.
            Unimplemented,
            /// Another error of the server; see [`Error::code`](crate::Error::code) and
            /// [`Error::message`](crate::Error::message).
            Server,
            $(#[doc = $doc] #[doc = ""] #[doc = concat!("Sent as `", $text, "`.")] $name,)*
        }

        impl From<EtcdError> for ErrorKind {
            fn from(error: EtcdError) -> Self {
                match error {
                    $(EtcdError::$name => Self::$name,)*
                    _ => Self::Server,
                }
            }
        }
    };
}

for_each_etcd_error!(define_kinds);

impl ErrorKind {
    /// Advice that holds for every failure of the kind.
    pub(super) fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Connect => "check that an etcd server listens on the endpoints",
            Self::Tls => {
                "check the endpoint's scheme, the CA file and that the certificate names the host"
            }
            Self::Timeout => "check the server's load and health, or raise the request timeout",
            Self::SnapshotCorrupt => "fetch the snapshot again",
            Self::Protocol => "check that the endpoint is etcd's client URL",
            Self::Unimplemented => "the server is too old for this request",
            Self::ResponseTooLarge => {
                "read in pages with scan(), or raise max_receive_bytes of the client"
            }
            Self::RequestTooLarge => {
                "split the request, or raise --max-request-bytes of the server and, beyond 2 MiB, \
                 max_send_bytes of the client"
            }
            Self::TooManyOps => "split the transaction, or raise --max-txn-ops of the server",
            Self::EmptyKey => "give a key of at least one byte",
            Self::Compacted => "read at a newer revision",
            Self::FutureRevision => "check that the revision is one of this cluster's",
            Self::NoSpace => "compact, defragment, then disarm the NOSPACE alarm",
            Self::TooManyRequests => "send less at a time: the cluster cannot keep up",
            Self::Corrupt => "find the damaged member by its alarm, and replace it",
            Self::WentBackwards => "forget what was read before, and read again",
            Self::OtherCluster => "give endpoints of one cluster only",
            Self::Overflow => "take updates faster, or let the watch pause meanwhile",
            Self::NotHeld => "stop what relies on it, and acquire it anew",
            Self::SessionLost => "open a new session",
            Self::Conflict => "try again later, or allow more attempts",
            Self::NoLeader => "wait for an election, or restore the cluster's quorum",
            Self::Unhealthy => "wait until all members are connected, or start those that are not",
            Self::NotSupportedForLearner => "add the endpoint of a voting member",
            Self::LeaseNotFound => "the lease has expired or was revoked; grant a new one",
            Self::AuthFailed => "check the user's name and password",
            Self::UserEmpty => {
                "the cluster wants to know who asks: give the client a user or a token"
            }
            Self::InvalidAuthToken => "give the client a token that is still valid",
            Self::AuthOldRevision => {
                "users or roles have changed since the token was made: give the client a new one"
            }
            Self::PermissionDenied => "grant the user a role that allows this",
            _ => return None,
        })
    }
}
