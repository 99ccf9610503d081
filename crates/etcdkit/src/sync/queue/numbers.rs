//! The numbers that tell places of one session apart.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::keys::{number, numbered, numbered_by};
use crate::{KeyRange, Result, SortOrder, SortTarget, sync::Session};

/// The numbers of a session.
///
/// The places that a lease has from before a restart are taken up again, the oldest first: the session
/// would have to wait for them otherwise, and keeps them alive itself. So are the numbers of places that were
/// given up while they were queued for: a request that may put such a key yet is waited for as long as
/// the session lives, once for each key.
#[derive(Debug, Default)]
pub(in crate::sync) struct Numbers {
    last: AtomicU64,
    /// Those to take before new ones, by what the keys begin with.
    left: Mutex<HashMap<Bytes, VecDeque<u64>>>,
}

/// The number of a place that is to be taken.
///
/// Unless it was [taken](Self::take), it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Number<'a> {
    session: &'a Session,
    prefix: &'a Bytes,
    value: u64,
    is_taken: bool,
}

impl Numbers {
    /// The number of the next place whose key begins like this.
    ///
    /// # Errors
    ///
    /// Those of a range read, which is made once if the lease is not a new one.
    pub(super) async fn next<'a>(
        &self,
        session: &'a Session,
        prefix: &'a Bytes,
    ) -> Result<Number<'a>> {
        let is_unknown = !session.is_exclusive() && !self.left().contains_key(prefix);
        if is_unknown {
            let found = find(session, prefix).await?;
            let highest = found.iter().copied().max().unwrap_or(0);
            self.last.fetch_max(highest, Ordering::Relaxed);
            // Another task may have been faster, and some may be taken already.
            self.left().entry(prefix.clone()).or_insert(found);
        }
        let left = self.left().get_mut(prefix).and_then(VecDeque::pop_front);
        Ok(Number {
            session,
            prefix,
            value: left.unwrap_or_else(|| self.fresh()),
            is_taken: false,
        })
    }

    fn fresh(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    fn left(&self) -> MutexGuard<'_, HashMap<Bytes, VecDeque<u64>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Number<'_> {
    /// The key of the place.
    pub(super) fn key(&self) -> Bytes {
        numbered(self.prefix, self.session.id(), self.value)
    }

    /// The place was admitted, and has it for good.
    pub(super) fn take(mut self) {
        self.is_taken = true;
    }
}

impl Drop for Number<'_> {
    fn drop(&mut self) {
        if !self.is_taken {
            let mut left = self.session.numbers().left();
            let left = left.entry(self.prefix.clone()).or_default();
            left.push_front(self.value);
        }
    }
}

/// The numbers of all places that the session's lease has, those that are first in the queue in front.
async fn find(session: &Session, prefix: &Bytes) -> Result<VecDeque<u64>> {
    let lease = session.id();
    let own = numbered_by(prefix, lease);
    let found = session
        .client()
        .range(KeyRange::prefix(&own))
        .sort_by(SortTarget::CreateRevision, SortOrder::Ascending)
        .keys_only()
        .linearizable()
        .await?;
    let found = found.kvs.iter().filter(|kv| kv.lease == Some(lease));
    let numbers = found.filter_map(|kv| number(kv.key.get(own.len()..)?));
    Ok(numbers.collect())
}
