//! Where the participants meet.

use std::{fmt, time::Duration};

use etcdkit::Client;
use etcdkit_server::Server;
use etcdkit_testkit::{
    etcd::{Binary, Cluster},
    etcdctl::Etcdctl,
    patience::{in_time, meanwhile},
    places::at_once,
    queue::queue_of,
};
use tokio::time::timeout;

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

    /// Lets so much time pass for the server, if it is one whose time can be made to pass.
    pub(crate) fn lets_time_pass(&self, by: Duration) -> bool {
        match &self.host {
            Host::Embedded(server) => {
                server.advance_time(by);
                true
            }
            Host::Etcd(_) => false,
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

/// Plays a scene on each etcd, and with its etcdctl on the embedded server, on all at once.
#[expect(clippy::future_not_send, reason = "a test awaits it on its own thread")]
pub(crate) async fn each_site(scene: impl AsyncFn(&Site)) {
    let mut sites = Vec::new();
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).start().await.expect("a cluster");
        let server = Server::builder().start().await.expect("a server");
        for host in [Host::Etcd(cluster), Host::Embedded(server)] {
            sites.push(Site::new(&etcd, host).await);
        }
    }
    at_once(sites, async |site| scene(&site).await).await;
}

/// Waits for something that must happen.
pub(crate) async fn soon<F: IntoFuture>(what: F) -> F::Output {
    in_time("what must happen", what).await
}

/// Waits until so many are in a queue, the last of whom waits in it by this future, and makes sure that it
/// goes on waiting. The future may be awaited again.
pub(crate) async fn queues<F: Future<Output: fmt::Debug> + Unpin>(
    site: &Site,
    waiting: &mut F,
    (name, length): (&str, i64),
) {
    let queue = queue_of(&site.client, name, length);
    meanwhile(&mut *waiting, "its place in the queue", queue).await;
    not_yet(site, waiting).await;
}

/// Makes sure that something does not happen that must not happen yet. The future may be awaited again.
pub(crate) async fn not_yet<F: Future<Output: fmt::Debug> + Unpin>(site: &Site, what: &mut F) {
    let early = timeout(A_WHILE, what).await;
    assert!(early.is_err(), "{site}: too early: {early:?}");
}
