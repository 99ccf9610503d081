//! How many watchers there are.

use super::Watchers;
use super::watcher::State;

/// What [`Watchers::figures`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchFigures {
    /// Streams, also those without watchers.
    pub streams: usize,
    /// Watchers of all streams.
    pub watchers: usize,
    /// Watchers that have to catch up from the log.
    pub behind: usize,
}

impl Watchers {
    /// Counts streams and watchers.
    pub fn figures(&self) -> WatchFigures {
        let behind = |state| state == State::Behind;
        WatchFigures {
            streams: self.streams.len(),
            watchers: self.watchers.len(),
            behind: self
                .watchers
                .iter()
                .filter(|(_, watcher)| behind(watcher.state))
                .count(),
        }
    }
}
