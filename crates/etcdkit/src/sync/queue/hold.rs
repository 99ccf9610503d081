//! A place that was admitted, and what is known of it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::sync::watch;

use super::{
    departure::Departure,
    leaving::{Kind, Leaving},
    requests::look,
    slots::{Claim, Permit, Slot},
};
use crate::{
    Result, Revision,
    sync::{HoldLost, HoldLostReason, Session},
};

/// A place that was admitted. Dropping it leaves the queue in the background.
pub(in crate::sync) struct Hold {
    session: Session,
    status: Arc<Status>,
    slot: Arc<Slot>,
    /// How many requests may put the key yet, see [`Departure`].
    at_large: u32,
    is_left: bool,
}

/// What those know of a hold who do not keep it.
pub(in crate::sync) struct Status {
    pub(in crate::sync) key: Bytes,
    pub(in crate::sync) created: Revision,
    pub(in crate::sync) loss: watch::Sender<Option<HoldLost>>,
    /// Kept as long as the key may be there.
    right: Mutex<Option<(Claim, Permit)>>,
}

impl Hold {
    pub(super) fn new(
        session: Session,
        claim: Claim,
        permit: Permit,
        created: Revision,
        at_large: u32,
    ) -> Arc<Self> {
        let slot = Arc::clone(&claim.0);
        let status = Status {
            key: slot.key.clone(),
            created,
            loss: watch::Sender::new(None),
            right: Mutex::new(Some((claim, permit))),
        };
        let hold = Arc::new(Self {
            session,
            status: Arc::new(status),
            slot,
            at_large,
            is_left: false,
        });
        hold.slot.publish(&hold);
        hold
    }

    pub(in crate::sync) fn session(&self) -> &Session {
        &self.session
    }

    pub(in crate::sync) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    pub(in crate::sync) fn loss(&self) -> Option<HoldLost> {
        if let Some(lost) = &*self.status.loss.borrow() {
            return Some(lost.clone());
        }
        let lost = self.session.loss()?;
        Some(HoldLost::new(
            &self.status.key,
            HoldLostReason::Session(lost),
        ))
    }

    pub(in crate::sync) fn is_over(&self) -> bool {
        self.loss().is_some()
    }

    /// Asks whether the key is there still. If it is not, the hold is lost.
    pub(in crate::sync) async fn prove(&self) -> Result<bool> {
        self.status.prove(&self.session).await
    }

    /// The key was found not to be there: the hold is lost, with the lease or without.
    pub(in crate::sync) async fn found_gone(&self) {
        self.status.found_gone(&self.session).await;
    }

    /// Leaves the queue if this is the last who shares the hold. Whether the key was there; where others
    /// go on, whether it is.
    pub(in crate::sync) async fn release(self: Arc<Self>) -> Result<bool> {
        let (session, status) = (self.session.clone(), Arc::clone(&self.status));
        // Of those who do this at the same time, exactly one is the last.
        match Arc::into_inner(self).map(|mut last| last.leave()) {
            Some(Some(leaving)) => leaving.release().await,
            Some(None) => Ok(false),
            None => status.prove(&session).await,
        }
    }

    /// The departure, once.
    fn leave(&mut self) -> Option<Leaving> {
        if std::mem::replace(&mut self.is_left, true) {
            return None;
        }
        let (created, at_large) = (self.status.created, self.at_large);
        let is_exclusive = self.session.is_exclusive();
        let departure = match self.status.was_deleted() {
            true => Departure::after_deletion(created, at_large, is_exclusive),
            false => Departure::new(Some(created), at_large, is_exclusive),
        };
        let permit = self.status.take_right().map(|(_claim, permit)| permit);
        self.status.lose(HoldLostReason::Released);
        let (session, slot) = (self.session.clone(), Arc::clone(&self.slot));
        Some(Leaving::new(session, slot, permit, departure, Kind::Held))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(leaving) = self.leave() {
            leaving.in_background();
        }
    }
}

impl Status {
    async fn prove(&self, session: &Session) -> Result<bool> {
        let (_, found) = look(session.client(), &self.key).await?;
        let is_there = found == Some(self.created);
        if !is_there {
            self.found_gone(session).await;
        }
        Ok(is_there && !session.is_lost())
    }

    async fn found_gone(&self, session: &Session) {
        Session::ask_about(session.client(), session.id()).await;
        if !session.is_lost() {
            self.lose(HoldLostReason::Deleted);
        }
    }

    /// The first loss stays.
    pub(in crate::sync) fn lose(&self, reason: HoldLostReason) {
        let lost = HoldLost::new(&self.key, reason);
        let is_first = self.loss.send_if_modified(|loss| match loss {
            Some(_) => false,
            None => {
                *loss = Some(lost);
                true
            }
        });
        if is_first {
            // The key is not there: others of the session may take a new place.
            drop(self.take_right());
        }
    }

    fn was_deleted(&self) -> bool {
        let loss = self.loss.borrow();
        matches!(&*loss, Some(lost) if matches!(lost.reason(), HoldLostReason::Deleted))
    }

    fn take_right(&self) -> Option<(Claim, Permit)> {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.take()
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("key", &self.status.key)
            .field("created", &self.status.created)
            .field("loss", &self.loss())
            .finish_non_exhaustive()
    }
}
