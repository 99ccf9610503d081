//! A whole file, made page by page of entries that are all there.

use super::{
    meta::Meta,
    plan::{Content, Plan},
    sheet::{self, PAGE, Slot},
};

/// The first page behind the meta pages.
const FIRST_PAGE: u64 = 2;

/// What can be an entry of a bucket.
pub(crate) trait Record {
    fn key(&self) -> &[u8];
    fn value(&self) -> &[u8];
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> Record for (K, V) {
    fn key(&self) -> &[u8] {
        self.0.as_ref()
    }

    fn value(&self) -> &[u8] {
        self.1.as_ref()
    }
}

/// A bucket to be written.
#[derive(Debug)]
pub(crate) struct Bucket<R> {
    pub(crate) name: Box<[u8]>,
    pub(crate) entries: Vec<R>,
}

/// A planned file, whose pages are made one after the other.
#[derive(Debug)]
pub(crate) struct File<R> {
    meta: Meta,
    buckets: Vec<Tree<R>>,
    /// The names of the buckets and where they are.
    root: Tree<(Box<[u8]>, [u8; 16])>,
    next: Next,
}

/// The entries of a bucket and the pages that they are on.
#[derive(Debug)]
struct Tree<R> {
    entries: Vec<R>,
    plan: Plan,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Meta(u64),
    /// A page of a bucket's tree; behind the last bucket comes the root bucket.
    Node {
        bucket: usize,
        node: usize,
    },
}

impl<R: Record> File<R> {
    /// Plans a file of these buckets. Both their names and the keys in each ascend.
    pub(crate) fn new(buckets: impl IntoIterator<Item = Bucket<R>>) -> Self {
        let mut next = FIRST_PAGE;
        let mut trees = Vec::new();
        let mut names = Vec::new();
        for Bucket { name, entries } in buckets {
            let tree = Tree::new(entries, &mut next);
            // Behind the page of the root comes the bucket's sequence, which etcd does not use.
            let value = u128::from(tree.plan.root()).to_le_bytes();
            names.push((name, value));
            trees.push(tree);
        }
        let root = Tree::new(names, &mut next);
        Self {
            meta: Meta::new(PAGE as u32, root.plan.root(), next),
            buckets: trees,
            root,
            next: Next::Meta(0),
        }
    }

    /// The size of the file in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.meta.size()
    }

    /// The next page with its overflow; `None` behind the last.
    pub(crate) fn next_page(&mut self) -> Option<Vec<u8>> {
        let (mut bucket, mut node) = match self.next {
            Next::Meta(id) => {
                self.next = match id {
                    0 => Next::Meta(1),
                    _ => Next::Node { bucket: 0, node: 0 },
                };
                return Some(self.meta.page(id));
            }
            Next::Node { bucket, node } => (bucket, node),
        };
        while let Some(tree) = self.buckets.get(bucket) {
            if let Some(page) = tree.page(node, false) {
                self.next = Next::Node {
                    bucket,
                    node: node + 1,
                };
                return Some(page);
            }
            (bucket, node) = (bucket + 1, 0);
        }
        self.next = Next::Node {
            bucket,
            node: node + 1,
        };
        self.root.page(node, true)
    }
}

impl<R: Record> Tree<R> {
    fn new(entries: Vec<R>, next: &mut u64) -> Self {
        let plan = Plan::new(&entries, next);
        Self { entries, plan }
    }

    /// The page of a node.
    fn page(&self, node: usize, is_bucket: bool) -> Option<Vec<u8>> {
        let nodes = self.plan.nodes();
        let node = nodes.get(node)?;
        Some(match &node.content {
            Content::Entries(places) => {
                let entries = self.entries.get(places.clone())?;
                let slots = entries.iter().map(|entry| Slot {
                    is_bucket,
                    key: entry.key(),
                    value: entry.value(),
                });
                sheet::leaf(node.page, slots, PAGE)
            }
            Content::Children(places) => {
                let children = nodes.get(places.clone())?.iter().map(|child| {
                    let first = self.entries.get(child.first);
                    (first.map_or(&[][..], Record::key), child.page)
                });
                sheet::branch(node.page, children, PAGE)
            }
        })
    }
}
