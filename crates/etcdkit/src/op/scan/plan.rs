//! Which pages to ask for: calculation only, so that it can be tested without a server.
//!
//! Servers before etcd 3.7 limit a page by its number of pairs, and for each page they also count
//! all keys from its start to the end of the range they were given. Pages are therefore sized by
//! the bytes of pairs seen before; and a range much longer than a page is cut into windows of some
//! pages, so that the counting does not come to cost more than the reading.

use bytes::{BufMut, Bytes, BytesMut};

use super::window;
use crate::{KeyRange, KeyValue, RangeResponse};

pub(super) const PAGE_BYTES: usize = 2 << 20;
/// Pairs in the first page, of which nothing is known: 32 of the largest make 48 MiB.
const FIRST_LIMIT: u64 = 32;
/// How much more a page may ask for than the last one gave.
const GROWTH: u64 = 8;
/// What a pair takes in an answer beside key and value, about.
const PAIR_OVERHEAD: usize = 24;
/// How many pages a window should hold.
const WINDOW_PAGES: u64 = 4;
/// After so many windows in a row that held next to nothing, the server is asked where keys go on.
const SPARSE_MOST: u32 = 4;

/// What to ask for next.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) page_bytes: usize,
    start: Bytes,
    end: Bytes,
    limit: u64,
    /// How many pairs there are from `start` to `end`; exact, since all pages are of one revision.
    left: Option<u64>,
    window: Option<Window>,
    sparse: u32,
    seen: Seen,
    done: bool,
}

/// A part of the range that ends sooner.
#[derive(Debug)]
struct Window {
    from: Bytes,
    end: Bytes,
    pairs: u64,
}

/// Pairs and their bytes so far.
#[derive(Debug, Default)]
struct Seen {
    pairs: usize,
    bytes: usize,
}

impl Plan {
    pub(super) fn new(keys: KeyRange<'_>) -> Self {
        let (start, end) = keys.into_wire();
        Self {
            page_bytes: PAGE_BYTES,
            start,
            end,
            limit: FIRST_LIMIT,
            left: None,
            window: None,
            sparse: 0,
            seen: Seen::default(),
            done: false,
        }
    }

    /// The next page's keys and limit; `None` if all have been read.
    pub(super) fn next(&self) -> Option<(KeyRange<'static>, i64)> {
        let end = self.window.as_ref().map_or(&self.end, |window| &window.end);
        let keys = KeyRange::from_wire(self.start.clone(), end.clone());
        (!self.done).then_some((keys, self.limit as i64))
    }

    /// All that is left, if that is more than a page.
    pub(super) fn rest(&self) -> Option<KeyRange<'static>> {
        let long = self.left.is_some_and(|left| left > self.limit);
        (long && !self.done).then(|| KeyRange::from_wire(self.start.clone(), self.end.clone()))
    }

    /// Whether as many pairs have come as the first page announced.
    pub(super) fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    /// Takes pairs into account that came without a page. Fails if they make no sense.
    pub(super) fn advance_by(&mut self, kvs: &[KeyValue]) -> Result<(), &'static str> {
        let Some(last) = kvs.last() else {
            return Ok(());
        };
        self.start = self.above(last)?;
        self.left = self.left.map(|left| left.saturating_sub(kvs.len() as u64));
        self.window = None;
        Ok(())
    }

    /// Nothing more is wanted.
    pub(super) fn finish(&mut self) {
        self.done = true;
    }

    /// Makes pages smaller, because one was too large to be received; `false` if they cannot be.
    pub(super) fn shrink(&mut self) -> bool {
        let shrinks = self.limit > 1;
        self.limit = (self.limit / 4).max(1);
        shrinks
    }

    /// Takes a page into account. Fails if it makes no sense: pairs are left out, yet there are none.
    pub(super) fn advance(&mut self, page: &RangeResponse) -> Result<(), &'static str> {
        let pairs = page.kvs.len() as u64;
        let count = u64::try_from(page.count).unwrap_or(0);
        let left = match self.left {
            None => count,
            Some(left) => left,
        };
        self.left = Some(left.saturating_sub(pairs));
        self.learn(&page.kvs);
        let behind = self.behind(page)?;
        let from = std::mem::replace(&mut self.start, behind);

        match &mut self.window {
            None if !page.more => self.done = true,
            None => self.open_window(&from, pairs),
            Some(window) => {
                window.pairs += pairs;
                if page.more {
                    // The guess was far too high: guess anew from what this page has shown.
                    if count > WINDOW_PAGES * WINDOW_PAGES * self.limit {
                        self.open_window(&from, pairs);
                    }
                } else if self.left == Some(0) {
                    self.done = true;
                } else {
                    let Window { from, pairs, .. } = window;
                    let (from, pairs) = (std::mem::take(from), *pairs);
                    self.sparse = if pairs < self.limit / GROWTH {
                        self.sparse + 1
                    } else {
                        0
                    };
                    self.open_window(&from, pairs);
                }
            }
        }
        Ok(())
    }

    /// Where the next page starts.
    fn behind(&self, page: &RangeResponse) -> Result<Bytes, &'static str> {
        if !page.more
            && let Some(window) = &self.window
        {
            return Ok(window.end.clone());
        }
        match page.kvs.last() {
            Some(last) => self.above(last),
            None if page.more => Err("an empty page that is not the last one"),
            None => Ok(self.start.clone()),
        }
    }

    /// The first key above the last one read.
    fn above(&self, last: &KeyValue) -> Result<Bytes, &'static str> {
        if last.key < self.start {
            return Err("keys out of order");
        }
        let mut next = BytesMut::with_capacity(last.key.len() + 1);
        next.put_slice(&last.key);
        next.put_u8(0);
        Ok(next.freeze())
    }

    /// Sizes the next page by the pairs so far, or by the last page's if they are larger.
    fn learn(&mut self, kvs: &[KeyValue]) {
        if kvs.is_empty() {
            return;
        }
        let size = |kv: &KeyValue| kv.key.len() + kv.value.len() + PAIR_OVERHEAD;
        let bytes = kvs.iter().map(size).sum::<usize>();
        self.seen.pairs += kvs.len();
        self.seen.bytes += bytes;
        let mean = (bytes / kvs.len()).max(self.seen.bytes / self.seen.pairs);
        let full = kvs.len() as u64 >= self.limit;
        let most = self.limit.saturating_mul(if full { GROWTH } else { 1 });
        self.limit = ((self.page_bytes / mean) as u64).clamp(1, most);
    }

    /// Cuts off a window of some pages in front of what is left, judging by a stretch behind it.
    fn open_window(&mut self, from: &[u8], pairs: u64) {
        self.window = None;
        let wanted = WINDOW_PAGES * self.limit;
        if self.left.is_none_or(|left| left <= WINDOW_PAGES * wanted) {
            return;
        }
        if self.sparse >= SPARSE_MOST {
            self.sparse = 0;
            return;
        }
        let end = window::guess(from, &self.start, pairs, wanted);
        self.window = end
            .filter(|end| self.end[..] == *b"\0" || *end < self.end)
            .map(|end| Window {
                from: self.start.clone(),
                end,
                pairs: 0,
            });
    }
}

#[cfg(test)]
mod tests;
