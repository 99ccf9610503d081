//! Makes small databases for tests.

use super::meta::tests::meta_page;

/// The size of their pages.
pub(crate) const PAGE: usize = 1024;

/// An entry: whether it is a bucket, its key, its value.
pub(crate) type Entry = (bool, Vec<u8>, Vec<u8>);

pub(crate) mod page {
    use super::{Entry, PAGE};
    use crate::bolt::sheet::{self, Slot};

    pub(crate) fn entry((key, value): (Vec<u8>, Vec<u8>)) -> Entry {
        (false, key, value)
    }

    /// A leaf that says that so many further pages belong to it, which is for the caller to see to.
    pub(crate) fn leaf(id: u64, overflow: u32, entries: &[Entry]) -> Vec<u8> {
        of_size(id, overflow, entries, PAGE)
    }

    /// A leaf without anything behind its last entry.
    pub(crate) fn inline(entries: &[Entry]) -> Vec<u8> {
        of_size(0, 0, entries, 1)
    }

    fn of_size(id: u64, overflow: u32, entries: &[Entry], size: usize) -> Vec<u8> {
        let slots = entries.iter().map(|(is_bucket, key, value)| Slot {
            is_bucket: *is_bucket,
            key,
            value,
        });
        let mut bytes = sheet::leaf(id, slots, size);
        bytes[12..16].copy_from_slice(&overflow.to_le_bytes());
        bytes
    }

    pub(crate) fn branch(id: u64, children: &[(Vec<u8>, u64)]) -> Vec<u8> {
        let children = children.iter().map(|(key, child)| (&key[..], *child));
        sheet::branch(id, children, PAGE)
    }

    pub(crate) fn of_kind(kind: u16, id: u64) -> Vec<u8> {
        let mut bytes = leaf(id, 0, &[]);
        bytes[8..10].copy_from_slice(&kind.to_le_bytes());
        bytes
    }
}

/// The entry of a bucket with a tree of its own.
pub(crate) fn bucket_at(name: &str, root: u64) -> Entry {
    let mut value = root.to_le_bytes().to_vec();
    value.extend_from_slice(&[0; 8]);
    (true, name.into(), value)
}

/// The entry of a small bucket.
pub(crate) fn inline_bucket(name: &str, entries: &[(Vec<u8>, Vec<u8>)]) -> Entry {
    let entries: Vec<_> = entries.iter().cloned().map(page::entry).collect();
    let mut value = vec![0; 16];
    value.extend(page::inline(&entries));
    (true, name.into(), value)
}

/// A database whose root bucket is at page 2, from its pages from there on.
pub(crate) fn database(pages: &[Vec<u8>]) -> Vec<u8> {
    let count = pages.len() as u64 + 2;
    let mut bytes = meta_page(PAGE as u32, 2, count, 0);
    bytes.extend(meta_page(PAGE as u32, 2, count, 1));
    for page in pages {
        assert_eq!(page.len(), PAGE, "a test's page is too full");
        bytes.extend_from_slice(page);
    }
    bytes
}
