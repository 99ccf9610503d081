//! Watches: of every range, from every revision, on a few streams.

use etcdkit_proto::etcdserverpb::WatchCreateRequest;

use super::Generator;
use crate::differential::{
    calls::Call,
    operation::WatchCall,
    position::{from_compacted, from_current, retained},
};
use crate::etcd::Version;

const STREAMS: usize = 3;

/// Ids that clients choose; 0 leaves the choice to the server.
const IDS: [i64; 6] = [1, 2, 7, -1, -5, i64::MAX];

/// Earlier versions start such a watch and cancel it at once, so its id is gone.
const REFUSES_NEGATIVE_STARTS: Version = Version::new(3, 5, 24);

impl Generator {
    pub(super) fn watch_call(&mut self) -> Call {
        let stream = self.random.usize(..STREAMS);
        Call::Watch(match self.random.u32(..100) {
            0..40 => WatchCall::Create {
                stream,
                request: self.watch_request(),
            },
            40..50 => WatchCall::Cancel {
                stream,
                watch_id: match self.chance(30) {
                    true => self.pick(&IDS),
                    false => self.random.i64(0..6),
                },
            },
            50..62 => WatchCall::Progress { stream },
            62..97 => WatchCall::Drain { stream },
            _ => WatchCall::Close { stream },
        })
    }

    fn watch_request(&mut self) -> WatchCreateRequest {
        let key = self.key();
        WatchCreateRequest {
            range_end: self.range_end(&key),
            key,
            start_revision: match self.random.u32(..20) {
                0..7 => 0,
                7..12 => retained(self.random.i64(0..=1_000)),
                12 => from_current(0),
                13..15 => from_current(self.random.i64(1..6)),
                15 => from_compacted(0),
                16 => from_compacted(-1),
                17 => from_compacted(1),
                18 => 1,
                _ if self.version < REFUSES_NEGATIVE_STARTS => i64::MAX,
                _ => self.pick(&[-2, i64::MIN, i64::MAX]),
            },
            progress_notify: self.random.bool(),
            filters: match self.random.u32(..12) {
                0 => vec![0],
                1 => vec![1],
                2 => vec![0, 1],
                3 => vec![9],
                4 => vec![1, 1],
                _ => Vec::new(),
            },
            prev_kv: self.random.bool(),
            watch_id: match self.chance(30) {
                true => self.pick(&IDS),
                false => 0,
            },
            fragment: self.chance(30),
        }
    }

    /// Whatever is left on the streams.
    pub(super) fn last_watch_calls() -> impl Iterator<Item = Call> {
        (0..STREAMS).map(|stream| Call::Watch(WatchCall::Drain { stream }))
    }
}
