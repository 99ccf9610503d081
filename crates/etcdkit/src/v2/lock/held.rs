//! What a guard and the task that keeps it know together.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::{backing::Place, tenure::Tenure};

#[derive(Debug)]
pub(super) struct Held {
    tenure: Mutex<Tenure>,
    /// The place, once it is the first.
    place: OnceLock<Place>,
}

impl Held {
    pub(super) fn new(tenure: Tenure) -> Self {
        Self {
            tenure: Mutex::new(tenure),
            place: OnceLock::new(),
        }
    }

    pub(super) fn tenure(&self) -> Tenure {
        *self.lock()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Tenure)) {
        change(&mut self.lock());
    }

    /// The place is the first.
    pub(super) fn grant(&self, place: &Place) {
        self.change(|tenure| tenure.renewed(tenure.ttl(), place.sent));
        // It happens once.
        let _ = self.place.set(place.clone());
    }

    pub(super) fn place(&self) -> Option<&Place> {
        self.place.get()
    }

    fn lock(&self) -> MutexGuard<'_, Tenure> {
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
