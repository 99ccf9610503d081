//! Servers that serve the v2 API.

use std::{any::Any, collections::BTreeMap, fmt};

use etcdkit_server::Server;

use crate::etcd::{Binary, Cluster, Version};

/// The newest etcd of each minor version before 3.6, which has no v2 API any more.
///
/// # Panics
///
/// When there is none: what needs one must not pass without it.
pub fn binaries() -> Vec<Binary> {
    let all = Binary::all().expect("a real etcd").into_iter();
    let serving = all.filter(|etcd| etcd.version() < Version::new(3, 6, 0));
    let newest: BTreeMap<_, _> = serving
        .map(|etcd| ((etcd.version().major, etcd.version().minor), etcd))
        .collect();
    assert!(
        !newest.is_empty(),
        "no etcd before 3.6, which has no v2 API"
    );
    newest.into_values().collect()
}

/// A cluster of so many members that serves the v2 API.
///
/// # Panics
///
/// When it does not start.
pub async fn cluster(etcd: &Binary, members: usize) -> Cluster {
    let cluster = Cluster::builder(etcd).flag("--enable-v2=true");
    cluster.members(members).start().await.expect("a cluster")
}

/// One server, which ends when this is dropped.
pub struct Single {
    name: String,
    endpoint: String,
    _server: Box<dyn Any + Send>,
}

impl Single {
    /// Where it is reached.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl fmt::Display for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The embedded server and one member of each of [`binaries`].
///
/// # Panics
///
/// When one does not start.
pub async fn singles() -> Vec<Single> {
    let server = Server::builder().enable_v2(true).start();
    let server = server.await.expect("a server");
    let mut singles = vec![Single {
        name: "embedded".to_owned(),
        endpoint: server.endpoint(),
        _server: Box::new(server),
    }];
    for etcd in binaries() {
        let cluster = cluster(&etcd, 1).await;
        singles.push(Single {
            name: etcd.to_string(),
            endpoint: cluster.endpoint().to_owned(),
            _server: Box::new(cluster),
        });
    }
    singles
}
