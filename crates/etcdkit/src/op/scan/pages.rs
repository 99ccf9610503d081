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
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tracing::Instrument;

use super::{
    chunks::{Chunk, Chunks},
    plan::Plan,
};
use crate::{
    Client, Error, ErrorKind, KeyRange, KeyValue, RangeResponse, Result, Revision,
    exec::{Broken, Call, Method},
    op::range::RangeMessage,
    transport::backoff::Backoff,
};

static METHOD: Method = Method {
    name: "scan",
    path: PathAndQuery::from_static("/etcdserverpb.KV/Range"),
};

/// The pauses while a member catches up. One that is not in trouble lags by a round trip or two.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_MOST: Duration = Duration::from_millis(500);

/// After so many streams in a row that brought no pair, none is asked for again.
const EMPTY_STREAMS_MOST: u32 = 2;

#[derive(Debug)]
pub(super) struct Pages {
    client: Client,
    /// The request of a page; its revision is 0 until the first page pins it.
    pub(super) query: RangeMessage<'static>,
    pub(super) timeout: Option<Duration>,
    pub(super) plan: Plan,
    /// The page to come.
    fetch: Option<Fetch>,
    /// The revision that the first page pinned, if it was left to it.
    pinned: Option<Revision>,
    /// Whether servers are still believed to have streams.
    streams: bool,
    /// How many streams in a row were asked for and brought no pair.
    empty_streams: u32,
}

impl Pages {
    pub(super) fn new(client: Client, keys: KeyRange<'static>) -> Self {
        Self {
            plan: Plan::new(keys.clone()),
            query: RangeMessage::for_client(&client, keys),
            client,
            timeout: None,
            fetch: None,
            pinned: None,
            streams: true,
            empty_streams: 0,
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
                        if !kvs.is_empty() {
                            self.empty_streams = 0;
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
                            ErrorKind::FutureRevision if self.may_lag() => {}
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
            self.pinned = Some(page.header.revision);
        }
        Ok(page.kvs)
    }

    fn fetch_page(&mut self) -> Option<Fetch> {
        let (keys, limit) = self.plan.next()?;
        if self.query.check().is_ok() {
            (self.query.keys, self.query.limit) = (keys, limit);
        }
        let (client, query, timeout) = (self.client.clone(), self.query.clone(), self.timeout);
        let may_lag = self.may_lag();
        // A task of its own reads the page to its end while the consumer is busy, so that a slow
        // one neither stalls the connection nor lets the deadline pass.
        let page = async move {
            match may_lag {
                true => read_where_known(&client, &query, timeout).await,
                false => read(&client, &query, timeout).await,
            }
        };
        Some(Fetch::Page(Page(tokio::spawn(page.in_current_span()))))
    }

    /// Whether a member may not have the revision yet that is read: a local read on another member
    /// has pinned it. Reads that need the cluster's agreement are of what the member has.
    fn may_lag(&self) -> bool {
        self.query.serializable && self.pinned == Some(self.query.revision)
    }

    /// The rest as one stream, if it is long enough to make up for being refused.
    fn fetch_stream(&mut self) -> Option<Fetch> {
        if !self.streams || self.empty_streams >= EMPTY_STREAMS_MOST {
            return None;
        }
        self.query.keys = self.plan.rest()?;
        self.query.limit = 0;
        self.empty_streams += 1;
        let chunks = Chunks::open(&self.client, &self.query, self.timeout);
        Some(Fetch::Stream(chunks))
    }
}

fn read(
    client: &Client,
    query: &RangeMessage<'_>,
    timeout: Option<Duration>,
) -> Call<RangeResponse> {
    query.call(client, &METHOD, timeout, RangeResponse::decode)
}

/// Reads a page of a revision that some member has, until one answers that has it.
async fn read_where_known(
    client: &Client,
    query: &RangeMessage<'_>,
    timeout: Option<Duration>,
) -> Result<RangeResponse> {
    let started = Instant::now();
    let timeout = timeout.unwrap_or(client.core.config.request_timeout);
    let mut pauses = Backoff::new(PAUSE_FIRST, PAUSE_MOST);
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        let page = read(client, query, Some(left)).await;
        let lags = matches!(&page, Err(error) if error.kind() == ErrorKind::FutureRevision);
        let pause = pauses.next(fastrand::f64());
        if !lags || started.elapsed().saturating_add(pause) >= timeout {
            return page;
        }
        sleep(pause).await;
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
