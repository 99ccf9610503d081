//! The calls of one caller: which keys, which values, in which order.

use crate::{Failure, Peer, Verb, job::Workload, run::RangeCall};

/// One caller. Buffers are made once, so that the load itself allocates nothing per call.
pub(crate) struct Caller<P: Peer> {
    peer: P,
    verb: Verb,
    workload: Workload,
    random: fastrand::Rng,
    keys: Vec<Vec<u8>>,
    value: Vec<u8>,
    /// For locks, which are taken by it if it is there.
    session: Option<P::Session>,
    /// A lock that nobody else wants.
    lock: String,
}

impl<P: Peer> Caller<P> {
    pub(crate) async fn ready(
        mut peer: P,
        verb: Verb,
        workload: Workload,
        seed: u64,
    ) -> Result<Self, Failure> {
        let session = match verb {
            Verb::Lock { by_session: true } => Some(peer.session().await?),
            _ => None,
        };
        let keys = match verb {
            Verb::TxnPut { ops } => ops,
            _ => 1,
        };
        Ok(Self {
            peer,
            verb,
            session,
            lock: format!("lock/{seed}"),
            random: fastrand::Rng::with_seed(seed),
            keys: (0..keys).map(|_| vec![0; workload.key_size]).collect(),
            value: vec![b'v'; workload.val_size],
            workload,
        })
    }

    /// Makes call number `number` and says how many keys it touched.
    pub(crate) async fn call(&mut self, number: u64) -> Result<u64, Failure> {
        let space = self.workload.key_space_size.max(1);
        let first = match self.workload.sequential_keys {
            true => number * self.keys.len() as u64,
            false => self.random.u64(..space),
        };
        // Neighbours, since etcd refuses a transaction that writes a key twice.
        for (position, key) in (first..).zip(&mut self.keys) {
            self.workload.write_key(position % space, key);
        }
        let key = self.keys.first().map_or(&[][..], Vec::as_slice);
        let read = |key, end| RangeCall {
            key,
            end,
            limit: self.workload.limit,
            serializable: self.workload.serializable,
        };
        match &self.verb {
            Verb::Put => self.peer.put(key, &self.value).await.map(|()| 1),
            Verb::Range { key: fixed, end } => {
                let key = fixed.as_ref().map_or(key, String::as_bytes);
                let end = end.as_ref().map(String::as_bytes);
                self.peer.range(read(key, end)).await
            }
            Verb::TxnPut { ops } => {
                self.peer.txn_put(&self.keys, &self.value).await?;
                Ok(*ops)
            }
            Verb::TxnMixed {
                key: fixed,
                end,
                reads_per_hundred_writes,
            } => {
                let draw = self.random.u64(..100 + reads_per_hundred_writes);
                if draw < *reads_per_hundred_writes {
                    let end = end.as_ref().map(String::as_bytes);
                    self.peer.txn_range(read(fixed.as_bytes(), end)).await
                } else {
                    self.peer.txn_put(&self.keys, &self.value).await?;
                    Ok(1)
                }
            }
            Verb::Scan { prefix, page } => self.peer.scan(prefix.as_bytes(), *page).await,
            Verb::Lock { .. } => {
                let guard = self.peer.lock(self.session.as_ref(), &self.lock).await?;
                self.peer.unlock(guard).await?;
                Ok(1)
            }
        }
    }
}
