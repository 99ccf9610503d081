//! The watchers of v3's streams and of v2, and the tasks that serve them.

use std::task::Waker;

use etcdkit_store::v2::{self, WatchId};
use etcdkit_store::{Record, StreamId, Watchers};

/// The engine's watchers together with whom to wake for them.
#[derive(Default)]
pub(crate) struct Hub {
    pub(crate) watchers: Watchers,
    /// By the index of the stream.
    wakers: Wakers,
    pub(crate) v2: v2::Watchers,
    /// By the index of the watch.
    v2_wakers: Wakers,
}

/// Tasks by small numbers.
#[derive(Default)]
struct Wakers(Vec<Option<Waker>>);

impl Wakers {
    fn set(&mut self, index: usize, waker: &Waker) {
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        if let Some(slot) = self.0.get_mut(index) {
            *slot = Some(waker.clone());
        }
    }

    fn take(&mut self, index: usize) -> Option<Waker> {
        self.0.get_mut(index).and_then(Option::take)
    }
}

impl Hub {
    pub(crate) fn close(&mut self, stream: StreamId) {
        self.watchers.close(stream);
        self.wakers.take(stream.index());
    }

    /// Has `waker` woken when there is something to send on a stream that had nothing.
    pub(crate) fn wait(&mut self, stream: StreamId, waker: &Waker) {
        self.wakers.set(stream.index(), waker);
    }

    /// The next event of a watch of v2. If there is none yet, `waker` is woken when there is.
    pub(crate) fn next_v2(&mut self, watch: WatchId, waker: &Waker) -> v2::Next {
        let next = self.v2.next(watch);
        if next == v2::Next::Idle {
            self.v2_wakers.set(watch.index(), waker);
        }
        next
    }

    pub(crate) fn close_v2(&mut self, watch: WatchId) {
        self.v2.close(watch);
        self.v2_wakers.take(watch.index());
    }

    /// Takes note of what was published. Returns whom to wake, after all locks are given back.
    pub(crate) fn published(&mut self, records: &[Record], events: &[v2::Published]) -> Vec<Waker> {
        let mut woken = Vec::new();
        let wakers = &mut self.wakers;
        self.watchers.published(records, |stream| {
            woken.extend(wakers.take(stream.index()));
        });
        let wakers = &mut self.v2_wakers;
        self.v2.published(events, |watch| {
            woken.extend(wakers.take(watch.index()));
        });
        woken
    }
}
