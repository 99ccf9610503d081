//! A range read page by page, one page ahead.
//!
//! The first page pins the revision. If much is left then, the rest is asked for as one stream; it
//! breaks off at servers that have none, and where it does so a page comes next again.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::uri::PathAndQuery;
use tokio::task::JoinHandle;

use super::{
    chunks::{Chunk, Chunks},
    plan::Plan,
};
use crate::{
    Client, Error, ErrorKind, KeyRange, KeyValue, RangeResponse, Result,
    exec::{Broken, Method},
    op::range::RangeMessage,
};

static METHOD: Method = Method {
    name: "scan",
    path: PathAndQuery::from_static("/etcdserverpb.KV/Range"),
};

#[derive(Debug)]
pub(super) struct Pages {
    client: Client,
    /// The request of a page; its revision is 0 until the first page pins it.
    pub(super) query: RangeMessage<'static>,
    pub(super) timeout: Option<Duration>,
    pub(super) plan: Plan,
    /// The page to come.
    fetch: Option<Fetch>,
    /// Whether servers are still believed to have streams.
    streams: bool,
}

impl Pages {
    pub(super) fn new(client: Client, keys: KeyRange<'static>) -> Self {
        Self {
            client,
            plan: Plan::new(keys.clone()),
            query: RangeMessage::new(keys),
            timeout: None,
            fetch: None,
            streams: true,
        }
    }

    /// The next page; `None` behind the last one and behind an error.
    pub(super) fn poll_page(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Vec<KeyValue>>>> {
        loop {
            let Some(fetch) = &mut self.fetch else {
                match self.fetch_page() {
                    Some(fetch) => self.fetch = Some(fetch),
                    None => return Poll::Ready(None),
                }
                continue;
            };
            match fetch {
                Fetch::Page(page) => {
                    let answer = ready!(page.poll(cx));
                    self.fetch = None;
                    match answer.and_then(|page| self.take(page)) {
                        Ok(kvs) => {
                            self.fetch = self.fetch_stream().or_else(|| self.fetch_page());
                            return Poll::Ready(Some(Ok(kvs)));
                        }
                        Err(error)
                            if error.kind() == ErrorKind::ResponseTooLarge
                                && self.plan.shrink() => {}
                        Err(error) => return self.fail(error),
                    }
                }
                Fetch::Stream(chunks) => match ready!(chunks.poll(cx)) {
                    Chunk::Pairs(kvs) => {
                        if let Err(what) = self.plan.advance_by(&kvs) {
                            return self.fail(senseless(what));
                        }
                        return Poll::Ready(Some(Ok(kvs)));
                    }
                    Chunk::End => {
                        self.fetch = None;
                        // Should pairs be missing, pages will bring them.
                        self.streams = false;
                        if self.plan.is_complete() {
                            self.plan.finish();
                        }
                    }
                    Chunk::Broken(Broken { error, passing }) => {
                        self.fetch = None;
                        match error.kind() {
                            ErrorKind::Unimplemented | ErrorKind::ResponseTooLarge => {
                                self.streams = false;
                            }
                            _ if passing => {}
                            _ => return self.fail(error),
                        }
                    }
                },
            }
        }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Vec<KeyValue>>>> {
        self.fetch = None;
        self.plan.finish();
        Poll::Ready(Some(Err(error)))
    }

    fn take(&mut self, page: RangeResponse) -> Result<Vec<KeyValue>> {
        self.plan.advance(&page).map_err(senseless)?;
        if self.query.revision == 0 {
            self.query.revision = page.header.revision;
        }
        Ok(page.kvs)
    }

    fn fetch_page(&mut self) -> Option<Fetch> {
        let (keys, limit) = self.plan.next()?;
        if self.query.check().is_ok() {
            (self.query.keys, self.query.limit) = (keys, limit);
        }
        let decode = RangeResponse::decode;
        let call = self.query.call(&self.client, &METHOD, self.timeout, decode);
        // A task of its own reads the page to its end while the consumer is busy, so that a slow
        // one neither stalls the connection nor lets the deadline pass.
        Some(Fetch::Page(Page(tokio::spawn(call))))
    }

    /// The rest as one stream, if it is long enough to make up for being refused.
    fn fetch_stream(&mut self) -> Option<Fetch> {
        if !self.streams {
            return None;
        }
        self.query.keys = self.plan.rest()?;
        self.query.limit = 0;
        let chunks = Chunks::open(&self.client.core, &self.query, self.timeout);
        Some(Fetch::Stream(chunks))
    }
}

fn senseless(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the server sent {what}")).with_operation(METHOD.name)
}

#[derive(Debug)]
enum Fetch {
    Page(Page),
    Stream(Chunks),
}

/// A page under way, cancelled when dropped.
#[derive(Debug)]
struct Page(JoinHandle<Result<RangeResponse>>);

impl Page {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<RangeResponse>> {
        Pin::new(&mut self.0).poll(cx).map(|joined| {
            joined.unwrap_or_else(|error| {
                let what = format!("the task that reads a page was lost: {error}");
                Err(Error::new(ErrorKind::Disconnected, what).with_operation(METHOD.name))
            })
        })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.0.abort();
    }
}
