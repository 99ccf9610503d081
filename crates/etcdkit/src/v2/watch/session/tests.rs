use std::collections::VecDeque;

use super::*;

const LONGEST: Duration = Duration::from_secs(180);

fn session(from: Option<u64>) -> Session {
    Session::new(Scope::new("/k", true), from, LONGEST)
}

fn began(session: &mut Session, index: u64) {
    session.began(index, Instant::now());
}

#[test]
fn the_next_question_is_for_what_follows_the_event() {
    let mut session = session(Some(5));
    assert_eq!(session.ask(), Ask::Wait(Some(5)));
    // Events that happened between 7 and 20 are in the history, and not told yet.
    began(&mut session, 20);
    assert_eq!(session.heard("/k/a", Action::Set, 7), Heard::News);
    assert_eq!(session.ask(), Ask::Wait(Some(8)));
}

#[test]
fn now_is_when_a_server_was_first_reached() {
    let mut session = session(None);
    assert_eq!(session.ask(), Ask::Wait(None));
    began(&mut session, 20);
    // Even if the answer breaks off here.
    assert_eq!(session.ask(), Ask::Wait(Some(21)));
}

#[test]
fn silence_is_believed_when_it_is_heard_twice() {
    let mut session = session(Some(5));
    began(&mut session, 300);
    session.silent();
    assert_eq!(session.ask(), Ask::Wait(Some(5)));
    began(&mut session, 600);
    session.silent();
    assert_eq!(session.ask(), Ask::Wait(Some(301)));
    began(&mut session, 700);
    session.silent();
    assert_eq!(session.ask(), Ask::Wait(Some(601)));
}

#[test]
fn an_event_that_got_lost_in_silence_is_still_told() {
    let mut session = session(Some(5));
    began(&mut session, 10);
    // The event of index 7 was sent, and never arrived.
    session.silent();
    began(&mut session, 12);
    assert_eq!(session.heard("/k/a", Action::Set, 7), Heard::News);
}

#[test]
fn what_is_forgotten_is_skipped_if_it_was_silent_once() {
    let mut session = session(Some(5));
    began(&mut session, 10);
    session.silent();
    session.cleared();
    assert_eq!(session.ask(), Ask::Wait(Some(11)));
    session.cleared();
    assert_eq!(session.ask(), Ask::List);
    assert_eq!(session.listed(5_000, Instant::now()), Listed::Cleared);
    assert_eq!(session.ask(), Ask::Wait(Some(5_001)));
}

#[test]
fn an_answer_that_breaks_off_changes_nothing() {
    let mut session = session(Some(5));
    began(&mut session, 10);
    assert_eq!(session.ask(), Ask::Wait(Some(5)));
}

#[test]
fn events_are_told_once() {
    let mut session = session(Some(5));
    assert_eq!(session.heard("/k", Action::Set, 5), Heard::News);
    assert_eq!(session.heard("/k", Action::Set, 5), Heard::Old);
    assert_eq!(session.ask(), Ask::Wait(Some(6)));
}

#[test]
fn foreign_events_are_passed_over() {
    let mut session = session(Some(5));
    assert_eq!(session.heard("/k/_h", Action::Set, 6), Heard::Foreign);
    assert_eq!(session.ask(), Ask::Wait(Some(7)));
}

#[test]
fn a_member_that_is_behind_is_not_waited_for_long() {
    let mut session = session(Some(5));
    began(&mut session, 50);
    assert_eq!(session.heard("/k", Action::Set, 50), Heard::News);
    began(&mut session, 40);
    assert_eq!(session.wait(), BEHIND);
    session.silent();
    assert_eq!(session.ask(), Ask::List);
    assert_eq!(session.listed(51, Instant::now()), Listed::Needless);
    assert_eq!(session.ask(), Ask::Wait(Some(51)));
}

#[test]
fn a_store_that_went_back_is_listed() {
    let mut session = session(Some(5));
    began(&mut session, 50);
    assert_eq!(session.heard("/k", Action::Set, 50), Heard::News);
    began(&mut session, 8);
    session.silent();
    assert_eq!(session.listed(8, Instant::now()), Listed::WentBack);
    assert_eq!(session.ask(), Ask::Wait(Some(9)));
    began(&mut session, 8);
    assert!(session.wait() > BEHIND);
}

#[test]
fn an_index_of_the_future_is_waited_for() {
    let mut session = session(Some(1_000));
    began(&mut session, 50);
    session.silent();
    began(&mut session, 60);
    session.silent();
    assert_eq!(session.ask(), Ask::Wait(Some(1_000)));
}

/// A store that remembers few changes, each of the watched directory or of somebody else's.
struct Store {
    index: u64,
    history: VecDeque<(u64, bool)>,
    capacity: usize,
}

impl Store {
    fn change(&mut self, is_watched: bool) {
        self.index += 1;
        self.history.push_back((self.index, is_watched));
        if self.history.len() > self.capacity {
            self.history.pop_front();
        }
    }

    /// The first event from an index on, or `Err` if that is forgotten.
    fn find(&self, from: u64) -> Result<Option<u64>, ()> {
        let oldest = self.history.front().map_or(1, |(index, _)| *index);
        if from < oldest {
            return Err(());
        }
        let events = self.history.iter().filter(|(_, is_watched)| *is_watched);
        let found = events.map(|(index, _)| *index).find(|index| *index >= from);
        Ok(found)
    }
}

/// What a simulated program was told.
#[derive(Debug, PartialEq)]
enum Told {
    Event(u64),
    Listing(u64),
}

struct Simulation {
    random: fastrand::Rng,
    store: Store,
    session: Session,
    /// The index after which the watch begins, once that is known.
    start: Option<u64>,
    /// The answer before, if it is listened to: the index that it began at.
    previous: Option<u64>,
    watched: Vec<u64>,
    told: Vec<Told>,
    now: Instant,
}

impl Simulation {
    fn new(seed: u64, capacity: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut store = Store {
            index: 0,
            history: VecDeque::new(),
            capacity,
        };
        for _ in 0..random.usize(1..2 * capacity) {
            store.change(false);
        }
        let from = random.bool().then_some(store.index + 1);
        Self {
            random,
            store,
            session: session(from),
            start: from.map(|from| from - 1),
            previous: None,
            watched: Vec::new(),
            told: Vec::new(),
            now: Instant::now(),
        }
    }

    /// Others and the watched directory change while nobody looks.
    fn changes(&mut self, most: usize, one_watched_of: usize) {
        for _ in 0..self.random.usize(0..=most) {
            let is_watched = self.random.usize(0..one_watched_of) == 0;
            self.store.change(is_watched);
            if is_watched {
                self.watched.push(self.store.index);
            }
        }
    }

    /// One question, with one of the ends that it can have.
    fn ask(&mut self, most: usize, one_watched_of: usize, may_break: bool) {
        self.now += Duration::from_secs(1);
        let Ask::Wait(from) = self.session.ask() else {
            let index = self.store.index;
            match self.session.listed(index, self.now) {
                Listed::Cleared => self.told.push(Told::Listing(index)),
                other => panic!("{other:?}"),
            }
            return;
        };
        if may_break && self.random.u8(0..6) == 0 {
            return; // before the answer began
        }
        let (start, from) = (self.store.index, from.unwrap_or(self.store.index + 1));
        let Ok(mut found) = self.store.find(from) else {
            self.session.cleared();
            if self.session.ask() == Ask::List
                && let Some(previous) = self.previous.take()
            {
                self.bridge(previous);
            }
            return;
        };
        self.previous = None;
        self.session.began(start, self.now);
        self.start.get_or_insert(start);
        if may_break && self.random.u8(0..6) == 0 {
            return; // and no more came
        }
        if found.is_none() {
            self.changes(most, one_watched_of);
            let live = self.watched.iter().copied();
            found = live.filter(|index| *index > start && *index >= from).min();
            if may_break && self.random.u8(0..6) == 0 {
                return;
            }
        }
        match found {
            Some(index) => {
                assert_eq!(self.session.heard("/k/x", Action::Set, index), Heard::News);
                self.told.push(Told::Event(index));
            }
            None => {
                self.session.silent();
                let is_alive = !may_break || self.random.bool();
                self.previous = is_alive.then_some(start);
            }
        }
    }

    /// Listens on, to an answer that began at this index.
    fn bridge(&mut self, began: u64) {
        let heard = self.watched.iter().find(|index| **index > began);
        match heard.copied() {
            Some(index) => {
                assert_eq!(self.session.heard("/k/x", Action::Set, index), Heard::News);
                self.told.push(Told::Event(index));
            }
            None => self.session.bridged(self.store.index, self.now),
        }
    }

    /// Everything watched since the start was told once and in order, or is covered by a listing.
    fn judge(&self) -> Result<(), String> {
        let mut reached = self.start.ok_or("it never began")?;
        for told in &self.told {
            let (index, is_event) = match told {
                Told::Event(index) => (*index, true),
                Told::Listing(index) => (*index, false),
            };
            if index <= reached {
                return Err(format!("{told:?} after {reached}"));
            }
            let mut between = self.watched.iter().filter(|index| **index > reached);
            if is_event && between.next() != Some(&index) {
                return Err(format!("events between {reached} and {index} are missing"));
            }
            reached = index;
        }
        match self.watched.last() {
            Some(last) if *last > reached => Err(format!("{last} was not told")),
            _ => Ok(()),
        }
    }
}

#[test]
fn whatever_breaks_nothing_is_lost_or_told_twice() {
    for _ in 0..2_000 {
        let seed = fastrand::u64(..);
        let mut simulation = Simulation::new(seed, 20);
        for _ in 0..200 {
            simulation.changes(12, 3);
            simulation.ask(12, 3, true);
        }
        // In the end everything is quiet and works.
        for _ in 0..60 {
            simulation.ask(0, 1, false);
        }
        if let Err(problem) = simulation.judge() {
            panic!("seed {seed}: {problem}");
        }
    }
}

#[test]
fn a_watch_that_is_asked_often_enough_never_meets_a_cleared_history() {
    for _ in 0..200 {
        let seed = fastrand::u64(..);
        let mut simulation = Simulation::new(seed, 30);
        for _ in 0..500 {
            // Less than half of the history between two questions, as `Pace` sees to it.
            simulation.ask(14, usize::MAX, false);
        }
        assert_eq!(simulation.told, [], "seed {seed}");
        assert!(simulation.store.index > 1_000, "seed {seed}");
    }
}

#[test]
fn a_burst_of_others_changes_clears_no_history_of_a_watch_that_listens() {
    for _ in 0..200 {
        let seed = fastrand::u64(..);
        let mut simulation = Simulation::new(seed, 30);
        for _ in 0..200 {
            // While nobody listens, in the time after an event, so much does not happen.
            if simulation.previous.is_some() {
                simulation.changes(100, usize::MAX);
            }
            simulation.ask(14, 20, false);
        }
        for _ in 0..60 {
            simulation.ask(0, 1, false);
        }
        let is_listing = |told: &Told| matches!(told, Told::Listing(_));
        assert!(!simulation.told.iter().any(is_listing), "seed {seed}");
        if let Err(problem) = simulation.judge() {
            panic!("seed {seed}: {problem}");
        }
    }
}
