//! Which failures of a request are waited out, and for how long each time.

use std::time::Duration;

use tokio::time::sleep;

use super::place::Bid;
use crate::{Error, transport::backoff::Backoff};

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// Pauses between attempts, which become longer.
#[derive(Debug)]
pub(super) struct Patience {
    pauses: Backoff,
    bears: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            pauses: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
            bears: true,
        }
    }
}

impl Patience {
    /// As much as the bid asks for: who only tries wants to hear of every failure, each of which has
    /// lasted for the time of a request already.
    pub(super) fn of(bid: Bid) -> Self {
        Self {
            bears: bid == Bid::Queue,
            ..Self::default()
        }
    }

    /// Pauses after a failure that may well pass; gives the others back.
    pub(super) async fn bear(&mut self, error: Error) -> Result<(), Error> {
        match self.bears && error.is_temporary() {
            true => {
                self.pause().await;
                Ok(())
            }
            false => Err(error),
        }
    }

    pub(super) async fn pause(&mut self) {
        sleep(self.pauses.next(fastrand::f64())).await;
    }

    /// Something has succeeded.
    pub(super) fn reset(&mut self) {
        self.pauses.reset();
    }
}
