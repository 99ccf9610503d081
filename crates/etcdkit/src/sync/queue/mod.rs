//! The queue behind locks, permits and elections.
//!
//! A place in a queue is a key that is attached to the session's lease. What is in its way are the older
//! keys of a range, by the revision that created them, and it is admitted when fewer of them than a limit are
//! left. The keys are laid out as etcd's Go client does, so that its locks and elections, `etcdctl` and the
//! server's own services stand in the same queues.
//!
//! ```text
//! acquire, try_acquire        mod.rs         opens a session where there is none, limits the time
//!         ▼
//! Claim                       slots.rs       by one session: share the hold, or take turns
//!         ▼
//! Entry ── Place              entry.rs       makes the requests that place.rs, which is pure, decides on
//!         ▼
//! Hold                        hold.rs        what guards share
//!         ▼
//! Leaving ── Departure        leaving.rs     deletes the key, in the background if need be; departure.rs is pure
//! ```

mod departure;
mod entry;
mod hold;
mod keys;
mod leaving;
#[cfg(test)]
mod model;
mod numbers;
mod patience;
mod place;
mod requests;
mod slots;
mod take_up;
mod trail;
mod vigil;

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    select,
    time::{Instant, timeout_at},
};

use self::{
    entry::Entry,
    keys::plain,
    patience::Patience,
    place::Bid,
    slots::{Excluded, Turn},
    trail::Trail,
};
pub(super) use self::{
    hold::{Hold, Status},
    keys::directory,
    numbers::Numbers,
    requests::look,
    slots::Slots,
    take_up::take_up,
};
use super::{Held, Session, session::Via};
use crate::{Client, Error, ErrorKind, KeyRange, KeyValue, Result, SortOrder, SortTarget};

/// What somebody queues for.
#[derive(Clone, Debug)]
pub(super) struct Want {
    /// The operation's name in errors, such as `lock`.
    pub(super) operation: &'static str,
    /// What the key begins with. The lease's id follows, in hexadecimal.
    pub(super) prefix: Bytes,
    /// Whether each time is a place of its own, with a number behind the lease's id. Otherwise those who
    /// queue by the same session share a place.
    pub(super) is_numbered: bool,
    /// The value of the key.
    pub(super) value: Bytes,
    /// Whether an own key that is there already stays as it is, and is not given the value.
    pub(super) keeps_value: bool,
    /// Whether all keys of the range must have this value, or queueing is refused as
    /// [`InvalidRequest`](ErrorKind::InvalidRequest).
    pub(super) is_agreed: bool,
    /// Whose older keys are in the way.
    pub(super) rivals: KeyRange<'static>,
    /// How many may be admitted at a time; at least 1.
    pub(super) limit: usize,
    /// The prefix of keys that the same session must not hold or wait for at the same time, because it
    /// would wait for itself. Refused as [`InvalidRequest`](ErrorKind::InvalidRequest).
    pub(super) excludes: Option<Bytes>,
}

/// Queues until the place is admitted, for so long at the most.
///
/// An own key that is there already (by the same lease, after a restart) is taken over, and is given the
/// value. Where the session holds the place already, the hold is shared and its value stays as it is;
/// [`Held::is_shared`] tells.
///
/// Whatever the error, and when the future is dropped, the key is deleted; after errors that has
/// mostly happened when they are returned.
///
/// # Errors
///
/// [`Timeout`](ErrorKind::Timeout), [`SessionLost`](ErrorKind::SessionLost),
/// [`NotHeld`](ErrorKind::NotHeld) if the key was deleted by somebody else, `InvalidRequest` as said at
/// [`Want`], and failures of requests that waiting is no cure for.
pub(super) async fn acquire(via: Via, want: Want, wait: Option<Duration>) -> Result<Held> {
    let held = bid(&via, &want, Bid::Queue, wait).await?;
    // Only tries end without an error and without a place.
    held.ok_or_else(|| Error::new(ErrorKind::NotHeld, "there is no place in the queue"))
}

/// Takes the place if it is admitted at once; `None` if somebody else, or another task of the same
/// session, is in the way. Leaves no trace then, and never stands in the way of others.
///
/// # Errors
///
/// As [`acquire`], and temporary ones of its requests, which are not sent again; `wait` limits the time
/// for all of them.
pub(super) async fn try_acquire(
    via: Via,
    want: Want,
    wait: Option<Duration>,
) -> Result<Option<Held>> {
    bid(&via, &want, Bid::Try, wait).await
}

async fn bid(via: &Via, want: &Want, bid: Bid, wait: Option<Duration>) -> Result<Option<Held>> {
    let trail = Trail::default();
    let queueing = queue(via, want, bid, &trail);
    let deadline = wait.and_then(|wait| Some((wait, Instant::now().checked_add(wait)?)));
    let result = match deadline {
        None => queueing.await,
        Some((wait, deadline)) => match timeout_at(deadline, queueing).await {
            Ok(result) => result,
            Err(_) => Err(trail.too_late(wait)),
        },
    };
    if !matches!(result, Ok(Some(_))) {
        trail.settled().await;
    }
    result.map_err(|error| error.with_operation(want.operation))
}

async fn queue(via: &Via, want: &Want, bid: Bid, trail: &Trail) -> Result<Option<Held>> {
    let session = via.session().await?;
    let admitted = select! {
        biased;
        lost = session.lost() => Err(Session::lost_error(lost)),
        admitted = Box::pin(turn(&session, want, bid, trail)) => admitted,
    };
    match admitted {
        // The lease is gone, though its handle has not heard of it yet.
        Err(error) if error.kind() == ErrorKind::LeaseNotFound => {
            Session::ask_about(session.client(), session.id()).await;
            Err(session.loss().map_or_else(
                || {
                    let what = "the server does not know the session's lease any more";
                    Error::new(ErrorKind::SessionLost, what).with_source(error)
                },
                Session::lost_error,
            ))
        }
        // The key may be gone with the lease.
        Err(error) if error.kind() == ErrorKind::NotHeld => {
            Session::ask_about(session.client(), session.id()).await;
            Err(session.loss().map_or(error, Session::lost_error))
        }
        admitted => admitted,
    }
}

async fn turn(session: &Session, want: &Want, bid: Bid, trail: &Trail) -> Result<Option<Held>> {
    let lease = session.id();
    let mut patience = Patience::of(bid);
    let mut number = None;
    while want.is_numbered && number.is_none() {
        match session.numbers().next(session, &want.prefix).await {
            Ok(next) => number = Some(next),
            Err(error) => patience.bear(error).await?,
        }
    }
    let key = match &number {
        Some(number) => number.key(),
        None => plain(&want.prefix, lease),
    };
    let excluded = want.excludes.as_ref().map(|prefix| plain(prefix, lease));
    loop {
        let claim = session.slots().claim(&key, excluded.as_ref());
        let claim = claim.map_err(|Excluded| in_its_own_way())?;
        let turn = match bid {
            Bid::Queue => Some(claim.turn().await),
            Bid::Try => claim.turn_now().await,
        };
        match turn {
            None => return Ok(None),
            Some(Turn::Share(hold)) => match hold.prove().await {
                Ok(true) => return Ok(Some(Held::shared(hold))),
                Ok(false) => {}
                Err(error) => patience.bear(error).await?,
            },
            Some(Turn::Enter(permit)) => {
                let entry = Entry::new(session, trail, want, bid, claim, permit);
                let entry = entry.excluding(excluded);
                let hold = entry.admission().await?;
                if let (Some(_), Some(number)) = (&hold, number) {
                    number.take();
                }
                return Ok(hold.map(Held::first));
            }
        }
    }
}

fn in_its_own_way() -> Error {
    let what = "the same session holds it, or waits for it, in the other way";
    Error::invalid_request(format!("{what}; give it up first, or use another session"))
}

/// Who is admitted, the oldest first: keys and values of the range, as many as the limit.
pub(super) async fn holders(
    client: &Client,
    rivals: &KeyRange<'static>,
    limit: usize,
) -> Result<Vec<KeyValue>> {
    let answer = client
        .range(rivals)
        .sort_by(SortTarget::CreateRevision, SortOrder::Ascending)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .linearizable()
        .await?;
    Ok(answer.kvs)
}
