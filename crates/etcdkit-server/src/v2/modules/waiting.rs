//! Who waits for which place in a queue.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The requests that wait, by the index of their place. Two that give the same value wait for the same.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<u64, Place>>);

#[derive(Default)]
struct Place {
    waiting: usize,
    /// Whether it is left in the queue when nobody waits any more: the lock was granted, or the place is not
    /// of a request's making.
    stays: bool,
}

impl Waiting {
    /// Notes that a request waits for a place that was made for it.
    pub(super) fn join_own(&self, index: u64) {
        self.places().entry(index).or_default().waiting += 1;
    }

    /// Notes that a request waits for a place that was there.
    pub(super) fn join_found(&self, index: u64) {
        let mut places = self.places();
        let new = Place {
            waiting: 0,
            stays: true,
        };
        places.entry(index).or_insert(new).waiting += 1;
    }

    /// Notes that a place has become the lock's.
    pub(super) fn grant(&self, index: u64) {
        if let Some(place) = self.places().get_mut(&index) {
            place.stays = true;
        }
    }

    /// Notes that a request waits no longer. Whether the place is to leave the queue with it.
    pub(super) fn leave(&self, index: u64) -> bool {
        let mut places = self.places();
        let Some(place) = places.get_mut(&index) else {
            return false;
        };
        place.waiting = place.waiting.saturating_sub(1);
        if place.waiting > 0 {
            return false;
        }
        let stays = place.stays;
        places.remove(&index);
        !stays
    }

    fn places(&self) -> MutexGuard<'_, HashMap<u64, Place>> {
        // Every change is complete in itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_goes_with_the_last_who_waits() {
        let waiting = Waiting::default();
        waiting.join_own(7);
        waiting.join_found(7);
        assert!(!waiting.leave(7));
        assert!(waiting.leave(7));
        assert!(!waiting.leave(7));
    }

    #[test]
    fn what_was_granted_stays() {
        let waiting = Waiting::default();
        waiting.join_own(7);
        waiting.join_found(7);
        waiting.grant(7);
        assert!(!waiting.leave(7));
        assert!(!waiting.leave(7));
    }

    #[test]
    fn what_was_there_before_stays() {
        let waiting = Waiting::default();
        waiting.join_found(7);
        assert!(!waiting.leave(7));
        waiting.join_own(8);
        assert!(waiting.leave(8));
    }
}
