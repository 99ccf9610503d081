//! The server under load, and what it holds before the load starts.

use etcdkit::{Client, KeyRange, Op};
use etcdkit_bench_load::{Failure, Workload};
use etcdkit_testkit::etcd::{Binary, Cluster};

use crate::cli::{Arguments, ServerKind};

/// How many keys one transaction writes; etcd refuses more than 128 by default.
const OPS: u64 = 128;

/// A server, ended when this is dropped if it was started here.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    endpoints: Vec<String>,
    held: Held,
}

/// What keeps the server alive.
#[derive(Debug)]
enum Held {
    Etcd { _cluster: Cluster },
    Embedded { _server: etcdkit_server::Server },
    ElseWhere,
}

impl Server {
    pub(crate) async fn start(arguments: &Arguments) -> Result<Self, Failure> {
        if !arguments.endpoints.is_empty() {
            return Ok(Self {
                name: arguments.endpoints.join(","),
                endpoints: arguments.endpoints.clone(),
                held: Held::ElseWhere,
            });
        }
        match arguments.server {
            ServerKind::Embedded => {
                let server = etcdkit_server::Server::builder().start().await?;
                Ok(Self {
                    name: "etcdkit-server in memory, in the load driver's process".to_owned(),
                    endpoints: vec![server.endpoint().to_owned()],
                    held: Held::Embedded { _server: server },
                })
            }
            ServerKind::Etcd => {
                let binary = Binary::newest()?;
                // Room for as many puts as a long comparison makes.
                let cluster = Cluster::builder(&binary)
                    .flag("--quota-backend-bytes=8589934592")
                    .start()
                    .await?;
                let fsync = match binary.has_unsafe_no_fsync() {
                    true => "--unsafe-no-fsync",
                    false => "with fsync",
                };
                Ok(Self {
                    name: format!(
                        "etcd {}, {fsync}, data below {}",
                        binary.version(),
                        std::env::temp_dir().display()
                    ),
                    endpoints: cluster.endpoints(),
                    held: Held::Etcd { _cluster: cluster },
                })
            }
        }
    }

    /// What to call it in a table.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its client URLs.
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Whether its CPU time is that of this process or of a child, so that it can be told from others'.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self.held, Held::ElseWhere)
    }

    /// Writes every key of a workload once, so that reads find something.
    pub(crate) async fn fill(&self, workload: &Workload, prefix: &str) -> Result<(), Failure> {
        let client = Client::connect(&self.endpoints).await?;
        let value = vec![b'v'; workload.val_size];
        let mut number = 0;
        while number < workload.key_space_size {
            let end = (number + OPS).min(workload.key_space_size);
            let puts = (number..end).map(|number| {
                let mut key = prefix.as_bytes().to_vec();
                key.resize(prefix.len() + workload.key_size, 0);
                workload.write_key(number, &mut key[prefix.len()..]);
                Op::put(key, &value)
            });
            client.txn().then(puts).await?;
            number = end;
        }
        Ok(())
    }

    /// Removes what [`fill`](Self::fill) wrote below a prefix.
    pub(crate) async fn clear(&self, prefix: &str) -> Result<(), Failure> {
        let client = Client::connect(&self.endpoints).await?;
        client.delete(KeyRange::prefix(prefix)).await?;
        Ok(())
    }
}
