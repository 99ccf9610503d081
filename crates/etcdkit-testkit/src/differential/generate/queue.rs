//! Locks and elections, and the keys of their queues.

use bytes::Bytes;
use etcdkit_proto::{
    etcdserverpb::{DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, RangeRequest},
    v3electionpb::{CampaignRequest, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest},
    v3lockpb::{LockRequest, UnlockRequest},
};

use super::Generator;
use crate::differential::{
    calls::Call,
    operation::{Operation, QueueCall},
    position::from_current,
};

/// The last of the slots are for observers.
const SLOTS: usize = 6;
const OBSERVERS: std::ops::Range<usize> = 4..SLOTS;

const QUEUES: [&[u8]; 3] = [b"q", b"q/1", b""];

/// The lease of the first session; each slot that waits has its own.
const SESSION: i64 = 0x10;

impl Generator {
    pub(super) fn queue_sessions(&mut self) {
        let slots = 0..OBSERVERS.start;
        self.queued.extend(slots.map(session).map(Operation::from));
    }

    pub(super) fn queue_call(&mut self) -> Call {
        let slot = self.random.usize(..OBSERVERS.start);
        let lease = match self.chance(4) {
            true => self.pick(&[9, -9]),
            false => lease_of(slot),
        };
        let name = Bytes::from_static(match self.chance(85) {
            true => QUEUES[0],
            false => self.pick(&QUEUES),
        });
        match self.random.u32(..100) {
            0..14 => Call::Queue(QueueCall::Lock {
                slot,
                request: LockRequest { name, lease },
            }),
            14..28 => Call::Queue(QueueCall::Campaign {
                slot,
                request: CampaignRequest {
                    name,
                    lease,
                    value: self.value(),
                },
            }),
            28..33 => Call::Queue(QueueCall::Observe {
                slot: self.random.usize(OBSERVERS),
                name,
            }),
            33..53 => Call::Queue(QueueCall::Collect {
                slot: self.random.usize(..SLOTS),
            }),
            53..58 => Call::Queue(QueueCall::GiveUp {
                slot: self.random.usize(..SLOTS),
            }),
            58..66 => Call::Unlock(UnlockRequest {
                key: key_of(&name, lease),
            }),
            66..72 => Call::Leader(LeaderRequest { name }),
            72..79 => Call::Proclaim(ProclaimRequest {
                leader: self.leader(name, lease),
                value: self.value(),
            }),
            79..86 => Call::Resign(ResignRequest {
                leader: self.leader(name, lease),
            }),
            86..92 => session(slot),
            92..95 => Call::LeaseRevoke(LeaseRevokeRequest { id: lease_of(slot) }),
            95..97 => Call::DeleteRange(DeleteRangeRequest {
                key: key_of(&name, lease),
                ..Default::default()
            }),
            _ => Call::Range(RangeRequest {
                key: "q".into(),
                range_end: "r".into(),
                ..Default::default()
            }),
        }
    }

    /// One without a key stands for the leader that was last named.
    fn leader(&mut self, name: Bytes, lease: i64) -> Option<LeaderKey> {
        match self.random.u32(..10) {
            0 => None,
            1..7 => Some(LeaderKey::default()),
            _ => Some(LeaderKey {
                key: key_of(&name, lease),
                name,
                rev: from_current(-self.random.i64(0..6)),
                lease,
            }),
        }
    }

    /// Whatever has come of the calls.
    pub(super) fn last_queue_calls() -> impl Iterator<Item = Call> {
        (0..SLOTS).map(|slot| Call::Queue(QueueCall::Collect { slot }))
    }
}

fn lease_of(slot: usize) -> i64 {
    let slot = i64::try_from(slot).unwrap_or_default();
    SESSION + slot
}

fn session(slot: usize) -> Call {
    Call::LeaseGrant(LeaseGrantRequest {
        id: lease_of(slot),
        ttl: 600,
    })
}

fn key_of(name: &[u8], lease: i64) -> Bytes {
    let sign = if lease < 0 { "-" } else { "" };
    let lease = format!("/{sign}{:x}", lease.unsigned_abs());
    [name, lease.as_bytes()].concat().into()
}
