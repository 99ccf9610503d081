//! Branch and leaf pages, as they are read.

use crate::Error;

/// The length of a page's header.
pub(super) const HEADER: usize = 16;

/// The length of an element's header, on branch and leaf pages alike.
pub(super) const ELEMENT: usize = 16;

/// The kinds of pages.
pub(super) const BRANCH: u16 = 1;
pub(super) const LEAF: u16 = 2;
pub(super) const META: u16 = 4;

/// Marks the entry of a bucket.
pub(super) const BUCKET: u32 = 1;

/// A branch or leaf page with its overflow, or the page within the entry of a small bucket.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// The number of the page that it is, or is within.
    pub(super) id: u64,
    bytes: Vec<u8>,
    pub(super) is_leaf: bool,
    pub(super) count: usize,
}

/// An entry of a leaf page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    pub(super) is_bucket: bool,
    key: usize,
    value: usize,
    end: usize,
}

impl Page {
    /// How many further pages belong to the one that begins like this.
    pub(super) fn overflow(bytes: &[u8]) -> Result<u32, Error> {
        let overflow = number(bytes, 12).map(u32::from_le_bytes);
        overflow.ok_or(Error::damaged(0, "has no header"))
    }

    pub(super) fn parse(id: u64, bytes: Vec<u8>) -> Result<Self, Error> {
        let header = || Error::damaged(id, "has no header");
        let own = number(&bytes, 0)
            .map(u64::from_le_bytes)
            .ok_or_else(header)?;
        if own != id {
            return Err(Error::damaged(id, "says that it is another one"));
        }
        Self::with_header(id, bytes)
    }

    /// The page within an entry of the page with this number. Its own number is 0.
    pub(super) fn inline(id: u64, bytes: Vec<u8>) -> Result<Self, Error> {
        let page = Self::with_header(id, bytes)?;
        match page.is_leaf {
            true => Ok(page),
            false => Err(Error::damaged(id, "holds a bucket that is no leaf")),
        }
    }

    fn with_header(id: u64, bytes: Vec<u8>) -> Result<Self, Error> {
        let header = || Error::damaged(id, "has no header");
        let flags = number(&bytes, 8)
            .map(u16::from_le_bytes)
            .ok_or_else(header)?;
        let count = number(&bytes, 10)
            .map(u16::from_le_bytes)
            .ok_or_else(header)?;
        let count = usize::from(count);
        let is_leaf = match flags {
            LEAF => true,
            BRANCH => false,
            _ => return Err(Error::damaged(id, "is neither a branch nor a leaf")),
        };
        if !is_leaf && count == 0 {
            return Err(Error::damaged(id, "is a branch that leads nowhere"));
        }
        if bytes.len() < HEADER + count * ELEMENT {
            return Err(Error::damaged(id, "has more elements than room"));
        }
        Ok(Self {
            id,
            bytes,
            is_leaf,
            count,
        })
    }

    /// The page that a branch's element leads to.
    pub(super) fn child(&self, index: usize) -> Result<u64, Error> {
        let child = number(&self.bytes, HEADER + index * ELEMENT + 8).map(u64::from_le_bytes);
        child.ok_or(Error::damaged(self.id, "has more elements than room"))
    }

    /// A leaf's entry.
    pub(super) fn element(&self, index: usize) -> Result<Element, Error> {
        let start = HEADER + index * ELEMENT;
        let word = |offset: usize| {
            let word = number(&self.bytes, start + offset).map(u32::from_le_bytes);
            word.ok_or(Error::damaged(self.id, "has more elements than room"))
        };
        let [flags, position, key, value] = [word(0)?, word(4)?, word(8)?, word(12)?];
        let beyond = || Error::damaged(self.id, "has an element that does not fit");
        let add = |offset: usize, length: u32| offset.checked_add(length as usize);
        let key_start = add(start, position).ok_or_else(beyond)?;
        let value_start = add(key_start, key).ok_or_else(beyond)?;
        let end = add(value_start, value).ok_or_else(beyond)?;
        if end > self.bytes.len() {
            return Err(beyond());
        }
        Ok(Element {
            is_bucket: flags & BUCKET != 0,
            key: key_start,
            value: value_start,
            end,
        })
    }

    fn slice(&self, from: usize, to: usize) -> Result<&[u8], Error> {
        let slice = self.bytes.get(from..to);
        slice.ok_or(Error::damaged(self.id, "has an element that does not fit"))
    }
}

impl Element {
    pub(super) fn key<'a>(&self, page: &'a Page) -> Result<&'a [u8], Error> {
        page.slice(self.key, self.value)
    }

    pub(super) fn value<'a>(&self, page: &'a Page) -> Result<&'a [u8], Error> {
        page.slice(self.value, self.end)
    }
}

/// The bytes of a number, if they are all there.
pub(super) fn number<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes
        .get(offset..)
        .and_then(|bytes| bytes.first_chunk())
        .copied()
}
