//! Writes that are done only if something is still held.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use super::{Held, answer::misshapen};
use crate::{
    Blob, Compare, DeleteResponse, KeyRange, LeaseId, Op, OpResponse, PutResponse, Result,
    TxnResponse,
};

/// What awaiting a fenced request gives.
type Sending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A transaction under the condition that something is still held: made by [`Held::txn`], sent when
/// awaited.
///
/// # Errors
///
/// [`NotHeld`](crate::ErrorKind::NotHeld) if it is no longer held: nothing was done. This is told apart from
/// conditions of one's own that do not hold, which make [`TxnResponse::succeeded`] false. Otherwise those
/// of [`Txn`](crate::Txn); with conditions of its own it is a transaction inside of a transaction.
///
/// # Cancellation
///
/// A transaction whose future is dropped may have been done, or may be done later if it is still held
/// then.
#[derive(Debug)]
#[must_use = "a transaction is sent when awaited"]
pub struct FencedTxn<'a> {
    held: &'a Held,
    when: Vec<Compare>,
    then: Vec<Op>,
    or_else: Vec<Op>,
    timeout: Option<Duration>,
}

impl<'a> FencedTxn<'a> {
    pub(super) fn new(held: &'a Held) -> Self {
        Self {
            held,
            when: Vec::new(),
            then: Vec::new(),
            or_else: Vec::new(),
            timeout: None,
        }
    }

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

    /// Adds operations for the case that a condition does not hold. They, too, are done only if it is
    /// still held.
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

impl<'a> IntoFuture for FencedTxn<'a> {
    type Output = Result<TxnResponse>;
    type IntoFuture = Sending<'a, TxnResponse>;

    fn into_future(self) -> Sending<'a, TxnResponse> {
        let is_plain = self.when.is_empty();
        let inner = match is_plain {
            true => self.then,
            false => vec![Op::txn(self.when, self.then, self.or_else)],
        };
        let sent = send(self.held, inner, self.timeout, "txn", move |answer| {
            if is_plain {
                return Some(answer);
            }
            match answer.responses.into_iter().next()? {
                OpResponse::Txn(inner) => Some(TxnResponse {
                    header: answer.header,
                    ..inner
                }),
                _ => None,
            }
        });
        Box::pin(sent)
    }
}

/// A put under the condition that something is still held: made by [`Held::put`], sent when awaited.
///
/// # Errors
///
/// [`NotHeld`](crate::ErrorKind::NotHeld) if it is no longer held: nothing was written. Otherwise those of
/// [`Put`](crate::Put).
///
/// # Cancellation
///
/// As of a [fenced transaction](FencedTxn#cancellation).
#[derive(Debug)]
#[must_use = "a put is sent when awaited"]
pub struct FencedPut<'a> {
    held: &'a Held,
    key: Blob<'a>,
    value: Blob<'a>,
    lease: LeaseId,
    prev_kv: bool,
    timeout: Option<Duration>,
}

impl<'a> FencedPut<'a> {
    pub(super) fn new(held: &'a Held, key: Blob<'a>, value: Blob<'a>) -> Self {
        Self {
            held,
            key,
            value,
            lease: LeaseId(0),
            prev_kv: false,
            timeout: None,
        }
    }

    /// Attaches the key to a lease, as [`Put::lease`](crate::Put::lease).
    pub fn lease(mut self, lease: impl Into<LeaseId>) -> Self {
        self.lease = lease.into();
        self
    }

    /// Asks for the pair that is replaced.
    pub fn prev_kv(mut self) -> Self {
        self.prev_kv = true;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<'a> IntoFuture for FencedPut<'a> {
    type Output = Result<PutResponse>;
    type IntoFuture = Sending<'a, PutResponse>;

    fn into_future(self) -> Sending<'a, PutResponse> {
        let put = Op::put(self.key, self.value).lease(self.lease);
        let put = match self.prev_kv {
            true => put.prev_kv(),
            false => put,
        };
        let sent = send(
            self.held,
            vec![put],
            self.timeout,
            "put",
            |answer| match answer.responses.into_iter().next()? {
                OpResponse::Put(put) => Some(PutResponse {
                    header: answer.header,
                    ..put
                }),
                _ => None,
            },
        );
        Box::pin(sent)
    }
}

/// A deletion under the condition that something is still held: made by [`Held::delete`], sent when
/// awaited.
///
/// # Errors
///
/// [`NotHeld`](crate::ErrorKind::NotHeld) if it is no longer held: nothing was deleted. Otherwise those of
/// [`Delete`](crate::Delete).
///
/// # Cancellation
///
/// As of a [fenced transaction](FencedTxn#cancellation).
#[derive(Debug)]
#[must_use = "a delete is sent when awaited"]
pub struct FencedDelete<'a> {
    held: &'a Held,
    keys: KeyRange<'a>,
    prev_kv: bool,
    timeout: Option<Duration>,
}

impl<'a> FencedDelete<'a> {
    pub(super) fn new(held: &'a Held, keys: KeyRange<'a>) -> Self {
        Self {
            held,
            keys,
            prev_kv: false,
            timeout: None,
        }
    }

    /// Asks for the pairs that are deleted.
    pub fn prev_kv(mut self) -> Self {
        self.prev_kv = true;
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<'a> IntoFuture for FencedDelete<'a> {
    type Output = Result<DeleteResponse>;
    type IntoFuture = Sending<'a, DeleteResponse>;

    fn into_future(self) -> Sending<'a, DeleteResponse> {
        let delete = Op::delete(self.keys);
        let delete = match self.prev_kv {
            true => delete.prev_kv(),
            false => delete,
        };
        let sent = send(
            self.held,
            vec![delete],
            self.timeout,
            "delete",
            |answer| match answer.responses.into_iter().next()? {
                OpResponse::Delete(delete) => Some(DeleteResponse {
                    header: answer.header,
                    ..delete
                }),
                _ => None,
            },
        );
        Box::pin(sent)
    }
}

/// Does the operations if something is held still, and takes what it wants of the answer.
async fn send<T>(
    held: &Held,
    then: Vec<Op>,
    timeout: Option<Duration>,
    operation: &'static str,
    read: impl FnOnce(TxnResponse) -> Option<T> + Send,
) -> Result<T> {
    held.check()
        .map_err(|error| error.with_operation(operation))?;
    let txn = held.session().client().txn();
    let txn = txn
        .when([held.fence()])
        .then(then)
        // With a read the answer is the cluster's, even if there is nothing to do.
        .or_else([Op::get(held.key()).keys_only()]);
    let txn = match timeout {
        Some(timeout) => txn.timeout(timeout),
        None => txn,
    };
    let answer = txn.await.map_err(|error| error.with_operation(operation))?;
    if !answer.succeeded {
        return Err(held.refused().await.with_operation(operation));
    }
    read(answer).ok_or_else(|| misshapen().with_operation(operation))
}
