//! The `etcdkit` crate under load, used as its documentation shows, with its default options.

use etcdkit::{Client, KeyRange, Op, OpResponse};
use etcdkit_bench_load::{Failure, Peer, RangeCall};

/// A client of the `etcdkit` crate.
#[derive(Clone, Debug)]
pub struct Etcdkit(Client);

impl Peer for Etcdkit {
    async fn connect(endpoints: &[String]) -> Result<Self, Failure> {
        Ok(Self(Client::connect(endpoints).await?))
    }

    async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        self.0.put(key, value).await?;
        Ok(())
    }

    async fn range(&mut self, call: RangeCall<'_>) -> Result<u64, Failure> {
        if call.end.is_none() {
            let mut get = self.0.get(call.key);
            if call.serializable {
                get = get.serializable();
            }
            return Ok(u64::from(get.await?.is_some()));
        }
        let mut range = self.0.range(keys(call)).limit(call.limit);
        if call.serializable {
            range = range.serializable();
        }
        Ok(range.await?.kvs.len() as u64)
    }

    async fn txn_put(&mut self, keys: &[Vec<u8>], value: &[u8]) -> Result<(), Failure> {
        let puts = keys.iter().map(|key| Op::put(key, value));
        self.0.txn().then(puts).await?;
        Ok(())
    }

    async fn txn_range(&mut self, call: RangeCall<'_>) -> Result<u64, Failure> {
        let mut range = Op::range(keys(call)).limit(call.limit);
        if call.serializable {
            range = range.serializable();
        }
        let answer = self.0.txn().then([range]).await?;
        let keys = answer.responses.iter().map(|answer| match answer {
            OpResponse::Range(answer) => answer.kvs.len() as u64,
            _ => 0,
        });
        Ok(keys.sum())
    }

    async fn scan(&mut self, prefix: &[u8], _page: i64) -> Result<u64, Failure> {
        let mut scan = self.0.scan(KeyRange::prefix(prefix));
        let mut keys = 0;
        while scan.try_next().await?.is_some() {
            keys += 1;
        }
        Ok(keys)
    }
}

/// A zero byte as the end means that there is none, as in etcd's own terms.
fn keys(call: RangeCall<'_>) -> KeyRange<'_> {
    match call.end {
        None => KeyRange::key(call.key),
        Some(b"\0") => KeyRange::from_key(call.key),
        Some(end) => KeyRange::range(call.key, end),
    }
}
