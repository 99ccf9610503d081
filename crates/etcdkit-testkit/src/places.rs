//! Where scenarios are played: on which servers, and on all of them at once.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    fmt::Display,
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use etcdkit::Client;
use etcdkit_server::Server;
use futures_util::{FutureExt, future::join_all};

use crate::{
    etcd::{Binary, Cluster, Version},
    patience::until,
};

/// The newest etcd of each minor version that was found, the oldest first.
///
/// # Panics
///
/// When there is none: what needs one must not pass without it.
pub fn versions() -> Vec<Binary> {
    let all = Binary::all().expect("a real etcd").into_iter();
    let minors = all.map(|etcd| ((etcd.version().major, etcd.version().minor), etcd));
    minors.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// Whether a leader that was frozen and goes on lets no leases run out that others have kept alive
/// meanwhile (etcd pull request 21421). Without that no lease can promise that there are never two holders
/// by the clock.
pub fn keeps_leases(etcd: &Binary) -> bool {
    etcd.version() >= Version::new(3, 5, 28)
}

/// So many members of an etcd.
///
/// # Panics
///
/// When they do not start.
pub async fn cluster(etcd: &Binary, members: usize) -> Cluster {
    let cluster = Cluster::builder(etcd).members(members).start().await;
    cluster.expect("a cluster")
}

/// Three members of which the same one leads as long as nothing is done to them, however busy the machine
/// is.
///
/// # Panics
///
/// When they do not start.
pub async fn calm_cluster(etcd: &Binary) -> Cluster {
    let cluster = Cluster::builder(etcd).members(3);
    let cluster = cluster.election_timeout(Duration::from_secs(3));
    cluster.start().await.expect("a cluster")
}

/// Who leads, as soon as somebody does. Nobody may at any time, on a machine so busy that a leader is not
/// heard of.
///
/// # Panics
///
/// When nobody does in a minute.
pub async fn leader(cluster: &Cluster) -> usize {
    let mut leader = None;
    until("a leader", async || {
        leader = cluster.leader().await;
        leader.is_some()
    })
    .await;
    leader.unwrap_or_default()
}

/// Plays a scenario at each of these places, at all of them at once: what takes time is mostly waiting,
/// for leases to run out above all.
///
/// # Panics
///
/// When one of them does, after saying which.
pub async fn at_once<T: Display>(places: impl IntoIterator<Item = T>, scenario: impl AsyncFn(T)) {
    let runs = places.into_iter().map(|place| {
        let what = place.to_string();
        let run = AssertUnwindSafe(scenario(place)).catch_unwind();
        async move {
            if let Err(panic) = run.await {
                eprintln!("failed on {what}");
                resume_unwind(panic);
            }
        }
    });
    join_all(runs).await;
}

/// A server of one member, which ends when this is dropped.
pub struct Place {
    name: String,
    endpoint: String,
    _server: Box<dyn Any + Send + Sync>,
}

impl Place {
    /// Where it is reached.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client of it.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub async fn client(&self) -> Client {
        Client::connect(self.endpoint()).await.expect("a client")
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Plays a scenario [at once](at_once) on the embedded server and on one member of each real etcd.
///
/// # Panics
///
/// As [`at_once`], and when a server does not start.
#[expect(clippy::future_not_send, reason = "a test awaits it on its own thread")]
pub async fn everywhere(scenario: impl AsyncFn(&Place)) {
    let server = Server::builder().start().await.expect("a server");
    let mut places = vec![Place {
        name: "the embedded server".to_owned(),
        endpoint: server.endpoint(),
        _server: Box::new(server),
    }];
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = cluster(&etcd, 1).await;
        places.push(Place {
            name: etcd.to_string(),
            endpoint: cluster.endpoint().to_owned(),
            _server: Box::new(cluster),
        });
    }
    at_once(places, async |place| scenario(&place).await).await;
}
