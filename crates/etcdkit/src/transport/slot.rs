//! One endpoint's part of a pool.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{closing::Closing, connection::ConnectError, roster::Place};

/// One endpoint's part of the pool.
pub(super) struct Slot {
    pub(super) place: Arc<Place>,
    /// Why the last attempt to connect failed; empty while connected or not yet tried.
    pub(super) failure: Mutex<Option<Arc<ConnectError>>>,
    pub(super) leave: watch::Sender<Option<Leave>>,
}

/// How connections to an endpoint end when it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// With the last request that is under way.
    Finished,
    /// At once, with what is under way.
    AtOnce,
}

impl Slot {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            failure: Mutex::new(None),
            leave: watch::Sender::new(None),
        }
    }

    /// Ends when the endpoint is removed.
    pub(super) async fn removed(&self) {
        // An error is impossible: the slot has the sender.
        let _ = self.leave.subscribe().wait_for(Option::is_some).await;
    }

    /// Ends when what is under way must end.
    pub(super) fn torn_down(&self, closing: &Closing) -> impl Future<Output = ()> + Send + use<> {
        let mut leave = self.leave.subscribe();
        let closed = closing.closed();
        async move {
            let at_once = async {
                if leave
                    .wait_for(|leave| *leave == Some(Leave::AtOnce))
                    .await
                    .is_err()
                {
                    std::future::pending().await
                }
            };
            tokio::select! {
                () = at_once => {}
                () = closed => {}
            }
        }
    }
}
