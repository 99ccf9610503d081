//! The quota: how large a store may grow, and what a request costs.
//!
//! The costs are etcd's estimates of what a request adds to its database file. They are the same in
//! every version since 3.1, except that 3.5 and earlier overlook transactions inside of transactions.

use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::{PutRequest, RequestOp, TxnRequest};

/// etcd's quota when none is configured, in bytes: 2 GiB.
pub const DEFAULT_QUOTA_BYTES: i64 = 2 * 1024 * 1024 * 1024;

/// What a lease costs, in bytes.
pub const LEASE_GRANT_COST: u64 = 64;

/// What a put costs beside its key and its value, in bytes.
const PUT_OVERHEAD: u64 = 256;

/// How large a store may grow.
///
/// ```
/// use etcdkit_store::Quota;
///
/// let quota = Quota::new(1000);
/// assert!(quota.admits(900, 99));
/// assert!(!quota.admits(900, 100), "the quota itself is too much");
/// assert!(quota.admits(2000, 0), "what adds nothing always fits");
/// assert!(Quota::new(-1).admits(u64::MAX, 1), "there is none");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    bytes: i64,
}

impl Default for Quota {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Quota {
    /// A quota as etcd's `--quota-backend-bytes` gives it: 0 stands for [`DEFAULT_QUOTA_BYTES`], and
    /// a negative number for no quota.
    pub fn new(bytes: i64) -> Self {
        let bytes = if bytes == 0 {
            DEFAULT_QUOTA_BYTES
        } else {
            bytes
        };
        Self { bytes }
    }

    /// The quota in bytes, as a status tells it; negative if there is none.
    pub fn bytes(self) -> i64 {
        self.bytes
    }

    /// Whether a request of this cost fits into a store of this size, both in bytes.
    pub fn admits(self, size: u64, cost: u64) -> bool {
        match u64::try_from(self.bytes) {
            Ok(bytes) => cost == 0 || size.saturating_add(cost) < bytes,
            Err(_) => true,
        }
    }
}

/// What a put costs, in bytes.
pub fn put_cost(request: &PutRequest) -> u64 {
    PUT_OVERHEAD + request.key.len() as u64 + request.value.len() as u64
}

/// What a transaction costs, in bytes: as much as the branch that puts more, whichever is taken. A
/// transaction that puts nothing costs nothing.
pub fn txn_cost(request: &TxnRequest) -> u64 {
    branch_cost(&request.success).max(branch_cost(&request.failure))
}

fn branch_cost(ops: &[RequestOp]) -> u64 {
    ops.iter()
        .map(|op| match &op.request {
            Some(Request::RequestPut(put)) => put_cost(put),
            Some(Request::RequestTxn(txn)) => txn_cost(txn),
            _ => 0,
        })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::etcdserverpb::{DeleteRangeRequest, RangeRequest};

    use super::*;

    fn put(key: usize, value: usize) -> PutRequest {
        PutRequest {
            key: vec![b'k'; key].into(),
            value: vec![b'v'; value].into(),
            ..Default::default()
        }
    }

    fn ops(requests: impl IntoIterator<Item = Request>) -> Vec<RequestOp> {
        requests
            .into_iter()
            .map(|request| RequestOp {
                request: Some(request),
            })
            .collect()
    }

    #[test]
    fn no_quota_is_the_default_one_and_a_negative_one_is_none() {
        assert_eq!(Quota::default().bytes(), 2_147_483_648);
        assert_eq!(Quota::new(0), Quota::default());
        assert_eq!(Quota::new(7).bytes(), 7);
        assert_eq!(Quota::new(-3).bytes(), -3);
    }

    #[test]
    fn a_request_must_leave_something_of_the_quota() {
        let quota = Quota::new(100);
        assert!(quota.admits(0, 99));
        assert!(!quota.admits(0, 100));
        assert!(!quota.admits(u64::MAX, 1));
        assert!(quota.admits(u64::MAX, 0));
        assert!(Quota::new(i64::MIN).admits(u64::MAX, u64::MAX));
    }

    #[test]
    fn a_put_costs_its_bytes_and_an_overhead() {
        assert_eq!(put_cost(&put(3, 10)), 269);
    }

    #[test]
    fn a_transaction_costs_its_dearer_branch() {
        let read = || Request::RequestRange(RangeRequest::default());
        let delete = || Request::RequestDeleteRange(DeleteRangeRequest::default());
        let branches = |success, failure| TxnRequest {
            success,
            failure,
            ..Default::default()
        };
        assert_eq!(txn_cost(&TxnRequest::default()), 0);
        let free = branches(ops([read(), delete()]), ops([read()]));
        assert_eq!(txn_cost(&free), 0);
        let one = || Request::RequestPut(put(1, 1));
        let success = branches(ops([one(), read(), one()]), ops([one()]));
        assert_eq!(txn_cost(&success), 516);
        let failure = branches(Vec::new(), ops([one()]));
        assert_eq!(txn_cost(&failure), 258);
        let nested = branches(ops([one(), Request::RequestTxn(failure)]), ops([one()]));
        assert_eq!(txn_cost(&nested), 516);
        // An operation without a request is refused elsewhere.
        let empty = branches(vec![RequestOp::default()], Vec::new());
        assert_eq!(txn_cost(&empty), 0);
    }
}
