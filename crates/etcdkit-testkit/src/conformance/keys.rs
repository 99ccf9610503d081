//! The corner of the key space that a case has to itself.

use etcdkit::{Client, ErrorKind, KeyRange, Revision};

/// Keys below a random prefix.
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            prefix: format!("etcdkit-conformance/{:016x}/", fastrand::u64(..)),
        }
    }

    /// The key with this name.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// All of them.
    pub(super) fn all(&self) -> KeyRange<'_> {
        KeyRange::prefix(&self.prefix)
    }

    /// The name of a key as it is on the server.
    pub(super) fn name<'k>(&self, key: &'k [u8]) -> &'k str {
        let name = key.strip_prefix(self.prefix.as_bytes());
        std::str::from_utf8(name.expect("a key of this case")).expect("a name in UTF-8")
    }

    /// Puts each name with itself as value, in this order; answers the revision of each.
    pub(super) async fn fill(&self, client: &Client, names: &[&str]) -> Vec<Revision> {
        let mut revisions = Vec::new();
        for name in names {
            let put = client.put(self.key(name), *name).await.expect("a put");
            revisions.push(put.header.revision);
        }
        revisions
    }

    /// The names of the keys in a response, in its order.
    pub(super) fn names<'r>(&self, kvs: &'r [etcdkit::KeyValue]) -> Vec<&'r str> {
        kvs.iter().map(|kv| self.name(&kv.key)).collect()
    }

    /// The names of all keys that exist.
    pub(super) async fn existing(&self, client: &Client) -> Vec<String> {
        let found = client.range(self.all()).await.expect("a read");
        let names = self.names(&found.kvs);
        names.into_iter().map(str::to_owned).collect()
    }
}

/// The kind of the error that a call must fail with.
#[track_caller]
pub(super) fn kind<T: std::fmt::Debug>(result: etcdkit::Result<T>) -> ErrorKind {
    result.expect_err("the call must fail").kind()
}
