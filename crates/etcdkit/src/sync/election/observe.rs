//! Following who leads.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};

use super::{
    candidates::Candidates,
    leader::{Leader, Observation},
};
use crate::{Client, KeyRange, ListWatch, Result, WatchUpdate};

/// Who leads an election, from now on: a [`Stream`] made by [`Election::observe`](super::Election::observe).
///
/// The first observation tells how it is now, and each further one what changed: another leader, what
/// the leader proclaims, also if it is the same again, or that nobody leads. Each is exact as of its
/// revision, and none in between is left out, so two observers see the same; only where the history
/// that they would go on from has been compacted meanwhile, they go on with how it is then.
///
/// Goes on by itself through restarts, changes of leader and broken connections, as
/// [`Client::list_then_watch`] does. It takes no part in the election and needs no lease. A program that
/// does not take observations for long keeps a bounded number of changes in memory.
///
/// All candidates are known to it, and their values: an election's queue should be one, not a registry of
/// thousands.
pub struct Observe {
    watch: ListWatch,
    candidates: Candidates,
    told: VecDeque<Observation>,
}

impl Observe {
    pub(super) async fn open(client: &Client, candidates: KeyRange<'_>) -> Result<Self> {
        let mut watch = client.list_then_watch(candidates).await?;
        let (revision, header) = (watch.revision(), *watch.header());
        let (candidates, first) = Candidates::listed(watch.take_snapshot(), revision, header);
        Ok(Self {
            watch,
            candidates,
            told: VecDeque::from([first]),
        })
    }

    /// The next observation, or `None` after an error has ended the stream.
    ///
    /// # Errors
    ///
    /// As [`ListWatch::try_next`]: once, and nothing follows. A lost connection, a cluster without a leader and
    /// a compaction are none.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn try_next(&mut self) -> Result<Option<Observation>> {
        poll_fn(|cx| self.poll_observation(cx)).await.transpose()
    }

    /// Waits until somebody leads, and tells who, passing over that nobody does; `None` after an error
    /// has ended the stream.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Self::try_next).
    ///
    /// # Cancellation
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next_leader(&mut self) -> Result<Option<Leader>> {
        while let Some(observation) = self.try_next().await? {
            if let Some(leader) = observation.leader {
                return Ok(Some(leader));
            }
        }
        Ok(None)
    }

    fn poll_observation(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Observation>>> {
        loop {
            if let Some(observation) = self.told.pop_front() {
                return Poll::Ready(Some(Ok(observation)));
            }
            match ready!(Pin::new(&mut self.watch).poll_next(cx)) {
                Some(Ok(update)) => self.follow(&update),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn follow(&mut self, update: &WatchUpdate) {
        let (events, header) = (update.events(), *update.header());
        if update.is_relist() {
            let revision = update.revision();
            let told = self.candidates.follow_at_once(events, revision, header);
            self.told.extend(told);
        } else {
            self.told.extend(self.candidates.follow(events, header));
        }
    }
}

impl Stream for Observe {
    type Item = Result<Observation>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_observation(cx)
    }
}

impl FusedStream for Observe {
    fn is_terminated(&self) -> bool {
        self.told.is_empty() && self.watch.is_terminated()
    }
}

impl fmt::Debug for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observe")
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}
