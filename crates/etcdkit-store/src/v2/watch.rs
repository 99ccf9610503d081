//! Who watches, and what they are told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use etcdkit_proto::v2::{ErrorCode, Event, KeysError};
use slab::Slab;

use super::event::LoggedEvent;
use super::node::Node;
use super::path::{Path, components, is_below, is_hidden, joined, steps};
use super::tree::{Published, Tree};

/// How many events may wait for somebody who does not read them, as in etcd.
const UNREAD: usize = 100;

/// What to watch of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// Also what is below.
    pub recursive: bool,
    /// Go on after the first event.
    pub stream: bool,
    /// The first index of interest, also one of the past; 0 for what comes next.
    pub since: u64,
}

/// Those who watch, from [`Tree::watch`] to [`close`](Self::close).
///
/// After every publication [`published`](Self::published) must be called before anything else.
#[derive(Debug, Default)]
pub struct Watchers {
    watchers: Slab<Watcher>,
    /// Those that are still to be told something.
    by_path: BTreeMap<Bytes, BTreeSet<usize>>,
}

/// Somebody who watches. Numbers are small, and those of who has gone are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchId(usize);

impl WatchId {
    /// The number, for tables beside.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What [`Watchers::next`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Something happened.
    Event(Box<Event>),
    /// Nothing yet; [`Watchers::published`] names the watch when there is something.
    Idle,
    /// There will be nothing more: the one event was given out, or too many were left unread.
    End,
}

#[derive(Debug)]
struct Watcher {
    path: Bytes,
    options: WatchOptions,
    queue: VecDeque<Arc<LoggedEvent>>,
    /// How many may be in the queue.
    room: usize,
}

impl Tree {
    /// Watches a path, which need not exist. If the history has what was asked for, the first
    /// [`next`](Watchers::next) gives it.
    ///
    /// A directory's removal is told to everybody who watches something that was in it. Hidden names are told
    /// to those who watch from above only if the history has them.
    ///
    /// # Errors
    ///
    /// `EventIndexCleared` if the history begins later than asked for.
    pub fn watch(
        &self,
        watchers: &mut Watchers,
        path: &Path,
        mut options: WatchOptions,
    ) -> Result<WatchId, KeysError> {
        let next = self.published + 1;
        let mut past = VecDeque::new();
        if options.since == 0 {
            options.since = next;
        } else {
            let first = self.history.first_index();
            if options.since < first {
                let cause = format!(
                    "the requested history has been cleared [{first}/{}]",
                    options.since
                );
                return Err(KeysError::new(
                    ErrorCode::EventIndexCleared,
                    cause,
                    self.published,
                ));
            }
            let wanted = if options.stream { usize::MAX } else { 1 };
            let told = self
                .history
                .told_from(options.since, path.full(), options.recursive)
                .take_while(|event| event.index() <= self.published);
            past.extend(told.take(wanted).cloned());
            options.since = options.since.max(next);
        }
        Ok(watchers.open(path.full().clone(), options, past))
    }
}

impl Watchers {
    fn open(
        &mut self,
        path: Bytes,
        options: WatchOptions,
        past: VecDeque<Arc<LoggedEvent>>,
    ) -> WatchId {
        let is_live = options.stream || past.is_empty();
        let id = self.watchers.insert(Watcher {
            path: path.clone(),
            options,
            room: past.len() + UNREAD,
            queue: past,
        });
        if is_live {
            self.by_path.entry(path).or_default().insert(id);
        }
        WatchId(id)
    }

    /// What somebody is to be told next.
    pub fn next(&mut self, watch: WatchId) -> Next {
        let Some(watcher) = self.watchers.get_mut(watch.0) else {
            return Next::End;
        };
        if let Some(event) = watcher.queue.pop_front() {
            return Next::Event(Box::new(event.to_event()));
        }
        let live = self.by_path.get(&watcher.path);
        if live.is_some_and(|ids| ids.contains(&watch.0)) {
            Next::Idle
        } else {
            Next::End
        }
    }

    /// Ends a watch.
    pub fn close(&mut self, watch: WatchId) {
        if let Some(watcher) = self.watchers.try_remove(watch.0) {
            self.settle(&watcher.path, watch.0);
        }
    }

    /// How many are still to be told something: the `watchers` of `/v2/stats/store`.
    pub fn count(&self) -> u64 {
        self.by_path.values().map(|ids| ids.len() as u64).sum()
    }

    /// Tells everybody of what was published. Calls `wake` for who has something to read now, or is at the
    /// end.
    pub fn published(&mut self, events: &[Published], mut wake: impl FnMut(WatchId)) {
        for published in events {
            if self.by_path.is_empty() {
                return;
            }
            if !published.event.refresh {
                self.tell(published, &mut wake);
            }
        }
    }

    /// As in etcd, a stream on something that is removed itself is told twice: once as what is removed, and once as
    /// where something happened.
    fn tell(&mut self, published: &Published, wake: &mut impl FnMut(WatchId)) {
        let event = &published.event;
        let path = &event.node.path;
        if event.removes() {
            if event.node.directory {
                for below in self.watched_below(path, published.removed.as_ref()) {
                    self.tell_at(&below, event, true, wake);
                }
            }
            self.tell_at(path, event, true, wake);
        }
        for (reached, _) in steps(path) {
            self.tell_at(reached, event, false, wake);
        }
    }

    /// The paths below a directory that somebody watches, as far as they were in it when it was removed. If nobody
    /// knows what was, all of them.
    fn watched_below(&self, directory: &Bytes, removed: Option<&Node>) -> Vec<Bytes> {
        let was_there = |path: &Bytes| {
            let name = path.get(directory.len()..).unwrap_or_default();
            removed.is_none_or(|removed| removed.find(name).is_some())
        };
        self.by_path
            .range::<Bytes, _>(Bytes::from(joined(directory, b""))..)
            .map(|(path, _)| path)
            .take_while(|path| is_below(path, directory))
            .filter(|path| was_there(path))
            .cloned()
            .collect()
    }

    /// Tells those who watch one path.
    fn tell_at(
        &mut self,
        path: &[u8],
        event: &Arc<LoggedEvent>,
        is_removed: bool,
        wake: &mut impl FnMut(WatchId),
    ) {
        let Some(ids) = self.by_path.get(path) else {
            return;
        };
        let changed = &event.node.path;
        let is_itself = changed == path;
        if is_hidden_from(path, changed) {
            return;
        }
        let mut done = Vec::new();
        for id in ids {
            let Some(watcher) = self.watchers.get_mut(*id) else {
                continue;
            };
            let WatchOptions {
                recursive,
                stream,
                since,
            } = watcher.options;
            if !(recursive || is_itself || is_removed) || event.index() < since {
                continue;
            }
            let has_room = watcher.queue.len() < watcher.room;
            if has_room {
                watcher.queue.push_back(Arc::clone(event));
            }
            if !stream || !has_room {
                done.push(*id);
            }
            wake(WatchId(*id));
        }
        for id in done {
            self.settle(path, id);
        }
    }

    /// Has somebody told nothing any more.
    fn settle(&mut self, path: &[u8], id: usize) {
        if let Some(ids) = self.by_path.get_mut(path) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_path.remove(path);
            }
        }
    }
}

/// Whether a change is below a hidden name for who watches from above. Names on the way to the watched path
/// do not matter.
fn is_hidden_from(watched: &[u8], changed: &[u8]) -> bool {
    is_below(changed, watched)
        && components(changed.get(watched.len()..).unwrap_or_default()).any(is_hidden)
}
