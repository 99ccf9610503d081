//! Writes, each with etcd's order of checks.

use std::time::Duration;

use bytes::Bytes;
use etcdkit_proto::v2::{Action, ErrorCode, KeysError};

use super::deadline::Deadline;
use super::event::{Glimpse, LoggedEvent};
use super::node::{Body, Children, Node};
use super::path::{MAX_DEPTH, Namespace, Path, components, text};
use super::stats::Counted;
use super::tree::{Answer, Tree};

/// What is to be written.
#[derive(Clone, Copy, Default)]
pub struct Content<'a> {
    /// Whether to make a directory. Only creation looks at it: what is there stays what it is.
    pub directory: bool,
    /// The value of a key.
    pub value: &'a [u8],
    /// When it ends; `None` for never, also for what had an end before.
    pub deadline: Option<Deadline>,
    /// Keeps the value that is there, and tells nobody who watches.
    pub refresh: bool,
}

impl<'a> Content<'a> {
    /// A key without an end.
    pub fn value<T: AsRef<[u8]> + ?Sized>(value: &'a T) -> Self {
        Self {
            value: value.as_ref(),
            ..Self::default()
        }
    }

    /// A directory without an end.
    pub fn directory() -> Self {
        Self {
            directory: true,
            ..Self::default()
        }
    }

    /// The same until a time.
    #[must_use]
    pub fn until(self, deadline: Option<Deadline>) -> Self {
        Self { deadline, ..self }
    }
}

/// Without the value, which may be secret.
impl std::fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content")
            .field("directory", &self.directory)
            .field("bytes", &self.value.len())
            .field("deadline", &self.deadline)
            .field("refresh", &self.refresh)
            .finish()
    }
}

/// What a key must be for a write to happen.
#[derive(Clone, Copy, Default)]
pub struct Condition<'a> {
    /// Its value; empty for any.
    pub value: &'a [u8],
    /// The index of its last change; 0 for any.
    pub index: u64,
}

/// Without the value, which may be secret.
impl std::fmt::Debug for Condition<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Condition")
            .field("bytes", &self.value.len())
            .field("index", &self.index)
            .finish()
    }
}

impl Condition<'_> {
    /// What is wrong with a key, if anything.
    fn mismatch(&self, node: &Node) -> Option<String> {
        let actual = node.value().map_or(&b""[..], |value| value);
        let has_value = self.value.is_empty() || self.value == actual;
        let has_index = self.index == 0 || self.index == node.modified;
        let of_value = || format!("[{} != {}]", text(self.value), text(actual));
        let of_index = || format!("[{} != {}]", self.index, node.modified);
        match (has_value, has_index) {
            (true, true) => None,
            (false, true) => Some(of_value()),
            (true, false) => Some(of_index()),
            (false, false) => Some(format!("{} {}", of_value(), of_index())),
        }
    }
}

impl Tree {
    /// Writes a key or directory in place of whatever key is there. Directories on the way are made.
    ///
    /// # Errors
    ///
    /// `NotADirectory` with a key on the way, `NotAFile` if it is a directory, `RootIsReadOnly`, and
    /// `KeyNotFound` for a refresh of what is not there. `InvalidField` beyond [`MAX_DEPTH`].
    pub fn set(
        &mut self,
        path: &Path,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let answer = self.try_set(path, content, now);
        self.wrote(Counted::Set, answer)
    }

    /// Writes a key or directory where nothing is. Directories on the way are made.
    ///
    /// # Errors
    ///
    /// `KeyExists`, `NotADirectory` with a key on the way, `RootIsReadOnly`; `InvalidField` beyond
    /// [`MAX_DEPTH`].
    pub fn create(
        &mut self,
        path: &Path,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let answer = self.put(Action::Create, path, content, now);
        self.wrote(Counted::Create, answer)
    }

    /// The same in a directory, under a name that is the index in twenty digits, so that names sort as
    /// they are made.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create).
    pub fn create_in_order(
        &mut self,
        directory: &Path,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let name = format!("{:020}", self.index + 1);
        self.create(&directory.child(name.as_bytes()), content, now)
    }

    /// Changes the value and the end of a key, or the end of a directory.
    ///
    /// # Errors
    ///
    /// `KeyNotFound`, `NotADirectory` with a key on the way, `NotAFile` for a value on a directory,
    /// `RootIsReadOnly`.
    pub fn update(
        &mut self,
        path: &Path,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let answer = self.try_update(path, content, now);
        self.wrote(Counted::Update, answer)
    }

    /// Changes the value and the end of a key that is as the condition says.
    ///
    /// # Errors
    ///
    /// `CompareFailed` with what differs, `NotAFile` for a directory, and those of
    /// [`update`](Self::update).
    pub fn compare_and_swap(
        &mut self,
        path: &Path,
        condition: Condition<'_>,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let answer = self.try_swap(path, condition, content, now);
        self.wrote(Counted::CompareAndSwap, answer)
    }

    /// Removes a key, an empty directory with `directory`, or a directory with everything in it with
    /// `recursive`.
    ///
    /// # Errors
    ///
    /// `KeyNotFound`, `NotADirectory` with a key on the way, `NotAFile` for a directory that was not asked for,
    /// `DirectoryNotEmpty`, `RootIsReadOnly`.
    pub fn delete(
        &mut self,
        path: &Path,
        directory: bool,
        recursive: bool,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let answer = self.try_delete(path, directory || recursive, recursive, now);
        self.wrote(Counted::Delete, answer)
    }

    /// Removes a key that is as the condition says.
    ///
    /// # Errors
    ///
    /// `KeyNotFound`, `NotADirectory` with a key on the way, `NotAFile` for a directory, `CompareFailed` with
    /// what differs.
    pub fn compare_and_delete(
        &mut self,
        path: &Path,
        condition: Condition<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let answer = self.try_compare_and_delete(path, condition, now);
        self.wrote(Counted::CompareAndDelete, answer)
    }

    fn wrote(
        &mut self,
        what: Counted,
        answer: Result<Answer, KeysError>,
    ) -> Result<Answer, KeysError> {
        self.stats.wrote(what, &answer);
        self.journal.mark_state();
        answer
    }

    fn try_set(
        &mut self,
        path: &Path,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let kept = match self.find(path.full()) {
            Ok(node) => node.value().cloned().unwrap_or_default(),
            Err(error) if content.refresh || error.code() != Some(ErrorCode::KeyNotFound) => {
                return Err(error);
            }
            Err(_) => Bytes::new(),
        };
        let content = if content.refresh {
            Content {
                value: &kept,
                ..content
            }
        } else {
            content
        };
        self.put(Action::Set, path, content, now)
    }

    /// Makes a node; in place of another if the action is to set it.
    fn put(
        &mut self,
        action: Action,
        path: &Path,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let full = path.full();
        self.require_writable(path)?;
        if components(full).count() > MAX_DEPTH + 1 {
            let cause = format!("etcdkit: a path has at most {MAX_DEPTH} components");
            return Err(self.error(ErrorCode::InvalidField, cause));
        }
        let previous = match self.find(full) {
            Ok(_) if action != Action::Set => {
                return Err(self.error_at(ErrorCode::KeyExists, full));
            }
            Ok(node) if node.is_directory() => {
                return Err(self.error_at(ErrorCode::NotAFile, full));
            }
            Ok(node) => Some(Glimpse::of(full.clone(), node, now)),
            Err(error) if error.code() == Some(ErrorCode::KeyNotFound) => None,
            Err(error) => return Err(error),
        };
        self.take(full);
        let body = if content.directory {
            Body::Children(Children::new())
        } else {
            Body::Value(Bytes::copy_from_slice(content.value))
        };
        let deadline = content.deadline.and_then(Deadline::if_credible);
        let node = Node::new(self.index + 1, body, deadline);
        let event = LoggedEvent {
            previous,
            refresh: content.refresh && action == Action::Set,
            ..Self::event(action, Glimpse::of(full.clone(), &node, now))
        };
        self.place(full, node);
        Ok(self.log(event, None))
    }

    fn try_update(
        &mut self,
        path: &Path,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        self.require_writable(path)?;
        let node = self.find(path.full())?;
        if node.is_directory() && !content.value.is_empty() {
            return Err(self.error_at(ErrorCode::NotAFile, path.full()));
        }
        self.change(Action::Update, path, content, now)
    }

    fn try_swap(
        &mut self,
        path: &Path,
        condition: Condition<'_>,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        self.require_writable(path)?;
        self.require(path, condition)?;
        self.change(Action::CompareAndSwap, path, content, now)
    }

    /// Changes a node in its place.
    fn change(
        &mut self,
        action: Action,
        path: &Path,
        content: Content<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let full = path.full();
        let index = self.index + 1;
        let previous = Glimpse::of(full.clone(), self.find(full)?, now);
        self.set_deadline(full, content.deadline);
        if let Some(node) = self.root.find_mut(full)
            && let Body::Value(value) = &mut node.body
        {
            if !content.refresh {
                *value = Bytes::copy_from_slice(content.value);
            }
            node.modified = index;
        }
        // A directory keeps its index, but the event has its own.
        let node = Glimpse {
            modified: index,
            ..Glimpse::of(full.clone(), self.find(full)?, now)
        };
        let event = LoggedEvent {
            previous: Some(previous),
            refresh: content.refresh,
            ..Self::event(action, node)
        };
        Ok(self.log(event, None))
    }

    fn try_delete(
        &mut self,
        path: &Path,
        directory: bool,
        recursive: bool,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        self.require_writable(path)?;
        let full = path.full();
        if let Some(children) = self.find(full)?.children() {
            if !directory {
                return Err(self.error_at(ErrorCode::NotAFile, full));
            }
            if !children.is_empty() && !recursive {
                return Err(self.error_at(ErrorCode::DirectoryNotEmpty, full));
            }
        }
        self.remove(Action::Delete, full, now)
    }

    fn try_compare_and_delete(
        &mut self,
        path: &Path,
        condition: Condition<'_>,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        self.require(path, condition)?;
        self.remove(Action::CompareAndDelete, path.full(), now)
    }

    /// Removes a node with everything below it, with one event.
    pub(super) fn remove(
        &mut self,
        action: Action,
        path: &Bytes,
        now: Duration,
    ) -> Result<Answer, KeysError> {
        let node = self.find(path)?;
        let event = LoggedEvent {
            previous: Some(Glimpse::of(path.clone(), node, now)),
            ..Self::event(action, Glimpse::of_gone(path.clone(), node, self.index + 1))
        };
        let removed = self.take(path);
        Ok(self.log(event, removed))
    }

    fn require_writable(&self, path: &Path) -> Result<(), KeysError> {
        let roots = [Namespace::Cluster, Namespace::Keys].map(Namespace::prefix);
        if roots.contains(&&**path.full()) {
            return Err(self.error(ErrorCode::RootIsReadOnly, "/"));
        }
        Ok(())
    }

    fn require(&self, path: &Path, condition: Condition<'_>) -> Result<(), KeysError> {
        let node = self.find(path.full())?;
        if node.is_directory() {
            return Err(self.error_at(ErrorCode::NotAFile, path.full()));
        }
        match condition.mismatch(node) {
            Some(cause) => Err(self.error(ErrorCode::CompareFailed, cause)),
            None => Ok(()),
        }
    }
}
