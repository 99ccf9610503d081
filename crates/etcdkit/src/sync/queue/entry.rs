//! Takes a place and stays in it until it is admitted.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Want,
    hold::Hold,
    in_its_own_way,
    leaving::{Kind, Leaving},
    patience::Patience,
    place::{Bid, News, Place, Refusal, Step},
    requests::Spot,
    slots::{Claim, Permit},
    trail::Trail,
    vigil::watch_over,
};
use crate::{Error, ErrorKind, Result, Revision, sync::Session};

/// A place, and the requests that it makes. Dropping it leaves the place in the background.
pub(super) struct Entry<'a> {
    session: &'a Session,
    trail: &'a Trail,
    spot: Spot,
    place: Place,
    /// A key that the session may have from before a restart, and would wait for in vain.
    excluded: Option<Bytes>,
    /// `None` once it is handed on.
    right: Option<(Claim, Permit)>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(
        session: &'a Session,
        trail: &'a Trail,
        want: &Want,
        bid: Bid,
        claim: Claim,
        permit: Permit,
    ) -> Self {
        let agreed = want.is_agreed.then(|| want.value.clone());
        Self {
            session,
            trail,
            spot: Spot {
                client: session.client().clone(),
                key: claim.0.key.clone(),
                value: want.value.clone(),
                lease: session.id(),
                rivals: want.rivals.clone(),
                limit: want.limit,
                reads_values: want.is_agreed,
                keeps_value: want.keeps_value,
            },
            place: Place::new(want.limit, bid, agreed, session.is_exclusive()),
            excluded: None,
            right: Some((claim, permit)),
        }
    }

    /// Refuses to wait for this key of the session.
    pub(super) fn excluding(mut self, key: Option<Bytes>) -> Self {
        // Those of a lease that is new are known to the slots.
        self.excluded = key.filter(|_| !self.session.is_exclusive());
        self
    }

    /// Waits until the place is at the front. `None` if it was a try, which has failed.
    pub(super) async fn admission(mut self) -> Result<Option<Arc<Hold>>> {
        match self.advance().await? {
            Some(created) => Ok(self.hold(created)),
            None => Ok(None),
        }
    }

    async fn advance(&mut self) -> Result<Option<Revision>> {
        let mut patience = Patience::of(self.place.bid());
        let mut is_suspected = false;
        loop {
            let Self {
                session,
                spot,
                place,
                excluded,
                ..
            } = self;
            let result = match place.step() {
                Step::Enter { newest } => {
                    place.enters();
                    let answer = spot.enter(newest).await;
                    if let Err(error) = &answer {
                        place.enter_failed(error.outcome());
                    }
                    answer.map(|answer| place.entered(answer))
                }
                Step::Rewrite { created, changed } => {
                    let now = spot.rewrite(created, changed).await;
                    now.map(|now| place.rewritten(now))
                }
                Step::Watch { rivals, .. } if is_left_over(excluded, session, &rivals) => {
                    if is_suspected {
                        return Err(in_its_own_way());
                    }
                    // Unless it was released since the queue was read.
                    is_suspected = true;
                    place.told(News::Doubt);
                    Ok(())
                }
                Step::Watch { rivals, after } => {
                    self.trail.waits_for(rivals.first());
                    let news = watch_over(&spot.client, &spot.key, &rivals, &spot.rivals, after);
                    news.await.map(|news| place.told(news))
                }
                Step::Check { created } => {
                    let answer = spot.check(created).await;
                    answer.map(|answer| place.checked(answer))
                }
                Step::Admitted { created } => return Ok(Some(created)),
                Step::Refused(Refusal::Busy) => return Ok(None),
                Step::Refused(Refusal::Vanished) => return Err(vanished(spot)),
                Step::Refused(Refusal::Disagreement(rival)) => {
                    return Err(Error::invalid_request(format!(
                        "{} takes part with another limit than {}",
                        rival.key.escape_ascii(),
                        spot.limit
                    )));
                }
            };
            match result {
                Ok(()) => patience.reset(),
                Err(error) => patience.bear(error).await?,
            }
        }
    }

    fn hold(&mut self, created: Revision) -> Option<Arc<Hold>> {
        let (claim, permit) = self.right.take()?;
        let session = self.session.clone();
        let at_large = self.place.at_large();
        Some(Hold::new(session, claim, permit, created, at_large))
    }
}

/// Whether one of the rivals is the session's own key, which nobody in this program holds or releases.
fn is_left_over(key: &Option<Bytes>, session: &Session, rivals: &[Bytes]) -> bool {
    let key = key.as_ref().filter(|key| rivals.contains(key));
    key.is_some_and(|key| !session.slots().is_used(key))
}

fn vanished(spot: &Spot) -> Error {
    let key = spot.key.escape_ascii();
    let what = format!("the key {key} was deleted by somebody else during the wait");
    Error::new(ErrorKind::NotHeld, what)
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let Some((claim, permit)) = self.right.take() else {
            return;
        };
        let (session, slot) = (self.session.clone(), Arc::clone(&claim.0));
        let departure = self.place.leave();
        let leaving = Leaving::new(session, slot, Some(permit), departure, Kind::Waiting);
        self.trail.left(leaving.in_background());
    }
}
