//! What happened, as answers, watches and the history tell it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use etcdkit_proto::v2::{Action, Event, Node as Shown};

use super::deadline::Deadline;
use super::node::Node;
use super::path::{is_hidden, joined, shown, text};

/// A key or directory at the moment of an event, without what it held.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Glimpse {
    pub(super) path: Bytes,
    /// `None` for a directory, and for what is gone.
    pub(super) value: Option<Bytes>,
    pub(super) directory: bool,
    pub(super) deadline: Option<Deadline>,
    /// The seconds that were left.
    pub(super) ttl: i64,
    pub(super) modified: u64,
    pub(super) created: u64,
}

impl Glimpse {
    pub(super) fn of(path: Bytes, node: &Node, now: Duration) -> Self {
        Self {
            path,
            value: node.value().cloned(),
            directory: node.is_directory(),
            deadline: node.deadline,
            ttl: node.deadline.map_or(0, |deadline| deadline.ttl(now)),
            modified: node.modified,
            created: node.created,
        }
    }

    /// Of something that is gone since `index`.
    pub(super) fn of_gone(path: Bytes, node: &Node, index: u64) -> Self {
        Self {
            path,
            value: None,
            directory: node.is_directory(),
            deadline: None,
            ttl: 0,
            modified: index,
            created: node.created,
        }
    }

    fn to_shown(&self) -> Shown {
        Shown {
            key: shown(&self.path),
            value: self.value.as_deref().map(text),
            dir: self.directory,
            expiration: self.deadline.and_then(Deadline::date),
            ttl: self.ttl,
            nodes: Vec::new(),
            modified_index: self.modified,
            created_index: self.created,
        }
    }
}

/// A change, of which there is one for each index.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct LoggedEvent {
    pub(super) action: Action,
    pub(super) node: Glimpse,
    pub(super) previous: Option<Glimpse>,
    /// Nobody is told of it, but it takes its place in the history.
    pub(super) refresh: bool,
}

impl LoggedEvent {
    pub(super) fn index(&self) -> u64 {
        self.node.modified
    }

    /// Whether it removed something.
    pub(super) fn removes(&self) -> bool {
        matches!(
            self.action,
            Action::Delete | Action::CompareAndDelete | Action::Expire
        )
    }

    /// Whether there was nothing before.
    pub(super) fn creates(&self) -> bool {
        self.action == Action::Create || self.action == Action::Set && self.previous.is_none()
    }

    pub(super) fn to_event(&self) -> Event {
        Event {
            action: self.action,
            node: Some(self.node.to_shown()),
            prev_node: self.previous.as_ref().map(Glimpse::to_shown),
        }
    }
}

/// Without values, which may be secret.
impl fmt::Debug for LoggedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, node, .. } = self;
        write!(f, "{action} {} @{}", shown(&node.path), node.modified)
    }
}

/// A node as a read shows it, with what it holds: hidden names only if they were asked for themselves. With
/// `levels` of 1 the directories in it are shown without what they hold.
pub(super) fn listing(path: &[u8], node: &Node, levels: usize, now: Duration) -> Shown {
    let mut listed = Glimpse::of(Bytes::copy_from_slice(path), node, now).to_shown();
    if let (Some(below), Some(children)) = (levels.checked_sub(1), node.children()) {
        listed.nodes = children
            .iter()
            .filter(|(name, _)| !is_hidden(name))
            .map(|(name, child)| listing(&joined(path, name), child, below, now))
            .collect();
    }
    listed
}
