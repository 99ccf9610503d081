//! The B+ tree of one bucket, read from its first entry to its last.

use std::{
    io::{Read, Seek},
    rc::Rc,
};

use super::{
    Database,
    page::{Element, HEADER, Page, number},
};
use crate::Error;

/// Deeper than any tree of 2^64 entries: pages that lead deeper lead in circles.
const DEEPEST: usize = 64;

/// The way to the entry that comes next.
#[derive(Debug)]
pub(super) struct Tree {
    /// The root, until it has been read.
    root: Option<Root>,
    way: Vec<(Rc<Page>, usize)>,
    /// The key that came last; keys ascend.
    last: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Root {
    At(u64),
    Inline(Page),
}

impl Tree {
    /// The tree whose root is a page of its own.
    pub(super) fn at(root: u64) -> Self {
        Self::new(Root::At(root))
    }

    /// The tree of the bucket whose entry, on the page with this number, has this value.
    pub(super) fn of_bucket(id: u64, value: &[u8]) -> Result<Self, Error> {
        let root = number(value, 0).map(u64::from_le_bytes);
        match (root, value.get(HEADER..)) {
            (Some(0), Some(page)) => {
                let page = Page::inline(id, page.to_vec())?;
                Ok(Self::new(Root::Inline(page)))
            }
            (Some(root), Some(_)) => Ok(Self::at(root)),
            _ => Err(Error::damaged(id, "holds a bucket without a root")),
        }
    }

    fn new(root: Root) -> Self {
        Self {
            root: Some(root),
            way: Vec::new(),
            last: None,
        }
    }

    /// The next entry and the page that it is on.
    pub(super) fn next<R: Read + Seek>(
        &mut self,
        database: &mut Database<R>,
    ) -> Result<Option<(Rc<Page>, Element)>, Error> {
        if let Some(root) = self.root.take() {
            let page = match root {
                Root::At(id) => database.page(id)?,
                Root::Inline(page) => page,
            };
            self.way.push((Rc::new(page), 0));
        }
        while let Some((page, index)) = self.way.last_mut() {
            if *index >= page.count {
                self.way.pop();
                continue;
            }
            let (page, at) = (Rc::clone(page), *index);
            *index += 1;
            if page.is_leaf {
                let element = page.element(at)?;
                let key = element.key(&page)?;
                if self.last.as_deref().is_some_and(|last| last >= key) {
                    return Err(Error::damaged(page.id, "has keys out of order"));
                }
                let last = self.last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(key);
                return Ok(Some((page, element)));
            }
            let child = database.page(page.child(at)?)?;
            if self.way.len() >= DEEPEST {
                return Err(Error::damaged(child.id, "lies too deep"));
            }
            self.way.push((Rc::new(child), 0));
        }
        Ok(None)
    }
}
