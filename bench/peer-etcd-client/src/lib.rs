//! The `etcd-client` crate under load, used as its documentation shows, with its default options.

use std::time::Duration;

use etcd_client::{
    Client, Compare, CompareOp, ConnectOptions, GetOptions, LockOptions, Txn, TxnOp, TxnOpResponse,
    WatchOptions, WatchStream,
};
use etcdkit_bench_load::{Failure, Miss, Peer, RangeCall, Watching};
use tokio::{task::JoinHandle, time};

/// The time to live of what locks are taken with, in seconds.
const SESSION_TTL: i64 = 60;

/// A client of the `etcd-client` crate.
#[derive(Clone)]
pub struct EtcdClient(Client);

impl Peer for EtcdClient {
    async fn connect(endpoints: &[String]) -> Result<Self, Failure> {
        Ok(Self(
            Client::connect(endpoints, None::<ConnectOptions>).await?,
        ))
    }

    async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        self.0.put(key, value, None).await?;
        Ok(())
    }

    async fn range(&mut self, call: RangeCall<'_>) -> Result<u64, Failure> {
        let answer = self.0.get(call.key, options(call)).await?;
        Ok(answer.kvs().len() as u64)
    }

    async fn txn_put(&mut self, keys: &[Vec<u8>], value: &[u8]) -> Result<(), Failure> {
        let puts: Vec<TxnOp> = keys
            .iter()
            .map(|key| TxnOp::put(key.as_slice(), value, None))
            .collect();
        self.0.txn(Txn::new().and_then(puts)).await?;
        Ok(())
    }

    async fn txn_range(&mut self, call: RangeCall<'_>) -> Result<u64, Failure> {
        let get = TxnOp::get(call.key, options(call));
        let answer = self.0.txn(Txn::new().and_then([get])).await?;
        let keys = answer
            .op_responses()
            .into_iter()
            .map(|answer| match answer {
                TxnOpResponse::Get(answer) => answer.kvs().len() as u64,
                _ => 0,
            });
        Ok(keys.sum())
    }

    async fn scan(&mut self, prefix: &[u8], page: i64) -> Result<u64, Failure> {
        let mut keys = 0;
        let mut from = prefix.to_vec();
        let mut end = prefix.to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let mut revision = 0;
        loop {
            let options = GetOptions::new()
                .with_range(end.as_slice())
                .with_limit(page)
                .with_revision(revision);
            let answer = self.0.get(from, Some(options)).await?;
            keys += answer.kvs().len() as u64;
            match answer.kvs().last() {
                Some(last) if answer.more() => {
                    from = last.key().to_vec();
                    from.push(0);
                }
                _ => return Ok(keys),
            }
            revision = match (revision, answer.header()) {
                (0, Some(header)) => header.revision(),
                (pinned, _) => pinned,
            };
        }
    }

    async fn put_within(&mut self, key: &[u8], value: &[u8], limit: Duration) -> Result<(), Miss> {
        match time::timeout(limit, self.0.put(key, value, None)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Miss::Unsaid),
        }
    }

    async fn get_within(&mut self, key: &[u8], limit: Duration) -> Result<(), Miss> {
        match time::timeout(limit, self.0.get(key, None)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Miss::Unsaid),
        }
    }

    type Watch = Opened;

    async fn watch(&mut self, key: Vec<u8>, is_prefix: bool) -> Result<Opened, Failure> {
        let options = is_prefix.then(|| WatchOptions::new().with_prefix());
        let mut stream = self.0.watch(key, options).await?;
        let confirmed = stream.message().await?.ok_or("the watch has ended")?;
        if !confirmed.created() {
            return Err("the watch was not confirmed first".into());
        }
        let member = confirmed
            .header()
            .map_or(0, etcd_client::ResponseHeader::member_id);
        Ok(Opened { stream, member })
    }

    type Lease = Held;

    async fn lease(&mut self, ttl_seconds: i64) -> Result<Held, Failure> {
        let id = self.0.lease_grant(ttl_seconds, None).await?.id();
        let (mut keeper, mut answers) = self.0.lease_keep_alive(id).await?;
        // The crate leaves the timing to its user; a third of the time to live is customary.
        let pause = Duration::from_secs(u64::try_from(ttl_seconds)?) / 3;
        let keeping = tokio::spawn(async move {
            loop {
                time::sleep(pause).await;
                let renewed = match keeper.keep_alive().await {
                    Ok(()) => answers.message().await,
                    Err(error) => Err(error),
                };
                if !matches!(renewed, Ok(Some(answer)) if answer.ttl() > 0) {
                    return;
                }
            }
        });
        Ok(Held { id, keeping })
    }

    fn is_lost(lease: &Held) -> bool {
        lease.keeping.is_finished()
    }

    type Session = Held;

    async fn session(&mut self) -> Result<Held, Failure> {
        self.lease(SESSION_TTL).await
    }

    type Guard = Locked;

    async fn lock(&mut self, session: Option<&Held>, name: &str) -> Result<Locked, Failure> {
        let own_lease = match session {
            Some(_) => None,
            None => Some(self.lease(SESSION_TTL).await?),
        };
        let lease = session.or(own_lease.as_ref()).ok_or("no lease")?;
        let options = LockOptions::new().with_lease(lease.id);
        let key = self.0.lock(name, Some(options)).await?.key().to_vec();
        Ok(Locked { key, own_lease })
    }

    async fn unlock(&mut self, guard: Locked) -> Result<(), Failure> {
        self.0.unlock(guard.key).await?;
        if let Some(lease) = guard.own_lease {
            // Nobody waits for that.
            let mut client = self.0.clone();
            tokio::spawn(async move { client.lease_revoke(lease.id).await });
        }
        Ok(())
    }

    async fn increment(&mut self, _key: &str) -> Result<u64, Failure> {
        Err("this client has no transactions in memory".into())
    }

    async fn number(&mut self, key: &str) -> Result<(u64, i64), Failure> {
        let answer = self.0.get(key, None).await?;
        match answer.kvs().first() {
            Some(found) => Ok((found.value_str()?.parse()?, found.mod_revision())),
            None => Ok((0, 0)),
        }
    }

    async fn swap(
        &mut self,
        key: &str,
        unchanged_since: i64,
        number: u64,
    ) -> Result<bool, Failure> {
        let unchanged = Compare::mod_revision(key, CompareOp::Equal, unchanged_since);
        let put = TxnOp::put(key, number.to_string(), None);
        let swap = Txn::new().when([unchanged]).and_then([put]);
        Ok(self.0.txn(swap).await?.succeeded())
    }
}

/// A watch of the `etcd-client` crate.
#[derive(Debug)]
pub struct Opened {
    stream: WatchStream,
    member: u64,
}

impl Watching for Opened {
    fn member(&self) -> u64 {
        self.member
    }

    async fn next(&mut self) -> Result<Option<Vec<i64>>, Failure> {
        let update = self.stream.message().await?;
        Ok(update.map(|update| {
            let revision = |event: &etcd_client::Event| event.kv().map(|kv| kv.mod_revision());
            update.events().iter().filter_map(revision).collect()
        }))
    }
}

/// A lease of the `etcd-client` crate, and the task that keeps it alive.
#[derive(Debug)]
pub struct Held {
    id: i64,
    keeping: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

/// A lock that the server's lock service has given to the `etcd-client` crate.
#[derive(Debug)]
pub struct Locked {
    key: Vec<u8>,
    own_lease: Option<Held>,
}

/// `None` for a plain get, as one would write it.
fn options(call: RangeCall<'_>) -> Option<GetOptions> {
    if call.end.is_none() && !call.serializable {
        return None;
    }
    let mut options = GetOptions::new().with_limit(call.limit);
    if let Some(end) = call.end {
        options = options.with_range(end);
    }
    if call.serializable {
        options = options.with_serializable();
    }
    Some(options)
}
