//! Makes small databases for tests.

use super::meta::tests::meta_page;

/// The size of their pages.
pub(crate) const PAGE: usize = 1024;

/// An entry: whether it is a bucket, its key, its value.
pub(crate) type Entry = (bool, Vec<u8>, Vec<u8>);

pub(crate) mod page {
    use super::{Entry, PAGE};

    pub(crate) fn entry((key, value): (Vec<u8>, Vec<u8>)) -> Entry {
        (false, key, value)
    }

    pub(crate) fn leaf(id: u64, overflow: u32, entries: &[Entry]) -> Vec<u8> {
        of_kind(2, id, overflow, entries)
    }

    pub(crate) fn branch(id: u64, children: &[(Vec<u8>, u64)]) -> Vec<u8> {
        let mut elements = Vec::new();
        let mut data = Vec::new();
        for (index, (key, child)) in children.iter().enumerate() {
            let position = (children.len() - index) * 16 + data.len();
            elements.extend_from_slice(&(position as u32).to_le_bytes());
            elements.extend_from_slice(&(key.len() as u32).to_le_bytes());
            elements.extend_from_slice(&child.to_le_bytes());
            data.extend_from_slice(key);
        }
        whole(1, id, 0, children.len(), elements, &data)
    }

    pub(crate) fn of_kind(kind: u16, id: u64, overflow: u32, entries: &[Entry]) -> Vec<u8> {
        let mut elements = Vec::new();
        let mut data = Vec::new();
        for (index, (is_bucket, key, value)) in entries.iter().enumerate() {
            let position = (entries.len() - index) * 16 + data.len();
            elements.extend_from_slice(&u32::from(*is_bucket).to_le_bytes());
            for word in [position, key.len(), value.len()] {
                elements.extend_from_slice(&(word as u32).to_le_bytes());
            }
            data.extend_from_slice(key);
            data.extend_from_slice(value);
        }
        whole(kind, id, overflow, entries.len(), elements, &data)
    }

    fn whole(
        kind: u16,
        id: u64,
        overflow: u32,
        count: usize,
        elements: Vec<u8>,
        data: &[u8],
    ) -> Vec<u8> {
        let mut bytes = id.to_le_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&(count as u16).to_le_bytes());
        bytes.extend_from_slice(&overflow.to_le_bytes());
        bytes.extend(elements);
        bytes.extend_from_slice(data);
        assert!(bytes.len() <= PAGE, "a test's page is too full");
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
    value.extend(page::leaf(0, 0, &entries));
    (true, name.into(), value)
}

/// A database whose root bucket is at page 2, from its pages from there on.
pub(crate) fn database(pages: &[Vec<u8>]) -> Vec<u8> {
    let count = pages.len() as u64 + 2;
    let mut bytes = meta_page(PAGE as u32, 2, count, 0);
    bytes.extend(meta_page(PAGE as u32, 2, count, 1));
    for page in pages {
        let start = bytes.len();
        bytes.extend_from_slice(page);
        bytes.resize(start + PAGE, 0);
    }
    bytes
}
