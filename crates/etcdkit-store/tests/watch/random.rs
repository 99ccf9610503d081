//! Watchers beside random writes: each must see what its range changed, whole revisions at a time.
//!
//! Peers read at their own pace, so that queues fill and watchers catch up from the log.

use std::collections::BTreeMap;

use etcdkit_proto::etcdserverpb::watch_create_request::FilterType;
use etcdkit_proto::etcdserverpb::{WatchCreateRequest, WatchResponse};
use etcdkit_store::StreamId;

use crate::world::{Change, World, revision};

/// A watcher of the random test, and what it must have seen.
#[derive(Debug)]
struct Expected {
    stream: usize,
    from: Vec<u8>,
    /// `None` watches a single key, an empty one everything from there on.
    to: Option<Vec<u8>>,
    next: i64,
    no_put: bool,
    no_delete: bool,
    prev_kv: bool,
    seen: Vec<Change>,
}

impl Expected {
    fn watches(&self, change: &Change) -> bool {
        let within = match &self.to {
            None => change.key == self.from,
            Some(to) => change.key >= self.from && (to.is_empty() || change.key < *to),
        };
        let filtered = match change.value {
            Some(_) => self.no_put,
            None => self.no_delete,
        };
        within && !filtered && change.revision >= self.next
    }
}

#[test]
fn every_watcher_sees_its_changes_once_in_order_and_whole() {
    for _ in 0..20 {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        run(fastrand::Rng::with_seed(seed));
    }
}

fn run(mut random: fastrand::Rng) {
    let mut world = World::new();
    let mut streams: Vec<StreamId> = (0..4).map(|_| world.watchers.open()).collect();
    let mut expected: BTreeMap<i64, Expected> = BTreeMap::new();
    let mut next_id = 1;
    for _ in 0..600 {
        match random.u8(..100) {
            0..12 => {
                let from = vec![random.u8(b'a'..b'k')];
                let to = match random.u8(..4) {
                    0 => None,
                    1 => Some(Vec::new()),
                    _ => Some(vec![from[0] + random.u8(1..6)]),
                };
                let current = world.store.revision();
                let start_revision = match random.u8(..3) {
                    0 => 0,
                    1 => random.i64(1..=current),
                    _ => current + random.i64(1..10),
                };
                let stream = random.usize(..streams.len());
                let watcher = Expected {
                    stream,
                    from,
                    to,
                    next: if start_revision == 0 {
                        current + 1
                    } else {
                        start_revision
                    },
                    no_put: random.u8(..5) == 0,
                    no_delete: random.u8(..5) == 0,
                    prev_kv: random.bool(),
                    seen: Vec::new(),
                };
                let mut filters = Vec::new();
                filters.extend(watcher.no_put.then_some(FilterType::Noput as i32));
                filters.extend(watcher.no_delete.then_some(FilterType::Nodelete as i32));
                let range_end = match &watcher.to {
                    None => Vec::new(),
                    Some(open) if open.is_empty() => vec![0],
                    Some(to) => to.clone(),
                };
                world.watch(
                    streams[stream],
                    WatchCreateRequest {
                        key: watcher.from.clone().into(),
                        range_end: range_end.into(),
                        start_revision,
                        filters,
                        prev_kv: watcher.prev_kv,
                        watch_id: next_id,
                        ..Default::default()
                    },
                );
                expected.insert(next_id, watcher);
                next_id += 1;
            }
            12..15 => {
                if let Some(id) = expected
                    .keys()
                    .nth(random.usize(..=expected.len()))
                    .copied()
                {
                    let watcher = expected.remove(&id).unwrap();
                    let stream = streams[watcher.stream];
                    world.watchers.cancel(&world.store, stream, id);
                }
            }
            15..17 => {
                let closed = random.usize(..streams.len());
                world.watchers.close(streams[closed]);
                streams[closed] = world.watchers.open();
                expected.retain(|_, watcher| watcher.stream != closed);
            }
            17..70 => {
                let mut keys: Vec<u8> = (b'a'..b'o').collect();
                random.shuffle(&mut keys);
                keys.truncate(random.usize(1..5));
                let value = vec![random.u8(..); random.usize(1..8)];
                let writes: Vec<(&[u8], Option<&[u8]>)> = keys
                    .iter()
                    .map(|key| {
                        let value = (random.u8(..10) < 7).then_some(value.as_slice());
                        (std::slice::from_ref(key), value)
                    })
                    .collect();
                world.txn(&writes);
            }
            _ => {
                let stream = random.usize(..streams.len());
                for _ in 0..random.u8(1..10) {
                    let Some(response) = world.next(streams[stream]) else {
                        break;
                    };
                    see(&mut expected, response);
                }
            }
        }
    }
    for stream in streams {
        for response in world.all(stream) {
            see(&mut expected, response);
        }
    }
    for (id, watcher) in &expected {
        let due = world
            .changes
            .iter()
            .filter(|change| watcher.watches(change));
        let due: Vec<Change> = due
            .map(|change| Change {
                before: change.before.clone().filter(|_| watcher.prev_kv),
                ..change.clone()
            })
            .collect();
        assert_eq!(watcher.seen, due, "watcher {id}: {watcher:?}");
    }
}

/// Writes down what a response brings, which may not continue a revision.
fn see(expected: &mut BTreeMap<i64, Expected>, response: WatchResponse) {
    // Cancelled ones may still be told that they were.
    let Some(watcher) = expected.get_mut(&response.watch_id) else {
        assert!(response.events.is_empty(), "{response:?}");
        return;
    };
    let revision = revision(&response);
    let last = watcher.seen.last().map_or(0, |change| change.revision);
    for event in response.events {
        let kv = event.kv.unwrap();
        assert!(kv.mod_revision > last, "a revision was split");
        assert!(kv.mod_revision <= revision, "the header is behind");
        watcher.seen.push(Change {
            revision: kv.mod_revision,
            key: kv.key.to_vec(),
            value: (event.r#type == 0).then(|| kv.value.to_vec()),
            before: event.prev_kv.map(|kv| kv.value.to_vec()),
        });
    }
}
