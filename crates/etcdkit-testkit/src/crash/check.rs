//! Comparing what a server shows with what its clients know.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use bytes::Bytes;
use etcdkit::Revision;

use super::{Existence, Found, HashModel, Ledger};
use crate::watch_checker::{Contradiction, Event, History};

/// A promise that a server has not kept over a crash.
#[derive(Clone, Debug)]
pub enum Loss {
    /// The server is at an older revision than it was seen at.
    RevisionWentBack {
        /// The newest one that was seen.
        seen: Revision,
        /// Where it is.
        found: Revision,
    },
    /// A compaction that was acknowledged is undone, or one happened that nobody asked for.
    Compaction {
        /// The newest acknowledged one.
        acknowledged: Revision,
        /// The newest one that was tried.
        tried: Revision,
        /// The one there is.
        found: Revision,
    },
    /// What happened before the crash before is not what it was then.
    HistoryChanged {
        /// As it was.
        before: Option<Box<Event>>,
        /// As it is.
        now: Option<Box<Event>>,
    },
    /// A revision that nothing happened at.
    EmptyRevision(Revision),
    /// The history is not what was written.
    Contradiction(Contradiction),
    /// A hash that the history does not have.
    Hash {
        /// Of the history up to this.
        revision: Revision,
        /// As it is by the model.
        expected: u32,
        /// As the server says.
        found: u32,
    },
    /// A lease, user or role that is missing or should not be there.
    Existence {
        /// What.
        what: String,
        /// What is known of it.
        known: Existence,
    },
    /// A lease whose time to live, or keys, are others.
    Lease(i64),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Compares what a server shows, crash by crash.
#[derive(Debug, Default)]
pub struct Checker {
    /// Every event since the first revision, as found so far.
    events: Vec<Event>,
}

impl Checker {
    /// A checker of a server that was empty at first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every event found so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How far the history has been looked at. Only up to here it may be compacted.
    pub fn revision(&self) -> Revision {
        self.events.last().map_or(1, Event::revision)
    }

    /// Everything that was lost or invented. Settles in the ledger what became of writes whose outcome
    /// was unknown: what is not there now must not come later.
    pub fn check(&mut self, ledger: &mut Ledger, found: &Found) -> Vec<Loss> {
        let mut losses = Vec::new();
        if found.revision < ledger.seen {
            losses.push(Loss::RevisionWentBack {
                seen: ledger.seen,
                found: found.revision,
            });
        }
        if !(ledger.compacted..=ledger.compacting.max(ledger.compacted)).contains(&found.compacted)
        {
            losses.push(Loss::Compaction {
                acknowledged: ledger.compacted,
                tried: ledger.compacting,
                found: found.compacted,
            });
        }
        self.take_events(found, &mut losses);
        self.check_history(ledger, &mut losses);
        self.check_hashes(found, &mut losses);
        self.check_leases(ledger, found, &mut losses);
        let names = |what: &str, known: &BTreeMap<String, Existence>, found: &BTreeSet<String>| {
            let known = known.iter().map(|(name, known)| (name.clone(), *known));
            wrong_existence(what, known, found)
        };
        losses.extend(names("user", &ledger.users, &found.users));
        losses.extend(names("role", &ledger.roles, &found.roles));
        losses
    }

    /// Compares what is known already, and takes what is new.
    fn take_events(&mut self, found: &Found, losses: &mut Vec<Loss>) {
        let known_up_to = self.revision();
        let split = found
            .events
            .partition_point(|event| event.revision() <= known_up_to);
        let (again, new) = found.events.split_at(split);
        let from = self
            .events
            .partition_point(|event| event.revision() < found.compacted.max(1));
        let before = &self.events[from..];
        for index in 0..before.len().max(again.len()) {
            let (before, now) = (before.get(index), again.get(index));
            let same = |(a, b): (&Event, &Event)| a.is_delete == b.is_delete && a.kv == b.kv;
            if !before.zip(now).is_some_and(same) {
                losses.push(Loss::HistoryChanged {
                    before: before.cloned().map(Box::new),
                    now: now.cloned().map(Box::new),
                });
                break;
            }
        }
        let mut revision = known_up_to;
        for event in new {
            if event.revision() > revision + 1 {
                losses.push(Loss::EmptyRevision(revision + 1));
            }
            revision = event.revision();
        }
        if revision < found.revision {
            losses.push(Loss::EmptyRevision(found.revision));
        }
        self.events.extend(new.iter().cloned());
    }

    fn check_history(&self, ledger: &mut Ledger, losses: &mut Vec<Loss>) {
        let mut plain = self.events.clone();
        // What was compacted when it was read has no pair before.
        plain.iter_mut().for_each(|event| event.prev_kv = None);
        match History::new(plain) {
            Ok(history) => {
                let contradictions = history.contradictions(&ledger.writes);
                losses.extend(contradictions.into_iter().map(Loss::Contradiction));
                history.settle(&mut ledger.writes);
            }
            Err(contradictions) => {
                losses.extend(contradictions.into_iter().map(Loss::Contradiction));
            }
        }
    }

    fn check_hashes(&self, found: &Found, losses: &mut Vec<Loss>) {
        let model = HashModel::new(&self.events);
        for hash in &found.hashes {
            let expected = model.at(hash.revision, hash.compacted);
            let is_left_behind =
                hash.revision == found.compacted && hash.compacted < found.compacted;
            let is_of_now = hash.compacted == found.compacted;
            if hash.hash != expected || !(is_of_now || is_left_behind) {
                losses.push(Loss::Hash {
                    revision: hash.revision,
                    expected,
                    found: hash.hash,
                });
            }
        }
    }

    fn check_leases(&self, ledger: &Ledger, found: &Found, losses: &mut Vec<Loss>) {
        let known = ledger.leases.iter();
        let ids = found.leases.keys().copied().collect();
        losses.extend(wrong_existence(
            "lease",
            known.map(|(id, (_, known))| (*id, *known)),
            &ids,
        ));
        let mut keys: HashMap<i64, BTreeSet<Bytes>> = HashMap::new();
        for event in self.live() {
            if let Some(lease) = event.kv.lease {
                keys.entry(lease.0)
                    .or_default()
                    .insert(event.kv.key.clone());
            }
        }
        for (id, lease) in &found.leases {
            let granted = ledger.leases.get(id).map(|(ttl, _)| *ttl);
            let has = keys.remove(id).unwrap_or_default();
            if granted.is_some_and(|granted| granted != lease.ttl) || has != lease.keys {
                losses.push(Loss::Lease(*id));
            }
        }
        // Keys that have outlived their leases.
        losses.extend(keys.into_keys().map(Loss::Lease));
    }

    /// The newest events of the keys that are there.
    fn live(&self) -> impl Iterator<Item = &Event> {
        let newest: HashMap<&Bytes, &Event> = self
            .events
            .iter()
            .map(|event| (&event.kv.key, event))
            .collect();
        newest.into_values().filter(|event| !event.is_delete)
    }
}

fn wrong_existence<T: Ord + fmt::Display>(
    what: &str,
    known: impl Iterator<Item = (T, Existence)>,
    found: &BTreeSet<T>,
) -> Vec<Loss> {
    let known: BTreeMap<T, Existence> = known.collect();
    let loss = |name: &T, known: Existence| Loss::Existence {
        what: format!("{what} {name}"),
        known,
    };
    let missing = known
        .iter()
        .filter(|(name, known)| known.must_be() && !found.contains(name))
        .map(|(name, known)| loss(name, *known));
    let invented = found.iter().filter_map(|name| {
        let known = known.get(name).copied().unwrap_or_default();
        (!known.may_be()).then(|| loss(name, known))
    });
    missing.chain(invented).collect()
}
