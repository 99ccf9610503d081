//! The watchers of all streams, and the tasks that serve the streams.

use std::task::Waker;

use etcdkit_store::{Record, StreamId, Watchers};

/// The engine's watchers together with whom to wake for them.
#[derive(Default)]
pub(crate) struct Hub {
    pub(crate) watchers: Watchers,
    /// By the index of the stream.
    wakers: Vec<Option<Waker>>,
}

impl Hub {
    pub(crate) fn close(&mut self, stream: StreamId) {
        self.watchers.close(stream);
        if let Some(waker) = self.wakers.get_mut(stream.index()) {
            *waker = None;
        }
    }

    /// Has `waker` woken when there is something to send on a stream that had nothing.
    pub(crate) fn wait(&mut self, stream: StreamId, waker: &Waker) {
        let index = stream.index();
        if self.wakers.len() <= index {
            self.wakers.resize(index + 1, None);
        }
        if let Some(slot) = self.wakers.get_mut(index) {
            *slot = Some(waker.clone());
        }
    }

    /// Takes note of what was published. Returns whom to wake, after all locks are given back.
    pub(crate) fn published(&mut self, records: &[Record]) -> Vec<Waker> {
        let mut woken = Vec::new();
        let wakers = &mut self.wakers;
        self.watchers.published(records, |stream| {
            woken.extend(wakers.get_mut(stream.index()).and_then(Option::take));
        });
        woken
    }
}
