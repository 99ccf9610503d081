//! A server under comparison, reached through tonic's own transport and stubs.

use std::{collections::HashMap, fmt};

use etcdkit_proto::etcdserverpb::{
    AuthenticateRequest, Member, MemberListRequest, RangeRequest, cluster_client::ClusterClient,
};
use tokio::time::timeout;
use tonic::{
    metadata::AsciiMetadataValue,
    transport::{Channel, Endpoint},
};

use super::{
    calls::{Answer, Call, Stubs},
    operation::{Caller, Operation},
    outcome::Outcome,
    pipe::PATIENCE,
    queueing::Queueing,
    watching::Watching,
};
use crate::etcd::{Binary, Cluster, Version};

/// Whatever keeps a server from running.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The oldest version that the embedded server can call itself.
const OLDEST_NAMED_VERSION: Version = Version::new(3, 5, 13);

/// Servers that can be compared.
#[derive(Clone, Debug)]
pub enum ServerKind {
    /// A process of a real etcd.
    Etcd(Binary),
    /// The embedded server, in memory.
    Embedded,
    /// The embedded server, with a file.
    Durable,
}

impl ServerKind {
    /// The version of etcd whose behaviour it has.
    pub fn version(&self) -> Version {
        match self {
            Self::Etcd(binary) => binary.version(),
            Self::Embedded | Self::Durable => Version::new(3, 6, 14),
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd(binary) => binary.fmt(f),
            Self::Embedded => f.write_str("the embedded server"),
            Self::Durable => f.write_str("the embedded server with a file"),
        }
    }
}

/// What a server says about itself. The other of a pair is made to say the same.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    cluster_id: u64,
    pub(super) member: Member,
    version: Version,
}

/// A running server with an empty store, and connections to it. Dropping it ends the server.
#[derive(Debug)]
pub(super) struct Server {
    identity: Identity,
    stubs: Stubs,
    /// Of each user, the tokens of all logins, the last at the end.
    tokens: HashMap<String, Vec<AsciiMetadataValue>>,
    watching: Watching,
    queueing: Queueing,
    _process: Process,
}

#[derive(Debug)]
enum Process {
    Etcd {
        _cluster: Cluster,
    },
    Embedded {
        _server: etcdkit_server::Server,
    },
    Durable {
        // The server ends before its data goes.
        _server: etcdkit_server::Server,
        _data: tempfile::TempDir,
    },
}

impl Server {
    /// Starts a server of this kind. With a `twin` it says of itself what that says, as far as it
    /// lets itself be told.
    pub(super) async fn start(
        kind: &ServerKind,
        twin: Option<&Identity>,
    ) -> Result<Self, BoxError> {
        let (endpoint, process) = match kind {
            ServerKind::Etcd(binary) => {
                // The lowest cost that bcrypt has: logging in is not what is measured.
                let cluster = Cluster::builder(binary).flag("--bcrypt-cost=4");
                let cluster = cluster.start().await?;
                let endpoint = cluster.endpoint().to_owned();
                (endpoint, Process::Etcd { _cluster: cluster })
            }
            ServerKind::Embedded => {
                let server = embedded(twin).start().await?;
                (server.endpoint(), Process::Embedded { _server: server })
            }
            ServerKind::Durable => {
                let data = tempfile::tempdir()?;
                let server = embedded(twin).data_dir(data.path()).start().await?;
                let process = |server| Process::Durable {
                    _server: server,
                    _data: data,
                };
                (server.endpoint(), process(server))
            }
        };
        let channel = connect(&endpoint).await?;
        let identity = ask(&channel, kind.version()).await?;
        Ok(Self {
            identity,
            stubs: Stubs::new(&channel),
            tokens: HashMap::new(),
            // Not on the same connection: a stream that is full must not hold up the others.
            watching: Watching::start(&connect(&endpoint).await?, kind.version()).await?,
            queueing: Queueing::new(&channel),
            _process: process,
        })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Sends one request and waits for what has to come of it.
    pub(super) async fn apply(&mut self, operation: &Operation) -> Outcome {
        match timeout(PATIENCE * 2, self.try_apply(operation)).await {
            Ok(Ok(outcome)) => outcome.comparable(),
            Ok(Err(late)) => Outcome::Late(late),
            Err(_) => Outcome::Late("there is no answer".to_owned()),
        }
    }

    async fn try_apply(&mut self, operation: &Operation) -> Result<Outcome, String> {
        let token = self.token(operation.caller);
        let outcome = match &operation.call {
            Call::LeaseKeepAlive(request) => self.stubs.keep_alive(*request, token).await,
            Call::Watch(call) => self.watching.apply(call, token).await?,
            Call::Queue(call) => {
                let queueing = &mut self.queueing;
                let outcome = queueing
                    .apply(call, token.clone(), &mut self.watching)
                    .await?;
                // The header of a campaign that has changed its value is older than the change.
                let current = Call::Range(RangeRequest {
                    key: "q".into(),
                    ..Default::default()
                });
                if let Some(read) = self.stubs.unary(current, token).await {
                    self.watching.has_reached(read.revision());
                }
                outcome
            }
            call => {
                if matches!(call, Call::Compact(_)) {
                    self.watching.settle_all(token.clone()).await?;
                }
                let outcome = self.stubs.unary(call.clone(), token).await;
                outcome.ok_or("not a unary call")?
            }
        };
        self.watching.has_reached(outcome.revision());
        if let (Call::Compact(request), Some(_)) = (&operation.call, outcome.answer()) {
            self.watching.has_compacted(request.revision);
        }
        if let (Call::Authenticate(request), Some(Answer::Authenticate(response))) =
            (&operation.call, outcome.answer())
        {
            self.keep_token(request, &response.token);
        }
        if !self.queueing.is_idle() {
            let history = self.watching.history().await?;
            self.queueing.settle(history).await?;
        }
        Ok(outcome)
    }

    fn keep_token(&mut self, request: &AuthenticateRequest, token: &str) {
        if let Ok(token) = AsciiMetadataValue::try_from(token) {
            let tokens = self.tokens.entry(request.name.clone()).or_default();
            tokens.push(token);
        }
    }

    fn token(&self, caller: Caller) -> Option<AsciiMetadataValue> {
        let token = match caller {
            Caller::Nobody => return None,
            Caller::Stranger => None,
            Caller::User { name, logins_ago } => {
                let tokens = self.tokens.get(name);
                tokens.and_then(|tokens| tokens.iter().nth_back(logins_ago))
            }
        };
        Some(
            token
                .cloned()
                .unwrap_or(AsciiMetadataValue::from_static("abcdefghijklmnop.1")),
        )
    }
}

fn embedded(twin: Option<&Identity>) -> etcdkit_server::ServerBuilder {
    let mut builder = etcdkit_server::Server::builder().bcrypt_cost(4);
    if let Some(Identity {
        cluster_id,
        member,
        version,
    }) = twin
    {
        builder = builder
            .cluster_id(*cluster_id)
            .member_id(member.id)
            .name(&member.name)
            .advertise_client_urls(&member.client_ur_ls)
            .advertise_peer_urls(&member.peer_ur_ls);
        if *version >= OLDEST_NAMED_VERSION {
            builder = builder.version(version.to_string());
        }
    }
    builder
}

async fn connect(endpoint: &str) -> Result<Channel, BoxError> {
    let endpoint = Endpoint::from_shared(endpoint.to_owned())?
        .initial_connection_window_size(1 << 24)
        .initial_stream_window_size(1 << 24);
    Ok(endpoint.connect().await?)
}

async fn ask(channel: &Channel, version: Version) -> Result<Identity, BoxError> {
    let list = ClusterClient::new(channel.clone())
        .member_list(MemberListRequest::default())
        .await?
        .into_inner();
    let header = list.header.ok_or("a member list without a header")?;
    let member = list.members.into_iter().next().ok_or("no member")?;
    Ok(Identity {
        cluster_id: header.cluster_id,
        member,
        version,
    })
}
