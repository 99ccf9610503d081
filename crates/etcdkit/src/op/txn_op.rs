//! Op: one operation of a transaction.

use etcdkit_proto::etcdserverpb::{self as pb, request_op::Request};

use super::{delete::DeleteMessage, put::PutMessage, range::RangeMessage};
use crate::{Blob, Compare, KeyRange, LeaseId, Revision, SortOrder, SortTarget, types::Invalid};

/// One operation of a [transaction](crate::Client::txn).
///
/// An option that the operation does not have, such as a limit on a put, makes the transaction
/// fail with [`InvalidRequest`](crate::ErrorKind::InvalidRequest) before it is sent.
///
/// # Examples
///
/// ```
/// use etcdkit::{Compare, KeyRange, LeaseId, Op};
///
/// let ops = vec![
///     Op::put("lock", "me").lease(LeaseId(7)).prev_kv(),
///     Op::get("config"),
///     Op::range(KeyRange::prefix("jobs/")).limit(10),
///     Op::delete("request"),
///     Op::txn([Compare::missing("a")], [Op::put("a", "1")], []),
/// ];
/// ```
#[derive(Clone, Debug)]
pub struct Op(Result<Kind, Invalid>);

#[derive(Clone, Debug)]
enum Kind {
    Put(PutMessage<'static>),
    Range(Box<RangeMessage<'static>>),
    Delete(DeleteMessage<'static>),
    Txn(pb::TxnRequest),
}

impl Op {
    /// Writes a key; see [`Client::put`](crate::Client::put).
    pub fn put<'a>(key: impl Into<Blob<'a>>, value: impl Into<Blob<'a>>) -> Self {
        Self(Ok(Kind::Put(PutMessage {
            key: key.into().into_owned(),
            value: value.into().into_owned(),
            lease: LeaseId(0),
            prev_kv: false,
            ignore_value: false,
            ignore_lease: false,
        })))
    }

    /// Reads one key; the answer is an [`OpResponse::Range`](crate::OpResponse::Range).
    pub fn get<'a>(key: impl Into<Blob<'a>>) -> Self {
        Self::range(KeyRange::key(key))
    }

    /// Reads the keys of a range; see [`Client::range`](crate::Client::range).
    pub fn range<'a>(keys: impl Into<KeyRange<'a>>) -> Self {
        let keys = keys.into().into_owned();
        Self(Ok(Kind::Range(Box::new(RangeMessage::new(keys)))))
    }

    /// Deletes the keys of a range; see [`Client::delete`](crate::Client::delete).
    pub fn delete<'a>(keys: impl Into<KeyRange<'a>>) -> Self {
        Self(Ok(Kind::Delete(DeleteMessage {
            keys: keys.into().into_owned(),
            prev_kv: false,
        })))
    }

    /// A transaction inside the transaction, with its own conditions and branches. Since etcd 3.3.
    pub fn txn(
        when: impl IntoIterator<Item = Compare>,
        then: impl IntoIterator<Item = Self>,
        or_else: impl IntoIterator<Item = Self>,
    ) -> Self {
        Self(wire_txn(when, then, or_else).map(Kind::Txn))
    }

    /// As [`Put::lease`](crate::Put::lease).
    #[must_use]
    pub fn lease(self, lease: impl Into<LeaseId>) -> Self {
        self.on_put("lease", |put| put.lease = lease.into())
    }

    /// As [`Put::ignore_value`](crate::Put::ignore_value).
    #[must_use]
    pub fn ignore_value(self) -> Self {
        self.on_put("ignore_value", |put| put.ignore_value = true)
    }

    /// As [`Put::ignore_lease`](crate::Put::ignore_lease).
    #[must_use]
    pub fn ignore_lease(self) -> Self {
        self.on_put("ignore_lease", |put| put.ignore_lease = true)
    }

    /// As [`Put::prev_kv`](crate::Put::prev_kv) and [`Delete::prev_kv`](crate::Delete::prev_kv).
    #[must_use]
    pub fn prev_kv(mut self) -> Self {
        match &mut self.0 {
            Ok(Kind::Put(put)) => put.prev_kv = true,
            Ok(Kind::Delete(delete)) => delete.prev_kv = true,
            Ok(_) => self.0 = Err(misplaced("prev_kv", "Op::put and Op::delete")),
            Err(_) => {}
        }
        self
    }

    /// As [`Range::limit`](crate::Range::limit).
    #[must_use]
    pub fn limit(self, limit: i64) -> Self {
        self.on_range("limit", |range| range.limit = limit)
    }

    /// As [`Range::revision`](crate::Range::revision).
    #[must_use]
    pub fn revision(self, revision: Revision) -> Self {
        self.on_range("revision", |range| range.revision = revision)
    }

    /// As [`Range::serializable`](crate::Range::serializable). A transaction is serializable only
    /// if all its operations are.
    #[must_use]
    pub fn serializable(self) -> Self {
        self.on_range("serializable", |range| range.serializable = true)
    }

    /// As [`Range::keys_only`](crate::Range::keys_only).
    #[must_use]
    pub fn keys_only(self) -> Self {
        self.on_range("keys_only", |range| range.keys_only = true)
    }

    /// As [`Range::count_only`](crate::Range::count_only).
    #[must_use]
    pub fn count_only(self) -> Self {
        self.on_range("count_only", |range| range.count_only = true)
    }

    /// As [`Range::sort_by`](crate::Range::sort_by).
    #[must_use]
    pub fn sort_by(self, target: SortTarget, order: SortOrder) -> Self {
        self.on_range("sort_by", |range| range.sort = Some((target, order)))
    }

    /// As [`Range::min_mod_revision`](crate::Range::min_mod_revision).
    #[must_use]
    pub fn min_mod_revision(self, revision: Revision) -> Self {
        self.on_range("min_mod_revision", |range| {
            range.min_mod_revision = revision
        })
    }

    /// As [`Range::max_mod_revision`](crate::Range::max_mod_revision).
    #[must_use]
    pub fn max_mod_revision(self, revision: Revision) -> Self {
        self.on_range("max_mod_revision", |range| {
            range.max_mod_revision = revision
        })
    }

    /// As [`Range::min_create_revision`](crate::Range::min_create_revision).
    #[must_use]
    pub fn min_create_revision(self, revision: Revision) -> Self {
        self.on_range("min_create_revision", |range| {
            range.min_create_revision = revision;
        })
    }

    /// As [`Range::max_create_revision`](crate::Range::max_create_revision).
    #[must_use]
    pub fn max_create_revision(self, revision: Revision) -> Self {
        self.on_range("max_create_revision", |range| {
            range.max_create_revision = revision;
        })
    }

    fn on_put(mut self, option: &str, set: impl FnOnce(&mut PutMessage<'static>)) -> Self {
        match &mut self.0 {
            Ok(Kind::Put(put)) => set(put),
            Ok(_) => self.0 = Err(misplaced(option, "Op::put")),
            Err(_) => {}
        }
        self
    }

    fn on_range(mut self, option: &str, set: impl FnOnce(&mut RangeMessage<'static>)) -> Self {
        match &mut self.0 {
            Ok(Kind::Range(range)) => set(range),
            Ok(_) => self.0 = Err(misplaced(option, "Op::get and Op::range")),
            Err(_) => {}
        }
        self
    }

    fn into_wire(self) -> Result<pb::RequestOp, Invalid> {
        let request = match self.0? {
            Kind::Put(put) => {
                put.check()?;
                Request::RequestPut(put.into())
            }
            Kind::Range(range) => {
                range.check()?;
                Request::RequestRange((*range).into())
            }
            Kind::Delete(delete) => {
                delete.check()?;
                Request::RequestDeleteRange(delete.into())
            }
            Kind::Txn(txn) => Request::RequestTxn(txn),
        };
        Ok(pb::RequestOp {
            request: Some(request),
        })
    }
}

fn misplaced(option: &str, place: &str) -> Invalid {
    Invalid::Misuse(format!("{option} is an option of {place} only"))
}

/// The message of a transaction, nested or not; fails with the first thing wrong in it.
pub(super) fn wire_txn(
    when: impl IntoIterator<Item = Compare>,
    then: impl IntoIterator<Item = Op>,
    or_else: impl IntoIterator<Item = Op>,
) -> Result<pb::TxnRequest, Invalid> {
    Ok(pb::TxnRequest {
        compare: when
            .into_iter()
            .map(Compare::into_wire)
            .collect::<Result<_, _>>()?,
        success: then
            .into_iter()
            .map(Op::into_wire)
            .collect::<Result<_, _>>()?,
        failure: or_else
            .into_iter()
            .map(Op::into_wire)
            .collect::<Result<_, _>>()?,
    })
}
