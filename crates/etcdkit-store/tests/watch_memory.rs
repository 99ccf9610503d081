//! What peers that never read may cost: counted in allocations of the watchers alone.

#![allow(clippy::unwrap_used)]

use etcdkit_proto::etcdserverpb::{PutRequest, WatchCreateRequest};
use etcdkit_store::{Next, Store, StreamId, Watchers};

/// How many watchers of everything each stream has.
const WATCHERS: usize = 100;

const STREAMS: usize = 2;

/// The most that one stream may hold: room for 8,192 changes in its queue, twice as much while that
/// grows, and a place in the line of those that are behind for each watcher.
const PER_STREAM: i64 = 1024 * 1024;

const MAX_BYTES: usize = 2 * 1024 * 1024;

struct World {
    store: Store,
    watchers: Watchers,
    /// What the watchers have allocated and not freed, in bytes.
    held: i64,
}

impl World {
    fn new() -> Self {
        Self {
            store: Store::new(),
            watchers: Watchers::default(),
            held: 0,
        }
    }

    fn stream(&mut self) -> StreamId {
        let stream = self.watchers.open();
        for _ in 0..WATCHERS {
            let request = WatchCreateRequest {
                key: vec![0].into(),
                range_end: vec![0].into(),
                prev_kv: true,
                progress_notify: true,
                ..Default::default()
            };
            self.watchers.create(&self.store, stream, request);
        }
        while let Next::Response(_) = self.watchers.next(&self.store, stream, MAX_BYTES) {}
        stream
    }

    fn put(&mut self, number: usize) {
        let before = self.store.revision();
        let put = PutRequest {
            key: format!("key-{}", number % 1_000).into(),
            value: vec![b'v'; 100].into(),
            ..Default::default()
        };
        self.store.put(put).unwrap();
        let records = self.store.published_after(before);
        let watchers = &mut self.watchers;
        let allocated = allocation_counter::measure(|| watchers.published(records, |_| {}));
        self.held += allocated.bytes_current;
    }
}

#[test]
fn peers_that_never_read_cost_a_bounded_amount_of_memory() {
    let mut world = World::new();
    let streams: Vec<StreamId> = (0..STREAMS).map(|_| world.stream()).collect();
    let bound = PER_STREAM * i64::try_from(STREAMS).unwrap();
    for number in 0..1_000 {
        world.put(number);
    }
    let after_a_thousand = world.held;
    for number in 0..4_000 {
        world.put(number);
    }
    println!("{after_a_thousand} bytes, then {}", world.held);
    assert!(world.held < bound, "{} bytes", world.held);
    // The queues were full long before: not a byte more for four times as many changes.
    assert_eq!(world.held, after_a_thousand);

    // And nothing is lost to them once they read.
    for stream in streams {
        let mut delivered = 0;
        loop {
            match world.watchers.next(&world.store, stream, MAX_BYTES) {
                Next::Response(response) => delivered += response.events.len(),
                Next::Working => {}
                Next::Idle => break,
            }
        }
        assert_eq!(delivered, 5_000 * WATCHERS);
    }
}
