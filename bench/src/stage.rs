//! The cluster that a scene plays on, and what can be seen of it from outside.

use std::{
    collections::HashMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use etcdkit::{Client, MemberId};
use etcdkit_bench_load::Failure;
use etcdkit_testkit::etcd::{Binary, Cluster};

/// What every scene's servers are.
pub(crate) fn description() -> Result<String, Failure> {
    let binary = Binary::newest()?;
    let fsync = match binary.has_unsafe_no_fsync() {
        true => "--unsafe-no-fsync",
        false => "with fsync",
    };
    let folder = std::env::temp_dir();
    let version = binary.version();
    Ok(format!(
        "etcd {version}, {fsync}, data below {}, fresh for each run",
        folder.display()
    ))
}

/// Counts of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Traffic {
    /// Requests for keys and for locks.
    pub(crate) requests: f64,
    /// What clients said on streams of watches.
    pub(crate) watch_requests: f64,
    /// What the server said there.
    pub(crate) watch_answers: f64,
}

/// A cluster of its own for one program in one scene.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
}

impl Stage {
    pub(crate) async fn set(members: usize) -> Result<Self, Failure> {
        let cluster = Cluster::builder(&Binary::newest()?)
            .members(members)
            .flag("--quota-backend-bytes=8589934592")
            .start()
            .await?;
        let client = Client::connect(cluster.endpoints()).await?;
        Ok(Self { cluster, client })
    }

    /// What the first member's process has in memory, in bytes.
    pub(crate) fn rss(&mut self) -> Result<u64, Failure> {
        let pid = self.cluster.member(0).pid().ok_or("the server has ended")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.strip_suffix("kB"));
        let kib: u64 = kib.ok_or("its status has no VmRSS")?.trim().parse()?;
        Ok(kib * 1024)
    }

    /// How many streams of this method the first member serves at the moment.
    pub(crate) fn streams(&self, method: &str) -> Result<f64, Failure> {
        let metrics = self.metrics()?;
        let label = format!("grpc_method=\"{method}\"");
        let started = sum(&metrics, "grpc_server_started_total{", &label);
        Ok(started - sum(&metrics, "grpc_server_handled_total{", &label))
    }

    /// What the first member's clients and it have said to each other so far.
    pub(crate) fn traffic(&self) -> Result<Traffic, Failure> {
        const WATCH: &str = "grpc_service=\"etcdserverpb.Watch\"";
        let metrics = self.metrics()?;
        let services = ["etcdserverpb.KV", "v3lockpb.Lock"].map(|service| {
            let label = format!("grpc_service=\"{service}\"");
            sum(&metrics, "grpc_server_started_total{", &label)
        });
        Ok(Traffic {
            requests: services.iter().sum(),
            watch_requests: sum(&metrics, "grpc_server_msg_received_total{", WATCH),
            watch_answers: sum(&metrics, "grpc_server_msg_sent_total{", WATCH),
        })
    }

    /// How many TCP connections the first member's clients have.
    pub(crate) fn connections(&self) -> Result<u64, Failure> {
        const ESTABLISHED: &str = "01";
        let (_, port) = self.address().rsplit_once(':').ok_or("no port")?;
        let port = format!(":{:04X}", port.parse::<u16>()?);
        let table = fs::read_to_string("/proc/net/tcp")?;
        let connections = table.lines().filter(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().is_some_and(|local| local.ends_with(&port));
            local && fields.nth(1) == Some(ESTABLISHED)
        });
        Ok(connections.count() as u64)
    }

    /// Sees to it that the member with this id does not lead, so that an election is no part of what
    /// follows; answers its index.
    pub(crate) async fn make_follower(&self, id: u64) -> Result<usize, Failure> {
        let members = self.ids().await?;
        let member = MemberId(id);
        let index = members
            .get(&member)
            .ok_or_else(|| format!("no member {id:x}"))?;
        let status = self
            .client
            .maintenance()
            .status(self.cluster.endpoint())
            .await?;
        if status.leader == Some(member) {
            let other = members.keys().find(|other| **other != member);
            let other = other.ok_or("no other member")?;
            self.client.maintenance().move_leader(*other).await?;
        }
        Ok(*index)
    }

    /// The index of a member that follows.
    pub(crate) async fn follower(&self) -> Result<usize, Failure> {
        let status = self
            .client
            .maintenance()
            .status(self.cluster.endpoint())
            .await?;
        let leader = status.leader.ok_or("no leader")?;
        let members = self.ids().await?;
        let follower = members.into_iter().find(|(id, _)| *id != leader);
        Ok(follower.ok_or("no follower")?.1)
    }

    async fn ids(&self) -> Result<HashMap<MemberId, usize>, Failure> {
        let mut ids = HashMap::new();
        for (index, endpoint) in self.cluster.endpoints().iter().enumerate() {
            let status = self.client.maintenance().status(endpoint).await?;
            ids.insert(status.header.member_id, index);
        }
        Ok(ids)
    }

    fn address(&self) -> &str {
        self.cluster.endpoint().trim_start_matches("http://")
    }

    fn metrics(&self) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(self.address())?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

/// The sum of a metric over all its lines with this label.
fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    let values = lines.filter(|line| line.contains(label));
    values
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}
