//! Whether elections have kept what they promise, besides what [`lock_checker`](crate::lock_checker)
//! finds out about their queue.
//!
//! Pure: it compares records. A [`Timeline`] is who led, at each revision, by the history of the
//! candidates' keys; what an observer has [`Seen`] must be exactly that from where it began, in order, and
//! a [`Proclamation`] must be of a candidate that led.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use etcdkit::{KeyValue, Revision, sync::Observation};

use crate::watch_checker::{Event, History, Outcome};

/// Who led an election, and what the leaders proclaimed.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Each change of it.
    changes: BTreeMap<Revision, Option<KeyValue>>,
}

/// What an observer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The revision that it gave for it.
    pub revision: Revision,
    /// The key and the value of the leader.
    pub leader: Option<KeyValue>,
}

impl From<Observation> for Seen {
    fn from(observation: Observation) -> Self {
        Self {
            revision: observation.revision,
            leader: observation.leader.map(|leader| leader.into_kv()),
        }
    }
}

/// What a leader proclaimed, as far as it knows. No two have the same value.
#[derive(Clone, Debug)]
pub struct Proclamation {
    /// The candidate's key.
    pub key: Bytes,
    /// The value.
    pub value: String,
    /// What became of it; only for one that was applied the revision is known.
    pub outcome: Outcome,
}

/// A promise that was not kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Violation {
    /// An observer did not say what happened.
    Misled {
        /// What it said; nothing, if something is missing at the end.
        seen: Option<Seen>,
        /// What it had to say; nothing, if it said too much.
        expected: Option<Seen>,
    },
    /// Something was proclaimed by a candidate that did not lead.
    NoLeader {
        /// Its key.
        key: Bytes,
        /// When it was proclaimed.
        revision: Revision,
        /// The key of who led.
        leader: Option<Bytes>,
    },
    /// A proclamation was applied more often than it was made, or although it was said not to be.
    Unasked {
        /// The value.
        value: String,
        /// When it was applied.
        revisions: Vec<Revision>,
    },
    /// A proclamation was not applied as it was said to be.
    Lost {
        /// The value.
        value: String,
        /// When it was said to be.
        revision: Revision,
    },
}

impl Timeline {
    /// Goes through the history of all keys of the election with this name, from before its first
    /// candidate on.
    pub fn of(history: &History, name: &str) -> Self {
        let prefix = format!("{name}/");
        let mut candidates = BTreeMap::new();
        let mut changes = BTreeMap::new();
        let mut leader = None;
        let events: Vec<&Event> = history.events().collect();
        // What happens at one revision happens at once.
        for events in events.chunk_by(|one, next| one.revision() == next.revision()) {
            for event in events {
                if !event.kv.key.starts_with(prefix.as_bytes()) {
                    continue;
                }
                if let Some(before) = &event.prev_kv {
                    candidates.remove(&(before.create_revision, before.key.clone()));
                }
                if !event.is_delete {
                    let place = (event.kv.create_revision, event.kv.key.clone());
                    candidates.insert(place, event.kv.clone());
                }
            }
            let now = candidates.first_key_value().map(|(_, kv)| kv.clone());
            if now != leader
                && let Some(event) = events.first()
            {
                changes.insert(event.revision(), now.clone());
                leader = now;
            }
        }
        Self { changes }
    }

    /// Who led as of a revision.
    pub fn leader(&self, revision: Revision) -> Option<&KeyValue> {
        let (_, leader) = self.changes.range(..=revision).next_back()?;
        leader.as_ref()
    }

    /// How often the leader changed: not what one proclaims, and not that nobody led.
    pub fn leaders(&self) -> usize {
        let leaders = self.changes.values().flatten();
        let mut tokens: Vec<Revision> = leaders.map(|leader| leader.create_revision).collect();
        tokens.dedup();
        tokens.len()
    }

    /// The revision of the last change.
    pub fn last_revision(&self) -> Revision {
        self.changes.last_key_value().map_or(0, |(last, _)| *last)
    }

    /// Compares with what an observer said from its first word to after the last change.
    pub fn check(&self, seen: &[Seen]) -> Option<Violation> {
        let Some(first) = seen.first() else {
            // The first word does not wait for anything to happen.
            return Some(Violation::Misled {
                seen: None,
                expected: None,
            });
        };
        let begin = Seen {
            revision: first.revision,
            leader: self.leader(first.revision).cloned(),
        };
        let after = self.changes.range(first.revision + 1..);
        let after = after.map(|(revision, leader)| Seen {
            revision: *revision,
            leader: leader.clone(),
        });
        let mut expected = std::iter::once(begin).chain(after);
        let mut seen = seen.iter().cloned();
        loop {
            match (seen.next(), expected.next()) {
                (None, None) => return None,
                (seen, expected) if seen != expected => {
                    return Some(Violation::Misled { seen, expected });
                }
                _ => {}
            }
        }
    }

    /// Finds proclamations of candidates that did not lead, and what is otherwise than their
    /// candidates know.
    pub fn judge(&self, history: &History, proclamations: &[Proclamation]) -> Vec<Violation> {
        let mut violations = Vec::new();
        for proclamation in proclamations {
            let Proclamation {
                key,
                value,
                outcome,
            } = proclamation;
            let applied = history
                .events()
                .filter(|event| !event.is_delete && event.kv.value == *value.as_bytes());
            let revisions: Vec<Revision> = applied.map(Event::revision).collect();
            for revision in &revisions {
                let leader = self.leader(revision - 1).map(|leader| leader.key.clone());
                if leader.as_ref() != Some(key) {
                    violations.push(Violation::NoLeader {
                        key: key.clone(),
                        revision: *revision,
                        leader,
                    });
                }
            }
            let value = value.clone();
            match (outcome, revisions.as_slice()) {
                (Outcome::Applied(said), [revision]) if said == revision => {}
                (Outcome::Applied(revision), _) => violations.push(Violation::Lost {
                    value,
                    revision: *revision,
                }),
                (_, []) | (Outcome::Unknown, [_]) => {}
                _ => violations.push(Violation::Unasked { value, revisions }),
            }
        }
        violations
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.leader {
            Some(leader) => write!(
                f,
                "{:?} of {} leads with {:?} at {}",
                leader.key, leader.create_revision, leader.value, self.revision
            ),
            None => write!(f, "nobody leads at {}", self.revision),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misled { seen, expected } => {
                match seen {
                    Some(seen) => write!(f, "an observer said that {seen}")?,
                    None => write!(f, "an observer said nothing")?,
                }
                match expected {
                    Some(expected) => write!(f, ", but {expected}"),
                    None => write!(f, ", but that was all"),
                }
            }
            Self::NoLeader {
                key,
                revision,
                leader,
            } => write!(f, "{key:?} proclaimed at {revision} while {leader:?} led"),
            Self::Unasked { value, revisions } => {
                write!(f, "{value:?} was proclaimed at {revisions:?}")
            }
            Self::Lost { value, revision } => {
                write!(f, "{value:?} was not proclaimed at {revision}")
            }
        }
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
