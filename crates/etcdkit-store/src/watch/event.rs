//! Changes as watchers see them.

use etcdkit_proto::mvccpb::event::EventType;
use etcdkit_proto::mvccpb::{Event, KeyValue};

use super::watcher::Filters;
use crate::record::Record;
use crate::store::Store;

/// One change of one key, before it is made an event of one watcher.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) deleted: bool,
    /// After the change; a deletion has only the key and its revision.
    pub(super) kv: KeyValue,
}

impl Changed {
    pub(super) fn of(record: &Record) -> Self {
        Self {
            deleted: record.is_tombstone(),
            kv: record.key_value(),
        }
    }

    /// About the memory that an event keeps in use, in bytes.
    pub(super) fn size(&self) -> usize {
        self.kv.key.len() + self.kv.value.len()
    }

    pub(super) fn passes(&self, filters: Filters) -> bool {
        !(if self.deleted {
            filters.no_delete
        } else {
            filters.no_put
        })
    }

    /// With `prev_kv`, the key as it was one revision before, unless that is compacted, or the
    /// change is what created the key.
    pub(super) fn to_event(&self, store: &Store, prev_kv: bool) -> Event {
        let created = !self.deleted && self.kv.create_revision == self.kv.mod_revision;
        let kind = if self.deleted {
            EventType::Delete
        } else {
            EventType::Put
        };
        Event {
            r#type: kind.into(),
            kv: Some(self.kv.clone()),
            prev_kv: if prev_kv && !created {
                store.kv_at(&self.kv.key, self.kv.mod_revision - 1).cloned()
            } else {
                None
            },
        }
    }
}
