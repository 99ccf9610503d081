//! What a test holds.

use std::sync::{Arc, Weak};
use std::time::Duration;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::{AlarmType, CompactionRequest};

use super::failure::Failure;
use super::rule::FaultBuilder;
use super::select::Rpcs;
use crate::connection::Connections;
use crate::grpc::Status;
use crate::node::Node;
use crate::rpc::Rpc;

/// Makes a server fail as etcd and networks do; made by [`Server::faults`](crate::Server::faults).
///
/// Everything takes effect before the method returns. Handles are cheap to clone, may be used from
/// anywhere, and do not keep the server alive; when it is gone they do nothing.
#[derive(Clone, Debug)]
pub struct Faults {
    node: Weak<Node>,
    connections: Weak<Connections>,
}

/// What a member raises an alarm for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Alarm {
    /// The database has reached its quota: puts, grants of leases and transactions that may put are refused.
    NoSpace,
    /// The member's data is damaged: all writes are refused.
    Corrupt,
}

impl From<Alarm> for i32 {
    fn from(alarm: Alarm) -> Self {
        match alarm {
            Alarm::NoSpace => AlarmType::Nospace.into(),
            Alarm::Corrupt => AlarmType::Corrupt.into(),
        }
    }
}

impl Faults {
    pub(crate) fn new(connections: &Arc<Connections>) -> Self {
        Self {
            node: Arc::downgrade(connections.node()),
            connections: Arc::downgrade(connections),
        }
    }

    /// Starts to describe a fault of calls: of one [`Rpc`], several, or [`Rpcs::ALL`].
    pub fn on(&self, rpcs: impl Into<Rpcs>) -> FaultBuilder {
        FaultBuilder::new(Weak::clone(&self.node), rpcs.into())
    }

    /// How often an RPC was called since the server started; streaming calls count when they are
    /// opened. 0 when the server is gone.
    pub fn calls(&self, rpc: Rpc) -> u64 {
        let node = self.node.upgrade();
        node.map_or(0, |node| node.metrics.calls.started(rpc))
    }

    /// Takes everything back that can be: the faults of calls, stalled streams, refused connections, a pause
    /// and a lost leader. Alarms and data stay as they are, and calls that hang go on hanging.
    pub fn clear(&self) {
        let Some(node) = self.node.upgrade() else {
            return;
        };
        node.faults.remove_all();
        node.faults.refuse(false);
        self.resume_streams();
        self.resume();
        self.regain_leader();
        node.faults.update(false);
    }

    // ---- Connections and streams

    /// Ends all connections now, with everything on them, as when a network breaks. Clients may connect again
    /// at once. Calls that are being carried out may be or not.
    pub fn drop_connections(&self) {
        if let Some(connections) = self.connections.upgrade() {
            connections.cut_all();
        }
    }

    /// Takes no new connections until [`accept_connections`](Self::accept_connections); those that are open
    /// stay. A [`Connector`](crate::Connector) fails with `ConnectionRefused`; a connection by a port is
    /// closed as soon as it is made, so that nobody else can take the port.
    pub fn refuse_connections(&self) {
        if let Some(node) = self.node.upgrade() {
            node.faults.refuse(true);
        }
    }

    /// Takes connections again.
    pub fn accept_connections(&self) {
        if let Some(node) = self.node.upgrade() {
            node.faults.refuse(false);
        }
    }

    /// Ends the streaming calls of these RPCs that are open now, such as all watches, with an error. Their connections
    /// stay, and so does everything else on them.
    pub fn end_streams(&self, rpcs: impl Into<Rpcs>, failure: impl Into<Failure>) {
        if let Some(node) = self.node.upgrade() {
            node.faults.end_streams(rpcs.into(), false, &failure.into());
        }
    }

    /// Lets the streaming calls of these RPCs stand still, those that are open and those to come: they stay
    /// open and say nothing, until [`resume_streams`](Self::resume_streams). Nothing is lost.
    ///
    /// What can be noticed of it is silence; etcd does so when a member hangs that a proxy still answers
    /// for.
    pub fn stall_streams(&self, rpcs: impl Into<Rpcs>) {
        if let Some(node) = self.node.upgrade() {
            let more = rpcs.into();
            node.faults.stall_streams(|stalled| stalled.and(more));
        }
    }

    /// Lets streams go on.
    pub fn resume_streams(&self) {
        if let Some(node) = self.node.upgrade() {
            node.faults.stall_streams(|_| Rpcs::NONE);
        }
    }

    // ---- The member

    /// Freezes the member, like `SIGSTOP` does a process: connections stay open, are even made, and nothing on
    /// them is answered; no lease expires.
    pub fn pause(&self) {
        if let Some(node) = self.node.upgrade() {
            node.faults.pause();
            node.faults.update(node.leadership.is_lost());
        }
    }

    /// Ends a pause. What came meanwhile is answered now, and leases whose time is over expire.
    pub fn resume(&self) {
        if let Some(node) = self.node.upgrade() {
            node.faults.resume();
            node.faults.update(node.leadership.is_lost());
            node.expiry_changed.notify_one();
        }
    }

    /// Does to clients what the restart of the process does, and keeps the data: all connections end, tokens
    /// of users are void, leases have their full time to live again, and the Raft term is one higher.
    ///
    /// The server listens on, at the same addresses; counters go on.
    pub fn restart(&self) {
        let Some(node) = self.node.upgrade() else {
            return;
        };
        self.drop_connections();
        node.gate.forget_all();
        begin_term(&node);
        node.faults.update(false);
    }

    // ---- The cluster

    /// Takes the leader away from the member, as when the other two of three are gone, until
    /// [`regain_leader`](Self::regain_leader):
    ///
    /// * Calls with `hasleader` metadata are refused at once with `etcdserver: no leader`, and streams that
    ///   were opened with it end with the same (in etcd after three election timeouts).
    /// * Other writes and linearizable reads wait for a leader, and are given up after seven seconds (see
    ///   [`request_timeout`](Self::request_timeout)): writes with `context deadline exceeded`, and reads with
    ///   `etcdserver: request timed out`.
    /// * Serializable reads, `Status`, and watches without `hasleader` go on. No lease expires.
    /// * `/health` says `RAFT NO LEADER`.
    pub fn lose_leader(&self) {
        if let Some(node) = self.node.upgrade() {
            node.leadership.lose();
            node.faults.update(true);
            let no_leader = EtcdError::NoLeader.into();
            node.faults.end_streams(Rpcs::ALL, true, &no_leader);
        }
    }

    /// Gives the member a leader again, at a higher Raft term. Writes that wait are applied; reads that wait are
    /// refused with `etcdserver: leader changed`, as in etcd; leases have their full time to live again.
    ///
    /// Does nothing if there is a leader.
    pub fn regain_leader(&self) {
        if let Some(node) = self.node.upgrade()
            && node.leadership.is_lost()
        {
            begin_term(&node);
            node.faults.update(false);
        }
    }

    /// How long requests wait for a leader; seven seconds unless set, as in etcd with an election timeout
    /// of one second.
    pub fn request_timeout(&self, timeout: Duration) {
        if let Some(node) = self.node.upgrade() {
            node.leadership.set_request_timeout(timeout);
        }
    }

    // ---- The data

    /// Compacts everything up to the current revision, so that whoever wants to read or watch from an older one
    /// is refused. Returns the revision; 0 when the server is gone.
    pub fn compact(&self) -> i64 {
        let compacted = self.with_store(|node| {
            node.applier.apply_detached(|store| {
                let revision = store.revision();
                // It can only fail because it is compacted already.
                let _ = store.stage_compact(&CompactionRequest {
                    revision,
                    physical: true,
                });
                Ok(revision)
            })
        });
        compacted.unwrap_or_default()
    }

    /// Raises an alarm of the member, which refuses writes until it is cleared, here or by a client.
    pub fn raise_alarm(&self, alarm: Alarm) {
        self.with_store(|node| {
            let member = node.identity.member_id;
            node.applier.apply_detached(|store| {
                store.alarms_mut().activate(member, alarm.into());
                Ok(())
            })
        });
    }

    /// Clears an alarm of the member.
    pub fn clear_alarm(&self, alarm: Alarm) {
        self.with_store(|node| {
            let member = node.identity.member_id;
            node.applier.apply_detached(|store| {
                store.alarms_mut().deactivate(member, alarm.into());
                Ok(())
            })
        });
    }

    /// What was done is visible when it returns.
    fn with_store<T>(&self, f: impl FnOnce(&Node) -> Result<T, Status>) -> Option<T> {
        let node = self.node.upgrade()?;
        let done = f(&node);
        node.applier.settle();
        match done {
            Ok(done) => Some(done),
            Err(status) => {
                tracing::error!(?status, "a fault could not be made");
                None
            }
        }
    }
}

/// Elects a leader, which cannot know how much of their time leases have spent, and so begins it again.
fn begin_term(node: &Node) {
    let now = node.clock.now();
    let renewed = node.applier.stage(|store| {
        store.lease_renew_all(now);
        Ok(())
    });
    if let Err(status) = renewed {
        tracing::error!(?status, "leases could not be given their time again");
    }
    node.leadership.elect();
    node.expiry_changed.notify_one();
}
