//! One pass: v2 is listed, and v3 is brought to what the listing says.

use std::{collections::HashMap, ops::Range};

use bytes::Bytes;

use super::{
    Migration, MigrationError,
    notes::{self, Notes},
    plan::{self, Decision, Item, Note, Present, Reason},
    report::{Conflict, Progress, Report},
    source::Listing,
};
use crate::{Client, Compare, ErrorKind, LeaseId, Op, OpResponse, Revision};

/// How many keys are dealt with at a time: a transaction has 128 operations at the most, and each key
/// takes two.
const BATCH_KEYS: usize = 60;

/// How many bytes of values are written at a time, unless a single one has more. Servers take requests
/// of 1.5 MiB.
const BATCH_BYTES: usize = 1 << 20;

/// A pass under way.
pub(super) struct Pass<'a> {
    migration: &'a Migration,
    notes: &'a Notes,
    noted: HashMap<Bytes, Note>,
    listing: Listing,
    /// The leases that were granted, by the seconds that a key had to live at the time of the listing.
    leases: HashMap<u64, LeaseId>,
    report: &'a mut Report,
    /// How much was different.
    changes: usize,
}

/// One key to write or remove.
struct Change {
    target: Bytes,
    /// The change of v3 that it is based on; 0 if there is no such key.
    seen: Revision,
    ops: [Op; 2],
    does: Does,
    /// Of which item, if it writes one.
    item: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Does {
    Create,
    Update,
    Remove,
    /// Removes a note only.
    Forget,
}

impl<'a> Pass<'a> {
    /// Makes one pass and says how much was different.
    pub(super) async fn make(
        migration: &'a Migration,
        notes: &'a Notes,
        listing: Listing,
        report: &'a mut Report,
    ) -> Result<usize, MigrationError> {
        let noted = notes.load(&migration.v3).await?;
        report.passes += 1;
        report.keys = listing.items.len();
        report.directories = listing.directories;
        report.index = listing.index;
        report.conflicts.clone_from(&listing.conflicts);
        (report.unchanged, report.equal) = (0, 0);
        let mut pass = Self {
            migration,
            notes,
            noted,
            listing,
            leases: HashMap::new(),
            report,
            changes: 0,
        };
        pass.copy().await?;
        pass.remove().await?;
        Ok(pass.changes)
    }

    /// Writes what v2 has.
    async fn copy(&mut self) -> Result<(), MigrationError> {
        let total = self.listing.items.len();
        let mut done = 0;
        while done < total {
            let batch = self.batch(done);
            done = batch.end;
            let changes = self.decide(batch).await?;
            self.apply(changes).await?;
            self.tell(done);
        }
        Ok(())
    }

    /// The next items that can be dealt with together.
    fn batch(&self, start: usize) -> Range<usize> {
        let (mut end, mut bytes) = (start, 0);
        for item in self.listing.items.iter().skip(start).take(BATCH_KEYS) {
            bytes += item.value.len() + item.target.len();
            if bytes > BATCH_BYTES && end > start {
                break;
            }
            end += 1;
        }
        start..end
    }

    async fn decide(&mut self, batch: Range<usize>) -> Result<Vec<Change>, MigrationError> {
        let items = self.listing.items.get(batch.clone()).unwrap_or_default();
        let targets = items.iter().map(|item| &item.target);
        let present = read(&self.migration.v3, targets).await?;
        let mut changes = Vec::new();
        for (place, present) in batch.zip(present) {
            let Some(item) = self.listing.items.get(place).cloned() else {
                continue;
            };
            let note = self.noted.remove(&item.target);
            let overwrite = self.migration.overwrite;
            let does = match plan::decide(&item, present.as_ref(), note.as_ref(), overwrite) {
                Decision::Unchanged => {
                    self.report.unchanged += 1;
                    continue;
                }
                Decision::Equal => {
                    self.report.equal += 1;
                    continue;
                }
                Decision::Conflict(reason) => {
                    self.conflict(&item, reason);
                    continue;
                }
                Decision::Create => Does::Create,
                Decision::Update => Does::Update,
            };
            if self.is_over(&item) {
                // Gone, unless v2 has given it more time meanwhile, as the next listing shows.
                self.changes += 1;
                continue;
            }
            let seen = present.map_or(0, |present| present.mod_revision);
            changes.push(self.write(item, seen, does, place).await?);
        }
        Ok(changes)
    }

    /// Whether a key's time is over since it was listed, and that of its lease.
    fn is_over(&self, item: &Item) -> bool {
        let passed = self.listing.at.elapsed().as_secs();
        item.ttl.is_some_and(|ttl| ttl <= passed)
    }

    async fn write(
        &mut self,
        item: Item,
        seen: Revision,
        does: Does,
        place: usize,
    ) -> Result<Change, MigrationError> {
        let mut put = Op::put(item.target.clone(), item.value.clone());
        let note = self.notes.key_of(&item.target);
        let mut noting = Op::put(note, notes::write(item.version));
        if let Some(ttl) = item.ttl {
            let lease = self.lease(ttl).await?;
            (put, noting) = (put.lease(lease), noting.lease(lease));
        }
        Ok(Change {
            target: item.target,
            seen,
            ops: [put, noting],
            does,
            item: Some(place),
        })
    }

    /// The lease of all keys that expire in the same second.
    async fn lease(&mut self, ttl: u64) -> Result<LeaseId, MigrationError> {
        if let Some(lease) = self.leases.get(&ttl) {
            return Ok(*lease);
        }
        if self.migration.dry_run {
            self.report.leases += 1;
            self.leases.insert(ttl, LeaseId(0));
            return Ok(LeaseId(0));
        }
        let passed = self.listing.at.elapsed().as_secs();
        let left = std::time::Duration::from_secs(ttl.saturating_sub(passed).max(1));
        let granted = self.migration.v3.leases().grant(left).await?;
        self.report.leases += 1;
        self.leases.insert(ttl, granted.id);
        Ok(granted.id)
    }

    /// Removes copies of what v2 has no longer.
    async fn remove(&mut self) -> Result<(), MigrationError> {
        let gone: Vec<_> = std::mem::take(&mut self.noted).into_iter().collect();
        for batch in gone.chunks(BATCH_KEYS) {
            let targets = batch.iter().map(|(target, _)| target);
            let present = read(&self.migration.v3, targets).await?;
            let mut changes = Vec::new();
            for ((target, note), present) in batch.iter().zip(present) {
                let forget = Op::delete(self.notes.key_of(target));
                let seen = present.as_ref().map_or(0, |present| present.mod_revision);
                let (removed, does) = match plan::is_ours(present.as_ref(), note) {
                    true => (Op::delete(target.clone()), Does::Remove),
                    // It is somebody else's now, or gone.
                    false => (Op::get(target.clone()).keys_only(), Does::Forget),
                };
                changes.push(Change {
                    target: target.clone(),
                    seen,
                    ops: [removed, forget],
                    does,
                    item: None,
                });
            }
            self.apply(changes).await?;
        }
        Ok(())
    }

    /// Makes changes together, or one by one if somebody was in between. What does not succeed then is
    /// looked at again in the next pass.
    async fn apply(&mut self, changes: Vec<Change>) -> Result<(), MigrationError> {
        self.changes += changes.len();
        if self.migration.dry_run {
            changes.iter().for_each(|change| self.count(change));
            return Ok(());
        }
        if changes.is_empty() {
            return Ok(());
        }
        if changes.len() > 1 && self.succeeds(&changes).await? {
            changes.iter().for_each(|change| self.count(change));
            return Ok(());
        }
        for change in &changes {
            match self.succeeds(std::slice::from_ref(change)).await {
                Ok(true) => self.count(change),
                Ok(false) => {}
                Err(error) if is_too_large(&error) => {
                    self.changes -= 1;
                    let item = change.item.and_then(|place| self.listing.items.get(place));
                    if let Some(item) = item.cloned() {
                        self.conflict(&item, Reason::TooLarge);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn succeeds(&self, changes: &[Change]) -> crate::Result<bool> {
        let unchanged = changes
            .iter()
            .map(|change| Compare::mod_revision(change.target.clone()).eq(change.seen));
        let ops = changes.iter().flat_map(|change| change.ops.clone());
        let txn = self.migration.v3.txn().when(unchanged).then(ops);
        match txn.await {
            Ok(done) => Ok(done.succeeded),
            // Together they are, perhaps.
            Err(error) if is_too_large(&error) && changes.len() > 1 => Ok(false),
            // The time of one of them is over.
            Err(error) if error.kind() == ErrorKind::LeaseNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn count(&mut self, change: &Change) {
        match change.does {
            Does::Create => self.report.created += 1,
            Does::Update => self.report.updated += 1,
            Does::Remove => self.report.removed += 1,
            Does::Forget => {}
        }
    }

    fn conflict(&mut self, item: &Item, reason: Reason) {
        self.report.conflicts.push(Conflict {
            source: item.source.clone(),
            target: String::from_utf8_lossy(&item.target).into_owned(),
            reason,
        });
    }

    fn tell(&self, done: usize) {
        if let Some(tell) = &self.migration.progress {
            let Report {
                created,
                updated,
                removed,
                passes,
                ..
            } = &*self.report;
            tell(&Progress {
                pass: *passes,
                done,
                total: self.listing.items.len(),
                written: created + updated + removed,
            });
        }
    }
}

fn is_too_large(error: &crate::Error) -> bool {
    error.kind() == ErrorKind::RequestTooLarge
}

/// What v3 has of some keys.
async fn read(
    client: &Client,
    keys: impl Iterator<Item = &Bytes>,
) -> Result<Vec<Option<Present>>, MigrationError> {
    let gets: Vec<_> = keys.map(|key| Op::get(key.clone())).collect();
    if gets.is_empty() {
        return Ok(Vec::new());
    }
    let answers = client.txn().then(gets).await?.responses.into_iter();
    let found = answers.map(|answer| match answer {
        OpResponse::Range(found) => found.kvs.into_iter().next().map(|kv| Present {
            value: kv.value,
            mod_revision: kv.mod_revision,
            is_leased: kv.lease.is_some(),
        }),
        _ => None,
    });
    Ok(found.collect())
}
