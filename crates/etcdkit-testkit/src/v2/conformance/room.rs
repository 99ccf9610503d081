//! The corner of the key space that a case has to itself.

use std::time::Duration;

use etcdkit::{
    Outcome,
    v2::{Client, Error, ErrorKind, Listing, Node},
};

/// What certainly comes does so within this.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// A random directory.
pub(super) struct Room {
    directory: String,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            directory: format!("/etcdkit-conformance/{:016x}", fastrand::u64(..)),
        }
    }

    /// The directory itself.
    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// The key with this name.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }

    /// A name for a lock or the like, which takes no slash.
    pub(super) fn name(&self) -> String {
        self.directory.replace('/', "-")
    }

    /// Sets each name to itself, in this order.
    pub(super) async fn fill(&self, client: &Client, names: &[&str]) {
        for name in names {
            client.set(self.key(name), *name).await.expect("a set");
        }
    }

    /// The names of nodes, in their order, and `/` after those of directories.
    pub(super) fn names(&self, nodes: &[Node]) -> Vec<String> {
        let name = |node: &Node| {
            let name = node.key.strip_prefix(self.directory());
            let name = name.and_then(|name| name.strip_prefix('/'));
            let name = name.expect("a key of this case");
            format!("{name}{}", if node.is_dir { "/" } else { "" })
        };
        nodes.iter().map(name).collect()
    }

    /// What there is on the first level.
    pub(super) async fn listed(&self, client: &Client) -> Vec<String> {
        let listing: Listing = client.list(self.directory()).await.expect("a listing");
        self.names(listing.nodes())
    }
}

/// What a key has.
pub(super) async fn value(client: &Client, key: &str) -> Option<String> {
    let get = client.get(key).quorum().value();
    get.await.expect("a read")
}

/// The error of what must be refused, and change nothing.
#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind) -> Error {
    let error = result.expect_err("it must be refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    error
}
