//! What one stream of watchers has to send.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use etcdkit_proto::etcdserverpb::WatchResponse;

use super::event::Changed;

/// How many changes may wait for a slow peer, and how many bytes of them. What does not fit is read
/// from the log again, once the peer has taken the rest.
const QUEUED_CHANGES: usize = 8_192;
const QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// How many changes of one watcher are sent together when they have queued up, and about how many bytes
/// of them.
const JOINED_CHANGES: usize = 1_000;
const JOINED_BYTES: usize = 1024 * 1024;

/// The watchers of one stream, and what waits for its peer.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// From watch ids to slots.
    pub(super) ids: HashMap<i64, usize>,
    next_auto: i64,
    /// Complete responses, which go out before anything else.
    pub(super) ready: VecDeque<WatchResponse>,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// The slots of watchers that must catch up.
    pub(super) behind: VecDeque<usize>,
    /// Whether the peer has asked how far the stream is.
    pub(super) progress_asked: bool,
}

/// A change on its way to one watcher.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) slot: usize,
    pub(super) change: Arc<Changed>,
}

impl Stream {
    /// An id that is not in use; ids only rise.
    pub(super) fn auto_id(&mut self) -> i64 {
        while self.ids.contains_key(&self.next_auto) {
            self.next_auto += 1;
        }
        let id = self.next_auto;
        self.next_auto += 1;
        id
    }

    /// Whether there is something to do for the stream.
    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty()
            || !self.queue.is_empty()
            || !self.behind.is_empty()
            || self.progress_asked
    }

    /// Queues the changes that one revision has for one watcher: all of them, or none if they are
    /// too many. Returns whether it did.
    pub(super) fn enqueue(&mut self, changes: &[Queued]) -> bool {
        let bytes: usize = changes.iter().map(|queued| queued.change.size()).sum();
        let fits = self.queue.len() + changes.len() <= QUEUED_CHANGES
            && self.queued_bytes + bytes <= QUEUED_BYTES;
        // What is too much by itself could never be sent otherwise.
        if !fits && !self.queue.is_empty() {
            return false;
        }
        self.queued_bytes += bytes;
        self.queue.extend(changes.iter().cloned());
        true
    }

    /// Takes what goes into the next response: changes of one watcher, of whole revisions.
    pub(super) fn dequeue(&mut self) -> Option<(usize, Vec<Arc<Changed>>)> {
        let slot = self.queue.front()?.slot;
        let mut taken: Vec<Arc<Changed>> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.queue.front().filter(|next| next.slot == slot) {
            let last_revision = taken.last().map(|change| change.kv.mod_revision);
            let full = taken.len() >= JOINED_CHANGES || bytes >= JOINED_BYTES;
            if full && last_revision != Some(next.change.kv.mod_revision) {
                break;
            }
            bytes += next.change.size();
            taken.extend(self.queue.pop_front().map(|queued| queued.change));
        }
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        Some((slot, taken))
    }

    /// Forgets what waits for a watcher that was cancelled.
    pub(super) fn forget(&mut self, slot: usize) {
        self.queue.retain(|queued| queued.slot != slot);
        self.queued_bytes = self.queue.iter().map(|queued| queued.change.size()).sum();
        self.behind.retain(|behind| *behind != slot);
    }
}

#[cfg(test)]
mod tests {
    use etcdkit_proto::mvccpb::KeyValue;

    use super::*;

    fn queued(slot: usize, revision: i64, bytes: usize) -> Queued {
        Queued {
            slot,
            change: Arc::new(Changed {
                deleted: false,
                kv: KeyValue {
                    value: vec![0; bytes].into(),
                    mod_revision: revision,
                    ..Default::default()
                },
            }),
        }
    }

    fn revisions(taken: Option<(usize, Vec<Arc<Changed>>)>) -> (usize, Vec<i64>) {
        let (slot, changes) = taken.unwrap();
        let revisions = changes.iter().map(|change| change.kv.mod_revision);
        (slot, revisions.collect())
    }

    #[test]
    fn automatic_ids_rise_and_avoid_chosen_ones() {
        let mut stream = Stream::default();
        stream.ids.extend([(1, 0), (2, 0), (-1, 0)]);
        assert_eq!([stream.auto_id(), stream.auto_id()], [0, 3]);
        stream.ids.clear();
        assert_eq!(stream.auto_id(), 4);
    }

    #[test]
    fn changes_of_a_watcher_are_joined_but_for_too_many_bytes() {
        let mut stream = Stream::default();
        assert!(stream.enqueue(&[queued(1, 2, 1)]));
        assert!(stream.enqueue(&[queued(1, 3, JOINED_BYTES), queued(1, 3, 1)]));
        assert!(stream.enqueue(&[queued(1, 4, 1)]));
        assert!(stream.enqueue(&[queued(2, 4, 1)]));
        assert_eq!(revisions(stream.dequeue()), (1, vec![2, 3, 3]));
        assert_eq!(revisions(stream.dequeue()), (1, vec![4]));
        assert_eq!(revisions(stream.dequeue()), (2, vec![4]));
        assert!(stream.dequeue().is_none());
        assert_eq!(stream.queued_bytes, 0);
    }

    #[test]
    fn the_queue_is_bounded_in_changes_and_in_bytes() {
        let mut stream = Stream::default();
        let too_many: Vec<Queued> = (0..=QUEUED_CHANGES).map(|_| queued(1, 2, 0)).collect();
        assert!(stream.enqueue(&too_many), "nothing else waits");
        assert!(!stream.enqueue(&[queued(1, 3, 0)]));
        let (_, taken) = stream.dequeue().unwrap();
        assert_eq!(taken.len(), too_many.len(), "a revision is not split");

        assert!(stream.enqueue(&[queued(1, 4, QUEUED_BYTES)]));
        assert!(!stream.enqueue(&[queued(2, 4, 1)]));
        stream.forget(1);
        assert!(stream.enqueue(&[queued(2, 4, 1)]));
    }
}
