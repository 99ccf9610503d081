//! What a watch tells.

use crate::v2::{Event, Node};

/// What a [`Watch`](crate::v2::Watch) tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// A change.
    Change(Event),
    /// Changes were missed; this is what there is instead of them.
    Resync(Resync),
}

/// What a watched key or directory was at one index, told in place of changes that were missed.
///
/// Everything that happened until [`index`](Self::index) is in it, and everything after that is told as
/// changes. What a program knows of the keys has to be replaced by this.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resync {
    /// Why changes were missed.
    pub reason: ResyncReason,
    /// What there is: for a recursive watch with everything below. `None` if the key does not exist.
    pub node: Option<Node>,
    /// The index of the store that this was read at, with the cluster's agreement.
    pub index: u64,
}

/// Why changes were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResyncReason {
    /// A server remembers the last thousand changes of the whole store, and more have happened while
    /// none could be reached, or before the index to watch from.
    Cleared,
    /// The index of the store is lower than it was: the cluster was restored from a backup.
    WentBack,
}

impl WatchEvent {
    /// The change, if it is one.
    pub fn change(&self) -> Option<&Event> {
        match self {
            Self::Change(event) => Some(event),
            Self::Resync(_) => None,
        }
    }

    /// The change, if it is one.
    pub fn into_change(self) -> Option<Event> {
        match self {
            Self::Change(event) => Some(event),
            Self::Resync(_) => None,
        }
    }

    /// The index of the store up to which the watch has told everything with this.
    pub fn index(&self) -> u64 {
        match self {
            Self::Change(event) => event.index(),
            Self::Resync(resync) => resync.index,
        }
    }

    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        fn of(node: &Node) -> usize {
            let value = node.value.as_ref().map_or(0, String::len);
            size_of::<Node>() + node.key.len() + value
        }
        match self {
            Self::Change(event) => of(&event.node) + event.prev_node.as_ref().map_or(0, of),
            Self::Resync(resync) => {
                let nodes = resync.node.iter().flat_map(Node::walk);
                nodes.map(of).sum()
            }
        }
    }
}
