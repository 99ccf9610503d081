//! A server under comparison, reached through tonic's own transport and stubs.

use std::fmt;

use etcdkit_proto::etcdserverpb::{
    kv_client::KvClient, lease_client::LeaseClient, maintenance_client::MaintenanceClient,
};
use tonic::{Response, Status, transport::Channel};

use super::operation::{Answer, Operation, Outcome};
use crate::etcd::{Binary, Cluster};

/// Whatever keeps a server from running.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Servers that can be compared.
#[derive(Clone, Debug)]
pub enum ServerKind {
    /// A process of a real etcd.
    Etcd(Binary),
    /// The embedded server, over TCP.
    Embedded,
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd(binary) => binary.fmt(f),
            Self::Embedded => f.write_str("the embedded server"),
        }
    }
}

/// A running server with an empty store, and a connection to it. Dropping it ends the server.
#[derive(Debug)]
pub struct Server {
    kv: KvClient<Channel>,
    maintenance: MaintenanceClient<Channel>,
    leases: LeaseClient<Channel>,
    _process: Process,
}

#[derive(Debug)]
enum Process {
    Etcd { _cluster: Cluster },
    Embedded { _server: etcdkit_server::Server },
}

impl Server {
    /// Starts a server of this kind.
    ///
    /// # Errors
    ///
    /// When it does not come up.
    pub async fn start(kind: &ServerKind) -> Result<Self, BoxError> {
        let (endpoint, process) = match kind {
            ServerKind::Etcd(binary) => {
                let cluster = Cluster::builder(binary).start().await?;
                (
                    cluster.endpoint().to_owned(),
                    Process::Etcd { _cluster: cluster },
                )
            }
            ServerKind::Embedded => {
                let server = etcdkit_server::Server::builder().start().await?;
                (server.endpoint(), Process::Embedded { _server: server })
            }
        };
        let channel = Channel::from_shared(endpoint)?.connect().await?;
        Ok(Self {
            kv: KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX),
            maintenance: MaintenanceClient::new(channel.clone()),
            leases: LeaseClient::new(channel),
            _process: process,
        })
    }

    /// Sends one request and waits for the answer.
    pub async fn apply(&mut self, operation: &Operation) -> Outcome {
        let Self {
            kv,
            maintenance,
            leases,
            ..
        } = self;
        match operation.clone() {
            Operation::Range(request) => outcome(kv.range(request).await, Answer::Range),
            Operation::Put(request) => outcome(kv.put(request).await, Answer::Put),
            Operation::DeleteRange(request) => {
                outcome(kv.delete_range(request).await, Answer::DeleteRange)
            }
            Operation::Txn(request) => outcome(kv.txn(request).await, Answer::Txn),
            Operation::Compact(request) => outcome(kv.compact(request).await, Answer::Compact),
            Operation::HashKv(request) => {
                outcome(maintenance.hash_kv(request).await, Answer::HashKv)
            }
            Operation::LeaseGrant(request) => {
                outcome(leases.lease_grant(request).await, Answer::LeaseGrant)
            }
            Operation::LeaseRevoke(request) => {
                outcome(leases.lease_revoke(request).await, Answer::LeaseRevoke)
            }
            Operation::LeaseTimeToLive(request) => outcome(
                leases.lease_time_to_live(request).await,
                Answer::LeaseTimeToLive,
            ),
            Operation::LeaseLeases(request) => {
                outcome(leases.lease_leases(request).await, Answer::LeaseLeases)
            }
        }
    }
}

fn outcome<R>(result: Result<Response<R>, Status>, wrap: fn(R) -> Answer) -> Outcome {
    match result {
        Ok(response) => Ok(wrap(response.into_inner()).without_identity()),
        Err(status) => Err((status.code(), status.message().to_owned())),
    }
}
