//! What commands received, as the printers see it.
//!
//! Where a reply of the client's is more than its message, or several commands have the same form of
//! reply, the printers get what is to be shown and no more.

use etcdkit::{
    AlarmList, DeleteResponse, HashKv, Header, KeyValue, LeaseId, Member, MemberList, PutResponse,
    RangeResponse, Status, TxnResponse,
};

/// What a command received, ready to print.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply<'a> {
    Put(&'a PutResponse),
    Range(&'a RangeResponse),
    Delete(&'a DeleteResponse),
    Txn(&'a TxnResponse),
    Watch(Events<'a>),
    LeaseGrant(LeaseTtl<'a>),
    LeaseKeepAlive(LeaseTtl<'a>),
    TimeToLive(TimeToLive<'a>),
    Leases(&'a Header, &'a [LeaseId]),
    Members(&'a MemberList),
    MemberAdd(MemberAdd<'a>),
    /// Any other change of the members: the sentence that tells it, and who is a member now.
    MemberChange(Done<'a>, &'a [Member]),
    Health(&'a [Health]),
    Status(&'a [At<Status>]),
    HashKv(&'a [At<HashKv>]),
    Alarms(&'a AlarmList),
    /// The sentence that tells a step of a downgrade, and the version of the cluster.
    Downgrade(Done<'a>, &'a str),
    /// A reply that only says that something was done.
    Done(Done<'a>),
    RoleList(Names<'a>),
    UserList(Names<'a>),
    /// A user and its roles.
    User(&'a str, Names<'a>),
    Role(Role<'a>),
    AuthStatus(AuthStatus<'a>),
    Snapshot(&'a etcdkit_snapshot::Status),
}

/// The reply of one endpoint, which is named as the user named it.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) endpoint: String,
    pub(crate) reply: T,
}

/// Whether an endpoint serves requests.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) endpoint: String,
    /// How long the answer took, as Go prints durations.
    pub(crate) took: String,
    /// Why the endpoint is not healthy.
    pub(crate) error: Option<String>,
}

/// What happened, as a sentence, and the header of the reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done<'a> {
    pub(crate) header: &'a Header,
    pub(crate) text: &'a str,
}

/// Events that came together, or none and how far the watch has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events<'a> {
    pub(crate) header: &'a Header,
    pub(crate) events: &'a [Event<'a>],
    /// Why the server ended the watch, if it did.
    pub(crate) canceled: Option<&'a str>,
    /// The first revision that is still there, if the watch ended because its own is not.
    pub(crate) compact_revision: i64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// `PUT` or `DELETE`.
    pub(crate) kind: EventKind,
    pub(crate) kv: &'a KeyValue,
    pub(crate) prev_kv: Option<&'a KeyValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Put,
    Delete,
}

impl EventKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Its number in messages.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Put => 0,
            Self::Delete => 1,
        }
    }
}

/// A lease that was granted or kept alive, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseTtl<'a> {
    pub(crate) header: &'a Header,
    pub(crate) id: LeaseId,
    pub(crate) ttl: i64,
}

/// How long a lease lasts, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeToLive<'a> {
    pub(crate) header: &'a Header,
    pub(crate) id: LeaseId,
    /// What is left; −1 if there is no such lease.
    pub(crate) ttl: i64,
    pub(crate) granted_ttl: i64,
    /// The keys attached, if they were asked for.
    pub(crate) keys: Option<&'a [&'a [u8]]>,
}

impl TimeToLive<'_> {
    pub(super) fn is_expired(&self) -> bool {
        self.ttl == -1 && self.granted_ttl == 0
    }
}

/// A new member, and how to start it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemberAdd<'a> {
    pub(crate) header: &'a Header,
    pub(crate) member: &'a Member,
    pub(crate) members: &'a [Member],
    /// The name it is to be started with.
    pub(crate) name: &'a str,
    /// Its peer URLs as they were given.
    pub(crate) peer_urls: &'a str,
}

/// Names of users or roles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) header: &'a Header,
    pub(crate) names: &'a [String],
}

/// A role and its permissions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role<'a> {
    pub(crate) header: &'a Header,
    pub(crate) name: &'a str,
    pub(crate) permissions: &'a [Permission],
}

/// What a role may do with some keys.
#[derive(Clone, Debug)]
pub(crate) struct Permission {
    pub(crate) access: Access,
    pub(crate) key: Vec<u8>,
    pub(crate) range_end: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    ReadWrite,
}

impl Access {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::ReadWrite => "READWRITE",
        }
    }

    /// Its number in messages.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::ReadWrite => 2,
        }
    }
}

/// Whether authentication is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AuthStatus<'a> {
    pub(crate) header: &'a Header,
    pub(crate) enabled: bool,
    pub(crate) revision: u64,
}
