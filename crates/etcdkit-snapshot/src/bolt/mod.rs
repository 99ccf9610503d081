//! bbolt's file format, version 2.
//!
//! A file is made of pages of equal size. The first two are meta pages, of which the newer valid one
//! counts; it names the page of the root bucket. A bucket is a B+ tree of branch and leaf pages; the
//! entries of the root bucket are etcd's buckets, each either a tree of its own or, when small, a page
//! within the entry. All numbers are in the byte order of the machine that wrote them, which is little
//! endian on all that etcd supports but one (s390x).
//!
//! The freelist is neither read nor written: what is reachable decides, for bbolt, too.

mod meta;
mod page;
mod plan;
mod sheet;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
mod write;

pub(crate) use self::write::{Bucket, File};

use std::io::{Read, Seek, SeekFrom};

use self::{meta::Meta, page::Page, tree::Tree};
use crate::Error;

/// A bbolt database.
#[derive(Debug)]
pub(crate) struct Database<R> {
    file: R,
    meta: Meta,
    /// The pages that have been reached so far, one bit each. A page is reached once.
    reached: Vec<u64>,
}

/// An entry of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name of the bucket that it is in.
    pub bucket: &'a [u8],
    /// Its key, which no other entry of the bucket has.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// What a snapshot is read as, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit<'a> {
    /// A bucket begins; its name. The entries that follow are in it, until the next one begins.
    Bucket(&'a [u8]),
    /// An entry of the bucket that has begun.
    Entry(Entry<'a>),
}

impl<R: Read + Seek> Database<R> {
    pub(crate) fn open(mut file: R) -> Result<Self, Error> {
        let length = file.seek(SeekFrom::End(0))?;
        let meta = Meta::find(&mut file, length)?;
        let expected = meta.size();
        if length < expected {
            return Err(Error::Short {
                expected,
                actual: length,
            });
        }
        // The file is at least this long, so that no made-up number asks for memory.
        let words = meta.pages.div_ceil(64) as usize;
        Ok(Self {
            file,
            meta,
            reached: vec![0; words],
        })
    }

    /// The file, for reading it otherwise.
    pub(crate) fn file(&mut self) -> &mut R {
        &mut self.file
    }

    /// The size that the database takes in the file, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.meta.size()
    }

    /// Visits all buckets of the root bucket and their entries, both in the order of their names.
    pub(crate) fn walk<E: From<Error>>(
        &mut self,
        mut visit: impl FnMut(Visit<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reached.fill(0);
        let mut buckets = Tree::at(self.meta.root);
        while let Some(leaf) = buckets.next(self)? {
            let (page, element) = leaf;
            if !element.is_bucket {
                return Err(Error::Foreign("an entry lies outside of all buckets").into());
            }
            let name = element.key(&page)?.to_vec();
            let mut entries = Tree::of_bucket(page.id, element.value(&page)?)?;
            visit(Visit::Bucket(&name))?;
            while let Some((page, element)) = entries.next(self)? {
                let value = match element.is_bucket {
                    // A bucket within has no value of its own. etcd makes none.
                    true => &[],
                    false => element.value(&page)?,
                };
                visit(Visit::Entry(Entry {
                    bucket: &name,
                    key: element.key(&page)?,
                    value,
                }))?;
            }
        }
        Ok(())
    }

    /// Reads a page that no other page has led to yet.
    fn page(&mut self, id: u64) -> Result<Page, Error> {
        if id < 2 || id >= self.meta.pages {
            return Err(Error::damaged(id, "lies outside of the file"));
        }
        let first = self.read(id, 1)?;
        let more = Page::overflow(&first)?;
        let pages = 1 + u64::from(more);
        if pages > self.meta.pages - id {
            return Err(Error::damaged(id, "goes on beyond the end of the file"));
        }
        for id in id..id + pages {
            self.reach(id)?;
        }
        let bytes = match more {
            0 => first,
            _ => self.read(id, pages)?,
        };
        Page::parse(id, bytes)
    }

    fn reach(&mut self, id: u64) -> Result<(), Error> {
        let bit = 1 << (id % 64);
        match self.reached.get_mut((id / 64) as usize) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                Ok(())
            }
            _ => Err(Error::damaged(id, "is reached twice")),
        }
    }

    fn read(&mut self, id: u64, pages: u64) -> Result<Vec<u8>, Error> {
        let size = u64::from(self.meta.page_size);
        let mut bytes = vec![0; (pages * size) as usize];
        self.file.seek(SeekFrom::Start(id * size))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
