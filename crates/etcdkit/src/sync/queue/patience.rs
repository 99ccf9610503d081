//! Which failures of a request are waited out, and for how long each time.

use std::time::Duration;

use tokio::time::sleep;

use crate::{Error, transport::backoff::Backoff};

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// Pauses between attempts, which become longer.
#[derive(Debug)]
pub(super) struct Patience(Backoff);

impl Default for Patience {
    fn default() -> Self {
        Self(Backoff::new(PAUSE_FIRST, PAUSE_LONGEST))
    }
}

impl Patience {
    /// Pauses after a failure that may well pass; gives the others back.
    pub(super) async fn bear(&mut self, error: Error) -> Result<(), Error> {
        match error.is_temporary() {
            true => {
                self.pause().await;
                Ok(())
            }
            false => Err(error),
        }
    }

    pub(super) async fn pause(&mut self) {
        sleep(self.0.next(fastrand::f64())).await;
    }

    /// Something has succeeded.
    pub(super) fn reset(&mut self) {
        self.0.reset();
    }
}
