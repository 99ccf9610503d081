//! A running server.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
#[cfg(feature = "durable")]
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::auto_compaction::{self, AutoCompactor};
use crate::builder::{Config, ServerBuilder, StartError};
use crate::clock::Clock;
use crate::connection::Connections;
use crate::connector::Connector;
use crate::data::Data;
use crate::downgrade::Downgrade;
#[cfg(feature = "durable")]
use crate::durable::{self, Commits};
use crate::expiry;
use crate::faults::{Board, Faults};
use crate::leadership::Leadership;
use crate::listen::Listener;
use crate::metrics::Metrics;
use crate::node::{Identity, Limits, Node};
use crate::v2::{self, V2};

/// The endpoint of a server without a listener. The domain `.invalid` never resolves, so a client
/// that uses it without the connector fails at once and says so.
const NO_ENDPOINT: &str = "http://embedded.invalid";

/// An etcd server inside this process.
///
/// It runs on the Tokio runtime that started it, with no thread of its own but the one that writes a durable server's data. Dropping it stops it at once;
/// [`shutdown`](Self::shutdown) lets running calls finish.
#[derive(Debug)]
pub struct Server {
    connections: Arc<Connections>,
    /// Accepting connections, expiring leases, and compacting automatically.
    tasks: JoinSet<()>,
    endpoints: Vec<String>,
    local_addr: Option<SocketAddr>,
    /// Makes writes durable.
    #[cfg(feature = "durable")]
    writer: Option<JoinHandle<()>>,
}

pub(crate) async fn start(config: Config) -> Result<Server, StartError> {
    let clock = Clock::start();
    let (stop, stopping) = watch::channel(false);
    let leadership = Arc::new(Leadership::new(stopping.clone()));
    let data = Data::open(&config, clock.now(), &leadership).await?;
    let mut listeners = Vec::with_capacity(config.addresses.len());
    for address in &config.addresses {
        let listener = Listener::bind(address)
            .await
            .map_err(|source| StartError::Listen {
                address: address.to_string(),
                source,
            })?;
        listeners.push(listener);
    }
    let mut endpoints: Vec<String> = listeners.iter().flat_map(Listener::endpoints).collect();
    if endpoints.is_empty() {
        endpoints.push(NO_ENDPOINT.to_owned());
    }
    let local_addr = listeners.iter().find_map(Listener::local_addr);

    let revision = data.revision;
    let node = Arc::new(Node {
        applier: data.applier,
        auto_compactor: AutoCompactor::new(config.auto_compaction, clock.now(), revision),
        clock,
        gate: config.gate,
        downgrade: Downgrade::default(),
        bcrypt_cost: config.bcrypt_cost,
        expiry_changed: Notify::new(),
        identity: Identity {
            cluster_id: data.cluster_id,
            member_id: data.member_id,
            raft_term: data.raft_term,
            name: config.name,
            peer_urls: RwLock::new(config.advertise_peer_urls),
            client_urls: match config.advertise_client_urls {
                urls if urls.is_empty() => endpoints.clone(),
                urls => urls,
            },
            version: config.version,
        },
        limits: Limits {
            max_request_bytes: config.max_request_bytes,
            max_txn_ops: config.max_txn_ops,
            watch_progress_notify_interval: config.watch_progress_notify_interval,
            quota: config.quota,
        },
        leadership,
        v2: config.enable_v2.then(|| V2::start(config.v2_modules)),
        metrics: Metrics::default(),
        faults: Board::new(stop.clone()),
        stopping,
    });
    #[cfg(feature = "durable")]
    let writer =
        match data.file {
            Some(file) => Some(durable::spawn(Arc::clone(&node), file).map_err(|source| {
                StartError::Data {
                    place: "a thread of its own".to_owned(),
                    source: source.into(),
                }
            })?),
            None => None,
        };
    v2::own::note_start(&node).await;
    let connections = Arc::new(Connections::new(Arc::clone(&node), config.security, stop));
    let mut tasks = JoinSet::new();
    tasks.spawn(auto_compaction::run(Arc::clone(&node)));
    tasks.spawn(expiry::run(node));
    for listener in listeners {
        tasks.spawn(listener.accept_all(Arc::clone(&connections)));
    }
    tracing::debug!(?endpoints, "the embedded server has started");
    Ok(Server {
        connections,
        tasks,
        endpoints,
        local_addr,
        #[cfg(feature = "durable")]
        writer,
    })
}

impl Server {
    /// A server in memory on a free loopback port, unless set otherwise.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// What a client connects to, such as `http://127.0.0.1:40123`; the first one if the server listens on
    /// several addresses. A server without a listener has a name here that only a client with
    /// the [`connector`](Self::connector) can use.
    pub fn endpoint(&self) -> String {
        self.endpoints
            .first()
            .map_or(NO_ENDPOINT, String::as_str)
            .to_owned()
    }

    /// The endpoints of every address listened on, in the order of the builder.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// The first TCP address listened on.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// Opens connections to this server without a port; clients take it in place of an address.
    pub fn connector(&self) -> Connector {
        Connector::new(Arc::downgrade(&self.connections))
    }

    /// Lets leases, keys of the v2 API, tokens of users and history age, as if the time had passed without a
    /// request. When it returns, leases that have expired by then are revoked and their keys deleted, keys of v2
    /// that have expired are removed, and what
    /// [`AutoCompaction`](crate::AutoCompaction) forgets by then is compacted, so that tests of lost leases and of
    /// lost history need not wait.
    ///
    /// Nothing else ages: timeouts and the intervals of progress notifications do not.
    /// The time moves in whole milliseconds.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = etcdkit_server::Server::builder().start().await?;
    /// // … grant a lease of 60 seconds and put keys with it …
    /// server.advance_time(std::time::Duration::from_secs(61));
    /// // … the keys are gone.
    /// # server.shutdown().await?;
    /// # Ok(()) }
    /// ```
    pub fn advance_time(&self, by: Duration) {
        let node = self.connections.node();
        node.clock.advance(by);
        if let Err(status) = expiry::catch_up(node) {
            tracing::error!(?status, "what has expired could not be removed");
        }
        node.expiry_changed.notify_one();
        auto_compaction::catch_up(node, node.clock.now());
        node.applier.settle();
    }

    /// Lets a test decide what goes wrong: see [`faults`](crate::faults). It costs nothing until it is used.
    pub fn faults(&self) -> Faults {
        Faults::new(&self.connections)
    }

    /// Stops listening, refuses new calls, and waits until running calls have ended, at most
    /// five seconds; then ends what is left. What a server in memory held is gone; a data file is complete
    /// and free to be opened again.
    ///
    /// If the future is dropped, everything is stopped at once.
    ///
    /// # Errors
    ///
    /// None for a server in memory. [`ShutdownError::Data`] if the data file could not be written.
    pub async fn shutdown(mut self) -> Result<(), ShutdownError> {
        self.tasks.shutdown().await;
        self.connections.shutdown().await;
        #[cfg(feature = "durable")]
        if let Some(writer) = self.writer.take() {
            self.stop_writer();
            // It cannot panic: it catches what does.
            let _ = tokio::task::spawn_blocking(|| writer.join()).await;
            let commits = self.connections.node().applier.commits();
            if let Some(reason) = commits.and_then(Commits::broken) {
                return Err(ShutdownError::Data { reason });
            }
        }
        Ok(())
    }

    #[cfg(feature = "durable")]
    fn stop_writer(&self) {
        if let Some(commits) = self.connections.node().applier.commits() {
            commits.stop();
        }
    }
}

/// Waits for the end of a commit that is under way, so that the data file is free afterwards.
impl Drop for Server {
    fn drop(&mut self) {
        self.connections.abort();
        #[cfg(feature = "durable")]
        if let Some(writer) = self.writer.take() {
            self.stop_writer();
            let _ = writer.join();
        }
    }
}

/// Why a server could not be shut down in good order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// The data file could not be written, at the end or before. Writes that failed were told so.
    #[cfg(feature = "durable")]
    #[error("the data file could not be written: {reason}")]
    Data {
        /// The first failure.
        reason: String,
    },
}
