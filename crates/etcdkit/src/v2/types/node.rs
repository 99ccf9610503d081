//! A key or a directory.

use std::{
    cmp::Ordering,
    time::{Duration, SystemTime},
};

use etcdkit_proto::v2 as wire;

/// A key or directory of etcd's v2 key space.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
/// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
/// client.set("/app/web/port", "80").await?;
/// client.set("/app/db/port", "5432").await?;
///
/// let app = client.tree("/app").await?.node;
/// assert!(app.is_dir);
/// assert_eq!(app.child("web").unwrap().nodes[0].name(), "port");
/// assert_eq!(app.find("/app/db/port").unwrap().value.as_deref(), Some("5432"));
/// let keys: Vec<_> = app.leaves().map(|node| node.key.as_str()).collect();
/// assert_eq!(keys, ["/app/db/port", "/app/web/port"]);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// The path from the root, such as `/app/web/port`; `/` for the root itself.
    pub key: String,
    /// The value of a key. `None` for directories, and for what an event says was removed.
    pub value: Option<String>,
    /// Whether it is a directory. Where an event says that something was removed, this tells it for
    /// directories, too.
    pub is_dir: bool,
    /// The index of the change that made it; 0 for the root. A plain set makes a key anew.
    pub created_index: u64,
    /// The index of the change that it has its value from; 0 for the root. A directory keeps the index it
    /// was made with, whatever changes in it.
    pub modified_index: u64,
    /// When it expires by the clock of the cluster's leader; `None` for never.
    pub expiration: Option<SystemTime>,
    /// The seconds until then when the server answered, rounded up; `None` for never. Negative if it is
    /// overdue: nothing expires as long as the cluster has no leader.
    pub ttl: Option<i64>,
    /// What a directory holds, as far as it was asked for; without what is hidden ([`is_hidden`]).
    ///
    /// [`is_hidden`]: Self::is_hidden
    pub nodes: Vec<Node>,
}

impl Node {
    /// The last part of the path: the name within the directory. Empty for the root.
    pub fn name(&self) -> &str {
        name_of(&self.key)
    }

    /// Whether listings of the directory that holds it leave it out, as they do with all names that begin
    /// with `_`. It is found by its own name only.
    pub fn is_hidden(&self) -> bool {
        self.name().starts_with('_')
    }

    /// How long it had to live when the server answered: `None` for ever, zero if it is overdue.
    pub fn remaining(&self) -> Option<Duration> {
        let seconds = u64::try_from(self.ttl?).unwrap_or(0);
        Some(Duration::from_secs(seconds))
    }

    /// What this directory holds under a name, as far as it was asked for.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name() == name)
    }

    /// This node or one below it by its whole path, as far as it was asked for.
    pub fn find(&self, key: &str) -> Option<&Node> {
        if self.key == key {
            return Some(self);
        }
        self.nodes
            .iter()
            .find(|node| is_at_or_below(key, &node.key))?
            .find(key)
    }

    /// This node and all below it, each directory before what it holds.
    pub fn walk(&self) -> Walk<'_> {
        Walk { ahead: vec![self] }
    }

    /// The keys among this node and all below it: everything that has a value.
    pub fn leaves(&self) -> Leaves<'_> {
        Leaves { walk: self.walk() }
    }

    /// Orders what this directory holds, and all directories in it, by name; names that are numbers come
    /// first and by their value.
    ///
    /// This is the order in which keys were created by [`create_in_order`], on servers before etcd 2.2,
    /// too, whose numbers have no leading zeros, so that the order of bytes puts `10` before `9`.
    ///
    /// [`create_in_order`]: crate::v2::Client::create_in_order
    pub fn sort_in_order(&mut self) {
        self.nodes.sort_by(|a, b| in_order(a.name(), b.name()));
        for node in &mut self.nodes {
            node.sort_in_order();
        }
    }
}

impl From<wire::Node> for Node {
    fn from(node: wire::Node) -> Self {
        let wire::Node {
            key,
            value,
            dir,
            expiration,
            ttl,
            nodes,
            modified_index,
            created_index,
        } = node;
        Self {
            // The answer for the root leaves the key out.
            key: match key.is_empty() {
                true => "/".to_owned(),
                false => key,
            },
            value,
            is_dir: dir,
            created_index,
            modified_index,
            expiration: expiration.map(SystemTime::from),
            // A time that is just over is left out, as one that there is not.
            ttl: (expiration.is_some() || ttl != 0).then_some(ttl),
            nodes: nodes.into_iter().map(Self::from).collect(),
        }
    }
}

/// All nodes of a tree, made by [`Node::walk`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy"]
pub struct Walk<'a> {
    /// What is still to come, the next one last.
    ahead: Vec<&'a Node>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a Node;

    fn next(&mut self) -> Option<&'a Node> {
        let node = self.ahead.pop()?;
        self.ahead.extend(node.nodes.iter().rev());
        Some(node)
    }
}

/// The keys of a tree, made by [`Node::leaves`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy"]
pub struct Leaves<'a> {
    walk: Walk<'a>,
}

impl<'a> Iterator for Leaves<'a> {
    type Item = &'a Node;

    fn next(&mut self) -> Option<&'a Node> {
        self.walk.find(|node| !node.is_dir)
    }
}

/// The last part of a path.
pub(crate) fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}

/// Whether a path is that of a directory or leads into it.
fn is_at_or_below(key: &str, dir: &str) -> bool {
    key.strip_prefix(dir)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Numbers before other names and by their value, whether they have leading zeros or not.
pub(crate) fn in_order(a: &str, b: &str) -> Ordering {
    let rank = |name: &str| {
        let number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        let digits = match number {
            true => name.trim_start_matches('0').len(),
            false => usize::MAX,
        };
        (!number, digits)
    };
    let digits = |name: &str| match rank(name) {
        (false, _) => name.trim_start_matches('0').to_owned(),
        (true, _) => name.to_owned(),
    };
    rank(a)
        .cmp(&rank(b))
        .then_with(|| digits(a).cmp(&digits(b)))
        .then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(json: &str) -> Node {
        serde_json::from_str::<wire::Node>(json).unwrap().into()
    }

    fn dir(key: &str, nodes: Vec<Node>) -> Node {
        Node {
            is_dir: true,
            nodes,
            ..key_of(key)
        }
    }

    fn key_of(key: &str) -> Node {
        node(&format!(r#"{{"key":"{key}"}}"#))
    }

    #[test]
    fn the_root_has_a_name_after_all() {
        let root = node(
            r#"{"dir":true,"nodes":[{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}]}"#,
        );
        assert_eq!((root.key.as_str(), root.name()), ("/", ""));
        assert_eq!(root.find("/").unwrap(), &root);
        assert_eq!(root.find("/a").unwrap().value.as_deref(), Some("1"));
        assert_eq!(root.find("/b"), None);
    }

    #[test]
    fn times_are_told_apart_from_none() {
        assert_eq!(node(r#"{"key":"/a"}"#).ttl, None);
        assert_eq!(node(r#"{"key":"/a"}"#).remaining(), None);
        let due = node(r#"{"key":"/a","expiration":"2026-11-21T12:00:00.5Z"}"#);
        assert_eq!(due.ttl, Some(0));
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_262_400_500);
        assert_eq!(due.expiration, Some(at));
        let overdue = node(r#"{"key":"/a","expiration":"2026-11-21T12:00:00Z","ttl":-34}"#);
        assert_eq!(overdue.ttl, Some(-34));
        assert_eq!(overdue.remaining(), Some(Duration::ZERO));
        // etcd 0.x wrote local time.
        let local = node(r#"{"key":"/a","expiration":"2026-11-21T13:00:00.5+01:00","ttl":9}"#);
        assert_eq!(local.expiration, Some(at));
        assert_eq!(local.remaining(), Some(Duration::from_secs(9)));
    }

    #[test]
    fn a_tree_is_walked_from_the_top() {
        let tree = dir(
            "/t",
            vec![
                dir("/t/a", vec![key_of("/t/a/x"), dir("/t/a/y", vec![])]),
                key_of("/t/ab"),
            ],
        );
        let keys = |nodes: Vec<&Node>| nodes.iter().map(|n| n.key.clone()).collect::<Vec<_>>();
        assert_eq!(
            keys(tree.walk().collect()),
            ["/t", "/t/a", "/t/a/x", "/t/a/y", "/t/ab"]
        );
        assert_eq!(keys(tree.leaves().collect()), ["/t/a/x", "/t/ab"]);
        assert_eq!(tree.find("/t/ab").unwrap().key, "/t/ab");
        assert_eq!(tree.find("/t/a/x").unwrap().name(), "x");
        assert_eq!(tree.find("/t/a/x/z"), None);
        assert_eq!(tree.child("a").unwrap().nodes.len(), 2);
        assert!(key_of("/t/_a").is_hidden() && !key_of("/_t/a").is_hidden());
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let mut names = vec![
            "b",
            "10",
            "9",
            "0011",
            "_x",
            "",
            "99999999999999999999999",
            "10a",
        ];
        names.sort_by(|a, b| in_order(a, b));
        assert_eq!(
            names,
            [
                "9",
                "10",
                "0011",
                "99999999999999999999999",
                "",
                "10a",
                "_x",
                "b"
            ]
        );
        assert_eq!(in_order("9", "09"), in_order("09", "9").reverse());

        let mut queue = dir(
            "/q",
            vec![
                key_of("/q/10"),
                dir("/q/9", vec![key_of("/q/9/2"), key_of("/q/9/1")]),
            ],
        );
        queue.sort_in_order();
        let keys: Vec<_> = queue.walk().map(Node::name).collect();
        assert_eq!(keys, ["q", "9", "1", "2", "10"]);
    }
}
