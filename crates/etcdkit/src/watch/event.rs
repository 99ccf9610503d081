//! What a watch delivers.

use bytes::{Buf, Bytes};
use etcdkit_proto::mvccpb as pb;

use crate::{Header, KeyValue, Revision};

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The key was created or changed.
    Put {
        /// The key with its new value.
        kv: KeyValue,
        /// The key as it was before, if there was one, the watch asks for it
        /// ([`OpenWatch::prev_kv`](crate::OpenWatch::prev_kv)) and it has not been compacted.
        prev_kv: Option<KeyValue>,
    },
    /// The key was deleted, or its lease ended.
    Delete {
        /// The key, and the revision of its deletion as `mod_revision`; all other fields are empty.
        kv: KeyValue,
        /// The key as it was before, if the watch asks for it
        /// ([`OpenWatch::prev_kv`](crate::OpenWatch::prev_kv)) and it has not been compacted.
        prev_kv: Option<KeyValue>,
    },
}

impl Event {
    /// The key with what the change left of it.
    pub fn kv(&self) -> &KeyValue {
        match self {
            Self::Put { kv, .. } | Self::Delete { kv, .. } => kv,
        }
    }

    /// The key as it was before the change.
    pub fn prev_kv(&self) -> Option<&KeyValue> {
        match self {
            Self::Put { prev_kv, .. } | Self::Delete { prev_kv, .. } => prev_kv.as_ref(),
        }
    }

    /// The key.
    pub fn key(&self) -> &Bytes {
        &self.kv().key
    }

    /// The revision of the change.
    pub fn revision(&self) -> Revision {
        self.kv().mod_revision
    }

    /// Whether the change is a put of a key that did not exist.
    pub fn is_create(&self) -> bool {
        matches!(self, Self::Put { kv, .. } if kv.create_revision == kv.mod_revision)
    }

    /// Whether the change is a put of a key that existed.
    pub fn is_modify(&self) -> bool {
        matches!(self, Self::Put { kv, .. } if kv.create_revision != kv.mod_revision)
    }

    /// Whether the change is a deletion.
    pub fn is_delete(&self) -> bool {
        matches!(self, Self::Delete { .. })
    }

    /// Takes the event from the wire and the first `prefix` bytes off its keys.
    pub(super) fn from_wire(event: pb::Event, prefix: usize) -> Self {
        let own = |kv: pb::KeyValue| {
            let mut kv = KeyValue::from(kv);
            kv.key.advance(prefix.min(kv.key.len()));
            kv
        };
        let is_delete = event.r#type == pb::event::EventType::Delete as i32;
        let kv = own(event.kv.unwrap_or_default());
        let prev_kv = event.prev_kv.map(own);
        match is_delete {
            true => Self::Delete { kv, prev_kv },
            false => Self::Put { kv, prev_kv },
        }
    }
}

/// What a watch delivers at a time: all its changes of one or more revisions, or the news that there
/// were none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchUpdate {
    header: Header,
    revision: Revision,
    events: Vec<Event>,
    is_relist: bool,
}

impl WatchUpdate {
    pub(crate) fn new(header: Header, revision: Revision, events: Vec<Event>) -> Self {
        Self {
            header,
            revision,
            events,
            is_relist: false,
        }
    }

    pub(super) fn relisted(header: Header, revision: Revision, events: Vec<Event>) -> Self {
        Self {
            is_relist: true,
            ..Self::new(header, revision, events)
        }
    }

    /// The header of the server's message. Its revision is the newest of the member, which may be
    /// ahead of the events; see [`revision`](Self::revision).
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The changes, by ascending revision, and those of one revision in the order they were made in.
    /// Changes of one revision are never spread over several updates.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The changes themselves.
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// How far the watch has come: everything up to this revision has been delivered.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Whether this only says how far the watch has come.
    pub fn is_progress(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether the changes are the difference between two lists rather than what happened one by one.
    /// Only with [`Client::list_then_watch`](crate::Client::list_then_watch), after a compaction:
    /// deletions come first then, at the revision of the list.
    pub fn is_relist(&self) -> bool {
        self.is_relist
    }
}
