//! One pass: v2 is listed, and v3 is brought to what the listing says.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use bytes::Bytes;

use super::{
    Migration, MigrationError, leases,
    notes::{self, Notes},
    plan::{self, Decision, Item, Note, Present, Reason},
    report::{Conflict, Progress, Report},
    source::Listing,
};
use crate::{Client, Compare, ErrorKind, KeyValue, LeaseId, Op, OpResponse, Revision};

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
    /// The keys with notes that are in no batch so far.
    noted: HashSet<Bytes>,
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
        let noted = tidy(migration, notes).await?;
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
        let changes = pass.changes;
        if changes == 0 && !pass.leases.is_empty() {
            // Their keys could not be written, and no other pass follows.
            tidy(migration, notes).await?;
        }
        Ok(changes)
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
        let known = read(&self.migration.v3, self.notes, targets).await?;
        let mut writes = Vec::new();
        for (place, (present, note)) in batch.zip(known) {
            let Some(item) = self.listing.items.get(place).cloned() else {
                continue;
            };
            self.noted.remove(&item.target);
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
            writes.push((item, seen, does, place));
        }
        self.grant(writes.iter().filter_map(|(item, ..)| item.ttl))
            .await?;
        let changes = writes
            .into_iter()
            .map(|(item, seen, does, place)| self.write(item, seen, does, place));
        Ok(changes.collect())
    }

    /// Whether a key's time is over since it was listed, and that of its lease.
    fn is_over(&self, item: &Item) -> bool {
        let passed = self.listing.at.elapsed().as_secs();
        item.ttl.is_some_and(|ttl| ttl <= passed)
    }

    fn write(&self, item: Item, seen: Revision, does: Does, place: usize) -> Change {
        let mut put = Op::put(item.target.clone(), item.value.clone());
        let note = self.notes.key_of(&item.target);
        let mut noting = Op::put(note, notes::write(item.version));
        if let Some(lease) = item.ttl.and_then(|ttl| self.leases.get(&ttl)) {
            (put, noting) = (put.lease(*lease), noting.lease(*lease));
        }
        Change {
            target: item.target,
            seen,
            ops: [put, noting],
            does,
            item: Some(place),
        }
    }

    /// Has a lease for each of these times to live: one for all keys that expire in the same second.
    async fn grant(&mut self, ttls: impl Iterator<Item = u64>) -> Result<(), MigrationError> {
        let missing = ttls.filter(|ttl| !self.leases.contains_key(ttl)).collect();
        let granted = match self.migration.dry_run {
            true => leases::none(missing),
            false => {
                let passed = self.listing.at.elapsed().as_secs();
                leases::grant(&self.migration.v3, self.notes, missing, passed).await?
            }
        };
        self.report.leases += granted.len();
        self.leases.extend(granted);
        Ok(())
    }

    /// Removes copies of what v2 has no longer.
    async fn remove(&mut self) -> Result<(), MigrationError> {
        let gone: Vec<_> = std::mem::take(&mut self.noted).into_iter().collect();
        for batch in gone.chunks(BATCH_KEYS) {
            let known = read(&self.migration.v3, self.notes, batch.iter()).await?;
            let mut changes = Vec::new();
            for (target, (present, note)) in batch.iter().zip(known) {
                let Some(note) = note else {
                    continue;
                };
                let forget = Op::delete(self.notes.key_of(target));
                let seen = present.as_ref().map_or(0, |present| present.mod_revision);
                let (removed, does) = match plan::is_ours(present.as_ref(), &note) {
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
            // The time of one of them was over before it was written.
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

/// Revokes leases that no copy has, and tells of which keys there are notes.
async fn tidy(migration: &Migration, notes: &Notes) -> Result<HashSet<Bytes>, MigrationError> {
    // In this order a lease that gets its copies meanwhile is found to have them.
    let leases = match migration.dry_run {
        true => Vec::new(),
        false => notes.leases(&migration.v3).await?,
    };
    let (noted, used) = notes.load(&migration.v3).await?;
    leases::revoke_unused(&migration.v3, notes, leases, &used).await?;
    Ok(noted)
}

/// What v3 has of some keys, and the notes about them, all at once: a transaction of an earlier run that
/// was killed can arrive at any time.
async fn read(
    client: &Client,
    notes: &Notes,
    keys: impl Iterator<Item = &Bytes>,
) -> Result<Vec<(Option<Present>, Option<Note>)>, MigrationError> {
    let gets = keys.flat_map(|key| [Op::get(key.clone()), Op::get(notes.key_of(key))]);
    let gets: Vec<_> = gets.collect();
    if gets.is_empty() {
        return Ok(Vec::new());
    }
    let answers = client.txn().then(gets).await?.responses.into_iter();
    let mut found = answers.map(|answer| match answer {
        OpResponse::Range(found) => found.kvs.into_iter().next(),
        _ => None,
    });
    let mut known = Vec::new();
    while let (Some(key), Some(note)) = (found.next(), found.next()) {
        known.push((key.map(present), note.as_ref().map(notes::parse)));
    }
    Ok(known)
}

fn present(kv: KeyValue) -> Present {
    Present {
        value: kv.value,
        mod_revision: kv.mod_revision,
        is_leased: kv.lease.is_some(),
    }
}
