//! The last thousand events, from which watches of the past are served.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::LoggedEvent;
use super::path::is_below;

/// How many events are kept.
pub(super) const CAPACITY: usize = 1_000;

/// Events of consecutive indexes.
#[derive(Debug, Default)]
pub(super) struct History {
    events: VecDeque<Arc<LoggedEvent>>,
}

impl History {
    pub(super) fn push(&mut self, event: Arc<LoggedEvent>) {
        if self.events.len() >= CAPACITY {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// The index of the oldest event; 0 if there is none yet.
    pub(super) fn first_index(&self) -> u64 {
        self.events.front().map_or(0, |event| event.index())
    }

    /// The index of the newest event; 0 if there is none yet.
    pub(super) fn last_index(&self) -> u64 {
        self.events.back().map_or(0, |event| event.index())
    }

    /// The events from an index on.
    pub(super) fn from(&self, index: u64) -> impl Iterator<Item = &Arc<LoggedEvent>> {
        let skipped = index.saturating_sub(self.first_index());
        self.events
            .iter()
            .skip(usize::try_from(skipped).unwrap_or(usize::MAX))
    }

    /// What somebody who watches a path is told of the events from an index on.
    ///
    /// Unlike live watches these see hidden keys from above, and removed directories from wherever they could
    /// have been: nobody knows any more what was in them. etcd takes `/ab` to be in `/a` here.
    pub(super) fn told_from<'a>(
        &'a self,
        index: u64,
        path: &'a [u8],
        recursive: bool,
    ) -> impl Iterator<Item = &'a Arc<LoggedEvent>> {
        self.from(index)
            .filter(move |event| !event.refresh && concerns(event, path, recursive))
    }
}

fn concerns(event: &LoggedEvent, path: &[u8], recursive: bool) -> bool {
    let changed: &[u8] = &event.node.path;
    changed == path
        || recursive && is_below(changed, path)
        || event.removes() && event.node.directory && is_below(path, changed)
}
