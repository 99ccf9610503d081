//! What v2 has.

use std::{collections::HashMap, time::UNIX_EPOCH};

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;

use super::{
    mapping::Mapping,
    plan::{Item, Reason, Version},
    report::Conflict,
};
use crate::{
    policy::Class,
    v2::{Client, Node, Result, path, request::Request},
};

/// One look at all that is to be copied.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) items: Vec<Item>,
    pub(super) directories: usize,
    pub(super) conflicts: Vec<Conflict>,
    /// The index at which it shows v2.
    pub(super) index: u64,
    pub(super) cluster: u64,
    /// From when on the items' times to live count.
    pub(super) at: Instant,
}

/// What to look at.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) from: String,
    /// Keys and directories that listings leave out.
    pub(super) include: Vec<String>,
    pub(super) mapping: Mapping,
    pub(super) keep_directories: bool,
    /// Where the migration's notes are, and no key may be.
    pub(super) state: String,
}

/// When something expires, as a directory hands it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Expiry {
    expires: u64,
    ttl: u64,
}

impl Source {
    /// The index that v2 is at: it moves with every change, also with those that watches are not told of,
    /// which are refreshed times and what is hidden.
    pub(super) async fn index(&self, client: &Client) -> Result<u64> {
        let path = path::of_key(&self.from);
        let mut request = Request::new("migrate", Method::HEAD, path, Class::Local);
        // Where the directory is not there, the answer tells the index as well.
        request.any_status = true;
        let answer = client.core.call(request).await?;
        Ok(answer.header.etcd_index)
    }

    pub(super) async fn list(&self, client: &Client) -> Result<Listing> {
        let mut listing = Listing {
            items: Vec::new(),
            directories: 0,
            conflicts: Vec::new(),
            index: u64::MAX,
            cluster: 0,
            at: Instant::now(),
        };
        let mut known = HashMap::new();
        for root in std::iter::once(&self.from).chain(&self.include) {
            let found = client
                .get(root.as_str())
                .recursive()
                .sorted()
                .quorum()
                .await?;
            listing.index = listing.index.min(found.header.etcd_index);
            listing.cluster = found.header.cluster_id;
            if let Some(node) = found.node {
                self.take(node, None, true, &mut listing, &mut known);
            }
        }
        Ok(listing)
    }

    /// Takes a node and all below it. What is overdue is as good as gone.
    fn take(
        &self,
        node: Node,
        above: Option<Expiry>,
        is_root: bool,
        listing: &mut Listing,
        known: &mut HashMap<Bytes, String>,
    ) {
        let own = match node.remaining() {
            None => None,
            Some(remaining) if remaining.is_zero() => return,
            Some(remaining) => Some(Expiry {
                expires: node
                    .expiration
                    .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
                    .map_or(0, |since| since.as_secs()),
                ttl: remaining.as_secs(),
            }),
        };
        let expiry = own.into_iter().chain(above).min();
        if !node.is_dir {
            let value = node.value.unwrap_or_default();
            let index = node.modified_index;
            self.add(node.key, value, index, expiry, listing, known);
            return;
        }
        if !is_root {
            listing.directories += 1;
            if self.keep_directories {
                let marker = format!("{}/", node.key);
                let index = node.created_index;
                self.add(marker, String::new(), index, expiry, listing, known);
            }
        }
        for child in node.nodes {
            self.take(child, expiry, false, listing, known);
        }
    }

    fn add(
        &self,
        source: String,
        value: String,
        index: u64,
        expiry: Option<Expiry>,
        listing: &mut Listing,
        known: &mut HashMap<Bytes, String>,
    ) {
        let target = self.mapping.target(&source);
        let reason = match known.get(target.as_bytes()) {
            // A key can be below several of the named directories.
            Some(other) if *other == source => return,
            Some(other) => Some(Reason::SameTarget(other.clone())),
            None if target.is_empty() || target.starts_with(&self.state) => Some(Reason::Name),
            None => None,
        };
        if let Some(reason) = reason {
            listing.conflicts.push(Conflict {
                source,
                target,
                reason,
            });
            return;
        }
        let target = Bytes::from(target);
        known.insert(target.clone(), source.clone());
        listing.items.push(Item {
            source,
            target,
            value: value.into(),
            version: Version {
                index,
                expires: expiry.map_or(0, |expiry| expiry.expires),
            },
            ttl: expiry.map(|expiry| expiry.ttl),
        });
    }
}
