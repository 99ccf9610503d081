//! Keys and directories as they are stored.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use super::deadline::Deadline;
use super::path::{components, joined};

/// What a directory holds, by name.
pub(super) type Children = BTreeMap<Bytes, Node>;

/// A key or a directory.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) created: u64,
    /// The index of the last change of a key. That of a directory is the one of its creation.
    pub(super) modified: u64,
    pub(super) deadline: Option<Deadline>,
    pub(super) body: Body,
}

#[derive(Clone)]
pub(super) enum Body {
    Value(Bytes),
    Children(Children),
}

impl Node {
    pub(super) fn new(index: u64, body: Body, deadline: Option<Deadline>) -> Self {
        Self {
            created: index,
            modified: index,
            deadline,
            body,
        }
    }

    pub(super) fn directory(index: u64) -> Self {
        Self::new(index, Body::Children(Children::new()), None)
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.body, Body::Children(_))
    }

    pub(super) fn children(&self) -> Option<&Children> {
        match &self.body {
            Body::Children(children) => Some(children),
            Body::Value(_) => None,
        }
    }

    pub(super) fn children_mut(&mut self) -> Option<&mut Children> {
        match &mut self.body {
            Body::Children(children) => Some(children),
            Body::Value(_) => None,
        }
    }

    pub(super) fn value(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Value(value) => Some(value),
            Body::Children(_) => None,
        }
    }

    /// What is at a path from here.
    pub(super) fn find(&self, path: &[u8]) -> Option<&Self> {
        components(path).try_fold(self, |node, name| node.children()?.get(name))
    }

    /// The same, to be changed.
    pub(super) fn find_mut(&mut self, path: &[u8]) -> Option<&mut Self> {
        components(path).try_fold(self, |node, name| node.children_mut()?.get_mut(name))
    }

    /// Visits everything below, children before their directory, and the node itself last. `path` is its own.
    pub(super) fn visit(&self, path: &[u8], visit: &mut impl FnMut(&[u8], &Self)) {
        for (name, child) in self.children().into_iter().flatten() {
            child.visit(&joined(path, name), visit);
        }
        visit(path, self);
    }
}

/// Without the value, which may be secret.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Node");
        shown
            .field("created", &self.created)
            .field("modified", &self.modified)
            .field("deadline", &self.deadline);
        match &self.body {
            Body::Value(value) => shown.field("bytes", &value.len()),
            Body::Children(children) => shown.field("children", children),
        };
        shown.finish()
    }
}
