//! What is wrong with a request whatever the state of the store.
//!
//! A server asks this first of all, before quota, credentials and size.

use std::collections::{BTreeMap, HashSet};

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use etcdkit_proto::etcdserverpb::request_op::Request;
use etcdkit_proto::etcdserverpb::{
    DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};

/// How many operations a transaction may have unless configured otherwise; etcd's `--max-txn-ops`.
pub const DEFAULT_MAX_TXN_OPS: usize = 128;

/// How deep transactions may nest. etcd has no such limit of its own, but with its default limit
/// of operations it comes to the same: every level has an operation.
pub const MAX_TXN_DEPTH: usize = 128;

/// Checks a read.
///
/// # Errors
///
/// `EmptyKey`; `InvalidSortOption` for an unknown order or target (3.6; before, an unknown target
/// crashed the server).
pub fn range(request: &RangeRequest) -> Result<(), EtcdError> {
    key(&request.key)?;
    if SortOrder::try_from(request.sort_order).is_err()
        || SortTarget::try_from(request.sort_target).is_err()
    {
        return Err(EtcdError::InvalidSortOption);
    }
    Ok(())
}

/// Checks a put.
///
/// # Errors
///
/// `EmptyKey`; `ValueProvided` and `LeaseProvided` if what is to be ignored is given.
pub fn put(request: &PutRequest) -> Result<(), EtcdError> {
    key(&request.key)?;
    if request.ignore_value && !request.value.is_empty() {
        return Err(EtcdError::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(EtcdError::LeaseProvided);
    }
    Ok(())
}

/// Checks a delete.
///
/// # Errors
///
/// `EmptyKey`.
pub fn delete_range(request: &DeleteRangeRequest) -> Result<(), EtcdError> {
    key(&request.key)
}

/// Checks a transaction with all its operations, also those of branches that will not be taken.
///
/// `max_ops` limits the longest of the three lists; a nested transaction gets what its outer one
/// leaves of it.
///
/// # Errors
///
/// `TooManyOps`, also when nested deeper than [`MAX_TXN_DEPTH`]; those of the operations;
/// `KeyNotFound` for an operation without content; `DuplicateKey` if a branch changes a key twice.
pub fn txn(request: &TxnRequest, max_ops: usize) -> Result<(), EtcdError> {
    limits(request, max_ops, MAX_TXN_DEPTH)?;
    Changes::of_branch(&request.success)?;
    Changes::of_branch(&request.failure)?;
    Ok(())
}

fn key(key: &[u8]) -> Result<(), EtcdError> {
    if key.is_empty() {
        Err(EtcdError::EmptyKey)
    } else {
        Ok(())
    }
}

fn limits(request: &TxnRequest, max_ops: usize, max_depth: usize) -> Result<(), EtcdError> {
    let ops = request
        .compare
        .len()
        .max(request.success.len())
        .max(request.failure.len());
    let left = max_ops.checked_sub(ops).ok_or(EtcdError::TooManyOps)?;
    let depth_left = max_depth.checked_sub(1).ok_or(EtcdError::TooManyOps)?;
    for compare in &request.compare {
        key(&compare.key)?;
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(request)) => range(request)?,
            Some(Request::RequestPut(request)) => put(request)?,
            Some(Request::RequestDeleteRange(request)) => delete_range(request)?,
            Some(Request::RequestTxn(request)) => limits(request, left, depth_left)?,
            // etcd answers with this error, although no key is meant.
            None => return Err(EtcdError::KeyNotFound),
        }
    }
    Ok(())
}

/// The keys that a branch of a transaction changes, nested branches included.
#[derive(Default)]
struct Changes<'a> {
    puts: HashSet<&'a [u8]>,
    deletes: Deletes<'a>,
}

impl<'a> Changes<'a> {
    /// Collects a branch, unless it puts a key twice, or puts a key that it also deletes.
    ///
    /// The order is etcd's, and it shows: a nested put is compared with the deletes of this level
    /// and of the nested transactions before it, but not with those after it.
    fn of_branch(ops: &'a [RequestOp]) -> Result<Self, EtcdError> {
        let mut changes = Self::default();
        for op in ops {
            if let Some(Request::RequestDeleteRange(delete)) = &op.request {
                changes.deletes.insert(&delete.key, &delete.range_end);
            }
        }
        for op in ops {
            if let Some(Request::RequestTxn(nested)) = &op.request {
                let success = Self::of_branch(&nested.success)?;
                let failure = Self::of_branch(&nested.failure)?;
                changes.add_nested(success, failure)?;
            }
        }
        for op in ops {
            if let Some(Request::RequestPut(put)) = &op.request {
                changes.add_put(&put.key)?;
            }
        }
        Ok(changes)
    }

    /// Adds both branches of a nested transaction. Only one will run, so both may put the same key.
    fn add_nested(&mut self, success: Self, failure: Self) -> Result<(), EtcdError> {
        for key in &success.puts {
            self.add_put(key)?;
        }
        for key in failure.puts.difference(&success.puts) {
            self.add_put(key)?;
        }
        self.deletes.extend(success.deletes);
        self.deletes.extend(failure.deletes);
        Ok(())
    }

    fn add_put(&mut self, key: &'a [u8]) -> Result<(), EtcdError> {
        if self.deletes.contains(key) || !self.puts.insert(key) {
            return Err(EtcdError::DuplicateKey);
        }
        Ok(())
    }
}

/// The union of deleted keys and ranges.
#[derive(Default)]
struct Deletes<'a> {
    keys: HashSet<&'a [u8]>,
    /// From start to end, neither overlapping nor touching.
    ranges: BTreeMap<&'a [u8], &'a [u8]>,
}

impl<'a> Deletes<'a> {
    /// A range end of `\0` is taken for what it says, not for "every key from here on", so such a
    /// delete is an empty range and clashes with nothing: etcd's rule.
    fn insert(&mut self, key: &'a [u8], range_end: &'a [u8]) {
        if range_end.is_empty() {
            self.keys.insert(key);
        } else if key < range_end {
            self.insert_range(key, range_end);
        }
    }

    fn insert_range(&mut self, mut start: &'a [u8], mut end: &'a [u8]) {
        while let Some((&other_start, &other_end)) = self.ranges.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.ranges.remove(other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.ranges.insert(start, end);
    }

    fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        for (start, end) in other.ranges {
            self.insert_range(start, end);
        }
    }

    fn contains(&self, key: &[u8]) -> bool {
        self.keys.contains(key)
            || self
                .ranges
                .range(..=key)
                .next_back()
                .is_some_and(|(_, end)| key < *end)
    }
}
