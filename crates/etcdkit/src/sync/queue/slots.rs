//! Who of a session wants which key.
//!
//! A key belongs to a session, so all who want it by the same session meet here: they share a hold, or
//! take turns. Whoever enters the queue, holds, or removes the key has the slot's gate.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    select,
    sync::{Mutex as Gate, OwnedMutexGuard, watch},
};

use super::hold::Hold;

/// The right to send requests that put or delete a key.
pub(super) type Permit = OwnedMutexGuard<()>;

/// The slots of a session.
#[derive(Debug, Default)]
pub(in crate::sync) struct Slots(Mutex<HashMap<Bytes, Weak<Slot>>>);

/// One key of a session.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Bytes,
    gate: Arc<Gate<()>>,
    hold: watch::Sender<Weak<Hold>>,
    /// How many hold it or wait for it.
    claims: AtomicUsize,
    /// How many more requests at large whoever sweeps is to wait for; `None` if nobody sweeps.
    strays: Mutex<Option<u32>>,
}

/// Another key excludes this one, and the same session holds it or waits for it.
#[derive(Debug)]
pub(super) struct Excluded;

/// Somebody's wish to hold a key, from before waiting until the release begins; and whether nobody else of
/// the session had one then.
#[derive(Debug)]
pub(super) struct Claim(pub(super) Arc<Slot>, bool);

/// What a claim leads to.
pub(super) enum Turn {
    /// The session holds the key already.
    Share(Arc<Hold>),
    Enter(Permit),
}

impl Slots {
    pub(super) fn claim(&self, key: &Bytes, excluded: Option<&Bytes>) -> Result<Claim, Excluded> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let other = excluded.and_then(|other| slots.get(other)?.upgrade());
        if other.is_some_and(|other| other.claims.load(Ordering::Relaxed) > 0) {
            return Err(Excluded);
        }
        let slot = slots.get(key).and_then(Weak::upgrade);
        let slot = slot.unwrap_or_else(|| {
            slots.retain(|_, slot| slot.strong_count() > 0);
            let slot = Arc::new(Slot {
                key: key.clone(),
                gate: Arc::default(),
                hold: watch::Sender::new(Weak::new()),
                claims: AtomicUsize::new(0),
                strays: Mutex::new(None),
            });
            slots.insert(key.clone(), Arc::downgrade(&slot));
            slot
        });
        // Under the lock, so that of two that exclude each other one sees the other.
        let is_first = slot.claims.fetch_add(1, Ordering::Relaxed) == 0;
        Ok(Claim(slot, is_first))
    }

    /// Whether somebody of the session wants the key, has it, or is about to delete it.
    pub(super) fn is_used(&self, key: &Bytes) -> bool {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(key).is_some_and(|slot| slot.strong_count() > 0)
    }
}

impl Slot {
    pub(super) async fn enter(&self) -> Permit {
        Arc::clone(&self.gate).lock_owned().await
    }

    /// Leaves requests at large to whoever sweeps already. `false` if the caller is the first, and is to
    /// do it.
    pub(super) fn sweeps_already(&self, at_large: u32) -> bool {
        let mut strays = self.strays.lock().unwrap_or_else(PoisonError::into_inner);
        let more = strays.map(|more| more.saturating_add(at_large));
        *strays = Some(more.unwrap_or(0));
        more.is_some()
    }

    /// What was left to whoever sweeps since. If that is nothing, nobody sweeps any more.
    pub(super) fn take_strays(&self) -> Option<u32> {
        let mut strays = self.strays.lock().unwrap_or_else(PoisonError::into_inner);
        let more = strays.take().filter(|more| *more > 0);
        *strays = more.map(|_| 0);
        more
    }

    /// The hold can be shared from now on.
    pub(super) fn publish(&self, hold: &Arc<Hold>) {
        self.hold.send_replace(Arc::downgrade(hold));
    }
}

impl Claim {
    /// Waits until there is a hold to share, or nobody else of the session is at the key.
    pub(super) async fn turn(&self) -> Turn {
        let mut holds = self.0.hold.subscribe();
        let mut permit = pin!(self.0.enter());
        loop {
            let hold = holds.borrow_and_update().upgrade();
            if let Some(hold) = hold.filter(|hold| !hold.is_over()) {
                return Turn::Share(hold);
            }
            select! {
                permit = &mut permit => return Turn::Enter(permit),
                // Cannot end, since the slot has the sender.
                _ = holds.changed() => {}
            }
        }
    }

    /// As [`turn`](Self::turn), but does not wait where others of the session wait in the queue; it
    /// does wait for a release to end.
    pub(super) async fn turn_now(&self) -> Option<Turn> {
        let hold = self.0.hold.borrow().upgrade();
        if let Some(hold) = hold.filter(|hold| !hold.is_over()) {
            return Some(Turn::Share(hold));
        }
        // Not whether there are others now: of two that try at once, each would make way for the other.
        match self.1 {
            true => Some(self.turn().await),
            false => None,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.claims.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_that_try_at_once_the_first_has_its_turn() {
        let (slots, key) = (Slots::default(), Bytes::from_static(b"l/1"));
        let [first, second] = [(); 2].map(|()| slots.claim(&key, None).unwrap());
        assert!(second.turn_now().await.is_none());
        assert!(matches!(first.turn_now().await, Some(Turn::Enter(_))));
    }
}
