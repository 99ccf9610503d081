//! What every answer says about the server that gave it.

use etcdkit_proto::etcdserverpb as pb;

use super::MemberId;

/// A revision of the store: a counter of the whole cluster that grows by one with every change
/// (a transaction is one change). An empty store is at revision 1.
pub type Revision = i64;

/// The header of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Header {
    /// The cluster that answered.
    pub cluster_id: u64,
    /// The member that answered.
    pub member_id: MemberId,
    /// The store's revision when the request was applied: the revision of a write's own change, or
    /// the newest revision a read could see. Answers of services that do not touch the store may
    /// say 0.
    pub revision: Revision,
    /// The term of the raft leader at that time.
    pub raft_term: u64,
}

impl From<pb::ResponseHeader> for Header {
    fn from(header: pb::ResponseHeader) -> Self {
        Self {
            cluster_id: header.cluster_id,
            member_id: MemberId(header.member_id),
            revision: header.revision,
            raft_term: header.raft_term,
        }
    }
}

impl From<Option<pb::ResponseHeader>> for Header {
    /// Answers inside a transaction's answer may come without a header.
    fn from(header: Option<pb::ResponseHeader>) -> Self {
        header.map(Self::from).unwrap_or_default()
    }
}
