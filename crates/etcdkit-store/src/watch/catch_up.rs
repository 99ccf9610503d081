//! Reading from history what a watcher has missed.

use super::event::Changed;
use crate::record::Record;
use crate::revision::Revision;
use crate::span::Span;
use crate::store::Store;

/// The most revisions with events that etcd puts into one response.
const MAX_REVISIONS: usize = 1_000;

/// The most bytes of events in one response, but for those of a single revision. etcd has no such
/// limit; without one, a thousand of the largest values would make one message.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// How many records are looked at in one go, so that a watcher with a long way to go does not keep
/// others waiting.
const SCANNED_RECORDS: usize = 20_000;

/// The most changes that are looked up by their keys.
const LOOKED_UP_CHANGES: usize = 4_096;

/// A part of the way.
#[derive(Debug)]
pub(super) struct Part {
    /// By revision, whole revisions only.
    pub(super) changes: Vec<Changed>,
    /// Where the next part begins: above the current revision if there is none.
    pub(super) next: i64,
}

/// Reads the changes of a span from a revision on, which is not compacted.
///
/// A span of few keys is looked up key by key; otherwise the log is read.
pub(super) fn read(store: &Store, span: Span<'_>, from: i64) -> Part {
    let unread = store.published_after(from - 1);
    if let Some(revisions) = look_up(store, span, from, unread.len()) {
        let records = revisions
            .iter()
            .filter_map(|revision| store.log.get(*revision));
        return collect(records, store.revision() + 1);
    }
    let (now, later) = split(unread);
    let records = now
        .iter()
        .filter(|record| span.contains(record.changed_key()));
    let next = later
        .first()
        .map_or(store.revision() + 1, |record| record.revision().main);
    collect(records, next)
}

/// The changes of a span in order, if finding them by their keys costs less than reading so many
/// records.
fn look_up(store: &Store, span: Span<'_>, from: i64, records: usize) -> Option<Vec<Revision>> {
    let worth = records / 4;
    if store.index.count_up_to(span, worth + 1) > worth {
        return None;
    }
    let changes = store.index.changes(span, from, store.revision());
    let mut changes: Vec<Revision> = changes.take(LOOKED_UP_CHANGES + 1).collect();
    if changes.len() > LOOKED_UP_CHANGES {
        return None;
    }
    changes.sort_unstable();
    Some(changes)
}

/// Cuts off what is too much for one go, between two revisions.
fn split(records: &[Record]) -> (&[Record], &[Record]) {
    let Some(last) = records.get(SCANNED_RECORDS - 1) else {
        return (records, &[]);
    };
    let last = last.revision().main;
    let end = records.partition_point(|record| record.revision().main <= last);
    records.split_at_checked(end).unwrap_or((records, &[]))
}

fn collect<'a>(records: impl Iterator<Item = &'a Record>, next: i64) -> Part {
    let mut changes = Vec::new();
    let mut revision = 0;
    let mut revisions = 0;
    let mut bytes = 0;
    for record in records {
        let main = record.revision().main;
        if main != revision {
            if revisions == MAX_REVISIONS || bytes >= MAX_BYTES {
                return Part {
                    changes,
                    next: main,
                };
            }
            revision = main;
            revisions += 1;
        }
        let change = Changed::of(record);
        bytes += change.size();
        changes.push(change);
    }
    Part { changes, next }
}
