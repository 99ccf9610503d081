//! Servers that can be compared, and what they say about themselves.

use std::fmt;

use etcdkit_proto::etcdserverpb::{Member, MemberListRequest, cluster_client::ClusterClient};
use tonic::transport::{Channel, Endpoint};

use crate::etcd::{Binary, Cluster, Version};

/// Whatever keeps a server from running.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

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
pub(crate) struct Identity {
    /// The id of its cluster.
    pub(crate) cluster_id: u64,
    /// Its only member.
    pub(crate) member: Member,
    version: Version,
}

/// Which of etcd's two APIs is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// gRPC only.
    V3,
    /// The v2 API too.
    V2,
}

/// A running server with an empty store. Dropping it ends the server.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its client URL.
    pub(crate) endpoint: String,
    pub(crate) identity: Identity,
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

impl Host {
    /// Starts a server of this kind. With a `twin` it says of itself what that says, as far as it
    /// lets itself be told.
    pub(crate) async fn start(
        kind: &ServerKind,
        api: Api,
        twin: Option<&Identity>,
    ) -> Result<Self, BoxError> {
        let (endpoint, process) = match kind {
            ServerKind::Etcd(binary) => {
                // The lowest cost that bcrypt has: logging in is not what is measured.
                let mut cluster = Cluster::builder(binary).flag("--bcrypt-cost=4");
                if api == Api::V2 {
                    cluster = cluster.flag("--enable-v2=true");
                }
                let cluster = cluster.start().await?;
                let endpoint = cluster.endpoint().to_owned();
                (endpoint, Process::Etcd { _cluster: cluster })
            }
            ServerKind::Embedded => {
                let server = embedded(api, twin).start().await?;
                (server.endpoint(), Process::Embedded { _server: server })
            }
            ServerKind::Durable => {
                let data = tempfile::tempdir()?;
                let server = embedded(api, twin).data_dir(data.path()).start().await?;
                let process = |server| Process::Durable {
                    _server: server,
                    _data: data,
                };
                (server.endpoint(), process(server))
            }
        };
        let identity = ask(&connect(&endpoint).await?, kind.version()).await?;
        Ok(Self {
            endpoint,
            identity,
            _process: process,
        })
    }
}

fn embedded(api: Api, twin: Option<&Identity>) -> etcdkit_server::ServerBuilder {
    let mut builder = etcdkit_server::Server::builder()
        .bcrypt_cost(4)
        .enable_v2(api == Api::V2);
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

/// A connection for tonic's stubs.
pub(super) async fn connect(endpoint: &str) -> Result<Channel, BoxError> {
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
