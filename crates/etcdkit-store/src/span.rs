//! The keys that a `key` and `range_end` pair names.

use std::ops::Bound;

/// The lower and the upper bound of a span of many keys.
pub(crate) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A single key, or the keys from one on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) start: &'a [u8],
    end: End<'a>,
}

#[derive(Clone, Copy, Debug)]
enum End<'a> {
    SingleKey,
    Open,
    Before(&'a [u8]),
}

impl<'a> Span<'a> {
    /// etcd's reading of a pair: no end is the key alone, the end `\0` is every key from there on,
    /// any other end is exclusive.
    pub(crate) fn new(key: &'a [u8], range_end: &'a [u8]) -> Self {
        let end = match range_end {
            [] => End::SingleKey,
            [0] => End::Open,
            end => End::Before(end),
        };
        Self { start: key, end }
    }

    /// The key, if the span is a single one.
    pub(crate) fn single_key(&self) -> Option<&'a [u8]> {
        matches!(self.end, End::SingleKey).then_some(self.start)
    }

    /// The bounds of a span of many keys; `None` for a single key, and if the end is not above the
    /// start, which etcd takes for a span without keys.
    pub(crate) fn bounds(&self) -> Option<Bounds<'a>> {
        let start = Bound::Included(self.start);
        match self.end {
            End::Open => Some((start, Bound::Unbounded)),
            End::Before(end) if end > self.start => Some((start, Bound::Excluded(end))),
            End::SingleKey | End::Before(_) => None,
        }
    }

    /// The exclusive end; `None` for a single key and for an open end.
    pub(crate) fn end(&self) -> Option<&'a [u8]> {
        match self.end {
            End::Before(end) => Some(end),
            End::SingleKey | End::Open => None,
        }
    }

    /// Whether no key can be in the span, because its end is not above its start.
    pub(crate) fn is_empty(&self) -> bool {
        self.end().is_some_and(|end| end <= self.start)
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        match self.end {
            End::SingleKey => key == self.start,
            End::Open => key >= self.start,
            End::Before(end) => key >= self.start && key < end,
        }
    }

    /// Whether the span has no upper end.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.end, End::Open)
    }
}
