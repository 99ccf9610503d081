//! What is told of a wait from the outside, when it is cut off.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{task::JoinHandle, time::timeout};

use crate::{Error, ErrorKind};

/// How long somebody who has waited in vain waits for the own key to be deleted.
const LEAVING: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Trail(Mutex<Traces>);

#[derive(Debug, Default)]
struct Traces {
    in_the_way: Option<Bytes>,
    leaving: Option<JoinHandle<()>>,
}

impl Trail {
    /// This key is in the way.
    pub(super) fn waits_for(&self, key: Option<&Bytes>) {
        self.lock().in_the_way = key.cloned();
    }

    /// A place was left, and its key is being deleted.
    pub(super) fn left(&self, leaving: Option<JoinHandle<()>>) {
        self.lock().leaving = leaving;
    }

    /// The time to wait was over.
    pub(super) fn too_late(&self, wait: Duration) -> Error {
        let what = match &self.lock().in_the_way {
            Some(key) => format!(
                "not acquired within {wait:?}: {} is in the way",
                key.escape_ascii()
            ),
            None => {
                format!("not acquired within {wait:?}, and no server has said what is in the way")
            }
        };
        Error::new(ErrorKind::Timeout, what)
    }

    /// Waits a little until the key of a place that was left is deleted.
    pub(super) async fn settled(&self) {
        let leaving = self.lock().leaving.take();
        if let Some(leaving) = leaving {
            // It goes on in any case, and the failure to tell is the one before.
            let _ = timeout(LEAVING, leaving).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Traces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
