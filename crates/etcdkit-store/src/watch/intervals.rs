//! Ranges of keys, and which of them hold a key.

use std::cmp::Ordering;
use std::sync::Arc;

/// A set of ranges, each with the slots of the watchers that watch it.
///
/// A treap by start and end, in which every node knows the highest end below it. Finding the ranges
/// that hold a key skips the subtrees that end before the key, so it costs about the logarithm of
/// the number of ranges, and the ranges found.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    root: Tree,
    inserted: u64,
}

type Tree = Option<Box<Node>>;

#[derive(Debug)]
struct Node {
    range: Range,
    slots: Vec<usize>,
    priority: u64,
    highest_end: End,
    left: Tree,
    right: Tree,
}

/// A range of many keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    start: Arc<[u8]>,
    end: End,
}

/// Where a range ends, exclusively. An open end is above all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Before(Arc<[u8]>),
    Open,
}

impl Range {
    /// `None` as the end is every key from the start on.
    pub(super) fn new(start: &[u8], end: Option<&[u8]>) -> Self {
        Self {
            start: start.into(),
            end: end.map_or(End::Open, |end| End::Before(end.into())),
        }
    }
}

impl End {
    fn is_after(&self, key: &[u8]) -> bool {
        match self {
            Self::Before(end) => key < end.as_ref(),
            Self::Open => true,
        }
    }
}

impl Intervals {
    pub(super) fn insert(&mut self, range: Range, slot: usize) {
        if let Some(node) = find(&mut self.root, &range) {
            node.slots.push(slot);
            return;
        }
        self.inserted += 1;
        let node = Box::new(Node {
            highest_end: range.end.clone(),
            range,
            slots: vec![slot],
            priority: scrambled(self.inserted),
            left: None,
            right: None,
        });
        insert(&mut self.root, node);
    }

    pub(super) fn remove(&mut self, range: &Range, slot: usize) {
        let Some(node) = find(&mut self.root, range) else {
            return;
        };
        if let Some(position) = node.slots.iter().position(|other| *other == slot) {
            node.slots.swap_remove(position);
        }
        if node.slots.is_empty() {
            remove(&mut self.root, range);
        }
    }

    /// Calls `found` with every slot whose range holds the key.
    pub(super) fn for_each_with(&self, key: &[u8], found: &mut impl FnMut(usize)) {
        visit(&self.root, key, found);
    }
}

impl Node {
    fn update(&mut self) {
        let children = [&self.left, &self.right].into_iter().flatten();
        let highest = children
            .map(|child| &child.highest_end)
            .chain([&self.range.end])
            .max();
        if let Some(highest) = highest {
            self.highest_end = highest.clone();
        }
    }
}

fn visit(tree: &Tree, key: &[u8], found: &mut impl FnMut(usize)) {
    let Some(node) = tree
        .as_deref()
        .filter(|node| node.highest_end.is_after(key))
    else {
        return;
    };
    visit(&node.left, key, found);
    if node.range.start.as_ref() <= key {
        if node.range.end.is_after(key) {
            node.slots.iter().copied().for_each(&mut *found);
        }
        visit(&node.right, key, found);
    }
}

fn find<'a>(tree: &'a mut Tree, range: &Range) -> Option<&'a mut Node> {
    let node = tree.as_deref_mut()?;
    match range.cmp(&node.range) {
        Ordering::Less => find(&mut node.left, range),
        Ordering::Equal => Some(node),
        Ordering::Greater => find(&mut node.right, range),
    }
}

/// Adds a node, whose range is not there yet.
fn insert(tree: &mut Tree, mut new: Box<Node>) {
    match tree {
        Some(node) if node.priority >= new.priority => {
            let side = if new.range < node.range {
                &mut node.left
            } else {
                &mut node.right
            };
            insert(side, new);
            node.update();
        }
        _ => {
            (new.left, new.right) = split(tree.take(), &new.range);
            new.update();
            *tree = Some(new);
        }
    }
}

/// Removes the node of a range, if it is there.
fn remove(tree: &mut Tree, range: &Range) {
    let Some(node) = tree else { return };
    match range.cmp(&node.range) {
        Ordering::Less => remove(&mut node.left, range),
        Ordering::Greater => remove(&mut node.right, range),
        Ordering::Equal => {
            *tree = join(node.left.take(), node.right.take());
            return;
        }
    }
    node.update();
}

/// Splits a tree into the nodes before a range and those after it.
fn split(tree: Tree, range: &Range) -> (Tree, Tree) {
    let Some(mut node) = tree else {
        return (None, None);
    };
    if node.range < *range {
        let (before, after) = split(node.right.take(), range);
        node.right = before;
        node.update();
        (Some(node), after)
    } else {
        let (before, after) = split(node.left.take(), range);
        node.left = after;
        node.update();
        (before, Some(node))
    }
}

/// Joins two trees, of which one lies before the other.
fn join(before: Tree, after: Tree) -> Tree {
    match (before, after) {
        (Some(mut node), Some(after)) if node.priority >= after.priority => {
            node.right = join(node.right.take(), Some(after));
            node.update();
            Some(node)
        }
        (before @ Some(_), Some(mut node)) => {
            node.left = join(before, node.left.take());
            node.update();
            Some(node)
        }
        (tree, None) | (None, tree) => tree,
    }
}

/// A number that looks random, so that the tree stays flat whatever the order of insertion: the
/// finalizer of SplitMix64.
fn scrambled(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(intervals: &Intervals, key: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        intervals.for_each_with(key, &mut |slot| found.push(slot));
        found.sort_unstable();
        found
    }

    fn depth(tree: &Tree) -> usize {
        tree.as_ref()
            .map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
    }

    #[test]
    fn what_is_found_is_what_a_list_would_find() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut intervals = Intervals::default();
        let mut list: Vec<(Range, usize)> = Vec::new();
        for step in 0..4_000 {
            if list.is_empty() || random.u8(..100) < 60 {
                let start = [random.u8(..40)];
                let end = [start[0] + random.u8(1..20)];
                let end = (random.u8(..10) > 0).then_some(end.as_slice());
                let range = Range::new(&start, end);
                intervals.insert(range.clone(), step);
                list.push((range, step));
            } else {
                let (range, slot) = list.swap_remove(random.usize(..list.len()));
                intervals.remove(&range, slot);
            }
            let key = [random.u8(..60)];
            let expected = list.iter().filter(|(range, _)| {
                range.start.as_ref() <= key.as_slice() && range.end.is_after(&key)
            });
            let mut expected: Vec<usize> = expected.map(|(_, slot)| *slot).collect();
            expected.sort_unstable();
            assert_eq!(
                holding(&intervals, &key),
                expected,
                "seed {seed}, step {step}"
            );
        }
        for (range, slot) in list {
            intervals.remove(&range, slot);
        }
        assert!(intervals.root.is_none());
    }

    #[test]
    fn the_tree_stays_flat() {
        let mut intervals = Intervals::default();
        for n in 0..10_000u32 {
            let start = n.to_be_bytes();
            let end = (n + 1).to_be_bytes();
            intervals.insert(Range::new(&start, Some(&end)), n as usize);
        }
        assert!(depth(&intervals.root) < 60, "{}", depth(&intervals.root));
        assert_eq!(holding(&intervals, &77u32.to_be_bytes()), [77]);
    }

    #[test]
    fn an_end_is_exclusive_and_an_open_one_holds_everything_above() {
        let mut intervals = Intervals::default();
        intervals.insert(Range::new(b"b", Some(b"d")), 1);
        intervals.insert(Range::new(b"c", None), 2);
        for (key, expected) in [
            ("a", [].as_slice()),
            ("b", &[1]),
            ("c", &[1, 2]),
            ("d", &[2]),
            ("zzz", &[2]),
        ] {
            assert_eq!(holding(&intervals, key.as_bytes()), expected, "{key}");
        }
    }
}
