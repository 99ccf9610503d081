//! The numbers that tell places of one session apart.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use tokio::sync::Mutex;

use super::plain;
use crate::{KeyRange, Result, SortOrder, SortTarget, sync::Session};

/// The numbers of a session.
///
/// The places that a lease has from before a restart are taken up again, the oldest first: the session
/// would have to wait for them otherwise, and keeps them alive itself.
#[derive(Debug, Default)]
pub(in crate::sync) struct Numbers {
    last: AtomicU64,
    /// Of places that nobody has taken up yet, by what their keys begin with.
    left: Mutex<HashMap<Bytes, VecDeque<u64>>>,
}

impl Numbers {
    /// The number of the next place whose key begins like this.
    ///
    /// # Errors
    ///
    /// Those of a range read, which is made once if the lease is not a new one.
    pub(super) async fn next(&self, session: &Session, prefix: &Bytes) -> Result<u64> {
        if session.is_exclusive() {
            return Ok(self.fresh());
        }
        let mut left = self.left.lock().await;
        let numbers = match left.entry(prefix.clone()) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(unknown) => {
                let found = find(session, prefix).await?;
                let highest = found.iter().copied().max().unwrap_or(0);
                self.last.fetch_max(highest, Ordering::Relaxed);
                unknown.insert(found)
            }
        };
        Ok(numbers.pop_front().unwrap_or_else(|| self.fresh()))
    }

    fn fresh(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// The numbers of all places that the session's lease has, those that are first in the queue in front.
async fn find(session: &Session, prefix: &Bytes) -> Result<VecDeque<u64>> {
    let lease = session.id();
    let mut own = plain(prefix, lease).to_vec();
    own.push(b'-');
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

/// As a place is named after it: digits only, without leading zeros.
fn number(text: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // The highest one leaves no room for the next.
    let is_named = number < u64::MAX && number.to_string().as_bytes() == text;
    is_named.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_session_has_named_is_its_number() {
        assert_eq!(number(b"1"), Some(1));
        assert_eq!(number(b"42"), Some(42));
        for other in [
            "",
            "+1",
            "-1",
            "01",
            "1/2",
            "1 ",
            "x",
            "18446744073709551615",
        ] {
            assert_eq!(number(other.as_bytes()), None, "{other}");
        }
    }
}
