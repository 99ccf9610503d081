//! The keeper against a simulated server and clock.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// A keeper with its stream and a server that answers when it is told to.
struct World {
    now: Instant,
    keeper: Keeper<()>,
    /// Whether there is a stream, and what was sent on it and not answered.
    stream: Option<VecDeque<(LeaseId, Instant)>>,
    /// When the server lets each lease run out.
    server: HashMap<LeaseId, (Duration, Instant)>,
    wake: Option<Instant>,
    lost: Vec<(LeaseId, Instant)>,
    opening: bool,
    ended: bool,
    opened: usize,
    sent: usize,
    writes: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            keeper: Keeper::new(now, fastrand::Rng::with_seed(seed)),
            stream: None,
            server: HashMap::new(),
            wake: None,
            lost: Vec::new(),
            opening: false,
            ended: false,
            opened: 0,
            sent: 0,
            writes: 0,
        }
    }

    fn grant(&mut self, id: i64, ttl: Duration) -> LeaseId {
        let id = LeaseId(id);
        self.server.insert(id, (ttl, self.now + ttl));
        self.keeper.hold(id, ttl, self.now + ttl, self.now);
        id
    }

    /// One turn; opening is answered by the test.
    fn turn(&mut self) {
        let turn = self.keeper.turn(self.now);
        let lost = turn.expired.into_iter().map(|(id, ())| (id, self.now));
        self.lost.extend(lost);
        match turn.act {
            Some(Act::Open) => self.opening = true,
            Some(Act::Abandon) => self.stream = None,
            Some(Act::End) => {
                self.ended = true;
                self.stream = None;
            }
            None => {}
        }
        if !turn.renew.is_empty() {
            let now = self.now;
            let stream = self.stream.as_mut().expect("sends only on an open stream");
            stream.extend(turn.renew.iter().map(|id| (*id, now)));
            assert!(stream.len() <= WINDOW);
            self.sent += turn.renew.len();
            self.writes += 1;
        }
        assert!(turn.wake.is_none_or(|wake| wake > self.now), "a busy loop");
        self.wake = turn.wake;
    }

    fn open(&mut self) {
        assert!(std::mem::take(&mut self.opening), "nobody wants a stream");
        self.keeper.opened(self.now);
        self.stream = Some(VecDeque::new());
        self.opened += 1;
        self.turn();
    }

    fn break_stream(&mut self) {
        self.opening = false;
        self.stream = None;
        self.keeper.broke(self.now, false);
        self.turn();
    }

    /// The server answers the first request that waits.
    fn answer(&mut self) {
        let Some((id, _)) = self.stream.as_mut().and_then(VecDeque::pop_front) else {
            return;
        };
        let (now, mut ttl) = (self.now, Duration::ZERO);
        if let Some((granted, until)) = self.server.get_mut(&id) {
            *until = now + *granted;
            ttl = *granted;
        }
        if let Answer::Gone { .. } = self.keeper.answer(id, ttl, now) {
            self.lost.push((id, now));
        }
    }

    fn answer_all(&mut self) {
        while self
            .stream
            .as_ref()
            .is_some_and(|stream| !stream.is_empty())
        {
            self.answer();
            self.turn();
        }
    }

    /// Leaves the keeper alone until it wants to come back, but not longer than until the instant.
    fn sleep_until(&mut self, until: Instant) {
        self.now = self.wake.map_or(until, |wake| wake.min(until));
        self.server.retain(|_, (_, expiry)| *expiry > self.now);
        self.turn();
    }

    /// Lets time pass with a server that is well and answers after `latency`.
    fn live(&mut self, time: Duration, latency: Duration) {
        let end = self.now + time;
        self.turn();
        while self.now < end {
            if self.opening {
                self.open();
            }
            let first = self
                .stream
                .as_ref()
                .and_then(|stream| stream.front().copied());
            match first {
                Some((_, sent)) if sent + latency <= self.now => {
                    self.answer();
                    self.turn();
                }
                Some((_, sent)) => self.sleep_until(end.min(sent + latency)),
                None => self.sleep_until(end),
            }
        }
    }
}

#[test]
fn a_lease_is_renewed_each_third_of_its_time() {
    let mut world = World::new(1);
    world.grant(1, 9 * SECOND);
    world.turn();
    assert!(!world.opening, "nothing is due yet");
    world.live(90 * SECOND, millis(1));
    assert!(world.lost.is_empty());
    assert!((30..=36).contains(&world.sent), "{} renewals", world.sent);
    assert_eq!(world.opened, 1);
}

#[test]
fn the_time_counts_from_when_the_renewal_was_sent() {
    let mut world = World::new(1);
    let id = world.grant(1, 9 * SECOND);
    world.live(9 * SECOND, millis(10));
    while world.stream.as_ref().is_none_or(VecDeque::is_empty) {
        world.sleep_until(world.now + SECOND);
    }
    let sent = world.now;
    world.now += millis(1400);
    match world.keeper.answer(id, 9 * SECOND, world.now) {
        Answer::Renewed { until, .. } => assert_eq!(until, sent + 9 * SECOND),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_answers_a_lease_is_lost_when_its_time_has_passed() {
    let mut world = World::new(2);
    let id = world.grant(1, 6 * SECOND);
    let granted = world.now;
    world.turn();
    while world.lost.is_empty() {
        world.opening = false;
        world.sleep_until(world.now + SECOND);
    }
    assert_eq!(world.lost, [(id, granted + 6 * SECOND)]);
    world.turn();
    assert!(world.ended, "there is nothing left to do");
}

#[test]
fn a_lease_the_server_does_not_know_is_gone_at_once() {
    let mut world = World::new(3);
    let (first, second) = (world.grant(1, 6 * SECOND), world.grant(2, 6 * SECOND));
    world.server.remove(&first);
    world.live(3 * SECOND, millis(1));
    assert!(
        world.lost.len() == 1 && world.lost[0].0 == first,
        "{:?}",
        world.lost
    );
    world.live(60 * SECOND, millis(1));
    assert_eq!(world.lost.len(), 1);
    assert!(world.keeper.seat(second).is_some());
}

#[test]
fn what_was_unanswered_goes_out_again_on_the_next_stream() {
    let mut world = World::new(4);
    for id in 1..=100 {
        world.grant(id, 6 * SECOND);
    }
    world.turn();
    world.now += 2 * SECOND;
    world.turn();
    world.open();
    assert_eq!(world.stream.as_ref().expect("open").len(), 100);
    (0..40).for_each(|_| world.answer());
    world.break_stream();
    assert!(!world.opening, "not at once");
    let broke = world.now;
    while !world.opening {
        world.sleep_until(world.now + SECOND);
    }
    assert!(world.now - broke <= PAUSE_FIRST);
    world.open();
    assert_eq!(world.stream.as_ref().expect("open").len(), 60);
    assert_eq!(world.writes, 2, "all in one write");
}

#[test]
fn a_server_that_refuses_again_and_again_is_asked_ever_more_rarely() {
    let mut world = World::new(5);
    world.grant(1, 600 * SECOND);
    world.turn();
    world.now += 200 * SECOND;
    world.turn();
    let (start, mut attempts) = (world.now, 0);
    while world.now < start + 20 * SECOND {
        if world.opening {
            attempts += 1;
            world.break_stream();
        }
        world.sleep_until(start + 20 * SECOND);
    }
    assert!((20..=50).contains(&attempts), "{attempts} attempts in 20 s");
}

#[test]
fn a_stream_that_stops_answering_is_given_up_in_time() {
    let mut world = World::new(6);
    let id = world.grant(1, 6 * SECOND);
    world.live(30 * SECOND, millis(1));
    let mut streams = 0;
    // Until it is lost, every stream swallows what is sent.
    while world.lost.is_empty() {
        if world.opening {
            streams += 1;
            world.open();
        }
        world.sleep_until(world.now + SECOND);
    }
    assert!(streams >= 2, "only {streams} further attempts");
    assert_eq!(world.lost[0].0, id);
}

#[test]
fn a_slow_server_is_given_time_in_the_end() {
    let mut world = World::new(7);
    for id in 1..=10 {
        world.grant(id, 12 * SECOND);
    }
    // Longer than the first patience, which is two seconds here.
    world.live(120 * SECOND, millis(2500));
    assert!(world.lost.is_empty(), "{:?}", world.lost);
}

#[test]
fn one_refused_lease_does_not_take_the_others_along() {
    let mut world = World::new(8);
    let ids: Vec<_> = (1..=5).map(|id| world.grant(id, 6 * SECOND)).collect();
    world.turn();
    world.now += 2 * SECOND;
    world.turn();
    world.open();
    let order: Vec<_> = world.stream.clone().expect("open").into_iter().collect();
    world.answer();
    world.answer();
    let (culprit, ()) = world
        .keeper
        .broke(world.now, true)
        .expect("somebody is refused");
    assert_eq!(culprit, order[2].0);
    world.stream = None;
    world.turn();
    assert!(world.opening, "the others go on at once");
    world.live(60 * SECOND, millis(1));
    assert!(world.lost.is_empty());
    for id in ids {
        assert_eq!(world.keeper.seat(id).is_some(), id != culprit);
    }
}

#[test]
fn a_refusal_that_no_renewal_waits_for_blames_nobody() {
    let mut world = World::new(9);
    world.grant(1, 6 * SECOND);
    world.turn();
    assert!(world.keeper.broke(world.now, true).is_none());
}

#[test]
fn answers_in_another_order_find_their_leases() {
    let mut world = World::new(10);
    for id in 1..=3 {
        world.grant(id, 6 * SECOND);
    }
    world.turn();
    world.now += 2 * SECOND;
    world.turn();
    world.open();
    for id in [3, 1, 2] {
        let answer = world.keeper.answer(LeaseId(id), 6 * SECOND, world.now);
        assert!(matches!(answer, Answer::Renewed { .. }), "{answer:?}");
    }
    assert!(matches!(
        world.keeper.answer(LeaseId(3), 6 * SECOND, world.now),
        Answer::Stray
    ));
}

#[test]
fn the_answer_to_a_forgotten_request_does_not_count_for_a_later_one() {
    let mut world = World::new(11);
    let id = LeaseId(1);
    world
        .server
        .insert(id, (6 * SECOND, world.now + 6 * SECOND));
    world.keeper.ask(id, world.now);
    world.turn();
    world.open();
    world.keeper.remove(id);
    let (number, ()) = world.keeper.ask(id, world.now);
    world.turn();
    assert_eq!(world.stream.as_ref().expect("open").len(), 2);
    assert!(matches!(
        world.keeper.answer(id, 6 * SECOND, world.now),
        Answer::Stray
    ));
    match world.keeper.answer(id, 6 * SECOND, world.now) {
        Answer::Renewed {
            number: answered, ..
        } => assert!(answered >= number),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_asks_while_a_renewal_is_under_way_gets_one_of_his_own() {
    let mut world = World::new(12);
    let id = world.grant(1, 6 * SECOND);
    world.keeper.ask(id, world.now);
    world.turn();
    world.open();
    let (wanted, ()) = world.keeper.ask(id, world.now);
    let Answer::Renewed { number, .. } = world.keeper.answer(id, 6 * SECOND, world.now) else {
        panic!("an answer");
    };
    assert!(number < wanted, "this one was sent before");
    world.turn();
    let Answer::Renewed { number, .. } = world.keeper.answer(id, 6 * SECOND, world.now) else {
        panic!("an answer");
    };
    assert!(number >= wanted);
}

#[test]
fn renewals_of_many_leases_travel_together() {
    let mut world = World::new(13);
    for id in 1..=5000 {
        world.grant(id, 15 * SECOND);
    }
    world.live(60 * SECOND, millis(1));
    assert!(world.lost.is_empty());
    assert_eq!(world.opened, 1);
    let per_lease = world.sent as f64 / 5000.0;
    assert!(
        (12.0..14.5).contains(&per_lease),
        "{per_lease} renewals each"
    );
    assert!(world.writes < 1200, "{} writes", world.writes);
}

#[test]
fn asking_very_often_leaves_nothing_behind() {
    let mut world = World::new(14);
    let id = world.grant(1, 600 * SECOND);
    for _ in 0..10_000 {
        world.keeper.ask(id, world.now);
        world.turn();
        if world.opening {
            world.open();
        }
        world.answer();
        world.now += millis(1);
    }
    assert!(world.keeper.renewals.len() < 200);
    assert!(world.keeper.deadlines.len() < 200);
}

#[test]
fn the_stream_stays_open_a_little_and_is_closed_when_there_is_no_lease() {
    let mut world = World::new(15);
    let id = world.grant(1, 6 * SECOND);
    world.live(6 * SECOND, millis(1));
    world.keeper.remove(id);
    world.turn();
    assert!(!world.ended);
    let left = world.now;
    while !world.ended {
        world.sleep_until(world.now + SECOND);
    }
    assert_eq!(world.now - left, LINGER);
}

#[test]
fn a_lease_taken_up_twice_keeps_the_better_deadline() {
    let mut world = World::new(16);
    let id = world.grant(1, 6 * SECOND);
    world
        .keeper
        .hold(id, 6 * SECOND, world.now + SECOND, world.now);
    world.turn();
    world.now += 2 * SECOND;
    world.turn();
    assert!(world.lost.is_empty());
    world.keeper.remove(id);
    assert!(world.keeper.ttls.is_empty());
}

/// Whatever happens: a lease that the keeper believes in, the server has, too. And as long as
/// troubles are short, no lease is lost.
#[test]
fn the_keeper_never_believes_in_a_lease_that_the_server_has_let_run_out() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new(seed);
        let ids = random.i64(1..20);
        for id in 1..=ids {
            let ttl = random.u64(2..20);
            world.grant(id, Duration::from_secs(ttl));
        }
        world.turn();
        for _ in 0..400 {
            match random.u8(0..12) {
                0..=4 if world.opening => world.open(),
                0..=7 => world.answer(),
                8 => world.answer_all(),
                9 if random.u8(0..4) == 0 => world.break_stream(),
                10 => {
                    world.keeper.ask(LeaseId(random.i64(1..=ids)), world.now);
                }
                _ => world.sleep_until(world.now + millis(random.u64(1..1500))),
            }
            world.turn();
            let now = world.now;
            for (id, entry) in &world.keeper.entries {
                let Some(term) = entry.term else { continue };
                assert!(
                    term.deadline > now,
                    "seed {seed}: {id} has run out unnoticed"
                );
                let known = world.server.get(id).map(|(_, until)| *until);
                assert!(
                    known >= Some(term.deadline),
                    "seed {seed}: {id} is believed in too long"
                );
            }
            let sent = world
                .keeper
                .entries
                .values()
                .filter(|it| it.sent.is_some())
                .count();
            assert!(sent <= world.keeper.unanswered.len(), "seed {seed}");
        }
    }
}

#[test]
fn troubles_that_are_shorter_than_the_time_left_lose_nothing() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new(seed);
        for id in 1..=random.i64(1..50) {
            world.grant(id, Duration::from_secs(random.u64(4..30)));
        }
        world.turn();
        for _ in 0..10 {
            world.live(millis(random.u64(3000..30_000)), millis(random.u64(0..100)));
            // The shortest lease has at least two thirds of its four seconds, less what a renewal
            // under way has used up.
            let until = world.now + millis(random.u64(0..2000));
            if random.bool() {
                world.break_stream();
            }
            while world.now < until {
                world.sleep_until(until);
            }
        }
        world.live(30 * SECOND, millis(1));
        assert!(world.lost.is_empty(), "seed {seed}: {:?}", world.lost);
    }
}
