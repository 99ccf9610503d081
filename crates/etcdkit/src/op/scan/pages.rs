//! A range read page by page, one page ahead.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::task::JoinHandle;

use super::plan::Plan;
use crate::{
    Client, Error, ErrorKind, KeyRange, KeyValue, RangeResponse, Result, exec::Method,
    op::range::RangeMessage,
};

static METHOD: Method = Method {
    name: "scan",
    path: "/etcdserverpb.KV/Range",
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
}

impl Pages {
    pub(super) fn new(client: Client, keys: KeyRange<'static>) -> Self {
        Self {
            client,
            plan: Plan::new(keys.clone()),
            query: RangeMessage::new(keys),
            timeout: None,
            fetch: None,
        }
    }

    /// The next page; `None` behind the last one and behind an error.
    pub(super) fn poll_page(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Vec<KeyValue>>>> {
        loop {
            let Some(fetch) = &mut self.fetch else {
                match self.fetch_next() {
                    Some(fetch) => self.fetch = Some(fetch),
                    None => return Poll::Ready(None),
                }
                continue;
            };
            let answer = ready!(fetch.poll(cx));
            self.fetch = None;
            match answer.and_then(|page| self.take(page)) {
                Ok(kvs) => {
                    self.fetch = self.fetch_next();
                    return Poll::Ready(Some(Ok(kvs)));
                }
                Err(error) if error.kind() == ErrorKind::ResponseTooLarge && self.plan.shrink() => {
                }
                Err(error) => {
                    self.plan.finish();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn take(&mut self, page: RangeResponse) -> Result<Vec<KeyValue>> {
        if let Err(what) = self.plan.advance(&page) {
            let error = Error::new(ErrorKind::Protocol, format!("the server sent {what}"));
            return Err(error.with_operation(METHOD.name));
        }
        if self.query.revision == 0 {
            self.query.revision = page.header.revision;
        }
        Ok(page.kvs)
    }

    fn fetch_next(&mut self) -> Option<Fetch> {
        let (keys, limit) = self.plan.next()?;
        if self.query.check().is_ok() {
            (self.query.keys, self.query.limit) = (keys, limit);
        }
        let decode = RangeResponse::decode;
        let call = self.query.call(&self.client, &METHOD, self.timeout, decode);
        // A task of its own reads the page to its end while the consumer is busy, so that a slow
        // one neither stalls the connection nor lets the deadline pass.
        Some(Fetch(tokio::spawn(call)))
    }
}

/// A page under way, cancelled when dropped.
#[derive(Debug)]
struct Fetch(JoinHandle<Result<RangeResponse>>);

impl Fetch {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<RangeResponse>> {
        Pin::new(&mut self.0).poll(cx).map(|joined| {
            joined.unwrap_or_else(|error| {
                let what = format!("the task that reads a page was lost: {error}");
                Err(Error::new(ErrorKind::Disconnected, what).with_operation(METHOD.name))
            })
        })
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
