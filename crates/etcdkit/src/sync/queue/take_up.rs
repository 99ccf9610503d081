//! Taking up a place that has come to the front already.

use tokio::select;

use super::{
    hold::Hold,
    keys::plain,
    requests::look,
    slots::{Claim, Turn},
};
use crate::{
    KeyValue, Result, Revision,
    sync::{Held, Session},
};

/// Takes up the place of a session's lease, as after a restart of the program, if it is the one at the
/// front of the queue; `None` if it is not, or is gone by now. Nothing is written: once a place is the
/// oldest, it is for as long as it is there.
///
/// # Errors
///
/// [`SessionLost`](crate::ErrorKind::SessionLost), and those of reads.
pub(in crate::sync) async fn take_up(
    session: &Session,
    prefix: &[u8],
    front: &KeyValue,
) -> Result<Option<Held>> {
    let key = plain(prefix, session.id());
    // Without the lease it would stay when the session is lost.
    if front.key != key || front.lease != Some(session.id()) {
        return Ok(None);
    }
    let Ok(claim) = session.slots().claim(&key, None) else {
        return Ok(None);
    };
    select! {
        biased;
        lost = session.lost() => Err(Session::lost_error(lost)),
        held = hold(session, claim, front.create_revision) => held,
    }
}

async fn hold(session: &Session, claim: Claim, created: Revision) -> Result<Option<Held>> {
    match claim.turn().await {
        Turn::Share(hold) => Ok(hold.prove().await?.then(|| Held::shared(hold))),
        Turn::Enter(permit) => {
            // Others of the session may have given it up meanwhile.
            let (_, now) = look(session.client(), &claim.0.key).await?;
            let is_there = now == Some(created);
            Ok(is_there.then(|| {
                let hold = Hold::new(session.clone(), claim, permit, created, 0);
                Held::first(hold)
            }))
        }
    }
}
