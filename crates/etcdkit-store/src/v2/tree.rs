//! The tree: its state, reads, and what all changes have in common.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcdkit_proto::v2::{Action, ErrorCode, Event, KeysError, StoreStats};

use super::deadline::Deadline;
use super::event::{Glimpse, LoggedEvent, listing};
use super::history::History;
use super::node::{Children, Node};
use super::path::{Namespace, Path, ROOT, shown, split, steps};
use super::stats::Stats;
use super::stored::Journal;

/// What a request did or found.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The body of the answer. Its paths are those that users see.
    pub event: Event,
    /// The index of the store, after the change if there was one: the header `X-Etcd-Index`.
    pub etcd_index: u64,
    /// Whether there was nothing before, which HTTP says with the status 201.
    pub is_created: bool,
}

/// Without values, which may be secret.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("action", &self.event.action)
            .field("etcd_index", &self.etcd_index)
            .field("is_created", &self.is_created)
            .finish()
    }
}

/// An event that is published, for [`Watchers`](super::Watchers).
#[derive(Debug)]
pub struct Published {
    pub(super) event: Arc<LoggedEvent>,
    /// What it removed; `None` for nothing, or if nobody knows any more.
    pub(super) removed: Option<Node>,
}

/// Keys and directories with etcd's v2 semantics, and their history.
///
/// All times are given as the time since 1970. A failed request changes nothing but a counter of
/// [`stats`](Self::stats). Errors say at which index of the store they were found.
#[derive(Debug)]
pub struct Tree {
    pub(super) root: Node,
    /// The index of the last change.
    pub(super) index: u64,
    /// The last index that watches may know of.
    pub(super) published: u64,
    pub(super) history: History,
    /// What ends, by when.
    pub(super) deadlines: BTreeSet<(Deadline, Bytes)>,
    pub(super) stats: Stats,
    /// What is staged and not published yet.
    pub(super) staged: VecDeque<Published>,
    pub(super) journal: Journal,
}

impl Default for Tree {
    fn default() -> Self {
        let mut root = Node::directory(0);
        if let Some(children) = root.children_mut() {
            for namespace in [Namespace::Cluster, Namespace::Keys] {
                let (_, name) = split(namespace.prefix());
                children.insert(Bytes::from_static(name), Node::directory(0));
            }
        }
        Self {
            root,
            index: 0,
            published: 0,
            history: History::default(),
            deadlines: BTreeSet::new(),
            stats: Stats::default(),
            staged: VecDeque::new(),
            journal: Journal::default(),
        }
    }
}

impl Tree {
    /// The index of the last change, staged ones included; 0 for a new tree.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The last index that watches are told of.
    pub fn published_index(&self) -> u64 {
        self.published
    }

    /// Whether watches may know of every change.
    pub fn is_published(&self) -> bool {
        self.published == self.index
    }

    /// Reads a key, or a directory with what is in it: one level, or all with `recursive`. Names that start with
    /// `_` are left out, unless they are asked for themselves.
    ///
    /// # Errors
    ///
    /// `KeyNotFound` with the first path that is missing; `NotADirectory` with a key on the way.
    pub fn get(&self, path: &Path, recursive: bool, now: Duration) -> Result<Answer, KeysError> {
        let levels = if recursive { usize::MAX } else { 1 };
        let answer = self.find(path.full()).map(|node| Answer {
            event: Event {
                action: Action::Get,
                node: Some(listing(path.full(), node, levels, now)),
                prev_node: None,
            },
            etcd_index: self.index,
            is_created: false,
        });
        self.stats.read(&answer);
        answer
    }

    /// How often what was done, without the number of those who watch.
    pub fn stats(&self) -> StoreStats {
        self.stats.to_shown()
    }

    /// Lets watches know of events up to an index. Returns them.
    pub(crate) fn publish_up_to(&mut self, index: u64) -> Vec<Published> {
        self.published = self.published.max(index);
        let count = self
            .staged
            .iter()
            .take_while(|staged| staged.event.index() <= index)
            .count();
        self.staged.drain(..count).collect()
    }

    /// The published events after an index, as far as the history has them: for a tree that takes the place of
    /// another.
    pub fn published_after(&self, index: u64) -> Vec<Published> {
        self.history
            .from(index.saturating_add(1))
            .take_while(|event| event.index() <= self.published)
            .map(|event| Published {
                event: Arc::clone(event),
                removed: None,
            })
            .collect()
    }

    pub(super) fn error(&self, code: ErrorCode, cause: impl Into<String>) -> KeysError {
        KeysError::new(code, cause, self.index)
    }

    /// An error about a path.
    pub(super) fn error_at(&self, code: ErrorCode, path: &[u8]) -> KeysError {
        self.error(code, shown(path))
    }

    pub(super) fn find(&self, path: &[u8]) -> Result<&Node, KeysError> {
        let mut node = &self.root;
        let mut parent = ROOT;
        for (reached, name) in steps(path) {
            let children = node
                .children()
                .ok_or_else(|| self.error_at(ErrorCode::NotADirectory, parent))?;
            node = children
                .get(name)
                .ok_or_else(|| self.error_at(ErrorCode::KeyNotFound, reached))?;
            parent = reached;
        }
        Ok(node)
    }

    /// Puts a node where nothing is, with the directories that are missing on the way. There must be no key on
    /// the way.
    pub(super) fn place(&mut self, path: &Bytes, node: Node) {
        let index = node.created;
        if let Some(deadline) = node.deadline {
            self.deadlines.insert((deadline, path.clone()));
        }
        let (directory, name) = split(path);
        let mut children = self.root.children_mut();
        for (reached, name) in steps(directory) {
            let Some(siblings) = children else { return };
            if !siblings.contains_key(name) {
                siblings.insert(Bytes::copy_from_slice(name), Node::directory(index));
                self.journal.mark(reached);
            }
            children = siblings.get_mut(name).and_then(Node::children_mut);
        }
        if let Some(siblings) = children {
            siblings.insert(Bytes::copy_from_slice(name), node);
            self.journal.mark(path);
        }
    }

    /// Takes a node away, with everything below it.
    pub(super) fn take(&mut self, path: &[u8]) -> Option<Node> {
        let (directory, name) = split(path);
        let siblings: &mut Children = self.root.find_mut(directory)?.children_mut()?;
        let taken = siblings.remove(name)?;
        let Self {
            deadlines, journal, ..
        } = self;
        taken.visit(path, &mut |path, node| {
            journal.mark(path);
            if let Some(deadline) = node.deadline {
                deadlines.remove(&(deadline, Bytes::copy_from_slice(path)));
            }
        });
        Some(taken)
    }

    /// Gives a node another end.
    pub(super) fn set_deadline(&mut self, path: &Bytes, deadline: Option<Deadline>) {
        let Some(node) = self.root.find_mut(path) else {
            return;
        };
        if let Some(before) = node.deadline {
            self.deadlines.remove(&(before, path.clone()));
        }
        node.deadline = deadline;
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, path.clone()));
        }
        self.journal.mark(path);
    }

    /// Takes a change into the history, and counts its index.
    pub(super) fn log(&mut self, event: LoggedEvent, removed: Option<Node>) -> Answer {
        self.index = event.index();
        let answer = Answer {
            event: event.to_event(),
            etcd_index: self.index,
            is_created: event.creates(),
        };
        let event = Arc::new(event);
        self.history.push(Arc::clone(&event));
        self.staged.push_back(Published { event, removed });
        answer
    }

    /// An event without a node before it.
    pub(super) fn event(action: Action, node: Glimpse) -> LoggedEvent {
        LoggedEvent {
            action,
            node,
            previous: None,
            refresh: false,
        }
    }
}
