//! Which watchers watch a key.

use std::collections::HashMap;

use super::intervals::{Intervals, Range};
use crate::span::Span;

/// The watched keys and ranges. Watchers are known by their slot.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    keys: HashMap<Box<[u8]>, Vec<usize>>,
    ranges: Intervals,
}

impl Matcher {
    pub(super) fn insert(&mut self, span: Span<'_>, slot: usize) {
        match span.single_key() {
            Some(key) => self.keys.entry(key.into()).or_default().push(slot),
            None => self.ranges.insert(range(span), slot),
        }
    }

    pub(super) fn remove(&mut self, span: Span<'_>, slot: usize) {
        let Some(key) = span.single_key() else {
            return self.ranges.remove(&range(span), slot);
        };
        let Some(slots) = self.keys.get_mut(key) else {
            return;
        };
        if let Some(position) = slots.iter().position(|other| *other == slot) {
            slots.swap_remove(position);
        }
        if slots.is_empty() {
            self.keys.remove(key);
        }
    }

    /// Calls `found` with every slot that watches the key.
    pub(super) fn for_each_with(&self, key: &[u8], mut found: impl FnMut(usize)) {
        if let Some(slots) = self.keys.get(key) {
            slots.iter().copied().for_each(&mut found);
        }
        self.ranges.for_each_with(key, &mut found);
    }
}

fn range(span: Span<'_>) -> Range {
    Range::new(span.start, span.end())
}
