//! Branch and leaf pages, as they are written.

use super::page::{BRANCH, BUCKET, ELEMENT, HEADER, LEAF};

/// The size of the pages that are written: that of memory on most machines. bbolt reads any size on
/// any machine.
pub(super) const PAGE: usize = 4096;

/// An entry to be put on a leaf page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    pub(super) is_bucket: bool,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

impl Slot<'_> {
    /// The bytes that an entry with a key and a value of these lengths takes on a page.
    pub(super) fn size(key: usize, value: usize) -> usize {
        ELEMENT.saturating_add(key).saturating_add(value)
    }
}

/// The leaf page with this number and these entries, whole pages long.
pub(super) fn leaf<'a>(
    id: u64,
    slots: impl ExactSizeIterator<Item = Slot<'a>> + Clone,
    page_size: usize,
) -> Vec<u8> {
    let count = slots.len();
    let data = slots.clone().map(|slot| slot.key.len() + slot.value.len());
    let mut sheet = Sheet::new(LEAF, id, count, data.sum(), page_size);
    for slot in slots.clone() {
        sheet.word(if slot.is_bucket { BUCKET } else { 0 });
        let position = sheet.position(slot.key.len() + slot.value.len());
        for number in [position, slot.key.len(), slot.value.len()] {
            sheet.word(number as u32);
        }
    }
    for slot in slots {
        sheet.bytes.extend_from_slice(slot.key);
        sheet.bytes.extend_from_slice(slot.value);
    }
    sheet.finish()
}

/// The branch page with this number that leads to these pages, each with its first key; whole pages
/// long.
pub(super) fn branch<'a>(
    id: u64,
    children: impl ExactSizeIterator<Item = (&'a [u8], u64)> + Clone,
    page_size: usize,
) -> Vec<u8> {
    let count = children.len();
    let data = children.clone().map(|(key, _)| key.len());
    let mut sheet = Sheet::new(BRANCH, id, count, data.sum(), page_size);
    for (key, child) in children.clone() {
        let position = sheet.position(key.len());
        for number in [position, key.len()] {
            sheet.word(number as u32);
        }
        sheet.bytes.extend_from_slice(&child.to_le_bytes());
    }
    for (key, _) in children {
        sheet.bytes.extend_from_slice(key);
    }
    sheet.finish()
}

/// A page in the making: header, then elements, then what they point to.
struct Sheet {
    bytes: Vec<u8>,
    length: usize,
    /// How many elements are still to come, this one included.
    elements_left: usize,
    /// How much of what they point to belongs to those that have come.
    data: usize,
}

impl Sheet {
    fn new(kind: u16, id: u64, count: usize, data: usize, page_size: usize) -> Self {
        let pages = (HEADER + count * ELEMENT + data).div_ceil(page_size);
        let mut bytes = Vec::with_capacity(pages * page_size);
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&(count as u16).to_le_bytes());
        bytes.extend_from_slice(&(pages as u32 - 1).to_le_bytes());
        Self {
            bytes,
            length: pages * page_size,
            elements_left: count,
            data: 0,
        }
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    /// Where what the next element points to begins, seen from that element.
    fn position(&mut self, length: usize) -> usize {
        let position = self.elements_left * ELEMENT + self.data;
        self.elements_left -= 1;
        self.data += length;
        position
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.length, 0);
        self.bytes
    }
}
