//! A watch in the program's hands.

use std::{
    future::poll_fn,
    ops::ControlFlow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use futures_core::{FusedStream, Stream};

use super::{
    Event, WatchError, WatchUpdate,
    feed::{Feed, Next},
    hub::{Ticket, WatchId},
};
use crate::{Header, Revision};

/// An open watch: a stream of updates, each with all changes of one or more revisions.
///
/// Made by awaiting [`Client::watch`](crate::Client::watch). Poll it as a [`Stream`] or call
/// [`try_next`](Self::try_next); both can be dropped and taken up again at any time without losing
/// anything. After an error there is nothing more.
///
/// A watch outlives the client it was opened with, and ends when it is dropped.
#[derive(Debug)]
pub struct Watch {
    feed: Arc<Feed>,
    ticket: Ticket,
    id: WatchId,
    header: Header,
    reached: Revision,
    is_over: bool,
}

impl Watch {
    pub(super) fn new(
        feed: Arc<Feed>,
        ticket: Ticket,
        id: WatchId,
        header: Header,
        start: Revision,
    ) -> Self {
        Self {
            feed,
            ticket,
            id,
            header,
            reached: start - 1,
            is_over: false,
        }
    }

    /// The next update, or `None` after the watch has ended with an error.
    ///
    /// # Errors
    ///
    /// How the watch ended; once.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn try_next(&mut self) -> Result<Option<WatchUpdate>, WatchError> {
        poll_fn(|cx| self.poll_update(cx)).await.transpose()
    }

    /// The first change that fits, from now on; what comes before it is passed over. `None` if the
    /// watch has ended before.
    ///
    /// Changes in the same update after the one that fits are passed over, too.
    ///
    /// # Errors
    ///
    /// How the watch ended, once.
    pub async fn find(
        &mut self,
        mut fits: impl FnMut(&Event) -> bool,
    ) -> Result<Option<Event>, WatchError> {
        while let Some(update) = self.try_next().await? {
            let mut events = update.into_events().into_iter();
            if let Some(event) = events.find(&mut fits) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Calls a function with each change until it breaks, and gives back what it breaks with. `None` if
    /// the watch has ended before.
    ///
    /// The next change waits until the function is done with the last. Changes in the same update
    /// after the break are passed over.
    ///
    /// # Errors
    ///
    /// How the watch ended, once.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// # client.put("light", "red").await?;
    /// # client.put("light", "green").await?;
    /// use std::ops::ControlFlow::{Break, Continue};
    ///
    /// let mut watch = client.watch("light").from_revision(1).await?;
    /// let turned = watch
    ///     .for_each(async |event| match event.kv().value_str() {
    ///         Ok("green") => Break(event.revision()),
    ///         _ => Continue(()),
    ///     })
    ///     .await?;
    /// assert_eq!(turned, Some(3));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub async fn for_each<B>(
        &mut self,
        mut call: impl AsyncFnMut(Event) -> ControlFlow<B>,
    ) -> Result<Option<B>, WatchError> {
        while let Some(update) = self.try_next().await? {
            for event in update.into_events() {
                if let ControlFlow::Break(result) = call(event).await {
                    return Ok(Some(result));
                }
            }
        }
        Ok(None)
    }

    /// The changes one by one.
    pub fn events(self) -> WatchEvents {
        WatchEvents {
            watch: self,
            events: Vec::new().into_iter(),
        }
    }

    /// Asks how far the watch has come; the answer is an update without events, unless a change comes
    /// first. It comes at once if nothing was written since the watch has last heard of anything, and
    /// otherwise when all watches that share the stream have caught up.
    ///
    /// The latter needs etcd 3.4.25, 3.5.8 or later: the answers of older servers overtake changes, so
    /// those are not asked, and the question stays open until something changes.
    pub fn request_progress(&self) {
        self.ticket.want_progress();
    }

    /// Ends the watch, and returns when the server has confirmed that, or is gone.
    ///
    /// Dropping a watch ends it, too, without waiting.
    pub async fn cancel(self) {
        self.ticket.cancel();
        poll_fn(|cx| self.feed.poll_end(cx)).await;
    }

    /// The id of the watch within its client, chosen with [`OpenWatch::id`](crate::OpenWatch::id) or
    /// given by the client.
    pub fn id(&self) -> i64 {
        self.id.id
    }

    /// The header of the server's confirmation.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How far the watch has come: everything up to this revision was delivered, or is before its
    /// start.
    pub fn revision(&self) -> Revision {
        self.reached
    }

    fn poll_update(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<WatchUpdate, WatchError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        match self.feed.poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Next::Update { update, drained }) => {
                if drained {
                    self.ticket.resume();
                }
                self.reached = update.revision();
                Poll::Ready(Some(Ok(update)))
            }
            Poll::Ready(Next::End(error)) => {
                self.is_over = true;
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

impl Stream for Watch {
    type Item = Result<WatchUpdate, WatchError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_update(cx)
    }
}

impl FusedStream for Watch {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}

/// The changes of a watch one by one; made by [`Watch::events`].
#[derive(Debug)]
pub struct WatchEvents {
    watch: Watch,
    events: vec::IntoIter<Event>,
}

impl WatchEvents {
    /// The next change, or `None` after the watch has ended with an error.
    ///
    /// # Errors
    ///
    /// How the watch ended; once.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn try_next(&mut self) -> Result<Option<Event>, WatchError> {
        poll_fn(|cx| self.poll_event(cx)).await.transpose()
    }

    /// The watch itself.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, WatchError>>> {
        loop {
            if let Some(event) = self.events.next() {
                return Poll::Ready(Some(Ok(event)));
            }
            match std::task::ready!(self.watch.poll_update(cx)) {
                Some(Ok(update)) => self.events = update.into_events().into_iter(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for WatchEvents {
    type Item = Result<Event, WatchError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(cx)
    }
}
