//! Every interleaving of a few participants, a store and a network that loses answers and delivers late.
//!
//! The participants are the machines themselves. What the drivers do with them is played here in the
//! smallest steps that others can come between: a request is carried out, its answer arrives or is lost,
//! a request that was given up lands after all, a lease ends, somebody deletes a key, somebody loses
//! patience, a compaction leaves a watch in doubt.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use bytes::Bytes;

use super::{
    departure::{self, Departure},
    place::{self, Bid, Checked, Entered, News, Own, Place, Rival},
};
use crate::{Outcome, Revision};

/// What may happen, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Budget {
    /// Requests whose answer is lost, before or after they are carried out.
    lost_answers: u8,
    /// Waits that are given up.
    cancels: u8,
    /// Keys that are deleted by somebody else.
    deletions: u8,
    /// Leases that end.
    expiries: u8,
    /// Watches that cannot tell what has happened.
    doubts: u8,
}

/// What is queued for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Role {
    bid: Bid,
    /// Whose older keys are in the way: a bit for each participant.
    rivals: u8,
    rounds: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    limit: usize,
    revision: Revision,
    people: Vec<Person>,
    /// Requests that nobody waits for any more, and that may be carried out yet.
    limbo: Vec<(usize, Request)>,
    budget: Budget,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Person {
    role: Role,
    phase: Phase,
    sweeps: Vec<Sweep>,
    /// As the client knows it, which is no later than the server.
    is_lost: bool,
    is_leased: bool,
    /// Whether the newest that it knows of its key is that it was there.
    is_proven: bool,
    /// The revision that created the key, as it is in the store.
    key: Option<Revision>,
    /// When it was last put and deleted, which is all that watches from before see; 0 if never.
    put_at: Revision,
    deleted_at: Revision,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    Queueing(Place, Wire),
    Holding { created: Revision, at_large: u32 },
    Leaving(Departure, Wire),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sweep {
    departure: Departure,
    wire: Wire,
}

/// The one request that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Wire {
    Quiet,
    Sent(Request),
    Answered(Answer),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Request {
    Enter { newest: Option<Revision> },
    Check { created: Revision },
    Remove { created: Revision },
    Look,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Entered(Entered),
    Checked(Checked),
    Removed(Revision, bool),
    Looked(Revision, Option<Revision>),
}

fn name(who: usize) -> Bytes {
    who.to_string().into()
}

impl World {
    fn new(limit: usize, roles: &[Role], budget: Budget) -> Self {
        let people = roles.iter().map(|&role| Person {
            role,
            phase: Phase::Idle,
            sweeps: Vec::new(),
            is_lost: false,
            is_leased: true,
            is_proven: false,
            key: None,
            put_at: 0,
            deleted_at: 0,
        });
        Self {
            limit,
            revision: 1,
            people: people.collect(),
            limbo: Vec::new(),
            budget,
        }
    }

    /// The others in somebody's way that are no newer than this, newest first.
    fn window(&self, who: usize, newest: Revision) -> Vec<Rival> {
        let rivals = self.people[who].role.rivals;
        let keys = self.people.iter().enumerate();
        let mut keys: Vec<_> = keys
            .filter(|&(other, _)| other != who && rivals & (1 << other) != 0)
            .filter_map(|(other, person)| Some((person.key?, other)))
            .filter(|&(created, _)| created <= newest)
            .collect();
        keys.sort_unstable();
        let newest_first = keys.into_iter().rev().take(self.limit + 1);
        let rivals = newest_first.map(|(_, other)| Rival {
            key: name(other),
            value: Bytes::new(),
        });
        rivals.collect()
    }

    fn delete(&mut self, who: usize) {
        self.revision += 1;
        self.people[who].key = None;
        self.people[who].deleted_at = self.revision;
    }

    /// Carries a request out.
    fn carry_out(&mut self, who: usize, request: &Request) -> Answer {
        let own = self.people[who].key;
        match *request {
            Request::Enter { newest } => {
                let window = self.window(who, Revision::MAX);
                let newer = |newest| {
                    let rivals = self.people[who].role.rivals;
                    let mut others = self.people.iter().enumerate();
                    others.any(|(other, person)| {
                        other != who && rivals & (1 << other) != 0 && person.key > Some(newest)
                    })
                };
                // A put for a lease that is gone is refused; nobody waits for the answer then.
                let may_put = self.people[who].is_leased && !newest.is_some_and(newer);
                let own = match own {
                    Some(created) => Own::Found {
                        created,
                        changed: created,
                        is_right: true,
                    },
                    None if may_put => {
                        self.revision += 1;
                        self.people[who].key = Some(self.revision);
                        self.people[who].put_at = self.revision;
                        Own::Created
                    }
                    None => Own::Missing,
                };
                Answer::Entered(Entered {
                    revision: self.revision,
                    own,
                    others: window,
                })
            }
            Request::Check { created } => Answer::Checked(Checked {
                revision: self.revision,
                older: (own == Some(created)).then(|| self.window(who, created - 1)),
            }),
            Request::Remove { created } => {
                let is_there = own == Some(created);
                if is_there {
                    self.delete(who);
                }
                Answer::Removed(self.revision, is_there)
            }
            Request::Look => Answer::Looked(self.revision, own),
        }
    }

    /// All that may happen next, but for what is late.
    fn next(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for who in 0..self.people.len() {
            self.next_of(who, &mut all);
        }
        all
    }

    /// What has been given up may be carried out after all, or never.
    fn late(&self) -> Vec<Self> {
        let late = self
            .limbo
            .iter()
            .enumerate()
            .map(|(which, (who, request))| {
                let mut next = self.clone();
                next.limbo.remove(which);
                next.carry_out(*who, request);
                next
            });
        late.collect()
    }

    fn next_of(&self, who: usize, all: &mut Vec<Self>) {
        let person = &self.people[who];
        if self.budget.deletions > 0 && person.key.is_some() {
            let mut next = self.clone();
            next.budget.deletions -= 1;
            next.delete(who);
            all.push(next);
        }
        if person.is_lost {
            if person.is_leased {
                let mut next = self.clone();
                next.people[who].is_leased = false;
                if person.key.is_some() {
                    next.delete(who);
                }
                all.push(next);
            }
            return;
        }
        if self.budget.expiries > 0 {
            let mut next = self.clone();
            next.budget.expiries -= 1;
            next.abandon(who);
            next.people[who].is_lost = true;
            next.people[who].phase = Phase::Idle;
            next.people[who].sweeps.clear();
            all.push(next);
        }
        match &person.phase {
            Phase::Idle => {
                if person.role.rounds > 0 && !person.is_sweeping() {
                    let mut next = self.clone();
                    let role = &mut next.people[who].role;
                    role.rounds -= 1;
                    let place = Place::new(self.limit, role.bid, None, true);
                    next.people[who].phase = Phase::Queueing(place, Wire::Quiet);
                    all.push(next);
                }
            }
            Phase::Queueing(place, wire) => {
                if self.budget.cancels > 0 {
                    let mut next = self.clone();
                    next.budget.cancels -= 1;
                    next.abandon(who);
                    next.people[who].phase = Phase::Leaving(place.leave(), Wire::Quiet);
                    all.push(next);
                }
                self.next_wire(who, None, wire, all);
                if let place::Step::Watch { rivals, after } = place.step() {
                    self.next_news(who, &rivals, after, all);
                }
            }
            Phase::Holding { created, at_large } => {
                let is_gone = person.key != Some(*created);
                let mut released = self.clone();
                let departure = Departure::new(Some(*created), *at_large, true);
                released.people[who].phase = Phase::Leaving(departure, Wire::Quiet);
                all.push(released);
                if is_gone {
                    let mut found_out = self.clone();
                    let departure = Departure::after_deletion(*created, *at_large, true);
                    found_out.people[who].phase = Phase::Leaving(departure, Wire::Quiet);
                    all.push(found_out);
                }
            }
            Phase::Leaving(_, wire) => self.next_wire(who, None, wire, all),
        }
        for (which, sweep) in person.sweeps.iter().enumerate() {
            self.next_wire(who, Some(which), &sweep.wire, all);
            if let departure::Step::Sweep { after } = sweep.departure.step()
                && person.phase == Phase::Idle
                && !person.is_sweeping()
                && person.put_at > after
            {
                let mut next = self.clone();
                next.people[who].sweeps[which].departure.appeared();
                all.push(next);
            }
        }
    }

    fn next_news(&self, who: usize, rivals: &[Bytes], after: Revision, all: &mut Vec<Self>) {
        let tell = |news| {
            let mut next = self.clone();
            let person = &mut next.people[who];
            if let Phase::Queueing(place, _) = &mut person.phase {
                person.is_proven = false;
                place.told(news);
            }
            next
        };
        let is_deleted = |person: &Person| person.deleted_at > after;
        if is_deleted(&self.people[who]) {
            all.push(tell(News::OwnGone));
        }
        let mut others = self.people.iter().enumerate();
        if others.any(|(other, person)| rivals.contains(&name(other)) && is_deleted(person)) {
            all.push(tell(News::Doubt));
        }
        if self.budget.doubts > 0 {
            let mut next = tell(News::Doubt);
            next.budget.doubts -= 1;
            all.push(next);
        }
    }

    /// What may become of the request that somebody waits for; `sweep` says who of a person.
    fn next_wire(&self, who: usize, sweep: Option<usize>, wire: &Wire, all: &mut Vec<Self>) {
        let loses = self.budget.lost_answers > 0;
        match wire {
            Wire::Quiet => {}
            Wire::Sent(request) => {
                let mut next = self.clone();
                let answer = next.carry_out(who, request);
                *next.wire(who, sweep) = Wire::Answered(answer);
                all.push(next);
                if loses {
                    let mut next = self.clone();
                    next.budget.lost_answers -= 1;
                    next.limbo.push((who, request.clone()));
                    next.fail(who, sweep, request);
                    all.push(next);
                }
            }
            Wire::Answered(answer) => {
                let mut next = self.clone();
                next.deliver(who, sweep, answer.clone());
                all.push(next);
                if loses {
                    let mut next = self.clone();
                    next.budget.lost_answers -= 1;
                    let is_entry = matches!(answer, Answer::Entered(_));
                    let request = if is_entry {
                        Request::Enter { newest: None }
                    } else {
                        Request::Look
                    };
                    next.fail(who, sweep, &request);
                    all.push(next);
                }
            }
        }
    }

    fn wire(&mut self, who: usize, sweep: Option<usize>) -> &mut Wire {
        let person = &mut self.people[who];
        match (sweep, &mut person.phase) {
            (Some(which), _) => &mut person.sweeps[which].wire,
            (None, Phase::Queueing(_, wire) | Phase::Leaving(_, wire)) => wire,
            (None, _) => unreachable!("nothing is sent"),
        }
    }

    /// The answer to a request is not known; whoever asked will ask again.
    fn fail(&mut self, who: usize, sweep: Option<usize>, request: &Request) {
        *self.wire(who, sweep) = Wire::Quiet;
        if let (Phase::Queueing(place, _), Request::Enter { .. }) =
            (&mut self.people[who].phase, request)
        {
            place.enter_failed(Outcome::Unknown);
        }
    }

    /// Whoever waits for an answer stops waiting.
    fn abandon(&mut self, who: usize) {
        let person = &self.people[who];
        let mut wires: Vec<_> = person.sweeps.iter().map(|sweep| &sweep.wire).collect();
        if let Phase::Queueing(_, wire) | Phase::Leaving(_, wire) = &person.phase {
            wires.push(wire);
        }
        let sent = wires.into_iter().filter_map(|wire| match wire {
            Wire::Sent(request) => Some((who, request.clone())),
            Wire::Quiet | Wire::Answered(_) => None,
        });
        let sent: Vec<_> = sent.collect();
        self.limbo.extend(sent);
    }

    fn deliver(&mut self, who: usize, sweep: Option<usize>, answer: Answer) {
        *self.wire(who, sweep) = Wire::Quiet;
        let person = &mut self.people[who];
        let departure = match (sweep, &mut person.phase) {
            (Some(which), _) => &mut person.sweeps[which].departure,
            (None, Phase::Leaving(departure, _)) => departure,
            (None, Phase::Queueing(place, _)) => match answer {
                Answer::Entered(answer) => {
                    person.is_proven = answer.own != Own::Missing;
                    return place.entered(answer);
                }
                Answer::Checked(answer) => {
                    person.is_proven = answer.older.is_some();
                    return place.checked(answer);
                }
                _ => unreachable!("not an answer to a place"),
            },
            (None, _) => unreachable!("nothing was asked"),
        };
        match answer {
            Answer::Removed(revision, was_there) => departure.removed(revision, was_there),
            Answer::Looked(revision, created) => departure.looked(revision, created),
            _ => unreachable!("not an answer to a departure"),
        }
    }

    /// Does what nobody can come between: sending, and going from one phase to the next.
    fn settle(mut self) -> Self {
        for person in &mut self.people {
            if person.is_lost {
                continue;
            }
            person.settle();
        }
        let people = &self.people;
        // What can have no effect any more may as well be lost.
        self.limbo.retain(|(who, request)| match request {
            Request::Enter { .. } => people[*who].is_leased,
            Request::Remove { created } => people[*who].key == Some(*created),
            Request::Check { .. } | Request::Look => false,
        });
        self.limbo.sort_unstable();
        self
    }

    /// Nobody whose key is there believes to hold while too many older ones are.
    fn assert_safe(&self) {
        for (who, person) in self.people.iter().enumerate() {
            if let Phase::Holding { created, .. } = person.phase
                && person.key == Some(created)
            {
                let older = self.window(who, created - 1);
                assert!(older.len() < self.limit, "{who} holds too early: {self:#?}");
            }
        }
    }

    /// Nothing more will happen: nobody waits, and no key is left.
    fn assert_over(&self) {
        for person in &self.people {
            assert_eq!(person.phase, Phase::Idle, "a lost wake-up: {self:#?}");
            assert_eq!(person.key, None, "an orphan: {self:#?}");
        }
    }
}

impl Person {
    /// Whether one of the sweeps is at the key.
    fn is_sweeping(&self) -> bool {
        let mut steps = self.sweeps.iter().map(|sweep| sweep.departure.step());
        steps.any(|step| !matches!(step, departure::Step::Sweep { .. }))
    }

    fn settle(&mut self) {
        if let Phase::Queueing(place, wire @ Wire::Quiet) = &mut self.phase {
            match place.step() {
                place::Step::Enter { newest } => {
                    place.enters();
                    *wire = Wire::Sent(Request::Enter { newest });
                }
                place::Step::Check { created } => *wire = Wire::Sent(Request::Check { created }),
                place::Step::Watch { .. } => {}
                place::Step::Admitted { created } => {
                    assert!(self.is_proven, "holds what is gone: {place:?}");
                    let at_large = place.at_large();
                    self.phase = Phase::Holding { created, at_large };
                }
                place::Step::Refused(_) => self.phase = Phase::Leaving(place.leave(), Wire::Quiet),
                place::Step::Rewrite { .. } => unreachable!("values are right"),
            }
        }
        if let Phase::Leaving(departure, wire @ Wire::Quiet) = &mut self.phase {
            match ask(departure) {
                Some(request) => *wire = Wire::Sent(request),
                None => {
                    let (departure, wire) = (departure.clone(), Wire::Quiet);
                    self.sweeps.push(Sweep { departure, wire });
                    self.phase = Phase::Idle;
                }
            }
        }
        for sweep in &mut self.sweeps {
            if let (Wire::Quiet, Some(request)) = (&sweep.wire, ask(&sweep.departure)) {
                sweep.wire = Wire::Sent(request);
            }
        }
        let is_over = |sweep: &Sweep| sweep.departure.step() == departure::Step::Done;
        self.sweeps.retain(|sweep| !is_over(sweep));
    }
}

fn ask(departure: &Departure) -> Option<Request> {
    match departure.step() {
        departure::Step::Remove { created } => Some(Request::Remove { created }),
        departure::Step::Look => Some(Request::Look),
        departure::Step::Sweep { .. } | departure::Step::Done => None,
    }
}

/// Goes everywhere.
fn explore(limit: usize, roles: &[Role], budget: Budget) {
    let first = World::new(limit, roles, budget).settle();
    // A digest is enough: two worlds of one digest in some hundred thousand are one chance in millions.
    let hasher = BuildHasherDefault::<DefaultHasher>::new();
    let digest = |world: &World| hasher.hash_one(world);
    let mut seen = HashSet::from([digest(&first)]);
    let mut open = vec![first];
    while let Some(world) = open.pop() {
        world.assert_safe();
        let next = world.next();
        if next.is_empty() {
            world.assert_over();
        }
        for world in next.into_iter().chain(world.late()) {
            let world = world.settle();
            if seen.insert(digest(&world)) {
                open.push(world);
            }
        }
    }
    println!("{} worlds of {roles:?} with {budget:?}", seen.len());
}

fn queueing(rivals: u8, rounds: u8) -> Role {
    let bid = Bid::Queue;
    Role {
        bid,
        rivals,
        rounds,
    }
}

fn trying(rivals: u8, rounds: u8) -> Role {
    let bid = Bid::Try;
    Role {
        bid,
        rivals,
        rounds,
    }
}

const NONE: Budget = Budget {
    lost_answers: 0,
    cancels: 0,
    deletions: 0,
    expiries: 0,
    doubts: 0,
};

#[test]
fn what_is_lost_and_late_leaves_no_orphan_and_gives_nobody_the_lock_too_early() {
    let budget = Budget {
        lost_answers: 2,
        cancels: 2,
        ..NONE
    };
    explore(1, &[queueing(0b1, 2)], budget);
    let budget = Budget {
        lost_answers: 1,
        cancels: 1,
        ..NONE
    };
    explore(1, &[queueing(0b11, 2), queueing(0b11, 1)], budget);
    explore(1, &[trying(0b11, 2), queueing(0b11, 1)], budget);
}

#[test]
fn keys_and_leases_that_go_take_the_lock_along() {
    let budget = Budget {
        lost_answers: 1,
        deletions: 1,
        expiries: 1,
        ..NONE
    };
    explore(1, &[queueing(0b11, 1), queueing(0b11, 1)], budget);
    let budget = Budget {
        cancels: 1,
        deletions: 1,
        doubts: 1,
        ..NONE
    };
    explore(1, &[queueing(0b11, 2), queueing(0b11, 1)], budget);
}

#[test]
fn three_wait_for_each_other_and_none_is_forgotten() {
    let cancelled = Budget { cancels: 1, ..NONE };
    let deleted = Budget {
        deletions: 1,
        ..NONE
    };
    let lock = [queueing(0b111, 1); 3];
    explore(1, &lock, cancelled);
    explore(1, &lock, deleted);
    // Two permits for three.
    explore(2, &lock, cancelled);
    explore(2, &lock, deleted);
    explore(
        1,
        &[trying(0b111, 1), trying(0b111, 1), queueing(0b111, 1)],
        cancelled,
    );
    // Two readers, whom only the writer is in the way of, and the writer.
    let [reader, writer] = [queueing(0b100, 1), queueing(0b111, 1)];
    explore(1, &[reader, reader, writer], cancelled);
    explore(1, &[reader, reader, writer], deleted);
}
