//! What is sent, and what comes back in a comparable form.

use etcdkit_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, HashKvRequest,
    HashKvResponse, LeaseGrantRequest, LeaseGrantResponse, LeaseLeasesRequest, LeaseLeasesResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
    PutRequest, PutResponse, RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
    response_op::Response,
};
use tonic::Code;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// `KV.Range`
    Range(RangeRequest),
    /// `KV.Put`
    Put(PutRequest),
    /// `KV.DeleteRange`
    DeleteRange(DeleteRangeRequest),
    /// `KV.Txn`
    Txn(TxnRequest),
    /// `KV.Compact`
    Compact(CompactionRequest),
    /// `Maintenance.HashKV`
    HashKv(HashKvRequest),
    /// `Lease.LeaseGrant`
    LeaseGrant(LeaseGrantRequest),
    /// `Lease.LeaseRevoke`
    LeaseRevoke(LeaseRevokeRequest),
    /// `Lease.LeaseTimeToLive`
    LeaseTimeToLive(LeaseTimeToLiveRequest),
    /// `Lease.LeaseLeases`
    LeaseLeases(LeaseLeasesRequest),
}

/// A successful response.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Answer {
    Range(RangeResponse),
    Put(PutResponse),
    DeleteRange(DeleteRangeResponse),
    Txn(TxnResponse),
    Compact(CompactionResponse),
    HashKv(HashKvResponse),
    LeaseGrant(LeaseGrantResponse),
    LeaseRevoke(LeaseRevokeResponse),
    LeaseTimeToLive(LeaseTimeToLiveResponse),
    LeaseLeases(LeaseLeasesResponse),
}

/// What a server answers: a response without what identifies the server, or code and text of an error.
pub type Outcome = Result<Answer, (Code, String)>;

impl Answer {
    /// The store's revision after the operation, as the header says.
    pub fn revision(&self) -> i64 {
        self.header().map_or(0, |header| header.revision)
    }

    fn header(&self) -> Option<ResponseHeader> {
        match self {
            Self::Range(response) => response.header,
            Self::Put(response) => response.header,
            Self::DeleteRange(response) => response.header,
            Self::Txn(response) => response.header,
            Self::Compact(response) => response.header,
            Self::HashKv(response) => response.header,
            Self::LeaseGrant(response) => response.header,
            Self::LeaseRevoke(response) => response.header,
            Self::LeaseTimeToLive(response) => response.header,
            Self::LeaseLeases(response) => response.header,
        }
    }

    /// Clears the ids and the Raft term, which differ between any two servers, in the header. Headers
    /// inside a transaction must not have them at all, so they stay as they are, except for
    /// being equal on both sides.
    pub(super) fn without_identity(mut self) -> Self {
        match &mut self {
            Self::Range(response) => anonymous(&mut response.header),
            Self::Put(response) => anonymous(&mut response.header),
            Self::DeleteRange(response) => anonymous(&mut response.header),
            Self::Txn(response) => anonymous(&mut response.header),
            Self::Compact(response) => anonymous(&mut response.header),
            Self::HashKv(response) => anonymous(&mut response.header),
            Self::LeaseGrant(response) => anonymous(&mut response.header),
            Self::LeaseRevoke(response) => anonymous(&mut response.header),
            Self::LeaseTimeToLive(response) => {
                anonymous(&mut response.header);
                // What is left depends on the moment of asking, and the order on nothing.
                response.ttl = response.ttl.min(0);
                response.keys.sort_unstable();
            }
            Self::LeaseLeases(response) => anonymous(&mut response.header),
        }
        self
    }

    /// How many answers there are, those of a transaction's operations included.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Txn(response) => 1 + count_nested(response),
            _ => 1,
        }
    }
}

fn anonymous(header: &mut Option<ResponseHeader>) {
    if let Some(header) = header {
        header.cluster_id = 0;
        header.member_id = 0;
        header.raft_term = 0;
    }
}

fn count_nested(response: &TxnResponse) -> usize {
    let nested = response.responses.iter().map(|op| match &op.response {
        Some(Response::ResponseTxn(txn)) => 1 + count_nested(txn),
        _ => 1,
    });
    nested.sum()
}
