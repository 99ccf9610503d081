//! Every violation is found: right observations of random histories are made wrong in every way.

use std::collections::HashMap;

use bytes::Bytes;
use etcdkit::{KeyRange, KeyValue, Revision};

use super::*;

const FIRST: Revision = 10;

/// How many random histories each test takes.
const ROUNDS: u64 = 100;

/// Changes of a few keys at some revisions, as a store makes them.
fn random_events(random: &mut fastrand::Rng) -> Vec<Event> {
    let mut pairs: HashMap<Bytes, KeyValue> = HashMap::new();
    let mut events = Vec::new();
    let mut revision = FIRST;
    for number in 0..60 {
        // Others write, too.
        revision += random.i64(1..3);
        let mut keys: Vec<String> = ["a", "b", "c", "d/1", "d/2"].map(str::to_owned).to_vec();
        random.shuffle(&mut keys);
        keys.truncate(random.usize(1..4));
        for key in keys {
            let key = Bytes::from(key);
            let before = pairs.get(&key).cloned();
            let is_delete = before.is_some() && random.u8(..4) == 0;
            let mut kv = KeyValue::default();
            kv.key = key.clone();
            kv.mod_revision = revision;
            if is_delete {
                pairs.remove(&key);
            } else {
                kv.value = Bytes::from(number.to_string());
                kv.version = before.as_ref().map_or(1, |before| before.version + 1);
                kv.create_revision = before.as_ref().map_or(revision, |it| it.create_revision);
                pairs.insert(key, kv.clone());
            }
            events.push(Event {
                is_delete,
                kv,
                prev_kv: before,
            });
        }
    }
    events
}

fn history(events: &[Event]) -> History {
    History::new(events.to_vec()).expect("a possible history")
}

/// What a right watch delivers, in random portions, with random bookmarks.
fn watched(events: &[Event], asked: Asked, random: &mut fastrand::Rng) -> Watched {
    let mut watched = Watched::new(asked);
    let mut delivery = Vec::new();
    let mut revision = 0;
    let wanted: Vec<&Event> = events
        .iter()
        .filter(|event| event.revision() >= watched.asked.start && watched.asked.wants(event))
        .collect();
    for event in wanted {
        if event.revision() > revision && !delivery.is_empty() && random.bool() {
            let promised = random.bool().then_some(revision);
            let events = std::mem::take(&mut delivery);
            watched.deliveries.push(Delivery { events, promised });
            if random.bool() {
                let events = Vec::new();
                let promised = Some(event.revision() - 1);
                watched.deliveries.push(Delivery { events, promised });
            }
        }
        revision = event.revision();
        let mut event = event.clone();
        if !watched.asked.prev_kv {
            event.prev_kv = None;
        }
        delivery.push(event);
    }
    watched.deliveries.push(Delivery {
        events: delivery,
        promised: None,
    });
    watched
}

struct Round {
    seed: u64,
    random: fastrand::Rng,
    events: Vec<Event>,
    history: History,
    watched: Watched,
}

impl Round {
    fn new(seed: u64, ask: impl FnOnce(Asked) -> Asked) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let events = random_events(&mut random);
        let start = events[random.usize(..events.len() / 2)].revision() + random.i64(..2);
        let watched = watched(
            &events,
            ask(Asked::all(KeyRange::all(), start)),
            &mut random,
        );
        Self {
            seed,
            random,
            history: history(&events),
            events,
            watched,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        (0..ROUNDS).map(|seed| Self::new(seed, |asked| asked))
    }

    fn violations(&self) -> Vec<Violation> {
        self.history
            .check(&self.watched, self.history.last_revision())
    }

    fn is_right(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "seed {}: {violations:#?}", self.seed);
    }

    /// Among the violations is one of this promise.
    fn breaks(&self, promise: Promise) {
        let violations = self.violations();
        assert!(
            violations
                .iter()
                .any(|violation| violation.promise() == promise),
            "seed {}: {violations:#?}",
            self.seed
        );
    }

    /// A delivery and a place in it.
    fn somewhere(&mut self) -> (usize, usize) {
        loop {
            let delivery = self.random.usize(..self.watched.deliveries.len());
            let events = &self.watched.deliveries[delivery].events;
            if !events.is_empty() {
                return (delivery, self.random.usize(..events.len()));
            }
        }
    }

    fn event_at(&mut self, (delivery, place): (usize, usize)) -> &mut Event {
        &mut self.watched.deliveries[delivery].events[place]
    }

    fn deliver(&mut self, event: Event) {
        let (events, promised) = (vec![event], None);
        self.watched.deliveries.push(Delivery { events, promised });
    }
}

#[test]
fn a_right_watch_has_kept_everything() {
    for round in Round::all() {
        round.is_right();
    }
    for seed in 0..ROUNDS {
        let narrow = |asked: Asked| Asked {
            keys: KeyRange::prefix("d/").into_owned(),
            deletes: seed % 2 == 0,
            puts: seed % 3 != 0,
            prev_kv: seed % 5 == 0,
            ..asked
        };
        Round::new(seed, narrow).is_right();
    }
}

#[test]
fn a_missing_event_is_found() {
    for mut round in Round::all() {
        let (delivery, place) = round.somewhere();
        let lost = round.watched.deliveries[delivery].events.remove(place);
        let before = round
            .watched
            .events()
            .any(|event| event.revision() < lost.revision());
        round.breaks(if before {
            Promise::Reliable
        } else {
            Promise::Resumable
        });
    }
}

#[test]
fn a_silent_end_is_found() {
    for mut round in Round::all() {
        let (delivery, _) = round.somewhere();
        round.watched.deliveries.truncate(delivery);
        assert!(!round.violations().is_empty(), "seed {}", round.seed);
        // Unless no more was to be expected.
        let violations = round.history.check(&round.watched, 0);
        assert!(
            violations.is_empty(),
            "seed {}: {violations:#?}",
            round.seed
        );
    }
}

#[test]
fn a_second_delivery_is_found() {
    for mut round in Round::all() {
        let from = round.somewhere();
        let again = round.event_at(from).clone();
        round.deliver(again);
        round.breaks(Promise::Unique);
    }
}

#[test]
fn disorder_is_found() {
    for mut round in Round::all() {
        let mut events: Vec<Event> = round.watched.events().cloned().collect();
        let first = round.random.usize(..events.len() - 1);
        events.swap(first, first + 1);
        round.watched.deliveries = vec![Delivery {
            events,
            promised: None,
        }];
        round.breaks(Promise::Ordered);
    }
}

#[test]
fn a_split_revision_is_found() {
    let mut split = 0;
    for mut round in Round::all() {
        let found = round.watched.deliveries.iter().position(|delivery| {
            let events = &delivery.events;
            events
                .windows(2)
                .any(|pair| pair[0].revision() == pair[1].revision())
        });
        let Some(position) = found else { continue };
        let delivery = &mut round.watched.deliveries[position];
        let cut = delivery
            .events
            .windows(2)
            .position(|pair| pair[0].revision() == pair[1].revision());
        let events = delivery
            .events
            .split_off(cut.expect("two events of a revision") + 1);
        let second = Delivery {
            events,
            promised: delivery.promised.take(),
        };
        round.watched.deliveries.insert(position + 1, second);
        round.breaks(Promise::Atomic);
        split += 1;
    }
    assert!(split > ROUNDS / 2);
}

#[test]
fn an_event_from_before_the_start_is_found() {
    for mut round in Round::all() {
        let start = round.watched.asked.start;
        let early = round.events.iter().rfind(|event| event.revision() < start);
        let Some(early) = early.cloned() else {
            continue;
        };
        let (events, promised) = (vec![early], None);
        round
            .watched
            .deliveries
            .insert(0, Delivery { events, promised });
        round.breaks(Promise::Resumable);
    }
}

#[test]
fn a_broken_bookmark_is_found() {
    for mut round in Round::all() {
        // A promise that runs ahead of what comes after it.
        let (delivery, _) = round.somewhere();
        let last = round.watched.deliveries[delivery].events.last();
        let promised = last.map(Event::revision);
        let bookmark = Delivery {
            events: Vec::new(),
            promised,
        };
        round.watched.deliveries.insert(delivery, bookmark);
        round.breaks(Promise::Bookmarkable);
    }
    for mut round in Round::all() {
        // One that takes back an earlier one.
        for promised in [1_000, 999] {
            let events = Vec::new();
            let promised = Some(promised);
            round.watched.deliveries.push(Delivery { events, promised });
        }
        round.breaks(Promise::Bookmarkable);
    }
}

#[test]
fn a_wrong_previous_pair_is_found() {
    for kind in 0..3 {
        for mut round in Round::all() {
            let there = round.somewhere();
            let event = round.event_at(there);
            match (&mut event.prev_kv, kind) {
                (Some(prev), 0) => prev.value = Bytes::from_static(b"wrong"),
                (Some(prev), 1) => prev.mod_revision -= 1,
                (prev @ Some(_), _) => *prev = None,
                (prev, _) => *prev = Some(KeyValue::default()),
            }
            round.breaks(Promise::PrevKv);
        }
    }
    // It was not asked for.
    for seed in 0..ROUNDS {
        let mut round = Round::new(seed, |asked| Asked {
            prev_kv: false,
            ..asked
        });
        let there = round.somewhere();
        round.event_at(there).prev_kv = Some(KeyValue::default());
        round.breaks(Promise::PrevKv);
    }
}

#[test]
fn a_compacted_previous_pair_may_be_missing() {
    for mut round in Round::all() {
        let there = round.somewhere();
        let event = round.event_at(there);
        let revision = event.revision();
        if event.prev_kv.take().is_none() {
            continue;
        }
        round.history = round.history.compacted_at(revision);
        round.is_right();
        round.history = round.history.compacted_at(revision - 1);
        round.breaks(Promise::PrevKv);
    }
}

#[test]
fn an_event_that_was_not_asked_for_is_found() {
    for seed in 0..ROUNDS {
        let mut round = Round::new(seed, |asked| Asked {
            keys: KeyRange::prefix("d/").into_owned(),
            ..asked
        });
        let start = round.watched.asked.start;
        let foreign = round
            .events
            .iter()
            .find(|event| event.revision() >= start && event.kv.key == "a");
        let Some(foreign) = foreign.cloned() else {
            continue;
        };
        round.deliver(foreign);
        round.breaks(Promise::Filter);
    }
    for (puts, deletes) in [(true, false), (false, true)] {
        for seed in 0..ROUNDS {
            let mut round = Round::new(seed, |asked| Asked {
                puts,
                deletes,
                ..asked
            });
            let filtered = round.events.iter().rfind(|event| event.is_delete == puts);
            let filtered = filtered.expect("one of the other kind").clone();
            round.deliver(filtered);
            round.breaks(Promise::Filter);
        }
    }
}

#[test]
fn an_event_that_did_not_happen_is_found() {
    for kind in 0..6 {
        for mut round in Round::all() {
            let there = round.somewhere();
            let event = round.event_at(there);
            match kind {
                0 => event.kv.value = Bytes::from_static(b"wrong"),
                1 => event.kv.mod_revision += 1_000,
                2 => event.kv.create_revision += 1,
                3 => event.kv.version += 1,
                4 => event.kv.key = Bytes::from_static(b"e"),
                _ => event.is_delete = !event.is_delete,
            }
            round.breaks(Promise::Filter);
        }
    }
}

#[test]
fn an_impossible_history_is_none() {
    for round in Round::all() {
        let mut random = round.random.clone();
        let place = random.usize(..round.events.len());
        for kind in 0..4 {
            let mut events = round.events.clone();
            let event = &mut events[place];
            match kind {
                0 => event.kv.version += 1,
                1 => event.kv.create_revision += 1,
                2 => event.prev_kv = Some(KeyValue::default()),
                _ => events.reverse(),
            }
            assert!(History::new(events).is_err(), "seed {}, {kind}", round.seed);
        }
        // Without its pairs before, it computes them.
        let mut events = round.events.clone();
        for event in &mut events {
            event.prev_kv = None;
        }
        assert!(history(&events).events().eq(round.history.events()));
    }
}

/// The writes that make a history, of which every third has an unknown outcome.
fn writes(history: &History) -> Writes {
    let mut writes = Writes::default();
    for (number, (revision, events)) in history.revisions.iter().enumerate() {
        let changes = events.iter().map(|event| Change {
            key: event.kv.key.clone(),
            value: (!event.is_delete).then(|| event.kv.value.clone()),
        });
        writes.add(
            changes,
            match number % 3 {
                0 => Outcome::Unknown,
                _ => Outcome::Applied(*revision),
            },
        );
    }
    writes
}

#[test]
fn a_history_follows_from_what_was_written() {
    for round in Round::all() {
        let mut writes = writes(&round.history);
        assert_eq!(round.history.contradictions(&writes), []);
        assert_eq!(writes.all().len(), writes.applied() + writes.unknown());
        // What is unknown need not have happened, and what failed has not.
        writes.add([Change::put("x", "never")], Outcome::Unknown);
        writes.add([Change::put("x", "never")], Outcome::NotApplied);
        assert_eq!(round.history.contradictions(&writes), []);
        // What was acknowledged has.
        writes.add([Change::put("x", "1")], Outcome::Applied(FIRST + 1));
        assert!(matches!(
            round.history.contradictions(&writes)[..],
            [Contradiction::Lost(_)]
        ));
    }
}

#[test]
fn what_nobody_wrote_is_found() {
    for round in Round::all() {
        let all = writes(&round.history);
        let missing = round.random.clone().usize(..all.all().len());
        let mut some = Writes::default();
        for (number, write) in all.all().iter().enumerate() {
            if number != missing {
                some.add(write.changes.clone(), write.outcome);
            }
        }
        assert!(matches!(
            round.history.contradictions(&some)[..],
            [Contradiction::Invented(..)]
        ));
    }
}

#[test]
fn what_happened_twice_is_found() {
    let put = |revision: Revision, version, create| {
        let mut kv = KeyValue::default();
        (kv.key, kv.value) = ("k".into(), "v".into());
        (kv.mod_revision, kv.version, kv.create_revision) = (revision, version, create);
        Event {
            is_delete: false,
            kv,
            prev_kv: None,
        }
    };
    let history = history(&[put(5, 1, 5), put(6, 2, 5)]);
    for outcome in [Outcome::Unknown, Outcome::Applied(5)] {
        let mut writes = Writes::default();
        writes.add([Change::put("k", "v")], outcome);
        assert!(matches!(
            history.contradictions(&writes)[..],
            [Contradiction::Invented(..)]
        ));
    }
}
