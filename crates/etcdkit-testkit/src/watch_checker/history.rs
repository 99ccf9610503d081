//! What happened.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use etcdkit::{KeyValue, Revision};

use super::{Change, Event, Outcome, Write, Writes};

/// Every event of some keys between two revisions.
#[derive(Clone, Debug)]
pub struct History {
    pub(super) revisions: BTreeMap<Revision, Vec<Event>>,
    /// The pairs before changes up to here may be missing.
    pub(super) compacted: Revision,
}

/// Something about a history that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// An event does not follow from those before it: a wrong version, creation or pair before.
    Impossible {
        /// The event.
        event: Box<Event>,
        /// As it should be.
        expected: Box<Event>,
    },
    /// An acknowledged write is not there as it was made.
    Lost(Write),
    /// Something changed that nobody wrote, or that was written once and happened twice.
    Invented(Revision, Vec<Event>),
}

impl History {
    /// The history of keys that did not exist before these events, which are sorted by revision.
    ///
    /// # Errors
    ///
    /// Everything that cannot be so.
    pub fn new(events: impl IntoIterator<Item = Event>) -> Result<Self, Vec<Contradiction>> {
        Self::starting_with(HashMap::new(), events)
    }

    /// The history of keys that were as in `pairs` before these events.
    ///
    /// # Errors
    ///
    /// Everything that cannot be so.
    pub fn starting_with(
        mut pairs: HashMap<Bytes, KeyValue>,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Self, Vec<Contradiction>> {
        let mut revisions: BTreeMap<Revision, Vec<Event>> = BTreeMap::new();
        let mut contradictions = Vec::new();
        for event in events {
            let expected = follow(&mut pairs, &event);
            let is_last = revisions
                .last_key_value()
                .is_none_or(|(last, _)| *last <= event.revision());
            // The pair before is what a history computes; it need not be given.
            let given = event.prev_kv.is_none() || event.prev_kv == expected.prev_kv;
            if event.kv != expected.kv || !given || !is_last {
                contradictions.push(Contradiction::Impossible {
                    event: event.into(),
                    expected: expected.clone().into(),
                });
            }
            revisions
                .entry(expected.revision())
                .or_default()
                .push(expected);
        }
        if contradictions.is_empty() {
            Ok(Self {
                revisions,
                compacted: 0,
            })
        } else {
            Err(contradictions)
        }
    }

    /// The history was compacted meanwhile: the pairs before changes up to this revision may be
    /// missing.
    #[must_use]
    pub fn compacted_at(mut self, revision: Revision) -> Self {
        self.compacted = revision;
        self
    }

    /// Every event.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.revisions.values().flatten()
    }

    /// The revision of the last event; 0 if there is none.
    pub fn last_revision(&self) -> Revision {
        self.revisions.last_key_value().map_or(0, |(last, _)| *last)
    }

    /// Compares with what the writers of these keys know: each acknowledged write happened, at its
    /// revision and as a whole, each unknown one at most once, and nothing else.
    pub fn contradictions(&self, writes: &Writes) -> Vec<Contradiction> {
        let mut contradictions = Vec::new();
        let mut explained = HashSet::new();
        for write in writes.all() {
            match write.outcome {
                Outcome::Applied(_) if write.changes.is_empty() => {}
                Outcome::Applied(revision) if self.shows(revision, &write.changes) => {
                    explained.insert(revision);
                }
                Outcome::Applied(_) => contradictions.push(Contradiction::Lost(write.clone())),
                Outcome::Unknown | Outcome::NotApplied => {}
            }
        }
        explained.extend(self.applied_unknown(writes).into_values());
        for (revision, events) in &self.revisions {
            if !explained.contains(revision) {
                contradictions.push(Contradiction::Invented(*revision, events.clone()));
            }
        }
        contradictions
    }

    /// Decides what became of writes of unknown outcome: what has not happened by now never will.
    pub fn settle(&self, writes: &mut Writes) {
        let applied = self.applied_unknown(writes);
        writes.settle(&applied);
    }

    /// Which of the writes of unknown outcome happened, by their places, and at which revisions.
    fn applied_unknown(&self, writes: &Writes) -> HashMap<usize, Revision> {
        let acknowledged = writes.all().iter().filter_map(|write| match write.outcome {
            Outcome::Applied(revision)
                if !write.changes.is_empty() && self.shows(revision, &write.changes) =>
            {
                Some(revision)
            }
            _ => None,
        });
        let acknowledged: HashSet<Revision> = acknowledged.collect();
        let unknown = writes.all().iter().enumerate();
        let unknown = unknown.filter(|(_, write)| write.outcome == Outcome::Unknown);
        let mut unknown: Vec<(usize, &Write)> = unknown.collect();
        let mut applied = HashMap::new();
        for revision in self.revisions.keys() {
            if acknowledged.contains(revision) {
                continue;
            }
            let made = unknown
                .iter()
                .position(|(_, write)| self.shows(*revision, &write.changes));
            if let Some(made) = made {
                applied.insert(unknown.swap_remove(made).0, *revision);
            }
        }
        applied
    }

    /// Whether exactly these changes happened at this revision.
    fn shows(&self, revision: Revision, changes: &[Change]) -> bool {
        let events = self.revisions.get(&revision).map_or(&[][..], Vec::as_slice);
        let same = |event: &Event, change: &Change| match &change.value {
            Some(value) => {
                !event.is_delete && event.kv.key == change.key && event.kv.value == value
            }
            None => event.is_delete && event.kv.key == change.key,
        };
        events.len() == changes.len()
            && changes
                .iter()
                .all(|change| events.iter().any(|event| same(event, change)))
    }
}

/// What an event must be like, given the pairs before it, which it changes.
fn follow(pairs: &mut HashMap<Bytes, KeyValue>, event: &Event) -> Event {
    let before = pairs.get(&event.kv.key).cloned();
    let mut kv = KeyValue::default();
    kv.key = event.kv.key.clone();
    kv.mod_revision = event.revision();
    if event.is_delete {
        pairs.remove(&event.kv.key);
    } else {
        kv.value = event.kv.value.clone();
        kv.lease = event.kv.lease;
        kv.version = before.as_ref().map_or(1, |before| before.version + 1);
        kv.create_revision = before
            .as_ref()
            .map_or(kv.mod_revision, |before| before.create_revision);
        pairs.insert(kv.key.clone(), kv.clone());
    }
    Event {
        is_delete: event.is_delete,
        kv,
        prev_kv: before,
    }
}
