//! Scan: read a range of any size, pair by pair.

mod chunks;
mod pages;
mod plan;
mod window;

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

use futures_core::Stream;

use self::pages::Pages;
use crate::{Client, KeyRange, KeyValue, Result, Revision};

impl Client {
    /// Reads a range of any size pair by pair, all at one revision.
    ///
    /// The result is a stream; see [`Scan`].
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// # for job in 0..1000 {
    /// #     client.put(format!("jobs/{job:03}"), "new").await?;
    /// # }
    /// use etcdkit::KeyRange;
    ///
    /// let mut jobs = client.scan(KeyRange::prefix("jobs/"));
    /// let mut found = 0;
    /// while let Some(job) = jobs.try_next().await? {
    ///     assert_eq!(job.key_str()?, format!("jobs/{found:03}"));
    ///     found += 1;
    /// }
    /// assert_eq!(found, 1000);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn scan<'a>(&self, keys: impl Into<KeyRange<'a>>) -> Scan {
        Scan {
            pages: Pages::new(self.clone(), keys.into().into_owned()),
            ready: Vec::new().into_iter(),
        }
    }
}

/// A range being read: a [`Stream`] of its pairs in the order of their keys, made by
/// [`Client::scan`].
///
/// All pairs are of one revision: the one [given](Self::revision), or the newest when the first
/// page is read; writes in the meantime do not show. Nothing is read before the stream is first
/// polled. While a page is consumed the next one is fetched, so that about two pages are in memory
/// at any time; a page's size is [given in bytes](Self::page_bytes). Pairs share the memory of
/// their page: [`detach`](KeyValue::detach) those that are kept for long.
///
/// Options hold for pages that are not requested yet, so give them before the stream is polled.
/// Dropping the stream cancels what is under way.
///
/// # Errors
///
/// An error ends the stream. Pages that fail are read again as other reads are, so there is one
/// only when time is up or trying again cannot help: [`Compacted`](crate::ErrorKind::Compacted) if
/// the revision is compacted before the end of the range is reached; before sending,
/// [`EmptyKey`](crate::ErrorKind::EmptyKey) and
/// [`InvalidRequest`](crate::ErrorKind::InvalidRequest), as with [`Range`](crate::Range).
///
/// # Panics
///
/// Polling panics outside of a tokio runtime.
#[derive(Debug)]
#[must_use = "a scan reads when polled"]
pub struct Scan {
    pages: Pages,
    ready: vec::IntoIter<KeyValue>,
}

impl Scan {
    /// Reads the store as it was at a revision; 0 (the default) is the newest.
    pub fn revision(mut self, revision: Revision) -> Self {
        self.pages.query.revision = revision;
        self
    }

    /// Reads what the cluster agrees on; see [`Range::linearizable`](crate::Range::linearizable).
    pub fn linearizable(mut self) -> Self {
        self.pages.query.serializable = false;
        self
    }

    /// Reads what the members that answer have; see [`Range::serializable`](crate::Range::serializable).
    ///
    /// All pairs are still of one revision. A member that does not have it yet, because another one
    /// answered the first page, is given the page's time to catch up.
    pub fn serializable(mut self) -> Self {
        self.pages.query.serializable = true;
        self
    }

    /// Leaves the values out.
    pub fn keys_only(mut self) -> Self {
        self.pages.query.keys_only = true;
        self
    }

    /// How large a page should be, in bytes. Default 2 MiB.
    ///
    /// Servers count pairs, not bytes, so sizes are estimated from the pairs that came before: the
    /// first page is small, and a page may turn out larger where values suddenly do.
    pub fn page_bytes(mut self, bytes: usize) -> Self {
        self.pages.plan.page_bytes = bytes;
        self
    }

    /// Limits the time for each page; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.pages.timeout = Some(timeout);
        self
    }

    /// The revision that is read: known once the first pair, or the end, has been reached.
    pub fn pinned_revision(&self) -> Option<Revision> {
        match self.pages.query.revision {
            0 => None,
            revision => Some(revision),
        }
    }

    /// The next pair; `None` at the end.
    ///
    /// Cancel-safe: no pair is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// As [`Scan`]; the stream has ended then.
    pub async fn try_next(&mut self) -> Result<Option<KeyValue>> {
        poll_fn(|cx| self.poll_pair(cx)).await.transpose()
    }

    fn poll_pair(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<KeyValue>>> {
        loop {
            if let Some(kv) = self.ready.next() {
                return Poll::Ready(Some(Ok(kv)));
            }
            match ready!(self.pages.poll_page(cx)) {
                Some(Ok(kvs)) => self.ready = kvs.into_iter(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for Scan {
    type Item = Result<KeyValue>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_pair(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.ready.len(), None)
    }
}
