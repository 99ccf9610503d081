//! A watch in the program's hands.

use std::{
    future::poll_fn,
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::{FusedStream, Stream};

use super::{WatchEvent, feed, source::Source};
use crate::v2::{Event, Result};

/// An open watch: a stream of everything that happens to what is watched, once and in order.
///
/// Made by [`OpenWatch::stream`](crate::v2::OpenWatch::stream). Poll it as a [`Stream`] or call
/// [`try_next`](Self::try_next); both can be dropped and taken up again at any time without losing
/// anything. A watch outlives the client it was opened with, and ends when it is dropped.
///
/// # Exact
///
/// Connections that break, members that restart, and members that are cut off from the others are
/// survived: the watch goes on elsewhere where it was. A watch that has nothing to tell stays able to,
/// by asking anew before the thousand changes that a server remembers are other people's. If more than
/// those happen while no server can be reached, the watch tells what there is now instead, as a
/// [`Resync`](crate::v2::Resync).
///
/// # The end
///
/// There is none but an error that trying again does not cure: the server does
/// [not serve](crate::v2::ErrorKind::NotServed) the v2 API, or the user
/// [may not](crate::v2::ErrorKind::Unauthorized) read the key. After it there is nothing more.
///
/// # Slow programs
///
/// About 8 MiB of changes wait for the program. If it does not take them, the server's history bridges
/// the time, as far as it goes.
#[derive(Debug)]
pub struct Watch {
    feed: feed::Receiver,
    next_index: Option<u64>,
    is_over: bool,
}

impl Watch {
    /// Begins to tell what the source has to tell.
    pub(super) fn start(mut source: Source) -> Self {
        let (sender, receiver) = feed::new();
        let next_index = source.next_index();
        tokio::spawn(async move {
            let telling = async {
                loop {
                    match source.next().await {
                        Ok(event) => sender.push(event).await,
                        Err(error) => return sender.end(error),
                    }
                }
            };
            tokio::select! {
                () = telling => {}
                () = sender.closed() => {}
            }
        });
        Self {
            feed: receiver,
            next_index,
            is_over: false,
        }
    }

    /// What the watch has to tell next, or `None` after it has ended.
    ///
    /// # Errors
    ///
    /// How the watch ended; once.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn try_next(&mut self) -> Result<Option<WatchEvent>> {
        poll_fn(|cx| self.poll_told(cx)).await.transpose()
    }

    /// The next change, passing over any [`Resync`](crate::v2::Resync); `None` after the watch has
    /// ended. For programs that do not mind what they missed.
    ///
    /// # Errors
    ///
    /// How the watch ended; once.
    pub async fn next_change(&mut self) -> Result<Option<Event>> {
        while let Some(told) = self.try_next().await? {
            if let WatchEvent::Change(event) = told {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The first that is wanted, from now on; what comes before it is passed over. `None` if the watch
    /// has ended before.
    ///
    /// # Errors
    ///
    /// How the watch ended; once.
    pub async fn find(
        &mut self,
        mut is_wanted: impl FnMut(&WatchEvent) -> bool,
    ) -> Result<Option<WatchEvent>> {
        while let Some(told) = self.try_next().await? {
            if is_wanted(&told) {
                return Ok(Some(told));
            }
        }
        Ok(None)
    }

    /// Calls a function with each change until it breaks, and gives back what it breaks with. `None` if
    /// the watch has ended before.
    ///
    /// # Errors
    ///
    /// How the watch ended; once.
    pub async fn for_each<B>(
        &mut self,
        mut call: impl AsyncFnMut(WatchEvent) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        while let Some(told) = self.try_next().await? {
            if let ControlFlow::Break(result) = call(told).await {
                return Ok(Some(result));
            }
        }
        Ok(None)
    }

    /// The index that a watch to take this one's place begins
    /// [from](crate::v2::OpenWatch::from_index): everything before it was told to the program. `None`
    /// if the watch began with a listing that was not told yet.
    pub fn next_index(&self) -> Option<u64> {
        self.next_index
    }

    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<WatchEvent>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let told = std::task::ready!(self.feed.poll(cx));
        match &told {
            Some(Ok(event)) => self.next_index = Some(event.index() + 1),
            Some(Err(_)) | None => self.is_over = true,
        }
        Poll::Ready(told)
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_told(cx)
    }
}

impl FusedStream for Watch {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}
