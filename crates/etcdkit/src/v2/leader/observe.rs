//! Looking on who leads.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};

use super::Leader;
use crate::v2::{
    Client, Result, Watch,
    lock::{Queue, read},
};

/// Looks on who leads: a stream that begins with who leads now and goes on with every change, `None`
/// being nobody. Made by [`LeaderOf::observe`](crate::v2::LeaderOf::observe).
///
/// A leader that is followed by one of the same value is a change, which shows in its
/// [index](Leader::index). After an outage with more changes than a server remembers, only who leads
/// then is told.
///
/// Ends with an error as a [`Watch`] does.
#[derive(Debug)]
pub struct Observer {
    watch: Watch,
    directory: String,
    queue: Queue,
    /// Whether the queue has not been looked at since it changed.
    is_new: bool,
    told: Option<u64>,
    has_told: bool,
}

impl Observer {
    pub(super) async fn open(client: &Client, directory: &str) -> Result<Self> {
        let (queue, index) = read(client, directory).await?;
        let watch = client.watch(directory).recursive().from_index(index + 1);
        Ok(Self {
            watch: watch.stream().await?,
            directory: directory.to_owned(),
            queue,
            is_new: true,
            told: None,
            has_told: false,
        })
    }

    /// Who leads, each time that changes; `None` after the end.
    ///
    /// # Errors
    ///
    /// How it ended; once.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn try_next(&mut self) -> Result<Option<Option<Leader>>> {
        poll_fn(|cx| self.poll_leader(cx)).await.transpose()
    }

    fn poll_leader(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Option<Leader>>>> {
        loop {
            if self.is_new {
                self.is_new = false;
                let holder = self.queue.holder();
                let index = holder.map(|entry| entry.index);
                if !self.has_told || index != self.told {
                    (self.has_told, self.told) = (true, index);
                    return Poll::Ready(Some(Ok(holder.map(|entry| Leader {
                        value: entry.value().to_owned(),
                        index: entry.index,
                    }))));
                }
            }
            match ready!(Pin::new(&mut self.watch).poll_next(cx)) {
                Some(Ok(event)) => {
                    self.queue.follow(&self.directory, event);
                    self.is_new = true;
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for Observer {
    type Item = Result<Option<Leader>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_leader(cx)
    }
}

impl FusedStream for Observer {
    fn is_terminated(&self) -> bool {
        self.watch.is_terminated()
    }
}
