//! The queue from a watch's task to the program, bounded by what it holds.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::WatchEvent;
use crate::v2::{Error, Result};

/// About how many bytes wait for the program. The task stops asking for more until some are taken, and
/// the server remembers the rest, as far as its history goes.
const BYTES: usize = 8 << 20;

/// The task's end.
#[derive(Debug)]
pub(super) struct Sender {
    queue: mpsc::UnboundedSender<Item>,
    room: Arc<Semaphore>,
}

/// The program's end.
#[derive(Debug)]
pub(super) struct Receiver {
    queue: mpsc::UnboundedReceiver<Item>,
}

#[derive(Debug)]
struct Item {
    told: Result<WatchEvent>,
    /// What it takes of the room, until it is taken.
    _room: Option<OwnedSemaphorePermit>,
}

pub(super) fn new() -> (Sender, Receiver) {
    let (sender, queue) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(BYTES));
    let sender = Sender {
        queue: sender,
        room,
    };
    (sender, Receiver { queue })
}

impl Sender {
    /// Queues an event once there is room for it. One that is larger than the queue waits until it has
    /// it for itself.
    pub(super) async fn push(&self, event: WatchEvent) {
        let size = u32::try_from(event.size().clamp(1, BYTES)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let room = Arc::clone(&self.room).acquire_many_owned(size).await;
        self.send(Ok(event), room.ok());
    }

    pub(super) fn end(&self, error: Error) {
        self.send(Err(error), None);
    }

    fn send(&self, told: Result<WatchEvent>, room: Option<OwnedSemaphorePermit>) {
        // Whoever has dropped the watch wants nothing of it.
        let _ = self.queue.send(Item { told, _room: room });
    }

    /// Ready once the program has dropped the watch.
    pub(super) async fn closed(&self) {
        self.queue.closed().await;
    }
}

impl Receiver {
    pub(super) fn poll(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<WatchEvent>>> {
        self.queue
            .poll_recv(cx)
            .map(|item| item.map(|item| item.told))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::v2::watch::{Resync, ResyncReason};

    fn event(bytes: usize) -> WatchEvent {
        let node = etcdkit_proto::v2::Node {
            value: Some("x".repeat(bytes)),
            ..Default::default()
        };
        WatchEvent::Resync(Resync {
            reason: ResyncReason::Cleared,
            node: Some(node.into()),
            index: 1,
        })
    }

    #[test]
    fn a_full_queue_waits_for_the_program() {
        let mut cx = Context::from_waker(Waker::noop());
        let (sender, mut receiver) = new();
        for _ in 0..2 {
            // Larger than all of it, and yet it comes through.
            assert!(pin!(sender.push(event(2 * BYTES))).poll(&mut cx).is_ready());
            let mut small = pin!(sender.push(event(1)));
            assert!(small.as_mut().poll(&mut cx).is_pending());
            assert!(receiver.poll(&mut cx).is_ready());
            assert!(small.as_mut().poll(&mut cx).is_ready());
            assert!(receiver.poll(&mut cx).is_ready());
        }
        assert!(receiver.poll(&mut cx).is_pending());
        drop(sender);
        assert!(matches!(receiver.poll(&mut cx), Poll::Ready(None)));
    }
}
