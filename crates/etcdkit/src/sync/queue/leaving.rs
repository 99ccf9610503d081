//! Carries out departures, whether anybody waits for them or not.

use std::sync::Arc;

use bytes::Bytes;
use tokio::{select, task::JoinHandle};

use super::{
    departure::{Departure, Step},
    patience::Patience,
    requests::{look, remove},
    slots::{Permit, Slot},
};
use crate::{Client, Error, ErrorKind, KeyRange, LostReason, Result, Revision, sync::Session};

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A place in the queue that came to nothing.
    Waiting,
    Held,
}

/// A departure and all that it needs. Dropping it carries it out in the background.
pub(super) struct Leaving(Option<Parts>);

struct Parts {
    session: Session,
    slot: Arc<Slot>,
    /// Kept until the key is gone.
    _permit: Option<Permit>,
    departure: Departure,
    kind: Kind,
}

impl Leaving {
    pub(super) fn new(
        session: Session,
        slot: Arc<Slot>,
        permit: Option<Permit>,
        departure: Departure,
        kind: Kind,
    ) -> Self {
        Self(Some(Parts {
            session,
            slot,
            _permit: permit,
            departure,
            kind,
        }))
    }

    /// Deletes the key, and says whether it was there. What is left to do then, or after an error, is done
    /// in the background.
    pub(super) async fn release(mut self) -> Result<bool> {
        let Some(parts) = &mut self.0 else {
            return Ok(false);
        };
        if parts.is_pointless() {
            return Ok(false);
        }
        match parts.departure.step() {
            Step::Remove { created } => {
                let client = parts.session.client();
                let (revision, was_there) = remove(client, &parts.slot.key, created).await?;
                parts.departure.removed(revision, was_there);
                Ok(was_there)
            }
            Step::Look | Step::Sweep { .. } | Step::Done => Ok(false),
        }
    }

    /// Carries it out in a task, which ends when the key is gone.
    pub(super) fn in_background(mut self) -> Option<JoinHandle<()>> {
        Some(self.0.take()?.in_background())
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(parts) = self.0.take() {
            parts.in_background();
        }
    }
}

impl Parts {
    fn in_background(self) -> JoinHandle<()> {
        let runtime = self.session.runtime().clone();
        // Should the runtime be gone, nobody keeps the lease alive either, and the key goes with it.
        runtime.spawn(self.run())
    }

    /// Whether the key goes with its lease anyway, or shall stay.
    fn is_pointless(&self) -> bool {
        match (self.session.loss(), self.kind) {
            (None, _) => false,
            (Some(_), Kind::Held) => true,
            // A lease that is detached lives on, and the place would be in the way of others.
            (Some(lost), Kind::Waiting) => {
                lost.reason() != LostReason::Detached || self.session.lease().remaining().is_zero()
            }
        }
    }

    async fn run(mut self) {
        let mut patience = Patience::default();
        while !self.is_pointless() {
            let client = self.session.client();
            match clean(&mut self.departure, client, &self.slot.key).await {
                Ok(true) => patience.reset(),
                Ok(false) => return self.sweep_on(),
                Err(error) => match patience.bear(error).await {
                    Ok(()) => {}
                    // The key stays until the lease ends, which is no secret worth a failure.
                    Err(error) => {
                        let key = self.slot.key.escape_ascii();
                        tracing::warn!(%key, %error, "a place in a queue is not left");
                        return;
                    }
                },
            }
        }
    }

    /// Lets others at the key, and goes on until the session ends, which this does not keep.
    fn sweep_on(self) {
        if self.departure.step() == Step::Done {
            return;
        }
        if self.slot.sweeps_already(self.departure.at_large()) {
            return;
        }
        let (client, lost) = (self.session.client().clone(), self.session.lost());
        let (slot, departure) = (self.slot, self.departure);
        self.session.runtime().spawn(async move {
            select! {
                _ = lost => {}
                () = sweep(&client, &slot, departure) => {}
            }
        });
    }
}

/// Does the next thing for a departure. `false` if there is none but to wait.
async fn clean(departure: &mut Departure, client: &Client, key: &Bytes) -> Result<bool> {
    match departure.step() {
        Step::Remove { created } => {
            let (revision, was_there) = remove(client, key, created).await?;
            departure.removed(revision, was_there);
        }
        Step::Look => {
            let (revision, created) = look(client, key).await?;
            departure.looked(revision, created);
        }
        Step::Sweep { .. } | Step::Done => return Ok(false),
    }
    Ok(true)
}

/// Deletes the key whenever it appears while nobody of the session wants it.
async fn sweep(client: &Client, slot: &Slot, mut departure: Departure) {
    let mut patience = Patience::default();
    loop {
        let swept = match departure.step() {
            Step::Sweep { after } => match appears(client, &slot.key, after).await {
                Err(error) if error.kind() != ErrorKind::Compacted => Err(error),
                _ => {
                    departure.appeared();
                    Ok(())
                }
            },
            Step::Remove { .. } | Step::Look => {
                // Not kept after a failure: others of the session must not wait until that has passed.
                let _permit = slot.enter().await;
                clean_up(&mut departure, client, &slot.key).await
            }
            Step::Done => match slot.take_strays() {
                Some(more) => {
                    departure.expect(more);
                    Ok(())
                }
                None => return,
            },
        };
        match swept {
            Ok(()) => patience.reset(),
            Err(_) => patience.pause().await,
        }
    }
}

/// Does all for a departure that is to be done now.
async fn clean_up(departure: &mut Departure, client: &Client, key: &Bytes) -> Result<()> {
    while clean(departure, client, key).await? {}
    Ok(())
}

/// Waits until the key is put, after this revision.
async fn appears(client: &Client, key: &Bytes, after: Revision) -> Result<()> {
    let watch = client.watch(KeyRange::key(key)).filter_deletes();
    let mut watch = watch.from_revision(after.saturating_add(1).max(1)).await?;
    match watch.find(|_| true).await? {
        Some(_) => Ok(()),
        None => Err(Error::new(ErrorKind::Closed, "the watch has ended")),
    }
}
