//! Txn: several operations as one, under conditions.

use std::{future::IntoFuture, time::Duration};

use bytes::Bytes;
use etcdkit_proto::etcdserverpb::{
    self as pb, request_op::Request as WireOp, response_op::Response as WireResponse,
};
use http::uri::PathAndQuery;
use prost::Message;

use super::{DeleteResponse, PutResponse, RangeResponse, txn_op::wire_txn};
use crate::{
    Call, Client, Compare, Error, Header, Op,
    exec::{Method, Request},
    policy::Class,
    wire::Frame,
    wrap::namespace::{Foreign, Leave, Namespace},
};

static METHOD: Method = Method {
    name: "txn",
    path: PathAndQuery::from_static("/etcdserverpb.KV/Txn"),
};

impl Client {
    /// Does several operations as one, and chooses them by conditions: if all conditions of
    /// [`when`](Txn::when) hold, those of [`then`](Txn::then), otherwise those of
    /// [`or_else`](Txn::or_else). All changes get the same revision.
    ///
    /// Awaiting the result sends the request; see [`Txn`] for its errors.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// use etcdkit::{Compare, Op, OpResponse};
    ///
    /// for owner in ["me", "you"] {
    ///     let done = client
    ///         .txn()
    ///         .when([Compare::missing("lock")])
    ///         .then([Op::put("lock", owner)])
    ///         .or_else([Op::get("lock")])
    ///         .await?;
    ///     match &done.responses[..] {
    ///         [OpResponse::Put(_)] => assert_eq!(owner, "me"),
    ///         [OpResponse::Range(found)] => assert_eq!(found.kvs[0].value, "me"),
    ///         _ => unreachable!(),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn txn(&self) -> Txn<'_> {
        Txn {
            client: self,
            when: Vec::new(),
            then: Vec::new(),
            or_else: Vec::new(),
            timeout: None,
        }
    }
}

/// A transaction that has not been sent yet: made by [`Client::txn`], sent when awaited.
///
/// A condition or operation that is given several times is added, not replaced.
///
/// # Errors
///
/// Before sending, whatever is wrong with one of its parts: [`EmptyKey`](crate::ErrorKind::EmptyKey),
/// [`ValueProvided`](crate::ErrorKind::ValueProvided),
/// [`LeaseProvided`](crate::ErrorKind::LeaseProvided),
/// [`InvalidRequest`](crate::ErrorKind::InvalidRequest). From the server, among others:
/// [`TooManyOps`](crate::ErrorKind::TooManyOps) (128 conditions or operations by default),
/// [`DuplicateKey`](crate::ErrorKind::DuplicateKey) if a branch changes a key twice, and what the
/// operations fail with on their own. A transaction that fails has changed nothing.
///
/// A transaction that only reads is sent again as other reads are; one that may write only when the
/// first attempt certainly had no effect.
///
/// # What etcd does not promise
///
/// A transaction without operations, of conditions only, is answered by one member from what it has,
/// as a serializable read is; add an [`Op::get`] for a linearizable answer. And never let a
/// transaction both write and read at an old or future [revision](Op::revision): where the revision
/// is compacted on one member and not yet on another, etcd up to 3.5 at least lets the members come
/// to differ (etcd issue 18667).
#[derive(Debug)]
#[must_use = "a transaction is sent when awaited"]
pub struct Txn<'a> {
    client: &'a Client,
    when: Vec<Compare>,
    then: Vec<Op>,
    or_else: Vec<Op>,
    timeout: Option<Duration>,
}

impl Txn<'_> {
    /// Adds conditions. They hold if all of them hold; without any, they hold.
    pub fn when(mut self, conditions: impl IntoIterator<Item = Compare>) -> Self {
        self.when.extend(conditions);
        self
    }

    /// Adds operations for the case that the conditions hold.
    pub fn then(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.then.extend(ops);
        self
    }

    /// Adds operations for the case that a condition does not hold.
    pub fn or_else(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.or_else.extend(ops);
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Txn<'_> {
    type Output = crate::Result<TxnResponse>;
    type IntoFuture = Call<TxnResponse>;

    fn into_future(self) -> Call<TxnResponse> {
        let mut message = match wire_txn(self.when, self.then, self.or_else) {
            Ok(message) => message,
            Err(invalid) => {
                return Call::failed(Error::from(invalid).with_operation(METHOD.name));
            }
        };
        self.client.namespace.enter_txn(&mut message);
        let request = Request {
            method: &METHOD,
            frame: Frame::of(&message),
            class: class_of(&message),
            timeout: self.timeout,
            only: None,
        };
        Call::new(&self.client.core, request, TxnResponse::decode).within(&self.client.namespace)
    }
}

/// What servers take the transaction for: etcd reads locally only if no operation is nested.
fn class_of(txn: &pb::TxnRequest) -> Class {
    let mut ops = txn.success.iter().chain(&txn.failure).peekable();
    if ops.peek().is_none() {
        return Class::Read;
    }
    if ops.all(|op| matches!(&op.request, Some(WireOp::RequestRange(range)) if range.serializable))
    {
        Class::Local
    } else if is_read_only(txn) {
        Class::Read
    } else {
        Class::Write
    }
}

fn is_read_only(txn: &pb::TxnRequest) -> bool {
    let mut ops = txn.success.iter().chain(&txn.failure);
    ops.all(|op| match &op.request {
        Some(WireOp::RequestRange(_)) | None => true,
        Some(WireOp::RequestTxn(txn)) => is_read_only(txn),
        Some(WireOp::RequestPut(_) | WireOp::RequestDeleteRange(_)) => false,
    })
}

/// The answer to a [transaction](Client::txn).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TxnResponse {
    /// The answer's header; its revision is that of the transaction's changes, or the store's if
    /// it changed nothing.
    pub header: Header,
    /// Whether the conditions held.
    pub succeeded: bool,
    /// The answers of the operations done, in their order.
    pub responses: Vec<OpResponse>,
}

/// The answer to one [operation](Op) of a transaction.
///
/// Of the headers inside, servers fill in the revision only, and not in each kind of answer; the
/// transaction's own header is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpResponse {
    /// To an [`Op::put`].
    Put(PutResponse),
    /// To an [`Op::get`] or [`Op::range`].
    Range(RangeResponse),
    /// To an [`Op::delete`].
    Delete(DeleteResponse),
    /// To an [`Op::txn`].
    Txn(TxnResponse),
}

impl TxnResponse {
    fn decode(reply: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(pb::TxnResponse::decode(reply)?.into())
    }
}

impl From<pb::TxnResponse> for TxnResponse {
    fn from(response: pb::TxnResponse) -> Self {
        Self {
            header: response.header.into(),
            succeeded: response.succeeded,
            responses: response
                .responses
                .into_iter()
                .filter_map(|op| op.response)
                .map(OpResponse::from)
                .collect(),
        }
    }
}

impl From<WireResponse> for OpResponse {
    fn from(response: WireResponse) -> Self {
        match response {
            WireResponse::ResponsePut(put) => Self::Put(put.into()),
            WireResponse::ResponseRange(range) => Self::Range(range.into()),
            WireResponse::ResponseDeleteRange(delete) => Self::Delete(delete.into()),
            WireResponse::ResponseTxn(txn) => Self::Txn(txn.into()),
        }
    }
}

impl Leave for TxnResponse {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        self.responses.leave(namespace)
    }
}

impl Leave for OpResponse {
    fn leave(&mut self, namespace: &Namespace) -> Result<(), Foreign> {
        match self {
            Self::Put(put) => put.leave(namespace),
            Self::Range(range) => range.leave(namespace),
            Self::Delete(delete) => delete.leave(namespace),
            Self::Txn(txn) => txn.leave(namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::EtcdError;

    use super::*;
    use crate::{KeyRange, types::Invalid};

    fn class(then: Vec<Op>, or_else: Vec<Op>) -> Class {
        class_of(&wire_txn([], then, or_else).unwrap())
    }

    #[test]
    fn only_transactions_without_a_write_in_any_branch_are_reads() {
        let nested = |op| vec![Op::txn([], [], [Op::txn([], [op], [])])];
        assert_eq!(class(vec![Op::get("a")], vec![Op::range(..)]), Class::Read);
        assert_eq!(
            class(vec![Op::get("a")], vec![Op::put("a", "1")]),
            Class::Write
        );
        assert_eq!(
            class(vec![Op::delete("a"), Op::get("a")], vec![]),
            Class::Write
        );
        assert_eq!(class(nested(Op::get("a")), vec![]), Class::Read);
        assert_eq!(class(nested(Op::put("a", "1")), vec![]), Class::Write);
        assert_eq!(class(vec![], nested(Op::delete("a"))), Class::Write);
    }

    #[test]
    fn transactions_of_serializable_reads_are_local() {
        let local = || Op::get("a").serializable();
        // Answered by one member, too, but one without a leader may be far behind.
        assert_eq!(class(vec![], vec![]), Class::Read);
        assert_eq!(class(vec![local()], vec![local()]), Class::Local);
        assert_eq!(class(vec![local(), Op::get("b")], vec![]), Class::Read);
        assert_eq!(class(vec![Op::txn([], [local()], [])], vec![]), Class::Read);
    }

    #[test]
    fn whatever_is_wrong_with_a_part_is_wrong_with_the_transaction() {
        let refused = |when: Vec<Compare>, then: Vec<Op>| wire_txn(when, then, []).unwrap_err();
        let misuse = |text: &str| Invalid::Misuse(text.into());

        assert_eq!(
            refused(vec![Compare::exists("")], vec![]),
            EtcdError::EmptyKey.into()
        );
        assert_eq!(
            refused(vec![], vec![Op::put("", "v")]),
            EtcdError::EmptyKey.into()
        );
        assert_eq!(
            refused(vec![], vec![Op::put("k", "v").ignore_value()]),
            EtcdError::ValueProvided.into()
        );
        assert_eq!(
            refused(vec![], vec![Op::txn([], [Op::get("")], [])]),
            EtcdError::EmptyKey.into()
        );
        assert_eq!(
            refused(vec![], vec![Op::put("k", "v").limit(1)]),
            misuse("limit is an option of Op::get and Op::range only")
        );
        assert_eq!(
            refused(vec![], vec![Op::get("k").lease(1).limit(-1)]),
            misuse("lease is an option of Op::put only")
        );
        assert_eq!(
            refused(vec![], vec![Op::txn([], [], []).prev_kv()]),
            misuse("prev_kv is an option of Op::put and Op::delete only")
        );
        assert!(matches!(
            refused(vec![], vec![Op::delete(KeyRange::range("b", "a"))]),
            Invalid::Misuse(_)
        ));
    }

    #[test]
    fn nested_answers_keep_their_shape() {
        let put = pb::ResponseOp {
            response: Some(WireResponse::ResponsePut(pb::PutResponse::default())),
        };
        let inner = pb::TxnResponse {
            succeeded: true,
            responses: vec![put.clone()],
            ..Default::default()
        };
        let outer = pb::TxnResponse {
            responses: vec![
                pb::ResponseOp {
                    response: Some(WireResponse::ResponseTxn(inner)),
                },
                put,
            ],
            ..Default::default()
        };
        let decoded = TxnResponse::decode(outer.encode_to_vec().into()).unwrap();
        assert!(!decoded.succeeded);
        let [OpResponse::Txn(inner), OpResponse::Put(_)] = &decoded.responses[..] else {
            panic!("{decoded:?}");
        };
        assert!(inner.succeeded);
        assert_eq!(inner.responses, [OpResponse::Put(PutResponse::default())]);
    }
}
