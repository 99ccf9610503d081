//! Faults of calls, as they are asked for.

use std::sync::Weak;
use std::time::Duration;

use tokio::sync::watch;

use super::failure::Failure;
use super::rules::{Action, End, Rule, RuleId, Schedule};
use super::select::Rpcs;
use crate::node::Node;

/// Says which calls get a fault; made by [`Faults::on`](super::Faults::on). The last method says what
/// happens to them, and starts it.
///
/// Without [`nth`](Self::nth), [`skip`](Self::skip), [`times`](Self::times) or [`randomly`](Self::randomly)
/// it is every call from now on. Calls are those that begin after the fault was set. A streaming
/// call, such as a watch stream with all its watches, is one call that begins when it is opened.
///
/// A call can get several faults, in the order in which they were set: delays add up, and what ends the
/// call first hides the rest.
#[derive(Debug)]
#[must_use = "nothing happens until a method says what: `fail`, `delay`, `hang` or `disconnect`"]
pub struct FaultBuilder {
    node: Weak<Node>,
    rpcs: Rpcs,
    schedule: Schedule,
    once_applied: bool,
}

impl FaultBuilder {
    pub(super) fn new(node: Weak<Node>, rpcs: Rpcs) -> Self {
        Self {
            node,
            rpcs,
            schedule: Schedule::default(),
            once_applied: false,
        }
    }

    /// Lets so many calls through first.
    pub fn skip(mut self, calls: u64) -> Self {
        self.schedule.skip = calls;
        self
    }

    /// Happens to so many calls, and then no more.
    pub fn times(mut self, calls: u64) -> Self {
        self.schedule.times = Some(calls);
        self
    }

    /// Happens to one call only: the first from now is `nth(1)`. 0 is taken for 1.
    pub fn nth(self, call: u64) -> Self {
        self.skip(call.saturating_sub(1)).times(1)
    }

    /// Happens to a share of the calls, from 0.0 to 1.0, which the seed draws: the same seed draws the same
    /// calls.
    pub fn randomly(mut self, share: f64, seed: u64) -> Self {
        self.schedule.chance = Some((share, fastrand::Rng::with_seed(seed)));
        self
    }

    /// Carries the call out first, so that the fault hides an outcome that is not the one it suggests: a
    /// write whose caller sees an error and that has happened. The answer is thrown away, whatever it was.
    ///
    /// For a streaming call, it happens in place of the first answer.
    pub fn once_applied(mut self) -> Self {
        self.once_applied = true;
        self
    }

    /// Answers with an error, one of etcd's or a code with a text. Unless [`once_applied`](Self::once_applied), the
    /// call does nothing else.
    pub fn fail(self, failure: impl Into<Failure>) -> Fault {
        self.set(Action::End(End::Fail(failure.into())))
    }

    /// Delays the call; with [`once_applied`](Self::once_applied), its answer. A caller that gives up while a
    /// call is delayed has not made it; the delay is real time.
    pub fn delay(self, by: Duration) -> Fault {
        self.set(Action::Delay(by))
    }

    /// Never answers. The call ends when its caller gives it up, with its connection, or when the server stops.
    pub fn hang(self) -> Fault {
        self.set(Action::End(End::Hang))
    }

    /// Ends the connection of the call without an answer, and everything else on it.
    pub fn disconnect(self) -> Fault {
        self.set(Action::End(End::Disconnect))
    }

    fn set(self, action: Action) -> Fault {
        let hits = watch::Sender::new(0);
        let counted = hits.subscribe();
        let rule = Rule {
            rpcs: self.rpcs,
            schedule: self.schedule,
            once_applied: self.once_applied,
            action,
            hits,
        };
        let id = self.node.upgrade().map(|node| node.faults.add(rule));
        Fault {
            node: self.node,
            id,
            hits: counted,
        }
    }
}

/// A fault that was set. It stays when this is dropped.
#[derive(Debug)]
pub struct Fault {
    node: Weak<Node>,
    /// `None` if there was no server any more.
    id: Option<RuleId>,
    hits: watch::Receiver<u64>,
}

impl Fault {
    /// How many calls got it so far. For [`once_applied`](FaultBuilder::once_applied) a call counts from its
    /// beginning.
    pub fn hits(&self) -> u64 {
        *self.hits.borrow()
    }

    /// Waits until so many calls got it, so that a test knows when it has happened. Never returns if the
    /// fault is removed before. May be dropped at any time.
    pub async fn hit(&self, calls: u64) {
        let mut hits = self.hits.clone();
        if hits.wait_for(|hits| *hits >= calls).await.is_err() {
            // Nobody counts any more.
            std::future::pending::<()>().await;
        }
    }

    /// Takes the fault back. Calls that got it keep it: what hangs goes on hanging.
    pub fn remove(&self) {
        if let (Some(node), Some(id)) = (self.node.upgrade(), self.id) {
            node.faults.remove(id);
            node.faults.update(node.leadership.is_lost());
        }
    }
}
