//! How often which RPC was called, and how its calls ended.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use etcdkit_proto::Code;

use super::Counter;
use crate::node::Node;
use crate::rpc::Rpc;

/// The calls of every RPC.
#[derive(Debug)]
pub(crate) struct Calls {
    /// By the RPC's index.
    counters: [OfRpc; Rpc::COUNT],
    /// Failures are rare enough for a lock.
    failed: Mutex<BTreeMap<(Rpc, &'static str), u64>>,
}

#[derive(Debug, Default)]
struct OfRpc {
    started: Counter,
    succeeded: Counter,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            counters: std::array::from_fn(|_| OfRpc::default()),
            failed: Mutex::default(),
        }
    }
}

impl Calls {
    /// How many calls were begun.
    pub(crate) fn started(&self, rpc: Rpc) -> u64 {
        self.of(rpc).map_or(0, |counters| counters.started.get())
    }

    /// How many calls succeeded.
    pub(super) fn succeeded(&self, rpc: Rpc) -> u64 {
        self.of(rpc).map_or(0, |counters| counters.succeeded.get())
    }

    /// How many calls failed, by RPC and the name of the code.
    pub(super) fn failed(&self) -> BTreeMap<(Rpc, &'static str), u64> {
        self.failures().clone()
    }

    fn start(&self, rpc: Rpc) {
        if let Some(counters) = self.of(rpc) {
            counters.started.add(1);
        }
    }

    fn end(&self, rpc: Rpc, code: Code) {
        match self.of(rpc) {
            Some(counters) if code == Code::Ok => counters.succeeded.add(1),
            _ => *self.failures().entry((rpc, name(code))).or_default() += 1,
        }
    }

    fn of(&self, rpc: Rpc) -> Option<&OfRpc> {
        self.counters.get(rpc.index())
    }

    fn failures(&self) -> MutexGuard<'_, BTreeMap<(Rpc, &'static str), u64>> {
        // A number is never half changed.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that has begun. Unless it is said how it ended, its peer gave it up.
pub(crate) struct Tally<N: Borrow<Node>> {
    node: N,
    rpc: Rpc,
    ended: bool,
}

impl<N: Borrow<Node>> Tally<N> {
    pub(crate) fn begin(node: N, rpc: Rpc) -> Self {
        node.borrow().metrics.calls.start(rpc);
        Self {
            node,
            rpc,
            ended: false,
        }
    }

    /// Lets another owner of the node say how it ended.
    pub(crate) fn hand_over<M: Borrow<Node>>(mut self, node: M) -> Tally<M> {
        Tally {
            node,
            rpc: self.rpc,
            ended: std::mem::replace(&mut self.ended, true),
        }
    }

    pub(crate) fn rpc(&self) -> Rpc {
        self.rpc
    }

    /// Only the first end counts.
    pub(crate) fn end(&mut self, code: Code) {
        if !std::mem::replace(&mut self.ended, true) {
            self.node.borrow().metrics.calls.end(self.rpc, code);
        }
    }
}

impl<N: Borrow<Node>> Drop for Tally<N> {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// A code as Go's gRPC spells it, which etcd's metrics show.
const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
