//! Where the participants meet.

use std::{fmt, time::Duration};

use etcdkit::Client;
use etcdkit_server::Server;
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    etcdctl::Etcdctl,
};
use tokio::time::timeout;

/// The longest time that anything which must happen takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long something is watched that must not happen.
const A_WHILE: Duration = Duration::from_millis(300);

/// A server, a client of ours, and the etcdctl that talks to the same server.
pub(crate) struct Site {
    pub(crate) client: Client,
    pub(crate) endpoint: String,
    etcdctl: Binary,
    host: Host,
}

enum Host {
    Etcd(Cluster),
    Embedded(Server),
}

impl Site {
    async fn new(etcdctl: &Binary, host: Host) -> Self {
        let endpoint = match &host {
            Host::Etcd(cluster) => cluster.endpoint().to_owned(),
            Host::Embedded(server) => server.endpoint(),
        };
        Self {
            client: Client::connect(&endpoint).await.expect("a client"),
            endpoint,
            etcdctl: etcdctl.clone(),
            host,
        }
    }

    /// Starts etcdctl there.
    pub(crate) fn etcdctl(&self, arguments: &[&str]) -> Etcdctl {
        Etcdctl::start(&self.etcdctl, &self.endpoint, arguments)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::Etcd(_) => write!(f, "{}", self.etcdctl),
            Host::Embedded(_) => write!(f, "the embedded server, with etcdctl of {}", self.etcdctl),
        }
    }
}

/// Plays a scene on each etcd, and with its etcdctl on the embedded server.
pub(crate) async fn each_site(scene: impl AsyncFn(&Site)) {
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let server = Server::builder().start().await.expect("a server");
        for host in [Host::Etcd(cluster), Host::Embedded(server)] {
            let site = Site::new(&etcd, host).await;
            eprintln!("on {site}");
            scene(&site).await;
        }
    }
}

/// Waits for something that must happen.
pub(crate) async fn soon<F: IntoFuture>(what: F) -> F::Output {
    timeout(PATIENCE, what).await.expect("in time")
}

/// Makes sure that something does not happen that must not happen yet. The future may be awaited again.
pub(crate) async fn not_yet<F: Future<Output: fmt::Debug> + Unpin>(site: &Site, what: &mut F) {
    let early = timeout(A_WHILE, what).await;
    assert!(early.is_err(), "{site}: too early: {early:?}");
}
