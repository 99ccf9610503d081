//! The `etcd-client` crate under load, used as its documentation shows, with its default options.

use etcd_client::{Client, ConnectOptions, GetOptions, Txn, TxnOp, TxnOpResponse};
use etcdkit_bench_load::{Failure, Peer, RangeCall};

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
