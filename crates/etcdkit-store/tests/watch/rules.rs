//! What etcd 3.6 does, rule by rule.

use etcdkit_proto::etcdserverpb::watch_create_request::FilterType;
use etcdkit_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};

use crate::world::{World, revision};

fn key(key: &str) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.to_owned().into(),
        ..Default::default()
    }
}

fn range(from: &str, to: &str) -> WatchCreateRequest {
    WatchCreateRequest {
        range_end: to.to_owned().into(),
        ..key(from)
    }
}

/// Watch id, and the revisions and keys of the events.
fn events(response: &WatchResponse) -> (i64, Vec<(i64, String)>) {
    let events = response.events.iter().map(|event| {
        let kv = event.kv.as_ref().unwrap();
        (kv.mod_revision, String::from_utf8_lossy(&kv.key).into())
    });
    (response.watch_id, events.collect())
}

fn is_progress(response: &WatchResponse, watch_id: i64, at: i64) -> bool {
    response.watch_id == watch_id
        && response.events.is_empty()
        && !response.created
        && !response.canceled
        && revision(response) == at
}

#[test]
fn creation_is_answered_before_any_event() {
    let mut world = World::new();
    world.put(b"a", b"1");
    let stream = world.watchers.open();
    world.watch(
        stream,
        WatchCreateRequest {
            start_revision: 1,
            ..key("a")
        },
    );
    world.put(b"a", b"2");
    let responses = world.all(stream);
    assert!(responses[0].created && !responses[0].canceled);
    assert_eq!((responses[0].watch_id, revision(&responses[0])), (0, 2));
    assert_eq!(
        events(&responses[1]),
        (0, vec![(2, "a".into()), (3, "a".into())])
    );
    assert_eq!(responses.len(), 2);
}

#[test]
fn ids_are_chosen_counted_and_refused() {
    let mut world = World::new();
    let stream = world.watchers.open();
    let mut create = |watch_id, request| {
        let request = WatchCreateRequest {
            watch_id,
            ..request
        };
        world.watch(stream, request);
        let response = world.next(stream).unwrap();
        assert!(response.created);
        assert_eq!(response.canceled, response.watch_id == -1);
        (response.watch_id, response.cancel_reason)
    };
    let none = String::new;
    assert_eq!(create(0, key("a")), (0, none()));
    assert_eq!(create(1, key("a")), (1, none()));
    assert_eq!(create(0, key("a")), (2, none()));
    assert_eq!(create(-7, key("a")), (-7, none()));
    assert_eq!(
        create(1, key("a")).1,
        "mvcc: duplicate watch ID provided on the WatchStream"
    );
    for (from, to) in [("b", "a"), ("b", "b")] {
        assert_eq!(create(0, range(from, to)).1, "mvcc: watcher range is empty");
    }
    let past = WatchCreateRequest {
        start_revision: -1,
        ..key("a")
    };
    assert_eq!(
        create(0, past).1,
        "etcdserver: mvcc: required revision has been compacted"
    );
    assert_eq!(create(0, key("a")), (3, none()), "refusals take no id");

    world.watchers.cancel(&world.store, stream, 1);
    world.watchers.cancel(&world.store, stream, 99);
    let responses = world.all(stream);
    assert_eq!(responses.len(), 1);
    assert!(responses[0].canceled && !responses[0].created);
    assert_eq!(
        (responses[0].watch_id, revision(&responses[0])),
        (1, 1),
        "unknown ids get no answer"
    );
    world.put(b"a", b"1");
    let told: Vec<i64> = world.all(stream).iter().map(|r| r.watch_id).collect();
    assert_eq!(told.len(), 4);
    assert!(!told.contains(&1));
}

#[test]
fn a_start_in_the_future_waits_for_it() {
    let mut world = World::new();
    let stream = world.watchers.open();
    world.watch(
        stream,
        WatchCreateRequest {
            start_revision: 4,
            ..key("a")
        },
    );
    assert_eq!(revision(&world.next(stream).unwrap()), 1);
    for value in [b"2", b"3", b"4"] {
        world.put(b"a", value);
    }
    let responses = world.all(stream);
    assert_eq!(events(&responses[0]), (0, vec![(4, "a".into())]));
    assert_eq!(responses.len(), 1);
}

#[test]
fn a_compacted_start_ends_the_watcher_but_not_the_stream() {
    let mut world = World::new();
    for value in [b"2", b"3", b"4", b"5"] {
        world.put(b"a", value);
    }
    world.compact(4);
    let stream = world.watchers.open();
    let from = |start_revision| WatchCreateRequest {
        start_revision,
        ..key("a")
    };
    world.watch(stream, from(3));
    world.watch(stream, from(4));
    let responses = world.all(stream);
    assert!(responses[0].created && responses[1].created);
    let ended = responses.iter().find(|r| r.watch_id == 0 && r.canceled);
    let ended = ended.unwrap();
    assert_eq!((ended.compact_revision, revision(ended)), (4, 0));
    assert_eq!(ended.cancel_reason, "");
    let seen = responses.iter().find(|r| !r.events.is_empty()).unwrap();
    assert_eq!(events(seen), (1, vec![(4, "a".into()), (5, "a".into())]));

    // As in etcd, the id is in use until it is cancelled, and then that is answered.
    world.watch(
        stream,
        WatchCreateRequest {
            watch_id: 0,
            ..key("a")
        },
    );
    assert_eq!(world.next(stream).unwrap().watch_id, 2);
    world.watchers.cancel(&world.store, stream, 0);
    assert!(world.next(stream).unwrap().canceled);
    world.put(b"a", b"6");
    assert_eq!(world.all(stream).len(), 2);
}

#[test]
fn a_tombstone_at_the_compacted_revision_is_still_seen() {
    let mut world = World::new();
    world.put(b"a", b"1");
    world.txn(&[(b"a", None)]);
    world.compact(3);
    let stream = world.watchers.open();
    world.watch(
        stream,
        WatchCreateRequest {
            start_revision: 3,
            prev_kv: true,
            ..key("a")
        },
    );
    let responses = world.all(stream);
    assert_eq!(events(&responses[1]), (0, vec![(3, "a".into())]));
    assert_eq!(responses[1].events[0].r#type, 1);
    assert_eq!(responses[1].events[0].prev_kv, None, "it is compacted");
}

#[test]
fn filters_drop_events_and_empty_responses() {
    let mut world = World::new();
    let stream = world.watchers.open();
    for kind in [FilterType::Noput, FilterType::Nodelete] {
        let filters = vec![kind.into()];
        world.watch(
            stream,
            WatchCreateRequest {
                filters,
                ..key("a")
            },
        );
    }
    world.all(stream);
    world.put(b"a", b"1");
    world.txn(&[(b"a", None)]);
    let seen: Vec<_> = world.all(stream).iter().map(events).collect();
    assert_eq!(
        seen,
        [(1, vec![(2, "a".into())]), (0, vec![(3, "a".into())])]
    );
}

#[test]
fn progress_is_promised_when_all_watchers_are_synced() {
    let mut world = World::new();
    world.put(b"a", b"1");
    let stream = world.watchers.open();
    world.watchers.ask_progress(stream);
    assert!(world.all(stream).is_empty(), "there is no watcher");

    world.watch(stream, key("a"));
    world.watch(
        stream,
        WatchCreateRequest {
            start_revision: 1,
            ..key("a")
        },
    );
    world.watchers.ask_progress(stream);
    world.put(b"a", b"2");
    let responses = world.all(stream);
    let (last, before) = responses.split_last().unwrap();
    assert!(is_progress(last, -1, 3), "{last:?}");
    let seen: usize = before.iter().map(|response| response.events.len()).sum();
    assert_eq!(seen, 3, "everything promised was sent before");

    world.watch(
        stream,
        WatchCreateRequest {
            start_revision: 9,
            ..key("a")
        },
    );
    world.all(stream);
    world.watchers.ask_progress(stream);
    assert!(world.all(stream).is_empty(), "one watcher is in the future");
}

#[test]
fn idle_watchers_are_notified_of_progress_if_they_asked_for_it() {
    let mut world = World::new();
    let stream = world.watchers.open();
    for progress_notify in [true, false, true] {
        world.watch(
            stream,
            WatchCreateRequest {
                progress_notify,
                ..key(if progress_notify { "a" } else { "b" })
            },
        );
    }
    world.all(stream);
    world.watchers.notify_progress(&world.store, stream);
    let told = world.all(stream);
    assert!(is_progress(&told[0], 0, 1) && is_progress(&told[1], 2, 1));
    assert_eq!(told.len(), 2);

    world.put(b"a", b"1");
    world.watchers.notify_progress(&world.store, stream);
    let told = world.all(stream);
    assert!(told.iter().all(|response| !response.events.is_empty()));
    // The round after an event is left out, as in etcd.
    world.put(b"a", b"2");
    world.all(stream);
    world.watchers.notify_progress(&world.store, stream);
    assert!(world.all(stream).is_empty());
    world.watchers.notify_progress(&world.store, stream);
    assert_eq!(world.all(stream).len(), 2);
}

#[test]
fn only_streams_that_had_nothing_to_send_are_woken() {
    let mut world = World::new();
    let [one, two] = [world.watchers.open(), world.watchers.open()];
    world.watch(one, key("a"));
    world.watch(two, range("a", "c"));
    world.all(one);
    world.all(two);
    assert_eq!(world.put(b"a", b"1"), [one, two]);
    assert_eq!(world.put(b"a", b"2"), []);
    world.all(two);
    assert_eq!(world.put(b"b", b"1"), [two]);
    assert_eq!(world.put(b"x", b"1"), []);
    world.watchers.close(two);
    assert_eq!(world.put(b"b", b"1"), []);
}

#[test]
fn a_peer_that_does_not_read_loses_nothing() {
    let mut world = World::new();
    let stream = world.watchers.open();
    world.watch(stream, range("k", "l"));
    world.watch(stream, key("k7"));
    for n in 0..30_000 {
        let key = format!("k{}", n % 10);
        world.put(key.as_bytes(), b"v");
    }
    let mut seen: [Vec<i64>; 2] = [Vec::new(), Vec::new()];
    for response in world.all(stream) {
        let revisions = response.events.iter();
        let revisions = revisions.map(|event| event.kv.as_ref().unwrap().mod_revision);
        seen[response.watch_id as usize].extend(revisions);
    }
    assert!(seen[0].iter().copied().eq(2..30_002));
    assert!(seen[1].iter().copied().eq((9..30_002).step_by(10)));
    // It has caught up: what comes now is sent at once.
    world.put(b"k7", b"v");
    assert_eq!(world.all(stream).len(), 2);
}

#[test]
fn a_compaction_that_overtakes_a_slow_peer_ends_its_watcher() {
    let mut world = World::new();
    let stream = world.watchers.open();
    world.watch(stream, key("a"));
    for _ in 0..20_000 {
        world.put(b"a", b"v");
    }
    world.compact(15_000);
    let responses = world.all(stream);
    let last = responses.last().unwrap();
    assert!(last.canceled);
    assert_eq!(last.compact_revision, 15_000);
    let seen: usize = responses.iter().map(|r| r.events.len()).sum();
    assert!((1_000..15_000).contains(&seen), "{seen}: what was queued");
}
