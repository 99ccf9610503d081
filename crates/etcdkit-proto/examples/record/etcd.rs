//! Processes of a real etcd, on loopback and in temporary folders.

use crate::Failure;
use etcdkit_proto::etcdserverpb::{StatusRequest, maintenance_client::MaintenanceClient};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tonic::transport::Channel;

/// One version of etcd: the server and, beside it, etcdctl.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) etcd: PathBuf,
    pub(crate) etcdctl: PathBuf,
    /// Such as `3.5.30`.
    pub(crate) version: String,
    /// Such as `(3, 5)`.
    pub(crate) minor: (u32, u32),
}

impl Binaries {
    /// Asks the server for its version and looks for etcdctl in the same folder.
    pub(crate) fn new(etcd: &Path) -> Result<Self, Failure> {
        let output = Command::new(etcd).arg("--version").output()?;
        let text = String::from_utf8(output.stdout)?;
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix("etcd Version: "))
            .ok_or_else(|| format!("{} does not tell its version", etcd.display()))?
            .to_string();
        let mut numbers = version.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
            return Err(format!("cannot read the version {version}").into());
        };
        Ok(Self {
            etcd: etcd.to_path_buf(),
            etcdctl: etcd.with_file_name("etcdctl"),
            version,
            minor: (major, minor),
        })
    }
}

/// A running process, ended on drop.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    _dir: tempfile::TempDir,
    /// `host:port` for clients.
    pub(crate) address: String,
    /// URL for other members, unused for a proxy.
    pub(crate) peer_url: String,
}

impl Process {
    /// Starts a member. `others` are the `name=url` pairs of a cluster to join.
    pub(crate) async fn member(
        binaries: &Binaries,
        name: &str,
        peer_url: Option<String>,
        others: &[String],
    ) -> Result<Self, Failure> {
        let address = free_address()?;
        let peer_url = match peer_url {
            Some(url) => url,
            None => format!("http://{}", free_address()?),
        };
        let client_url = format!("http://{address}");
        let cluster = [others, &[format!("{name}={peer_url}")]].concat().join(",");
        let state = if others.is_empty() { "new" } else { "existing" };
        let arguments = [
            ("--name", name),
            ("--listen-client-urls", &client_url),
            ("--advertise-client-urls", &client_url),
            ("--listen-peer-urls", &peer_url),
            ("--initial-advertise-peer-urls", &peer_url),
            ("--initial-cluster", &cluster),
            ("--initial-cluster-state", state),
        ];
        let mut command = Command::new(&binaries.etcd);
        for (flag, value) in arguments {
            command.arg(format!("{flag}={value}"));
        }
        Self::start(command, address, peer_url).await
    }

    /// Starts etcd's own gRPC proxy, which decodes and encodes everything anew with etcd's types.
    pub(crate) async fn grpc_proxy(binaries: &Binaries, upstream: &str) -> Result<Self, Failure> {
        let address = free_address()?;
        let mut command = Command::new(&binaries.etcd);
        command
            .args(["grpc-proxy", "start"])
            .arg(format!("--endpoints={upstream}"))
            .arg(format!("--listen-addr={address}"));
        Self::start(command, address, String::new()).await
    }

    async fn start(
        mut command: Command,
        address: String,
        peer_url: String,
    ) -> Result<Self, Failure> {
        let dir = tempfile::tempdir()?;
        let child = command
            .arg(format!("--data-dir={}", dir.path().join("data").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let process = Self {
            child,
            _dir: dir,
            address,
            peer_url,
        };
        process.ready().await?;
        Ok(process)
    }

    /// A connection, without proxy.
    pub(crate) async fn connect(&self) -> Result<Channel, Failure> {
        connect(&self.address).await
    }

    async fn ready(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = async {
                let channel = connect(&self.address).await?;
                let mut maintenance = MaintenanceClient::new(channel);
                let status = maintenance.status(StatusRequest::default()).await?;
                Ok::<_, Failure>(status.into_inner())
            };
            match answer.await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(format!("{} does not get ready: {error}", self.address).into());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connects to `host:port`.
pub(crate) async fn connect(address: &str) -> Result<Channel, Failure> {
    let endpoint = Channel::from_shared(format!("http://{address}"))?;
    Ok(endpoint.connect().await?)
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> Result<String, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
