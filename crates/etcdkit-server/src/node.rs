//! What every front end of one server shares: the engine, who the member is, and its limits.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{AlarmType, ResponseHeader};
use etcdkit_store::Quota;
use tokio::sync::{Notify, watch};

use crate::applier::Applier;
use crate::auto_compaction::AutoCompactor;
use crate::clock::Clock;
use crate::downgrade::Downgrade;
use crate::faults::Board;
use crate::gate::Gate;
use crate::grpc::Status;
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::v2::V2;
use crate::version::Version;

/// How far a gRPC message may exceed `max_request_bytes`, as in etcd, so that a request slightly
/// too large gets etcd's own error instead of gRPC's.
const GRPC_OVERHEAD_BYTES: usize = 512 * 1024;

/// One running member.
pub(crate) struct Node {
    pub(crate) applier: Applier,
    pub(crate) clock: Clock,
    pub(crate) gate: Gate,
    pub(crate) downgrade: Downgrade,
    /// How much work hashing a password is.
    pub(crate) bcrypt_cost: u32,
    pub(crate) auto_compactor: AutoCompactor,
    /// Told when a lease, or a key of v2, may expire earlier than the next known expiry.
    pub(crate) expiry_changed: Notify,
    pub(crate) identity: Identity,
    pub(crate) limits: Limits,
    pub(crate) leadership: Arc<Leadership>,
    /// What the front end of the v2 API knows by itself, if it is answered.
    pub(crate) v2: Option<V2>,
    pub(crate) metrics: Metrics,
    pub(crate) faults: Board,
    /// Becomes true when the server stops, for streams that would otherwise never end.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Who the member says it is.
pub(crate) struct Identity {
    pub(crate) cluster_id: u64,
    pub(crate) member_id: u64,
    pub(crate) name: String,
    /// What the member was started with, or updated to.
    pub(crate) peer_urls: RwLock<Vec<String>>,
    pub(crate) client_urls: Vec<String>,
    pub(crate) version: Version,
    pub(crate) raft_term: u64,
}

/// How much one request may ask for, how large the data may grow, and how often a watch hears of
/// progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_request_bytes: usize,
    pub(crate) max_txn_ops: usize,
    pub(crate) watch_progress_notify_interval: Duration,
    pub(crate) quota: Quota,
}

impl Limits {
    /// The longest gRPC message that is read at all.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.max_request_bytes.saturating_add(GRPC_OVERHEAD_BYTES)
    }
}

impl Node {
    /// A header at `revision`.
    pub(crate) fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.identity.cluster_id,
            member_id: self.identity.member_id,
            revision,
            raft_term: self.raft_term(),
        }
    }

    /// One more with each election since the start.
    pub(crate) fn raft_term(&self) -> u64 {
        self.identity.raft_term + self.leadership.elections()
    }

    /// Whether nothing may happen in the member by itself.
    pub(crate) fn stands_still(&self) -> bool {
        self.leadership.is_lost() || self.faults.is_paused()
    }

    /// Completes the engine's header, which knows the revision only.
    pub(crate) fn sign(&self, header: &mut Option<ResponseHeader>) {
        if let Some(header) = header {
            *header = self.header(header.revision);
        }
    }

    /// Refuses what would exceed the quota, and raises the alarm, which then keeps everybody from
    /// putting anything until somebody takes it back.
    ///
    /// As in etcd, this comes before any other check. What runs at the same time may exceed the
    /// quota together, by the size of the requests under way.
    pub(crate) fn require_room(&self, cost: u64) -> Result<(), Status> {
        let size = self.applier.size();
        if self.limits.quota.admits(size, cost) {
            return Ok(());
        }
        tracing::warn!(
            size,
            quota = self.limits.quota.bytes(),
            "the data has reached its quota: compact and defragment, then disarm the alarm"
        );
        self.applier.apply_detached(|store| {
            let alarm = AlarmType::Nospace.into();
            store.alarms_mut().activate(self.identity.member_id, alarm);
            Ok(())
        })?;
        Err(EtcdError::NoSpace.into())
    }
}
