//! Comparing a watch with what happened.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

use bytes::Bytes;
use etcdkit::{KeyValue, Revision};

use super::{Event, History, Watched};

/// What etcd promises about watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// Revisions never go back, and changes of one revision keep their order.
    Ordered,
    /// No event comes twice.
    Unique,
    /// The events of one revision come together.
    Atomic,
    /// Nothing between two delivered events is missing.
    Reliable,
    /// All from the start revision comes, and nothing from before it.
    Resumable,
    /// What was said to have been delivered was, and does not come later.
    Bookmarkable,
    /// The pair before a change is the one that was there.
    PrevKv,
    /// Only what was asked for comes, and as it happened.
    Filter,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An event from before the start revision.
    BeforeStart(Event),
    /// An event that should have come before another one that did.
    OutOfOrder(Event),
    /// An event that came before.
    Twice(Event),
    /// A revision whose events came in several deliveries.
    Split(Revision),
    /// An event that did not come, though later ones or a promise of its revision did.
    Missing {
        /// The event.
        event: Event,
        /// Whether any event of a revision before it came.
        after_others: bool,
    },
    /// An event that came after its revision had been promised.
    AfterPromise {
        /// The revision that was promised.
        promised: Revision,
        /// The event.
        event: Event,
    },
    /// A promise of less than was promised or delivered before.
    PromiseWentBack {
        /// What was promised or delivered.
        before: Revision,
        /// What was promised then.
        promised: Revision,
    },
    /// Another pair before a change than there was.
    WrongPrevious {
        /// The event.
        event: Event,
        /// The pair there was, if it was asked for.
        expected: Option<KeyValue>,
    },
    /// An event that was not asked for.
    Unwanted(Event),
    /// An event that did not happen, or not like this.
    Invented(Event),
}

impl Violation {
    /// The promise that was not kept.
    pub fn promise(&self) -> Promise {
        match self {
            Self::BeforeStart(_) => Promise::Resumable,
            Self::OutOfOrder(_) => Promise::Ordered,
            Self::Twice(_) => Promise::Unique,
            Self::Split(_) => Promise::Atomic,
            Self::Missing {
                after_others: true, ..
            } => Promise::Reliable,
            Self::Missing { .. } => Promise::Resumable,
            Self::AfterPromise { .. } | Self::PromiseWentBack { .. } => Promise::Bookmarkable,
            Self::WrongPrevious { .. } => Promise::PrevKv,
            Self::Unwanted(_) | Self::Invented(_) => Promise::Filter,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {:?}: {self:?}", self.promise())
    }
}

impl History {
    /// Every violation of a promise by a watch that should have delivered everything up to `until`,
    /// or further if it says so itself.
    ///
    /// The history must go at least as far as the watch came.
    pub fn check(&self, watched: &Watched, until: Revision) -> Vec<Violation> {
        let mut check = Check {
            history: self,
            watched,
            violations: Vec::new(),
            seen: HashSet::new(),
            newest: None,
            promised: None,
        };
        for delivery in &watched.deliveries {
            for event in &delivery.events {
                check.event(event);
            }
            if let Some(promised) = delivery.promised {
                check.promise(promised);
            }
        }
        check.split();
        check.missing(until);
        check.violations
    }
}

struct Check<'a> {
    history: &'a History,
    watched: &'a Watched,
    violations: Vec<Violation>,
    /// Which keys came at which revisions.
    seen: HashSet<(Revision, Bytes)>,
    /// Where the newest event stands in the history: its revision, and its place in that.
    newest: Option<(Revision, usize)>,
    promised: Option<Revision>,
}

impl Check<'_> {
    fn event(&mut self, event: &Event) {
        let asked = &self.watched.asked;
        let revision = event.revision();
        if !asked.wants(event) {
            self.violations.push(Violation::Unwanted(event.clone()));
            return;
        }
        let happened = self.happened(event);
        let Some((place, truth)) = happened else {
            self.violations.push(Violation::Invented(event.clone()));
            return;
        };
        if !self.previous_is_right(event, truth) {
            self.violations.push(Violation::WrongPrevious {
                event: event.clone(),
                expected: truth.prev_kv.clone().filter(|_| asked.prev_kv),
            });
        }
        if revision < asked.start {
            self.violations.push(Violation::BeforeStart(event.clone()));
        }
        if !self.seen.insert((revision, event.kv.key.clone())) {
            self.violations.push(Violation::Twice(event.clone()));
            return;
        }
        if let Some(promised) = self.promised
            && revision <= promised
        {
            self.violations.push(Violation::AfterPromise {
                promised,
                event: event.clone(),
            });
        }
        let position = Some((revision, place));
        if position < self.newest {
            self.violations.push(Violation::OutOfOrder(event.clone()));
        }
        self.newest = self.newest.max(position);
    }

    /// The event as it happened, and its place in its revision.
    fn happened(&self, event: &Event) -> Option<(usize, &Event)> {
        let events = self.history.revisions.get(&event.revision())?;
        let found = events
            .iter()
            .enumerate()
            .find(|(_, truth)| truth.kv.key == event.kv.key);
        found.filter(|(_, truth)| truth.is_delete == event.is_delete && truth.kv == event.kv)
    }

    fn previous_is_right(&self, event: &Event, truth: &Event) -> bool {
        let Some(given) = &event.prev_kv else {
            // etcd reads it at the revision before the event.
            let compacted = event.revision() <= self.history.compacted;
            return !self.watched.asked.prev_kv || truth.prev_kv.is_none() || compacted;
        };
        self.watched.asked.prev_kv && Some(given) == truth.prev_kv.as_ref()
    }

    fn promise(&mut self, promised: Revision) {
        let before = self.promised.max(self.newest.map(|(revision, _)| revision));
        if let Some(before) = before
            && promised < before
        {
            self.violations
                .push(Violation::PromiseWentBack { before, promised });
        }
        self.promised = self.promised.max(Some(promised));
    }

    fn split(&mut self) {
        let mut done = HashSet::new();
        for delivery in &self.watched.deliveries {
            let revisions: BTreeSet<_> = delivery.events.iter().map(Event::revision).collect();
            for revision in revisions {
                if !done.insert(revision) {
                    self.violations.push(Violation::Split(revision));
                }
            }
        }
    }

    fn missing(&mut self, until: Revision) {
        let first_seen = self.seen.iter().map(|(revision, _)| *revision).min();
        let until = until.max(self.watched.reached());
        let asked = &self.watched.asked;
        let happened = self.history.revisions.range(asked.start..);
        let missing = happened
            .take_while(|(revision, _)| **revision <= until)
            .flat_map(|(_, events)| events)
            .filter(|event| asked.wants(event))
            .filter(|event| {
                !self
                    .seen
                    .contains(&(event.revision(), event.kv.key.clone()))
            })
            .map(|event| Violation::Missing {
                event: event.clone(),
                after_others: first_seen.is_some_and(|first| first < event.revision()),
            });
        self.violations.extend(missing);
    }
}
