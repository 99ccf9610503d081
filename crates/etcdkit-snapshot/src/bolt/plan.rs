//! Which entries go onto which page, decided before the first page is made.

use std::ops::Range;

use super::page::{ELEMENT, HEADER};
use super::sheet::{PAGE, Slot};
use super::write::Record;

/// The pages of one bucket's tree, in the order of their numbers: the leaves first, then each level
/// above them, the root last.
#[derive(Debug)]
pub(super) struct Plan {
    nodes: Vec<Node>,
}

/// A page with its overflow.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Its number.
    pub(super) page: u64,
    pub(super) content: Content,
    /// The first entry that it holds or leads to.
    pub(super) first: usize,
}

/// What is on a page.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Entries of the bucket, by their places.
    Entries(Range<usize>),
    /// The pages below, by the places of their nodes in the plan.
    Children(Range<usize>),
}

impl Plan {
    /// Plans a tree of these entries, whose pages begin at the number `next`, and moves it on.
    pub(super) fn new<R: Record>(entries: &[R], next: &mut u64) -> Self {
        let sizes = entries.iter().map(|entry| {
            let (key, value) = (entry.key().len(), entry.value().len());
            Slot::size(key, value)
        });
        let mut nodes = Vec::new();
        fill(sizes, 1, next, |page, entries| {
            nodes.push(Node {
                page,
                first: entries.start,
                content: Content::Entries(entries),
            });
        });
        let mut below = 0..nodes.len();
        while below.len() > 1 {
            let children = nodes.get(below.clone()).unwrap_or_default().to_vec();
            let sizes = children.iter().map(|child| {
                let first = entries.get(child.first);
                ELEMENT + first.map_or(0, |entry| entry.key().len())
            });
            // A branch of one child would make no level shorter than the one below it.
            fill(sizes, 2, next, |page, taken| {
                nodes.push(Node {
                    page,
                    first: children.get(taken.start).map_or(0, |child| child.first),
                    content: Content::Children(below.start + taken.start..below.start + taken.end),
                });
            });
            below = below.end..nodes.len();
        }
        Self { nodes }
    }

    /// The number of the root's page.
    pub(super) fn root(&self) -> u64 {
        self.nodes.last().map_or(0, |node| node.page)
    }

    /// The nodes at these places.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// Fills pages with items of these sizes, one after the other, with at least `least` on each as long
/// as there are. `take` gets the number of each page and what is on it; without items there is one
/// empty page.
fn fill(
    sizes: impl Iterator<Item = usize>,
    least: usize,
    next: &mut u64,
    mut take: impl FnMut(u64, Range<usize>),
) {
    let (mut items, mut filled) = (0..0, HEADER);
    for size in sizes {
        if filled + size > PAGE && items.len() >= least {
            take(*next, items.clone());
            *next += filled.div_ceil(PAGE) as u64;
            (items, filled) = (items.end..items.end, HEADER);
        }
        filled += size;
        items.end += 1;
    }
    take(*next, items);
    *next += filled.div_ceil(PAGE) as u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(entries: &[(Vec<u8>, Vec<u8>)]) -> (Vec<u64>, u64) {
        let mut next = 10;
        let plan = Plan::new(entries, &mut next);
        (plan.nodes.iter().map(|node| node.page).collect(), next)
    }

    #[test]
    fn nothing_takes_one_page() {
        assert_eq!(planned(&[]), (vec![10], 11));
    }

    #[test]
    fn a_page_is_filled_to_the_last_byte() {
        let half = (PAGE - HEADER) / 2 - ELEMENT;
        let entry = |name: u8, more| (vec![name], vec![0; half - 1 + more]);
        let full = planned(&[entry(b'a', 0), entry(b'b', 0)]);
        assert_eq!(full, (vec![10], 11));
        let more = planned(&[entry(b'a', 0), entry(b'b', 1)]);
        assert_eq!(more, (vec![10, 11, 12], 13));
    }

    #[test]
    fn a_large_value_takes_the_pages_it_needs() {
        let large = (b"b".to_vec(), vec![0; 3 * PAGE]);
        let small = |name: &str| (name.as_bytes().to_vec(), b"v".to_vec());
        let pages = planned(&[small("a"), large, small("c")]);
        assert_eq!(pages, (vec![10, 11, 15, 16], 17));
    }

    #[test]
    fn keys_longer_than_a_page_still_make_a_tree() {
        let entries: Vec<_> = (0..9).map(|key| (vec![key; 2 * PAGE], vec![])).collect();
        let (pages, _) = planned(&entries);
        assert_eq!(pages.len(), 9 + 5 + 3 + 2 + 1, "a branch has two children");
    }
}
