//! Every stored record, in the order of revisions.

use crate::record::Record;
use crate::revision::Revision;

/// The records that compaction left, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Log {
    records: Vec<Record>,
    bytes: u64,
}

impl Log {
    /// Appends a record, whose revision is above all before it.
    pub(crate) fn push(&mut self, record: Record) {
        self.bytes += record.len();
        self.records.push(record);
    }

    /// All records.
    pub(crate) fn all(&self) -> &[Record] {
        &self.records
    }

    /// The records up to a main revision.
    pub(crate) fn up_to(&self, main: i64) -> &[Record] {
        self.records.get(..self.split(main)).unwrap_or_default()
    }

    /// The records after a main revision.
    pub(crate) fn after(&self, main: i64) -> &[Record] {
        self.records.get(self.split(main)..).unwrap_or_default()
    }

    /// The records after one main revision and up to another.
    pub(crate) fn between(&self, after: i64, up_to: i64) -> &[Record] {
        self.records
            .get(self.split(after)..self.split(up_to))
            .unwrap_or_default()
    }

    /// The record of a revision.
    pub(crate) fn get(&self, revision: Revision) -> Option<&Record> {
        let records = &self.records;
        let position = records.binary_search_by_key(&revision, Record::revision);
        records.get(position.ok()?)
    }

    /// Drops the records up to a main revision, but for those of the sorted list `kept`. Tells which.
    pub(crate) fn compact(
        &mut self,
        main: i64,
        kept: &[Revision],
        mut dropped: impl FnMut(&Record),
    ) {
        let mut kept = kept.iter().peekable();
        let bytes = &mut self.bytes;
        self.records.retain(|record| {
            let stays = record.revision().main > main
                || kept
                    .next_if(|revision| **revision == record.revision())
                    .is_some();
            if !stays {
                *bytes -= record.len();
                dropped(record);
            }
            stays
        });
    }

    /// The size of all records, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn split(&self, main: i64) -> usize {
        self.records
            .partition_point(|record| record.revision().main <= main)
    }
}
