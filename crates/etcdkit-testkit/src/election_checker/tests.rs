use etcdkit::{KeyValue, Revision};

use super::{Proclamation, Seen, Timeline, Violation};
use crate::watch_checker::{Event, History, Outcome};

/// A change of a candidate's key: its value, or that it goes.
type Change<'a> = (Revision, &'a str, Option<&'a str>);

fn history(changes: &[Change<'_>]) -> History {
    let mut events: Vec<Event> = Vec::new();
    for (revision, key, value) in changes {
        let before = events.iter().rev().find(|event| event.kv.key == *key);
        let before = before.filter(|event| !event.is_delete);
        let mut kv = KeyValue::default();
        kv.key = key.to_string().into();
        kv.mod_revision = *revision;
        if let Some(value) = value {
            kv.value = value.to_string().into();
            kv.create_revision = before.map_or(*revision, |event| event.kv.create_revision);
            kv.version = before.map_or(1, |event| event.kv.version + 1);
        }
        events.push(Event {
            is_delete: value.is_none(),
            kv,
            prev_kv: None,
        });
    }
    History::new(events).expect("a history")
}

/// Two candidates, of which the second leads after the first, and then nobody.
fn story() -> History {
    history(&[
        (2, "e/a", Some("1")),
        (3, "e/b", Some("2")),
        (5, "e/b", Some("3")),
        (6, "e/a", Some("4")),
        (8, "e/a", None),
        (9, "e/b", Some("5")),
        (10, "e/b", None),
        (10, "e/c", Some("6")),
        (12, "e/c", None),
        (14, "other/c", Some("7")),
    ])
}

fn leaders(timeline: &Timeline) -> Vec<(Revision, Option<String>)> {
    let value = |kv: &KeyValue| String::from_utf8_lossy(&kv.value).into_owned();
    let changes = timeline.changes.iter();
    changes
        .map(|(revision, leader)| (*revision, leader.as_ref().map(value)))
        .collect()
}

fn seen(timeline: &Timeline, from: Revision) -> Vec<Seen> {
    let now = Seen {
        revision: from,
        leader: timeline.leader(from).cloned(),
    };
    let later = timeline.changes.range(from + 1..);
    let later = later.map(|(revision, leader)| Seen {
        revision: *revision,
        leader: leader.clone(),
    });
    std::iter::once(now).chain(later).collect()
}

#[test]
fn the_oldest_candidate_leads() {
    let timeline = Timeline::of(&story(), "e");
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        leaders(&timeline),
        [
            (2, some("1")),
            (6, some("4")),
            (8, some("3")),
            (9, some("5")),
            (10, some("6")),
            (12, None)
        ]
    );
    assert_eq!(timeline.leaders(), 3);
    assert_eq!(timeline.last_revision(), 12);
    assert_eq!(timeline.leader(1), None);
    assert_eq!(
        timeline.leader(7).map(|leader| leader.mod_revision),
        Some(6)
    );
}

#[test]
fn an_observer_says_each_change_from_where_it_begins() {
    let timeline = Timeline::of(&story(), "e");
    for from in 1..15 {
        assert_eq!(timeline.check(&seen(&timeline, from)), None, "from {from}");
    }
}

#[test]
fn an_observer_must_not_leave_out_or_add_or_change_anything() {
    let timeline = Timeline::of(&story(), "e");
    let right = seen(&timeline, 1);
    for index in 1..right.len() {
        let mut less = right.clone();
        less.remove(index);
        assert!(timeline.check(&less).is_some(), "without {index}");
        let mut twice = right.clone();
        twice.insert(index, right[index].clone());
        assert!(timeline.check(&twice).is_some(), "{index} twice");
        let mut late = right.clone();
        late[index].revision += 1;
        assert!(timeline.check(&late).is_some(), "{index} late");
        let mut other = right.clone();
        other[index].leader = match &right[index].leader {
            Some(_) => None,
            None => right[1].leader.clone(),
        };
        assert!(timeline.check(&other).is_some(), "{index} otherwise");
    }
    assert!(timeline.check(&right[..1]).is_some(), "only the first");
    assert!(timeline.check(&[]).is_some(), "nothing");
}

fn proclaimed(key: &str, value: &str, outcome: Outcome) -> Vec<Violation> {
    let history = story();
    let proclamation = Proclamation {
        key: key.to_owned().into(),
        value: value.to_owned(),
        outcome,
    };
    Timeline::of(&history, "e").judge(&history, &[proclamation])
}

#[test]
fn only_who_leads_proclaims() {
    assert_eq!(proclaimed("e/a", "4", Outcome::Applied(6)), []);
    assert_eq!(proclaimed("e/b", "5", Outcome::Unknown), []);
    let too_early = proclaimed("e/b", "3", Outcome::Applied(5));
    assert!(
        matches!(too_early[..], [Violation::NoLeader { revision: 5, .. }]),
        "{too_early:?}"
    );
}

#[test]
fn proclamations_become_what_is_said_of_them() {
    assert_eq!(proclaimed("e/a", "x", Outcome::Unknown), []);
    assert_eq!(proclaimed("e/a", "x", Outcome::NotApplied), []);
    for outcome in [Outcome::Applied(5), Outcome::NotApplied] {
        assert_eq!(proclaimed("e/a", "4", outcome).len(), 1, "{outcome:?}");
    }
    assert_eq!(proclaimed("e/a", "x", Outcome::Applied(6)).len(), 1);
}
