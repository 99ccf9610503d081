//! Streams that were ended or stalled from outside.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use etcdkit_proto::Code;
use futures_core::Stream;
use pin_project_lite::pin_project;

use super::failure::Failure;
use super::select::Rpcs;
use crate::grpc::Status;
use crate::metrics::Tally;
use crate::node::Node;
use crate::rpc::Rpc;

/// What was done to the streams of a server.
///
/// A stream looks here only when the number of orders has changed since it last did.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// How many orders there were.
    orders: AtomicU64,
    given: Mutex<Orders>,
}

#[derive(Debug, Default)]
struct Orders {
    /// The last order to end streams of an RPC, by whether it was only for those that want a leader.
    ended: BTreeMap<(Rpc, bool), (u64, Failure)>,
    stalled: Rpcs,
}

/// What a stream may do.
#[derive(Debug, PartialEq)]
enum Verdict {
    GoOn,
    Wait,
    End(Failure),
}

impl Streams {
    /// Ends what is open now; only what wants a leader, if so said. Streams must be woken afterwards.
    pub(super) fn end(&self, rpcs: Rpcs, only_wanting_leader: bool, failure: &Failure) {
        self.order(|orders, number| {
            for rpc in Rpc::ALL.iter().filter(|rpc| rpcs.contains(**rpc)) {
                let key = (*rpc, only_wanting_leader);
                orders.ended.insert(key, (number, failure.clone()));
            }
        });
    }

    /// Says which streams stand still; all others go on. Streams must be woken afterwards.
    pub(super) fn stall(&self, change: impl FnOnce(Rpcs) -> Rpcs) {
        self.order(|orders, _| orders.stalled = change(orders.stalled));
    }

    fn order(&self, give: impl FnOnce(&mut Orders, u64)) {
        let mut given = self.given();
        let number = self.orders.load(Ordering::Relaxed) + 1;
        give(&mut given, number);
        self.orders.store(number, Ordering::Release);
    }

    fn number(&self) -> u64 {
        self.orders.load(Ordering::Acquire)
    }

    fn verdict(&self, rpc: Rpc, wants_leader: bool, opened: u64) -> Verdict {
        let given = self.given();
        for only_wanting_leader in [false, true] {
            if only_wanting_leader && !wants_leader {
                continue;
            }
            if let Some((number, failure)) = given.ended.get(&(rpc, only_wanting_leader))
                && *number > opened
            {
                return Verdict::End(failure.clone());
            }
        }
        match given.stalled.contains(rpc) {
            true => Verdict::Wait,
            false => Verdict::GoOn,
        }
    }

    fn given(&self) -> MutexGuard<'_, Orders> {
        // Each order is complete in itself.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A streaming call, as the orders see it.
pub(crate) struct OpenStream {
    tally: Tally<Arc<Node>>,
    node: Arc<Node>,
    wants_leader: bool,
    /// The number of orders when it was opened, and when it last looked.
    opened: u64,
    seen: Option<u64>,
    waits: bool,
}

impl OpenStream {
    pub(crate) fn new(node: &Arc<Node>, tally: Tally<&Node>, wants_leader: bool) -> Self {
        let opened = node.faults.streams.number();
        Self {
            tally: tally.hand_over(Arc::clone(node)),
            node: Arc::clone(node),
            wants_leader,
            opened,
            // Before the first order there is nothing to look at.
            seen: (opened == 0).then_some(0),
            waits: false,
        }
    }

    /// Says how the call ended, if it is not by its replies.
    pub(crate) fn end(&mut self, status: &Status) {
        self.tally.end(status.code());
    }

    /// The replies of the call, under the orders.
    pub(crate) fn replies<S>(self, replies: S) -> Ordered<S> {
        Ordered {
            replies,
            open: self,
        }
    }

    /// Whether the replies may go on.
    fn look(&mut self) -> Poll<Result<(), Status>> {
        let streams = &self.node.faults.streams;
        let number = streams.number();
        if self.seen != Some(number) {
            self.seen = Some(number);
            match streams.verdict(self.tally.rpc(), self.wants_leader, self.opened) {
                Verdict::GoOn => self.waits = false,
                Verdict::Wait => self.waits = true,
                Verdict::End(failure) => return Poll::Ready(Err(failure.into_status())),
            }
        }
        match self.waits {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }
}

pin_project! {
    /// Replies that can be ended and stalled. What polls them must also be woken when the server stops,
    /// for that is how it is woken here.
    pub(crate) struct Ordered<S> {
        #[pin]
        replies: S,
        open: OpenStream,
    }
}

impl<S, Reply> Stream for Ordered<S>
where
    S: Stream<Item = Result<Reply, Status>>,
{
    type Item = Result<Reply, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let polled = match this.open.look() {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(status)) => Poll::Ready(Some(Err(status))),
            Poll::Ready(Ok(())) => this.replies.poll_next(cx),
        };
        match &polled {
            Poll::Ready(Some(Err(status))) => this.open.end(status),
            Poll::Ready(None) => this.open.tally.end(Code::Ok),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::EtcdError;

    use super::*;

    fn no_leader() -> Failure {
        EtcdError::NoLeader.into()
    }

    #[test]
    fn what_is_open_ends_and_what_comes_later_does_not() {
        let streams = Streams::default();
        let opened = streams.number();
        streams.end(Rpc::Watch.into(), false, &no_leader());
        let ended = streams.verdict(Rpc::Watch, false, opened);
        assert_eq!(ended, Verdict::End(no_leader()));
        let other = streams.verdict(Rpc::LeaseKeepAlive, false, opened);
        assert_eq!(other, Verdict::GoOn);
        let later = streams.verdict(Rpc::Watch, false, streams.number());
        assert_eq!(later, Verdict::GoOn);
    }

    #[test]
    fn only_those_that_want_a_leader_end_without_one() {
        let streams = Streams::default();
        streams.end(Rpcs::ALL, true, &no_leader());
        let modest = streams.verdict(Rpc::Watch, false, 0);
        assert_eq!(modest, Verdict::GoOn);
        let wanting = streams.verdict(Rpc::Watch, true, 0);
        assert_eq!(wanting, Verdict::End(no_leader()));
    }

    #[test]
    fn what_stands_still_goes_on() {
        let streams = Streams::default();
        streams.stall(|stalled| stalled.and(Rpc::Watch.into()));
        let stalled = streams.verdict(Rpc::Watch, false, streams.number());
        assert_eq!(stalled, Verdict::Wait);
        streams.stall(|_| Rpcs::NONE);
        let going = streams.verdict(Rpc::Watch, false, streams.number());
        assert_eq!(going, Verdict::GoOn);
    }
}
