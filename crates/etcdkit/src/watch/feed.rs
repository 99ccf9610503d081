//! The queue between a watch's stream and the program.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{WatchEnd, WatchError, WatchUpdate};
use crate::{Header, Revision, observe};

/// What happens when the program does not take a watch's updates as fast as they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The watch pauses on the server until the program has caught up, and then goes on where it
    /// stopped. Nothing is lost unless the history is compacted meanwhile, which ends the watch.
    #[default]
    Pause,
    /// The watch ends with [`WatchEnd::Overflow`] once the program has taken what is queued.
    Fail,
}

/// The updates of one watch that the program has not taken yet, and how it ended.
#[derive(Debug)]
pub(super) struct Feed {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Queued>,
    /// The size of what is queued, as it was on the wire.
    bytes: usize,
    confirmed: Option<Header>,
    /// Whether the stream waits for the queue to be drained.
    paused: bool,
    end: Option<WatchError>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Queued {
    update: WatchUpdate,
    bytes: usize,
}

/// What the program gets next.
#[derive(Debug)]
pub(super) enum Next {
    Update {
        update: WatchUpdate,
        /// The stream may go on.
        drained: bool,
    },
    End(WatchError),
}

impl Feed {
    /// A queue that counts as full when it holds more than `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here panics half way, so the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has accepted the watch.
    pub(super) fn confirm(&self, header: Header) {
        let mut state = self.state();
        state.confirmed.get_or_insert(header);
        wake(state);
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.state().confirmed.is_some()
    }

    /// Adds an update. True if the queue is full now; the stream is then to pause until
    /// [`Next::Update`] says `drained`, or to end the watch.
    pub(super) fn push(&self, update: WatchUpdate, bytes: usize) -> bool {
        let mut state = self.state();
        if state.end.is_some() {
            return false;
        }
        state.bytes += bytes;
        state.queue.push_back(Queued { update, bytes });
        let is_full = state.bytes > self.limit;
        // In the same breath, or the program could drain the queue before it counts as paused.
        state.paused = is_full;
        wake(state);
        is_full
    }

    /// Ends the watch once the program has taken what is queued.
    pub(super) fn end(&self, end: WatchEnd, revision: Revision) {
        self.end_with(WatchError::new(end, revision));
    }

    pub(super) fn end_with(&self, error: WatchError) {
        let mut state = self.state();
        state.end.get_or_insert(error);
        wake(state);
    }

    /// Ready once the server has accepted the watch or refused it.
    pub(super) fn poll_confirmed(&self, cx: &mut Context<'_>) -> Poll<Result<Header, WatchError>> {
        let mut state = self.state();
        if let Some(header) = state.confirmed {
            return Poll::Ready(Ok(header));
        }
        if let Some(error) = &state.end {
            return Poll::Ready(Err(error.clone()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.state();
        if let Some(Queued { update, bytes }) = state.queue.pop_front() {
            state.bytes -= bytes;
            // Half empty, so that a slow program does not stop the stream at each update.
            let drained = state.paused && state.bytes <= self.limit / 2;
            if drained {
                state.paused = false;
            }
            let newest = state.queue.back().map_or(&update, |last| &last.update);
            observe::watch_lag(newest.header().revision - update.revision());
            return Poll::Ready(Next::Update { update, drained });
        }
        if let Some(error) = &state.end {
            return Poll::Ready(Next::End(error.clone()));
        }
        if !state
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Ready once the watch has ended; what is queued is thrown away.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.end.is_some() {
            return Poll::Ready(());
        }
        (state.queue, state.bytes) = (VecDeque::new(), 0);
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    if let Some(waker) = state.waker.take() {
        drop(state);
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(revision: Revision) -> WatchUpdate {
        WatchUpdate::new(Header::default(), revision, Vec::new())
    }

    fn next(feed: &Feed) -> Option<Next> {
        match feed.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => Some(next),
            Poll::Pending => None,
        }
    }

    fn took(feed: &Feed) -> (Revision, bool) {
        match next(feed) {
            Some(Next::Update { update, drained }) => (update.revision(), drained),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_goes_in_comes_out_in_order_and_then_the_end() {
        let feed = Feed::new(100);
        assert!(next(&feed).is_none());
        assert!(!feed.push(update(2), 50));
        assert!(!feed.push(update(3), 50));
        feed.end(WatchEnd::Closed, 3);
        assert!(!feed.push(update(4), 1));
        assert_eq!((took(&feed), took(&feed)), ((2, false), (3, false)));
        for _ in 0..2 {
            let Some(Next::End(error)) = next(&feed) else {
                panic!()
            };
            assert_eq!((error.end(), error.revision()), (&WatchEnd::Closed, 3));
        }
    }

    #[test]
    fn a_paused_stream_is_told_once_when_half_is_taken() {
        let feed = Feed::new(100);
        assert!(!feed.push(update(2), 60));
        assert!(feed.push(update(3), 60));
        assert!(feed.push(update(4), 20));
        assert_eq!(took(&feed), (2, false));
        assert_eq!(took(&feed), (3, true));
        assert_eq!(took(&feed), (4, false));
    }

    #[test]
    fn the_first_end_stays() {
        let feed = Feed::new(1);
        feed.end(WatchEnd::Overflow, 1);
        feed.end(WatchEnd::Closed, 2);
        let Some(Next::End(error)) = next(&feed) else {
            panic!()
        };
        assert_eq!(error.end(), &WatchEnd::Overflow);
    }
}
