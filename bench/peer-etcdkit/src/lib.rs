//! The `etcdkit` crate under load, used as its documentation shows, with its default options.

use std::time::Duration;

use etcdkit::{
    Client, Compare, Error, KeyRange, Lease, Op, OpResponse, Outcome, Watch,
    sync::{LockGuard, Session},
};
use etcdkit_bench_load::{Failure, Miss, Peer, RangeCall, Watching};

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

    async fn put_within(&mut self, key: &[u8], value: &[u8], limit: Duration) -> Result<(), Miss> {
        let put = self.0.put(key, value).timeout(limit).await;
        put.map(|_| ()).map_err(miss)
    }

    async fn get_within(&mut self, key: &[u8], limit: Duration) -> Result<(), Miss> {
        let get = self.0.get(key).timeout(limit).await;
        get.map(|_| ()).map_err(miss)
    }

    type Watch = Opened;

    async fn watch(&mut self, key: Vec<u8>, is_prefix: bool) -> Result<Opened, Failure> {
        let keys = match is_prefix {
            true => KeyRange::prefix(key),
            false => KeyRange::key(key),
        };
        Ok(Opened(self.0.watch(keys).await?))
    }

    type Lease = Lease;

    async fn lease(&mut self, ttl_seconds: i64) -> Result<Lease, Failure> {
        let ttl = Duration::from_secs(u64::try_from(ttl_seconds)?);
        Ok(self.0.lease(ttl).await?)
    }

    fn is_lost(lease: &Lease) -> bool {
        lease.is_lost()
    }

    type Session = Session;

    async fn session(&mut self) -> Result<Session, Failure> {
        Ok(self.0.session().await?)
    }

    type Guard = LockGuard;

    async fn lock(&mut self, session: Option<&Session>, name: &str) -> Result<LockGuard, Failure> {
        Ok(match session {
            Some(session) => session.lock(name).await?,
            None => self.0.lock(name).await?,
        })
    }

    async fn unlock(&mut self, guard: LockGuard) -> Result<(), Failure> {
        match guard.unlock().await? {
            true => Ok(()),
            false => Err("the lock was not held any more".into()),
        }
    }

    async fn increment(&mut self, key: &str) -> Result<u64, Failure> {
        let done = self.0.stm_builder().commit(async |tx| {
            let number: u64 = tx.get(key).await?.unwrap_or(0);
            tx.put(key, number + 1);
            Ok::<_, Error>(())
        });
        Ok(done.await?.attempts.into())
    }

    async fn number(&mut self, key: &str) -> Result<(u64, i64), Failure> {
        match self.0.get(key).await? {
            Some(found) => Ok((found.value_str()?.parse()?, found.mod_revision)),
            None => Ok((0, 0)),
        }
    }

    async fn swap(
        &mut self,
        key: &str,
        unchanged_since: i64,
        number: u64,
    ) -> Result<bool, Failure> {
        let unchanged = Compare::mod_revision(key).eq(unchanged_since);
        let swap = self.0.txn().when([unchanged]);
        Ok(swap
            .then([Op::put(key, number.to_string())])
            .await?
            .succeeded)
    }
}

/// A watch of the `etcdkit` crate.
#[derive(Debug)]
pub struct Opened(Watch);

impl Watching for Opened {
    fn member(&self) -> u64 {
        self.0.header().member_id.0
    }

    async fn next(&mut self) -> Result<Option<Vec<i64>>, Failure> {
        let update = self.0.try_next().await?;
        Ok(update.map(|update| {
            update
                .events()
                .iter()
                .map(etcdkit::Event::revision)
                .collect()
        }))
    }
}

fn miss(error: Error) -> Miss {
    match error.outcome() {
        Outcome::NotApplied => Miss::NotApplied,
        Outcome::Unknown => Miss::Unknown,
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
