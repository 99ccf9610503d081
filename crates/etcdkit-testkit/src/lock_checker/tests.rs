use std::time::{Duration, Instant};

use etcdkit::{KeyValue, LeaseId, Revision};

use super::{Claim, Kind, Queue, Stamp, Violation};
use crate::watch_checker::{Event, History};

/// Makes a history.
struct Story {
    revision: Revision,
    events: Vec<Event>,
    lease: Option<LeaseId>,
}

impl Story {
    fn new() -> Self {
        Self {
            revision: 1,
            events: Vec::new(),
            lease: Some(LeaseId(7)),
        }
    }

    fn put(&mut self, key: &str, value: String) -> Revision {
        self.revision += 1;
        let earlier = self.events.iter().rev().find(|event| event.kv.key == key);
        let earlier = earlier.filter(|event| !event.is_delete);
        let mut kv = KeyValue::default();
        kv.key = key.to_owned().into();
        kv.value = value.into();
        kv.lease = self.lease;
        kv.mod_revision = self.revision;
        kv.create_revision = earlier.map_or(self.revision, |event| event.kv.create_revision);
        kv.version = earlier.map_or(1, |event| event.kv.version + 1);
        self.events.push(Event {
            is_delete: false,
            kv,
            prev_kv: None,
        });
        self.revision
    }

    fn enter(&mut self, key: &str) -> Revision {
        self.put(&format!("l/{key}"), String::new())
    }

    fn leave(&mut self, key: &str) -> Revision {
        self.revision += 1;
        let mut kv = KeyValue::default();
        kv.key = format!("l/{key}").into();
        kv.mod_revision = self.revision;
        self.events.push(Event {
            is_delete: true,
            kv,
            prev_kv: None,
        });
        self.revision
    }

    fn write(&mut self, token: Revision) -> Revision {
        let serial = self.events.len() as u64;
        self.put("d/x", Stamp { token, serial }.to_string())
    }

    fn history(&self) -> History {
        History::new(self.events.clone()).expect("a possible history")
    }

    fn judge(&self, kind: Kind) -> Vec<Violation> {
        self.judge_claims(kind, &[])
    }

    fn judge_claims(&self, kind: Kind, claims: &[Claim]) -> Vec<Violation> {
        queue(kind).judge(&self.history(), claims)
    }

    fn together(&self, kind: Kind, claims: &[Claim]) -> Vec<Violation> {
        queue(kind).together(&self.history(), claims)
    }
}

fn queue(kind: Kind) -> Queue {
    Queue::new(kind, "l", "d/")
}

/// Claims from and to these seconds.
fn claims(of: &[(Revision, u64, u64)]) -> Vec<Claim> {
    let start = Instant::now();
    let claims = of.iter().map(|(token, since, until)| Claim {
        token: *token,
        since: start + Duration::from_secs(*since),
        until: start + Duration::from_secs(*until),
    });
    claims.collect()
}

#[test]
fn holders_that_write_in_turn_are_fine() {
    let mut story = Story::new();
    let a = story.enter("a");
    let b = story.enter("b");
    story.write(a);
    story.write(a);
    story.leave("a");
    story.write(b);
    story.leave("b");
    // A place of the same key is another one.
    let again = story.enter("a");
    story.write(again);
    story.leave("a");
    let claims = claims(&[(a, 0, 1), (b, 1, 2), (again, 2, 3)]);
    assert_eq!(story.judge_claims(Kind::Lock, &claims), []);
    assert_eq!(story.together(Kind::Lock, &claims), []);
}

#[test]
fn a_change_of_the_value_keeps_the_place() {
    let mut story = Story::new();
    let a = story.enter("a");
    let b = story.enter("b");
    story.enter("a");
    story.write(a);
    story.leave("a");
    story.write(b);
    story.leave("b");
    assert_eq!(story.judge(Kind::Lock), []);
}

#[test]
fn a_write_of_a_past_holder_is_found() {
    let mut story = Story::new();
    let a = story.enter("a");
    let gone = story.leave("a");
    let write = story.write(a);
    let past = Violation::PastHolder {
        token: a,
        gone,
        write,
    };
    let mut expected = vec![past];
    assert_eq!(story.judge(Kind::Lock), expected);
    // Also if it has a place again.
    story.enter("a");
    let write = story.write(a);
    story.leave("a");
    expected.push(Violation::PastHolder {
        token: a,
        gone,
        write,
    });
    assert_eq!(story.judge(Kind::Lock), expected);
}

#[test]
fn a_write_of_a_waiter_is_found() {
    let mut story = Story::new();
    let a = story.enter("a");
    let b = story.enter("b");
    let write = story.write(b);
    story.leave("a");
    story.leave("b");
    let waiter = Violation::Waiter {
        token: b,
        behind: vec![a],
        write,
    };
    assert_eq!(story.judge(Kind::Lock), [waiter]);
    assert_eq!(story.judge(Kind::Semaphore(2)), []);
}

#[test]
fn writes_without_a_place_are_found() {
    let mut story = Story::new();
    let a = story.enter("a");
    let write = story.write(99);
    let unstamped = story.put("d/y", "mine".to_owned());
    story.put("elsewhere", "yours".to_owned());
    story.leave("a");
    assert!(a < 99);
    assert_eq!(
        story.judge(Kind::Lock),
        [
            Violation::Stranger { token: 99, write },
            Violation::Unstamped {
                key: "d/y".into(),
                write: unstamped
            },
        ]
    );
}

#[test]
fn a_token_that_goes_back_is_found() {
    let mut story = Story::new();
    let a = story.enter("a");
    let b = story.enter("b");
    let early = story.write(b);
    let write = story.write(a);
    story.leave("a");
    story.leave("b");
    let expected = [
        Violation::Waiter {
            token: b,
            behind: vec![a],
            write: early,
        },
        Violation::TokenWentBack {
            before: b,
            token: a,
            write,
        },
    ];
    assert_eq!(story.judge(Kind::Lock), expected);
    // Of several holders any may write.
    assert_eq!(story.judge(Kind::Semaphore(2)), []);
}

#[test]
fn a_semaphore_has_so_many_holders() {
    let mut story = Story::new();
    let places = ["a", "b", "c", "d"].map(|key| story.enter(key));
    story.write(places[1]);
    story.write(places[0]);
    let write = story.write(places[2]);
    story.leave("b");
    story.write(places[2]);
    story.leave("a");
    story.leave("c");
    story.leave("d");
    let waiter = Violation::Waiter {
        token: places[2],
        behind: vec![places[0], places[1]],
        write,
    };
    assert_eq!(story.judge(Kind::Semaphore(2)), [waiter]);
}

#[test]
fn readers_share_and_writers_do_not() {
    let mut story = Story::new();
    let readers = ["read/a", "read/b"].map(|key| story.enter(key));
    let writer = story.enter("write/c");
    let late = story.enter("read/d");
    story.write(readers[1]);
    story.write(readers[0]);
    let early = story.write(writer);
    let overtaking = story.write(late);
    story.leave("read/a");
    story.leave("read/b");
    story.write(writer);
    story.leave("write/c");
    story.write(late);
    story.leave("read/d");
    let expected = [
        Violation::Waiter {
            token: writer,
            behind: readers.to_vec(),
            write: early,
        },
        Violation::Waiter {
            token: late,
            behind: vec![writer],
            write: overtaking,
        },
    ];
    assert_eq!(story.judge(Kind::RwLock), expected);
}

#[test]
fn a_guard_of_a_place_that_never_had_its_turn_is_found() {
    let mut story = Story::new();
    let a = story.enter("a");
    let b = story.enter("b");
    story.leave("b");
    story.leave("a");
    let never = |token| Violation::NeverHeld { token };
    let claims = claims(&[(a, 0, 1), (b, 2, 3), (77, 4, 5)]);
    assert_eq!(
        story.judge_claims(Kind::Lock, &claims),
        [never(b), never(77)]
    );
    assert_eq!(story.together(Kind::Lock, &claims), [never(77)]);
}

#[test]
fn guards_that_hold_at_one_time_are_found_by_the_clock() {
    let mut story = Story::new();
    let [a, b, c] = ["a", "b", "c"].map(|key| story.enter(key));
    let overlapping = claims(&[(a, 0, 5), (a, 1, 6), (b, 4, 8), (c, 5, 9)]);
    let together = |token, beside: &[Revision]| Violation::Together {
        token,
        beside: beside.to_vec(),
    };
    assert_eq!(
        story.together(Kind::Lock, &overlapping),
        [together(b, &[a]), together(c, &[a, b])]
    );
    assert_eq!(
        story.together(Kind::Semaphore(2), &overlapping),
        [together(c, &[a, b])]
    );
    assert_eq!(story.together(Kind::Semaphore(3), &overlapping), []);
    let in_turn = claims(&[(a, 0, 5), (b, 5, 8)]);
    assert_eq!(story.together(Kind::Lock, &in_turn), []);
    let never_said_so = claims(&[(a, 0, 5), (b, 3, 3)]);
    assert_eq!(story.together(Kind::Lock, &never_said_so), []);
}

#[test]
fn readers_may_be_together_but_not_with_a_writer() {
    let mut story = Story::new();
    let [a, b, w] = ["read/a", "read/b", "write/w"].map(|key| story.enter(key));
    let claims = claims(&[(a, 0, 5), (b, 1, 3), (w, 4, 6)]);
    let together = Violation::Together {
        token: w,
        beside: vec![a],
    };
    assert_eq!(story.together(Kind::RwLock, &claims), [together]);
}

#[test]
fn keys_that_stay_are_found() {
    let mut story = Story::new();
    let a = story.enter("a");
    story.lease = None;
    let b = story.enter("b");
    story.leave("b");
    let expected = [
        Violation::WithoutLease {
            key: "l/b".into(),
            token: b,
        },
        Violation::Left {
            key: "l/a".into(),
            token: a,
        },
    ];
    assert_eq!(story.judge(Kind::Lock), expected);
}
