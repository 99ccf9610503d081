//! Answers of `/v2/keys`.

use etcdkit_proto::v2 as wire;

use super::{Action, Node};
use crate::v2::Header;

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The answer's header.
    pub header: Header,
    /// What was done.
    pub action: Action,
    /// Whether nothing was there before (the HTTP status is 201).
    pub created: bool,
    /// The key or directory as it is since then; what was removed has neither value nor content. `None` if
    /// the request did not want it (`no_value_on_success`).
    pub node: Option<Node>,
    /// What was there before, if something was and the request wanted to know.
    pub prev_node: Option<Node>,
}

impl Response {
    pub(crate) fn new(header: Header, created: bool, event: wire::Event) -> Self {
        Self {
            header,
            action: event.action.into(),
            created,
            node: event.node.map(Node::from),
            prev_node: event.prev_node.map(Node::from),
        }
    }

    /// The path of what was written; of [`create_in_order`](crate::v2::Client::create_in_order), the one
    /// that the server chose. `None` if the request did not want the node.
    pub fn key(&self) -> Option<&str> {
        Some(&self.node.as_ref()?.key)
    }

    /// The value that was written; `None` for a directory, for what was removed, and if the request did not
    /// want the node.
    pub fn value(&self) -> Option<&str> {
        self.node.as_ref()?.value.as_deref()
    }

    /// The value that was there before, if it was a key.
    pub fn prev_value(&self) -> Option<&str> {
        self.prev_node.as_ref()?.value.as_deref()
    }

    /// The index of the change: what compare-and-swap compares with, and plus one, from where to watch.
    pub fn index(&self) -> u64 {
        match &self.node {
            Some(node) => node.modified_index,
            None => self.header.etcd_index,
        }
    }
}

/// The answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The answer's header. Watching from its `etcd_index` plus one misses nothing that came after the read,
    /// whether something was found or not; if not, servers tell no more than that.
    pub header: Header,
    /// What was found: `None` if there is no such key or directory.
    pub node: Option<Node>,
}

impl Found {
    /// Whether there is a key or directory.
    pub fn exists(&self) -> bool {
        self.node.is_some()
    }

    /// The value of the key; `None` if there is none, and for a directory.
    pub fn value(&self) -> Option<&str> {
        self.node.as_ref()?.value.as_deref()
    }

    /// What the directory holds; nothing for a key, and if there is none.
    pub fn nodes(&self) -> &[Node] {
        self.node.as_ref().map_or(&[], |node| &node.nodes)
    }
}

/// The answer to a [listing](crate::v2::Client::list) of a directory, or of the
/// [tree](crate::v2::Client::tree) below it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The answer's header. Watching from its `etcd_index` plus one misses nothing that came after the read.
    pub header: Header,
    /// The directory, with what it holds in order.
    pub node: Node,
}

impl Listing {
    /// What the directory holds: its keys, and its directories, which hold nothing here if only one level
    /// was asked for.
    pub fn nodes(&self) -> &[Node] {
        &self.node.nodes
    }

    /// The values of all keys, in order.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.node.leaves().filter_map(|node| node.value.as_deref())
    }

    /// The paths and values of all keys, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.node
            .leaves()
            .filter_map(|node| Some((node.key.as_str(), node.value.as_deref()?)))
    }
}

impl IntoIterator for Listing {
    type Item = Node;
    type IntoIter = std::vec::IntoIter<Node>;

    /// What the directory holds.
    fn into_iter(self) -> Self::IntoIter {
        self.node.nodes.into_iter()
    }
}
