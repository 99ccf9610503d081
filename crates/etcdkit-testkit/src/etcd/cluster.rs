//! Clusters of real etcd processes on loopback.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use etcdkit_proto::etcdserverpb::{
    MemberAddRequest, StatusRequest, cluster_client::ClusterClient,
    maintenance_client::MaintenanceClient,
};
use tokio::time::{sleep, timeout};
use tonic::{Code, transport::Channel};

use crate::patience::PATIENCE;

use super::{
    binary::Binary,
    member::{Member, MemberError},
    ports,
};

/// How often a start is tried again on other ports when another process took one.
const PORT_ATTEMPTS: u32 = 5;

/// How long a cluster may take to answer a request for a learner.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A cluster of real etcd processes with its own temporary data. Dropping it ends the processes and
/// removes the data.
#[derive(Debug)]
pub struct Cluster {
    // Fields drop in this order: the processes end before their data goes.
    members: Vec<Member>,
    data: tempfile::TempDir,
    description: ClusterBuilder,
    /// What `--initial-cluster` says.
    peers: String,
}

impl Cluster {
    /// Describes a cluster of one member without TLS; options change that.
    pub fn builder(binary: &Binary) -> ClusterBuilder {
        ClusterBuilder {
            binary: binary.clone(),
            members: 1,
            election_timeout: None,
            discovery: None,
            flags: Vec::new(),
            tls: None,
            snapshot: None,
            restore_flags: Vec::new(),
        }
    }

    /// The client URLs of all members.
    pub fn endpoints(&self) -> Vec<String> {
        self.members
            .iter()
            .map(|member| member.endpoint().to_owned())
            .collect()
    }

    /// The client URL of the first member: the one of a single-member cluster.
    pub fn endpoint(&self) -> &str {
        self.members[0].endpoint()
    }

    /// The folder that the processes run in, where etcd makes the sockets of `unix:` URLs.
    pub fn folder(&self) -> &Path {
        self.data.path()
    }

    /// The member with this index, in the order of [`endpoints`](Self::endpoints).
    ///
    /// # Panics
    ///
    /// When there is no such member.
    pub fn member(&mut self, index: usize) -> &mut Member {
        &mut self.members[index]
    }

    /// The index of the member that takes itself for the leader: the first such that answers within a
    /// second. Not for clusters with TLS.
    pub async fn leader(&self) -> Option<usize> {
        for (index, member) in self.members.iter().enumerate() {
            let channel = Channel::from_shared(member.endpoint().to_owned()).ok()?;
            let asked = async {
                let channel = channel.connect().await.ok()?;
                let mut maintenance = MaintenanceClient::new(channel);
                let answer = maintenance.status(StatusRequest {}).await;
                Some(answer.ok()?.into_inner())
            };
            let answer = timeout(Duration::from_secs(1), asked).await;
            if let Ok(Some(status)) = answer
                && status
                    .header
                    .is_some_and(|header| header.member_id == status.leader)
            {
                return Some(index);
            }
        }
        None
    }

    /// Adds a member that learns and does not vote, and starts its process, but does not wait for it:
    /// a learner refuses nearly everything, so when it serves is for the test to say. Since etcd 3.4;
    /// not for clusters with TLS.
    ///
    /// # Errors
    ///
    /// When the cluster does not add it, or its process cannot be run.
    pub async fn add_learner(&mut self) -> Result<&mut Member, MemberError> {
        let refused = |cause| MemberError::Process {
            what: "cannot add a learner".to_owned(),
            cause: io::Error::other(cause),
        };
        let newcomer = self.newcomer();
        let channel = Channel::from_shared(self.endpoint().to_owned())
            .map_err(|cause| refused(cause.to_string()))?
            .connect_lazy();
        let mut cluster = ClusterClient::new(channel);
        let request = MemberAddRequest {
            peer_ur_ls: vec![newcomer.peer_url()],
            is_learner: true,
        };
        let start = Instant::now();
        loop {
            // One that a leader loses when it goes is never answered.
            let added = timeout(ATTEMPT, cluster.member_add(request.clone())).await;
            let failure = match added {
                Ok(Ok(_)) => break,
                // By an attempt before, since nobody else has the port.
                Ok(Err(status)) if status.message().contains("Peer URLs already exists") => break,
                Ok(Err(status)) if status.code() != Code::Unavailable => {
                    return Err(refused(status.message().to_owned()));
                }
                Ok(Err(status)) => status.message().to_owned(),
                Err(_) => "no answer".to_owned(),
            };
            if start.elapsed() > PATIENCE {
                return Err(refused(failure));
            }
            sleep(Duration::from_millis(20)).await;
        }
        self.join(newcomer)
    }

    /// Finds ports for a member that the test is going to add itself.
    pub fn newcomer(&self) -> Newcomer {
        Newcomer {
            ports: MemberPorts::free(1)[0],
        }
    }

    /// Starts the process of a member that has been added to the cluster, but does not wait for it.
    /// Not for clusters with TLS.
    ///
    /// # Errors
    ///
    /// When its process cannot be run.
    pub fn join(&mut self, newcomer: Newcomer) -> Result<&mut Member, MemberError> {
        let name = name(self.members.len());
        self.peers = format!("{},{name}={}", self.peers, newcomer.peer_url());
        let mut member =
            self.description
                .member(name, &newcomer.ports, &self.peers, self.data.path());
        member.argument("--initial-cluster-state=existing");
        member.spawn()?;
        self.members.push(member);
        let index = self.members.len() - 1;
        Ok(self.member(index))
    }

    /// All members.
    pub fn members(&mut self) -> &mut [Member] {
        &mut self.members
    }
}

/// A member that does not run yet; made by [`Cluster::newcomer`].
#[derive(Clone, Copy, Debug)]
pub struct Newcomer {
    ports: MemberPorts,
}

impl Newcomer {
    /// Where it will listen to the other members.
    pub fn peer_url(&self) -> String {
        self.ports.peer_url()
    }
}

/// Options of a [`Cluster`].
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    binary: Binary,
    members: usize,
    election_timeout: Option<Duration>,
    discovery: Option<String>,
    flags: Vec<String>,
    tls: Option<ServerTls>,
    snapshot: Option<PathBuf>,
    restore_flags: Vec<String>,
}

#[derive(Clone, Debug)]
struct ServerTls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl ClusterBuilder {
    /// How many members; 1 by default.
    pub fn members(mut self, members: usize) -> Self {
        self.members = members;
        self
    }

    /// The election timeout; the heartbeat interval is a tenth of it.
    ///
    /// By default 100 ms for one member, which then serves 0.8 s sooner than with etcd's own
    /// default of 1 s, and 500 ms for more, which a busy machine still keeps. The shortest lease
    /// that etcd grants is 1.5 times this, rounded up to seconds.
    pub fn election_timeout(mut self, timeout: Duration) -> Self {
        self.election_timeout = Some(timeout);
        self
    }

    /// Lets the members find each other at this URL of the v2 API (`--discovery`), instead of being told.
    pub fn discovery(mut self, url: impl Into<String>) -> Self {
        self.discovery = Some(url.into());
        self
    }

    /// A further command-line flag for each member, such as `--max-txn-ops=10`.
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Serves clients by TLS with this certificate and key (PEM files); the endpoints are `https`.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some(ServerTls {
            certificate: certificate.into(),
            key: key.into(),
            client_ca: None,
        });
        self
    }

    /// Demands client certificates issued by this CA (a PEM file). Without [`tls`](Self::tls) it has
    /// no effect.
    pub fn client_ca(mut self, file: impl Into<PathBuf>) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.client_ca = Some(file.into());
        }
        self
    }

    /// Begins with what a snapshot holds, which etcd's own tool restores for each member.
    pub fn restored_from(mut self, snapshot: impl Into<PathBuf>) -> Self {
        self.snapshot = Some(snapshot.into());
        self
    }

    /// A further flag for the tool that restores the snapshot, such as `--bump-revision=1000`.
    pub fn restore_flag(mut self, flag: impl Into<String>) -> Self {
        self.restore_flags.push(flag.into());
        self
    }

    /// Starts all members and waits until each answers linearizable reads and knows the cluster's version.
    ///
    /// # Errors
    ///
    /// When a member does not come up; the error shows the end of its log. When etcd's tool does not
    /// restore the snapshot; the error shows what it says.
    pub async fn start(&self) -> Result<Cluster, MemberError> {
        let mut attempt = 1;
        loop {
            match self.try_start().await {
                Err(MemberError::PortTaken { .. }) if attempt < PORT_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn try_start(&self) -> Result<Cluster, MemberError> {
        let data = tempfile::Builder::new()
            .prefix("etcdkit-test-")
            .tempdir()
            .map_err(|cause| MemberError::Process {
                what: "cannot make a temporary folder".to_owned(),
                cause,
            })?;
        let ports = MemberPorts::free(self.members);
        let peers = ports.iter().enumerate();
        let peers = peers.map(|(index, ports)| format!("{}={}", name(index), ports.peer_url()));
        let peers = peers.collect::<Vec<_>>().join(",");
        if let Some(snapshot) = &self.snapshot {
            for (index, ports) in ports.iter().enumerate() {
                self.restore(snapshot, &name(index), ports, &peers, data.path())?;
            }
        }

        let members = ports
            .iter()
            .enumerate()
            .map(|(index, ports)| self.member(name(index), ports, &peers, data.path()))
            .collect();
        let mut cluster = Cluster {
            members,
            data,
            description: self.clone(),
            peers,
        };
        for member in cluster.members() {
            member.spawn()?;
        }
        for member in cluster.members() {
            member.ready().await?;
            member.in_cluster_of(self.binary.version()).await?;
        }
        Ok(cluster)
    }

    fn member(&self, name: String, ports: &MemberPorts, peers: &str, data: &Path) -> Member {
        let folder = data.join(&name);
        let endpoint = format!("{}://127.0.0.1:{}", self.scheme(), ports.client);
        let arguments = self.arguments(&name, ports, &endpoint, peers, &folder);
        let log = data.join(format!("{name}.log"));
        Member::new(
            name,
            self.binary.path(),
            arguments,
            endpoint,
            ports.health,
            log,
        )
    }

    /// Makes the data of a member that has not been started yet.
    fn restore(
        &self,
        snapshot: &Path,
        name: &str,
        ports: &MemberPorts,
        peers: &str,
        data: &Path,
    ) -> Result<(), MemberError> {
        let output = self
            .binary
            .snapshot_tool()
            .arg("restore")
            .arg(snapshot)
            .arg(format!("--name={name}"))
            .arg(format!("--initial-cluster={peers}"))
            .arg(format!(
                "--initial-advertise-peer-urls={}",
                ports.peer_url()
            ))
            .arg(format!("--data-dir={}", data.join(name).display()))
            .args(&self.restore_flags)
            .output();
        let cause = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(cause) => cause,
        };
        Err(MemberError::Process {
            what: format!("cannot restore {} with {}", snapshot.display(), self.binary),
            cause,
        })
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn arguments(
        &self,
        name: &str,
        ports: &MemberPorts,
        endpoint: &str,
        peers: &str,
        folder: &Path,
    ) -> Vec<String> {
        let election_timeout = self.election_timeout.unwrap_or(match self.members {
            1 => Duration::from_millis(100),
            _ => Duration::from_millis(500),
        });
        let peer = ports.peer_url();
        let mut arguments = vec![
            format!("--name={name}"),
            format!("--data-dir={}", folder.display()),
            format!("--listen-client-urls={endpoint}"),
            format!("--advertise-client-urls={endpoint}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            match &self.discovery {
                Some(url) => format!("--discovery={url}"),
                None => format!("--initial-cluster={peers}"),
            },
            format!("--listen-metrics-urls=http://127.0.0.1:{}", ports.health),
            format!("--election-timeout={}", election_timeout.as_millis()),
            format!(
                "--heartbeat-interval={}",
                (election_timeout.as_millis() / 10).max(1)
            ),
        ];
        if self.binary.has_unsafe_no_fsync() {
            arguments.push("--unsafe-no-fsync".to_owned());
        }
        if let Some(tls) = &self.tls {
            arguments.push(format!("--cert-file={}", tls.certificate.display()));
            arguments.push(format!("--key-file={}", tls.key.display()));
            if let Some(client_ca) = &tls.client_ca {
                arguments.push("--client-cert-auth".to_owned());
                arguments.push(format!("--trusted-ca-file={}", client_ca.display()));
            }
        }
        // Last, so that they win over the ones above.
        arguments.extend_from_slice(&self.flags);
        arguments
    }
}

#[derive(Clone, Copy, Debug)]
struct MemberPorts {
    client: u16,
    peer: u16,
    health: u16,
}

impl MemberPorts {
    fn free(members: usize) -> Vec<Self> {
        let ports = ports::free(3 * members);
        let ports = ports.chunks_exact(3).map(|ports| Self {
            client: ports[0],
            peer: ports[1],
            health: ports[2],
        });
        ports.collect()
    }

    fn peer_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.peer)
    }
}

fn name(index: usize) -> String {
    format!("m{}", index + 1)
}
