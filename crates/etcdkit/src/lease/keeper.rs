//! When to renew which lease, and when one is lost: pure, with the time passed in.
//!
//! One stream carries the renewals of all leases. The server answers them one by one and in order,
//! except that a proxy may change the order. A lease lives at least until the time its last answered
//! renewal was *sent* plus its time to live: the server cannot have started to count before that.
//! When this has passed without a further answer the lease is lost, whatever the server may say later.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque, hash_map},
    time::Duration,
};

use tokio::time::Instant;

use crate::{LeaseId, transport::backoff::Backoff};

/// A lease is renewed when a third of its time has passed, or a little earlier, so that leases that
/// were granted together do not stay together. The first renewal comes earlier still, to spread them.
const RENEWALS_PER_TTL: u32 = 3;
const JITTER: f64 = 0.1;
const FIRST_JITTER: f64 = 0.5;

/// Leases that are due within this part of the shortest time to live go along in one write.
const BATCHES_PER_TTL: u32 = 60;
const BATCH_LONGEST: Duration = Duration::from_millis(250);

/// How many renewals may wait for their answers, so that the most urgent ones never queue behind
/// thousands that are not. Further ones are sent once half of them are answered.
const WINDOW: usize = 1024;

/// A stream on which renewals wait and nothing is answered for this part of the shortest time to live is
/// given up: a member that has lost the leader holds a renewal for seconds after there is a new one,
/// while another stream would be answered at once.
const SILENCES_PER_TTL: u32 = 6;
const SILENCE_SHORTEST: Duration = Duration::from_millis(250);
const SILENCE_FIRST: Duration = Duration::from_secs(2);
const SILENCE_LONGEST: Duration = Duration::from_secs(5);

/// The pause before another stream is opened.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// How long the stream is kept open when there is no lease any more.
const LINGER: Duration = Duration::from_secs(1);

/// All leases of a client, each with what its user needs (`T`).
#[derive(Debug)]
pub(super) struct Keeper<T> {
    entries: HashMap<LeaseId, Entry<T>>,
    /// When leases are to be renewed. Items are outdated unless [`Entry::next`] says the same.
    renewals: BinaryHeap<Reverse<(Instant, LeaseId)>>,
    /// When to look whether leases have run out. Items are outdated unless [`Term::watched`] says the
    /// same.
    deadlines: BinaryHeap<Reverse<(Instant, LeaseId)>>,
    /// What is to be sent as soon as possible, the most urgent first.
    due: BTreeSet<(Instant, LeaseId)>,
    /// What was sent and not answered, in order, with the number of the request.
    unanswered: VecDeque<(LeaseId, u64)>,
    /// How many leases have which time to live.
    ttls: BTreeMap<Duration, usize>,
    /// The number of the next request.
    number: u64,
    link: Link,
    /// When the server was last heard, or began to owe an answer.
    heard: Instant,
    /// Streams given up in a row because nothing was answered.
    silences: u32,
    pauses: Backoff,
    idle_since: Option<Instant>,
    random: fastrand::Rng,
}

/// The state of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    /// Failed; not to be opened before this.
    Resting(Instant),
    Opening,
    Up,
}

#[derive(Debug)]
struct Entry<T> {
    seat: T,
    /// What is kept alive; `None` if somebody only wants a single renewal.
    term: Option<Term>,
    /// The renewal under way.
    sent: Option<Sent>,
    /// To be sent as soon as possible: its key in [`Keeper::due`].
    due: Option<Instant>,
    /// When to be renewed.
    next: Option<Instant>,
    /// To be renewed once more after the renewal under way.
    again: bool,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    ttl: Duration,
    deadline: Instant,
    /// Its item in [`Keeper::deadlines`].
    watched: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    number: u64,
}

/// What is to be done now.
#[derive(Debug)]
pub(super) struct Turn<T> {
    /// Leases whose time has run out; they are forgotten.
    pub(super) expired: Vec<(LeaseId, T)>,
    /// What to send on the stream, at once: the clock is ticking.
    pub(super) renew: Vec<LeaseId>,
    pub(super) act: Option<Act>,
    /// When to come back at the latest.
    pub(super) wake: Option<Instant>,
}

/// What is to be done with the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Open one.
    Open,
    /// Give it up; it has stopped answering.
    Abandon,
    /// Close it, and end: there is no lease any more.
    End,
}

/// What an answer of the server means.
#[derive(Debug)]
pub(super) enum Answer<'a, T> {
    /// The lease lives at least until the instant.
    Renewed {
        seat: &'a mut T,
        until: Instant,
        /// The number of the request that was answered.
        number: u64,
    },
    /// There is no such lease; it is forgotten.
    Gone { seat: T },
    /// Nobody waits for it any more.
    Stray,
}

impl<T: Default> Keeper<T> {
    pub(super) fn new(now: Instant, random: fastrand::Rng) -> Self {
        Self {
            entries: HashMap::new(),
            renewals: BinaryHeap::new(),
            deadlines: BinaryHeap::new(),
            due: BTreeSet::new(),
            unanswered: VecDeque::new(),
            ttls: BTreeMap::new(),
            number: 0,
            link: Link::Down,
            heard: now,
            silences: 0,
            pauses: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
            idle_since: None,
            random,
        }
    }

    pub(super) fn ids(&self) -> Vec<LeaseId> {
        self.entries.keys().copied().collect()
    }

    /// What belongs to a lease, if it is known.
    pub(super) fn seat(&mut self, id: LeaseId) -> Option<&mut T> {
        self.entries.get_mut(&id).map(|entry| &mut entry.seat)
    }

    /// Keeps a lease alive that lives until `deadline`.
    pub(super) fn hold(
        &mut self,
        id: LeaseId,
        ttl: Duration,
        deadline: Instant,
        now: Instant,
    ) -> &mut T {
        // What is known already may be better than what is new.
        let known = self.entries.get(&id).and_then(|entry| entry.term);
        let deadline = known.map_or(deadline, |term| term.deadline.max(deadline));
        self.let_go(id);
        *self.ttls.entry(ttl).or_default() += 1;
        let interval = self.interval(ttl, FIRST_JITTER);
        let entry = entry(&mut self.entries, id);
        entry.term = Some(Term {
            ttl,
            deadline,
            watched: deadline,
        });
        self.deadlines.push(Reverse((deadline, id)));
        if entry.sent.is_none() && entry.due.is_none() {
            // Of a lease that is not new, some of the time has passed already.
            let passed = ttl.saturating_sub(deadline.saturating_duration_since(now));
            let next = now + interval.saturating_sub(passed);
            entry.next = Some(next);
            self.renewals.push(Reverse((next, id)));
        }
        &mut entry.seat
    }

    /// Stops keeping a lease alive; single renewals that were asked for still happen.
    pub(super) fn let_go(&mut self, id: LeaseId) {
        if let Some(entry) = self.entries.get_mut(&id)
            && let Some(term) = entry.term.take()
        {
            entry.next = None;
            forget_ttl(&mut self.ttls, term.ttl);
        }
    }

    /// Forgets all about a lease.
    pub(super) fn remove(&mut self, id: LeaseId) -> Option<T> {
        self.let_go(id);
        let entry = self.entries.remove(&id)?;
        if let Some(due) = entry.due {
            self.due.remove(&(due, id));
        }
        Some(entry.seat)
    }

    /// Forgets all leases.
    pub(super) fn remove_all(&mut self) -> Vec<(LeaseId, T)> {
        let ids = self.ids().into_iter();
        ids.filter_map(|id| self.remove(id).map(|seat| (id, seat)))
            .collect()
    }

    /// Asks for a renewal now. Any answer to a request of the number returned, or a higher one, will do.
    pub(super) fn ask(&mut self, id: LeaseId, now: Instant) -> (u64, &mut T) {
        let entry = entry(&mut self.entries, id);
        if entry.sent.is_some() {
            entry.again = true;
        } else {
            make_due(&mut self.due, entry, id, now);
        }
        (self.number, &mut entry.seat)
    }

    /// The stream is open.
    pub(super) fn opened(&mut self, now: Instant) {
        self.link = Link::Up;
        self.heard = now;
        self.unanswered.clear();
    }

    /// The stream broke, or could not be opened. What was under way will be sent again.
    ///
    /// If the server ended it by refusing a renewal (`refused`), that was the first one it had not yet
    /// answered; its lease is returned and forgotten, so that it does not take the others along.
    pub(super) fn broke(&mut self, now: Instant, refused: bool) -> Option<(LeaseId, T)> {
        let culprit = match self.unanswered.front() {
            Some(&(id, number)) if refused => {
                let is_current = |entry: &Entry<T>| entry.sent.map(|it| it.number) == Some(number);
                match self.entries.get(&id).is_some_and(is_current) {
                    true => self.remove(id).map(|seat| (id, seat)),
                    false => None,
                }
            }
            _ => None,
        };
        for (id, number) in std::mem::take(&mut self.unanswered) {
            if let Some(entry) = self.entries.get_mut(&id)
                && entry.sent.is_some_and(|sent| sent.number == number)
            {
                entry.sent = None;
                entry.again = false;
                let urgency = entry.term.map_or(now, |term| term.deadline);
                make_due(&mut self.due, entry, id, urgency);
            }
        }
        // Who refuses is well, and may have to refuse many.
        let pause = match culprit {
            Some(_) => Duration::ZERO,
            None => self.pauses.next(self.random.f64()),
        };
        self.link = Link::Resting(now + pause);
        culprit
    }

    /// The server answered a renewal with this time to live; zero means that there is no such lease.
    pub(super) fn answer(&mut self, id: LeaseId, ttl: Duration, now: Instant) -> Answer<'_, T> {
        self.heard = now;
        self.silences = 0;
        self.pauses.reset();
        // The first one, unless a proxy has changed the order.
        let mut waiting = self.unanswered.iter();
        let place = waiting.position(|(other, _)| *other == id);
        let Some((_, number)) = place.and_then(|place| self.unanswered.remove(place)) else {
            return Answer::Stray;
        };
        let hash_map::Entry::Occupied(occupied) = self.entries.entry(id) else {
            return Answer::Stray;
        };
        let at = match occupied.get().sent {
            Some(sent) if sent.number == number => sent.at,
            _ => return Answer::Stray,
        };
        if ttl.is_zero() {
            let Entry {
                seat, term, due, ..
            } = occupied.remove();
            if let Some(term) = term {
                forget_ttl(&mut self.ttls, term.ttl);
            }
            if let Some(due) = due {
                self.due.remove(&(due, id));
            }
            return Answer::Gone { seat };
        }
        let until = at + ttl;
        let interval = self.interval(ttl, JITTER);
        let Some(entry) = self.entries.get_mut(&id) else {
            return Answer::Stray;
        };
        entry.sent = None;
        if let Some(term) = &mut entry.term {
            if term.ttl != ttl {
                forget_ttl(&mut self.ttls, term.ttl);
                *self.ttls.entry(ttl).or_default() += 1;
                term.ttl = ttl;
            }
            term.deadline = until;
            // A lease that lives shorter than it did must be looked after sooner.
            if until < term.watched {
                term.watched = until;
                self.deadlines.push(Reverse((until, id)));
            }
            let next = at + interval;
            entry.next = Some(next);
            self.renewals.push(Reverse((next, id)));
        }
        if std::mem::take(&mut entry.again) {
            make_due(&mut self.due, entry, id, now);
        }
        Answer::Renewed {
            seat: &mut entry.seat,
            until,
            number,
        }
    }

    /// What is to be done now.
    pub(super) fn turn(&mut self, now: Instant) -> Turn<T> {
        self.tidy();
        let expired = self.expire(now);
        self.collect_due(now);
        let mut renew = Vec::new();
        let mut act = None;
        match self.link {
            Link::Up if self.is_silent(now) => {
                self.silences += 1;
                self.broke(now, false);
                act = Some(Act::Abandon);
            }
            Link::Up => renew = self.send(now),
            Link::Resting(until) if now < until => {}
            Link::Down | Link::Resting(_) if !self.due.is_empty() => {
                self.link = Link::Opening;
                act = Some(Act::Open);
            }
            Link::Down | Link::Resting(_) | Link::Opening => {}
        }
        if !self.entries.is_empty() {
            self.idle_since = None;
        } else if act.is_none() {
            let since = *self.idle_since.get_or_insert(now);
            if self.link != Link::Up || now >= since + LINGER {
                self.link = Link::Down;
                self.idle_since = None;
                act = Some(Act::End);
            }
        }
        let wake = self.wake();
        Turn {
            expired,
            renew,
            act,
            wake,
        }
    }

    /// Drops outdated items when they are most of what there is.
    fn tidy(&mut self) {
        let (entries, bound) = (&self.entries, 2 * self.entries.len() + 64);
        if self.renewals.len() > bound {
            let is_valid = |when: Instant, id: &LeaseId| {
                entries.get(id).is_some_and(|it| it.next == Some(when))
            };
            self.renewals
                .retain(|Reverse((when, id))| is_valid(*when, id));
        }
        if self.deadlines.len() > bound {
            let watched =
                |id: &LeaseId| entries.get(id).and_then(|it| it.term).map(|it| it.watched);
            self.deadlines
                .retain(|Reverse((when, id))| watched(id) == Some(*when));
        }
    }

    fn expire(&mut self, now: Instant) -> Vec<(LeaseId, T)> {
        let mut expired = Vec::new();
        while let Some(&Reverse((when, id))) = self.deadlines.peek()
            && when <= now
        {
            self.deadlines.pop();
            let term = self.entries.get_mut(&id).and_then(|it| it.term.as_mut());
            match term {
                Some(term) if term.watched != when => {}
                Some(term) if term.deadline > now => {
                    term.watched = term.deadline;
                    self.deadlines.push(Reverse((term.deadline, id)));
                }
                Some(_) => expired.extend(self.remove(id).map(|seat| (id, seat))),
                None => {}
            }
        }
        expired
    }

    /// Takes up the leases whose turn has come, and with them those whose turn comes soon.
    fn collect_due(&mut self, now: Instant) {
        let batch = (self.shortest_ttl() / BATCHES_PER_TTL).min(BATCH_LONGEST);
        let mut horizon = now;
        while let Some(&Reverse((when, id))) = self.renewals.peek()
            && when <= horizon
        {
            self.renewals.pop();
            if let Some(entry) = self.entries.get_mut(&id)
                && let Some(term) = entry.term
                && entry.next == Some(when)
            {
                horizon = now + batch;
                entry.next = None;
                if entry.sent.is_none() {
                    make_due(&mut self.due, entry, id, term.deadline);
                }
            }
        }
    }

    fn send(&mut self, now: Instant) -> Vec<LeaseId> {
        if self.unanswered.len() > WINDOW / 2 || self.due.is_empty() {
            return Vec::new();
        }
        if self.unanswered.is_empty() {
            self.heard = now;
        }
        let room = WINDOW - self.unanswered.len();
        let mut renew = Vec::with_capacity(room.min(self.due.len()));
        while renew.len() < room
            && let Some((_, id)) = self.due.pop_first()
        {
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            let number = self.number;
            self.number += 1;
            entry.due = None;
            entry.next = None;
            entry.sent = Some(Sent { at: now, number });
            self.unanswered.push_back((id, number));
            renew.push(id);
        }
        renew
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.silent_at().is_some_and(|at| at <= now)
    }

    /// When the stream is to be given up unless something is heard.
    fn silent_at(&self) -> Option<Instant> {
        if self.unanswered.is_empty() {
            return None;
        }
        let ttl = self.shortest_ttl();
        let first = (ttl / SILENCES_PER_TTL).clamp(SILENCE_SHORTEST, SILENCE_FIRST);
        // Patience grows, so that a server that is merely slow gets to answer in the end.
        let longest = (ttl / 2).clamp(SILENCE_SHORTEST, SILENCE_LONGEST);
        let patience = first.saturating_mul(1 << self.silences.min(8)).min(longest);
        Some(self.heard + patience)
    }

    fn wake(&self) -> Option<Instant> {
        let first = |heap: &BinaryHeap<Reverse<(Instant, LeaseId)>>| {
            heap.peek().map(|Reverse((when, _))| *when)
        };
        let link = match self.link {
            Link::Up => self.silent_at(),
            Link::Resting(until) if !self.due.is_empty() => Some(until),
            _ => None,
        };
        let idle = self.idle_since.map(|since| since + LINGER);
        [first(&self.renewals), first(&self.deadlines), link, idle]
            .into_iter()
            .flatten()
            .min()
    }

    /// The shortest time to live of all leases, or something reasonable.
    fn shortest_ttl(&self) -> Duration {
        let shortest = self.ttls.keys().next();
        shortest
            .copied()
            .unwrap_or(SILENCE_FIRST * SILENCES_PER_TTL)
    }

    fn interval(&mut self, ttl: Duration, jitter: f64) -> Duration {
        (ttl / RENEWALS_PER_TTL).mul_f64(1.0 - jitter * self.random.f64())
    }
}

fn entry<T: Default>(entries: &mut HashMap<LeaseId, Entry<T>>, id: LeaseId) -> &mut Entry<T> {
    entries.entry(id).or_insert_with(|| Entry {
        seat: T::default(),
        term: None,
        sent: None,
        due: None,
        next: None,
        again: false,
    })
}

fn make_due<T>(
    due: &mut BTreeSet<(Instant, LeaseId)>,
    entry: &mut Entry<T>,
    id: LeaseId,
    urgency: Instant,
) {
    if let Some(before) = entry.due {
        if before <= urgency {
            return;
        }
        due.remove(&(before, id));
    }
    entry.due = Some(urgency);
    due.insert((urgency, id));
}

fn forget_ttl(ttls: &mut BTreeMap<Duration, usize>, ttl: Duration) {
    if let Some(count) = ttls.get_mut(&ttl) {
        *count -= 1;
        if *count == 0 {
            ttls.remove(&ttl);
        }
    }
}

#[cfg(test)]
mod tests;
