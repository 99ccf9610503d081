//! The tree in a data file: an entry for each node, one for each event of the history, and one for the rest.
//!
//! etcd writes its tree into files of its own, as one piece of JSON, and nobody else reads them. So this
//! layout is our own, and its bucket is no part of snapshots.

use std::sync::Arc;

use bytes::Bytes;
use etcdkit_proto::v2::{Action, StoreStats};
use prost::Message;

use super::deadline::Deadline;
use super::event::{Glimpse, LoggedEvent};
use super::history::CAPACITY;
use super::node::{Body, Children, Node};
use super::path::{MAX_DEPTH, components, split};
use super::stats::Stats;
use super::tree::Tree;
use crate::backend::{Bucket, Change};
use crate::journal::Dirty;

/// What the names of entries begin with; behind it the path of a node or the index of an event.
const NODE: u8 = b'n';
const EVENT: u8 = b'e';
const STATE: &[u8] = b"state";

const ACTIONS: [Action; 7] = [
    Action::Set,
    Action::Create,
    Action::Update,
    Action::CompareAndSwap,
    Action::Delete,
    Action::CompareAndDelete,
    Action::Expire,
];

/// A node, or how an event shows one.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct StoredNode {
    /// Of events only.
    #[prost(bytes = "bytes", tag = "1")]
    path: Bytes,
    #[prost(bytes = "bytes", optional, tag = "2")]
    value: Option<Bytes>,
    #[prost(bool, tag = "3")]
    directory: bool,
    #[prost(sint64, optional, tag = "4")]
    deadline: Option<i64>,
    /// Of events only.
    #[prost(sint64, tag = "5")]
    ttl: i64,
    #[prost(uint64, tag = "6")]
    modified: u64,
    #[prost(uint64, tag = "7")]
    created: u64,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct StoredEvent {
    /// The place in [`ACTIONS`].
    #[prost(uint32, tag = "1")]
    action: u32,
    #[prost(message, optional, tag = "2")]
    node: Option<StoredNode>,
    #[prost(message, optional, tag = "3")]
    previous: Option<StoredNode>,
    #[prost(bool, tag = "4")]
    refresh: bool,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StoredState {
    #[prost(uint64, tag = "1")]
    index: u64,
    #[prost(uint64, tag = "2")]
    gets_success: u64,
    #[prost(uint64, tag = "3")]
    gets_fail: u64,
    #[prost(uint64, tag = "4")]
    sets_success: u64,
    #[prost(uint64, tag = "5")]
    sets_fail: u64,
    #[prost(uint64, tag = "6")]
    delete_success: u64,
    #[prost(uint64, tag = "7")]
    delete_fail: u64,
    #[prost(uint64, tag = "8")]
    update_success: u64,
    #[prost(uint64, tag = "9")]
    update_fail: u64,
    #[prost(uint64, tag = "10")]
    create_success: u64,
    #[prost(uint64, tag = "11")]
    create_fail: u64,
    #[prost(uint64, tag = "12")]
    compare_and_swap_success: u64,
    #[prost(uint64, tag = "13")]
    compare_and_swap_fail: u64,
    #[prost(uint64, tag = "14")]
    compare_and_delete_success: u64,
    #[prost(uint64, tag = "15")]
    compare_and_delete_fail: u64,
    #[prost(uint64, tag = "16")]
    expire_count: u64,
}

/// What changed since a backend was last given the tree.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// The paths of nodes.
    nodes: Dirty<Vec<u8>>,
    /// Index and counters.
    state: Dirty<()>,
    /// The events that the backend has, by index.
    stored_from: u64,
    stored_to: u64,
}

impl Journal {
    pub(super) fn mark(&mut self, path: &[u8]) {
        self.nodes.mark(path);
    }

    pub(super) fn mark_state(&mut self) {
        self.state.mark(&());
    }
}

impl Tree {
    pub(crate) fn watch_changes(&mut self) {
        self.journal.nodes.watch();
        self.journal.state.watch();
    }

    pub(crate) fn forget_changes(&mut self) {
        self.journal.nodes.forget();
        self.journal.state.forget();
    }

    /// Every change marks the state, so there is nothing else to ask.
    pub(crate) fn has_changes(&self) -> bool {
        !self.journal.state.is_empty()
    }

    pub(crate) fn take_changes(&mut self, changes: &mut Vec<Change>) {
        if !self.has_changes() {
            return;
        }
        self.journal.state.take();
        for path in self.journal.nodes.take() {
            let key = [&[NODE], &path[..]].concat();
            changes.push(match self.root.find(&path) {
                Some(node) => Change::put(Bucket::V2, key, stored_node(node).encode_to_vec()),
                None => Change::Delete(Bucket::V2, key.into()),
            });
        }
        let first = self.history.first_index();
        for fallen_out in self.journal.stored_from.max(1)..first.min(self.journal.stored_to + 1) {
            changes.push(Change::Delete(Bucket::V2, event_key(fallen_out).into()));
        }
        for event in self.history.from(self.journal.stored_to + 1) {
            let key = event_key(event.index());
            let value = stored_event(event).encode_to_vec();
            changes.push(Change::put(Bucket::V2, key, value));
        }
        self.journal.stored_from = first;
        self.journal.stored_to = self.index;
        let state = stored_state(self.index, self.stats()).encode_to_vec();
        changes.push(Change::put(Bucket::V2, STATE, state));
    }

    /// Takes an entry of a file. They come in the order of their names: events, nodes, the state.
    pub(crate) fn recover(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if key == STATE {
            let state = StoredState::decode(value).map_err(|_| "does not hold a state")?;
            if state.index == u64::MAX {
                return Err("is of an index that leaves none for the next change");
            }
            self.index = state.index;
            self.published = state.index;
            self.stats = Stats::recovered(recovered_stats(&state));
            return Ok(());
        }
        match key.split_first() {
            Some((&NODE, path)) => self.recover_node(path, value),
            Some((&EVENT, index)) => self.recover_event(index, value),
            _ => Err("is neither a node nor an event"),
        }
    }

    fn recover_node(&mut self, path: &[u8], value: &[u8]) -> Result<(), &'static str> {
        const NO_NODE: &str = "does not hold a node";
        let stored = StoredNode::decode(value).map_err(|_| NO_NODE)?;
        let (directory, name) = split(path);
        let is_clean = !name.is_empty() && path.starts_with(b"/") && !path.ends_with(b"/");
        if !is_clean || components(path).count() > MAX_DEPTH + 1 {
            return Err("is not the path of a node");
        }
        let deadline = stored.deadline.map(Deadline::of_nanos);
        let body = match (stored.value, stored.directory) {
            (Some(value), false) => Body::Value(value),
            (None, true) => Body::Children(Children::new()),
            _ => return Err(NO_NODE),
        };
        let node = Node {
            created: stored.created,
            modified: stored.modified,
            deadline,
            body,
        };
        let parent = self.root.find_mut(directory);
        let siblings = parent.and_then(Node::children_mut);
        let siblings = siblings.ok_or("is in a directory that is missing")?;
        let path = Bytes::copy_from_slice(path);
        // A slice of the path, so that both are one buffer.
        let name = path.slice(path.len() - name.len()..);
        if siblings.insert(name, node).is_some() {
            return Err("is there twice");
        }
        self.deadlines
            .extend(deadline.map(|deadline| (deadline, path)));
        Ok(())
    }

    fn recover_event(&mut self, index: &[u8], value: &[u8]) -> Result<(), &'static str> {
        const NO_EVENT: &str = "does not hold the event of its index";
        let index = index.try_into().map_err(|_| NO_EVENT)?;
        let index = u64::from_be_bytes(index);
        let stored = StoredEvent::decode(value).map_err(|_| NO_EVENT)?;
        let event = recovered_event(stored).ok_or(NO_EVENT)?;
        let last = self.history.last_index();
        if event.index() != index || index == 0 {
            return Err(NO_EVENT);
        }
        if last != 0 && index != last + 1 {
            return Err("does not follow the event before it");
        }
        self.history.push(Arc::new(event));
        Ok(())
    }

    /// Ends a recovery. Returns whether everything that was taken belongs together.
    pub(crate) fn recovered(&mut self) -> bool {
        let first = self.history.first_index();
        let last = self.history.last_index();
        self.journal.stored_from = first;
        self.journal.stored_to = last;
        let kept = self.index.min(CAPACITY as u64);
        let mut newest = 0;
        self.root.visit(b"", &mut |_, node| {
            newest = newest.max(node.modified).max(node.created);
        });
        // The index of the first event follows from that of the last and their number.
        last == self.index && (last == 0 || last - first + 1 == kept) && newest <= self.index
    }
}

fn event_key(index: u64) -> Vec<u8> {
    [&[EVENT], &index.to_be_bytes()[..]].concat()
}

fn stored_node(node: &Node) -> StoredNode {
    StoredNode {
        path: Bytes::new(),
        value: node.value().cloned(),
        directory: node.is_directory(),
        deadline: node.deadline.map(Deadline::nanos),
        ttl: 0,
        modified: node.modified,
        created: node.created,
    }
}

fn stored_glimpse(glimpse: &Glimpse) -> StoredNode {
    StoredNode {
        path: glimpse.path.clone(),
        value: glimpse.value.clone(),
        directory: glimpse.directory,
        deadline: glimpse.deadline.map(Deadline::nanos),
        ttl: glimpse.ttl,
        modified: glimpse.modified,
        created: glimpse.created,
    }
}

fn recovered_glimpse(stored: StoredNode) -> Glimpse {
    Glimpse {
        path: stored.path,
        value: stored.value,
        directory: stored.directory,
        deadline: stored.deadline.map(Deadline::of_nanos),
        ttl: stored.ttl,
        modified: stored.modified,
        created: stored.created,
    }
}

fn stored_event(event: &LoggedEvent) -> StoredEvent {
    let place = ACTIONS.iter().position(|action| *action == event.action);
    StoredEvent {
        action: place.map_or(u32::MAX, |place| place as u32),
        node: Some(stored_glimpse(&event.node)),
        previous: event.previous.as_ref().map(stored_glimpse),
        refresh: event.refresh,
    }
}

fn recovered_event(stored: StoredEvent) -> Option<LoggedEvent> {
    Some(LoggedEvent {
        action: *ACTIONS.get(usize::try_from(stored.action).ok()?)?,
        node: recovered_glimpse(stored.node?),
        previous: stored.previous.map(recovered_glimpse),
        refresh: stored.refresh,
    })
}

fn stored_state(index: u64, stats: StoreStats) -> StoredState {
    StoredState {
        index,
        gets_success: stats.gets_success,
        gets_fail: stats.gets_fail,
        sets_success: stats.sets_success,
        sets_fail: stats.sets_fail,
        delete_success: stats.delete_success,
        delete_fail: stats.delete_fail,
        update_success: stats.update_success,
        update_fail: stats.update_fail,
        create_success: stats.create_success,
        create_fail: stats.create_fail,
        compare_and_swap_success: stats.compare_and_swap_success,
        compare_and_swap_fail: stats.compare_and_swap_fail,
        compare_and_delete_success: stats.compare_and_delete_success,
        compare_and_delete_fail: stats.compare_and_delete_fail,
        expire_count: stats.expire_count,
    }
}

fn recovered_stats(state: &StoredState) -> StoreStats {
    StoreStats {
        gets_success: state.gets_success,
        gets_fail: state.gets_fail,
        sets_success: state.sets_success,
        sets_fail: state.sets_fail,
        delete_success: state.delete_success,
        delete_fail: state.delete_fail,
        update_success: state.update_success,
        update_fail: state.update_fail,
        create_success: state.create_success,
        create_fail: state.create_fail,
        compare_and_swap_success: state.compare_and_swap_success,
        compare_and_swap_fail: state.compare_and_swap_fail,
        compare_and_delete_success: state.compare_and_delete_success,
        compare_and_delete_fail: state.compare_and_delete_fail,
        expire_count: state.expire_count,
        watchers: 0,
    }
}
