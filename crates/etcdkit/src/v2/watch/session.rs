//! What a watch asks next, and what the answers mean: pure, with the time passed in.
//!
//! etcd's v2 API gives one event for a question, from its history or when it happens. A watch is a chain
//! of such questions, each for the index after the last event. Four things make it more than that.
//!
//! - The history is a thousand events long, those of everybody together. A watch that has nothing to
//!   tell would in the end ask for what is forgotten. So it hangs up now and then, and goes on from the
//!   index that the store had when it was asked: a server that was silent has looked through what was
//!   there.
//! - That silence may have been the network's, and the event lost on its way. So each index is asked
//!   for twice before it is passed, and once only if a server does not remember it the second time.
//! - If both are forgotten, because others have changed a thousand keys meanwhile, the answer that was
//!   listened to all the time still counts: a new one is opened beside it, and if the old one stays
//!   silent, nothing has happened until then.
//! - If that is broken, changes are missed. Then everything is listed, by agreement of the cluster so
//!   that it is not older than what was already told, and told in their place.

use std::time::Duration;

use tokio::time::Instant;

use super::{pace::Pace, scope::Scope};
use crate::v2::Action;

/// How long to wait on a member whose store is behind what was already seen.
const BEHIND: Duration = Duration::from_secs(5);

/// What to ask next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The next event: from this index on, or from now.
    Wait(Option<u64>),
    /// Everything, by the cluster's agreement.
    List,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is the next one to tell.
    News,
    /// It is none of the watch's, and passed over.
    Foreign,
    /// It was not asked for: it is older. Asking again at once may give it again.
    Old,
}

/// Why everything has to be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    Cleared,
    /// A member's store is behind what was seen, which may be the member's fault or the cluster's.
    Behind,
}

/// What a listing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// What to tell in place of changes that the history no longer has.
    Cleared,
    /// What to tell because the store has gone back in time.
    WentBack,
    /// Nothing: only a member was behind.
    Needless,
}

#[derive(Debug)]
pub(super) struct Session {
    scope: Scope,
    /// The first index that was not told; `None` until a server has said what "now" is.
    next: Option<u64>,
    /// Up to here a server was silent, once.
    quiet: u64,
    /// The index that the present answer began with.
    began: u64,
    /// The highest index that the store is known to have had.
    reached: u64,
    missed: Option<Missed>,
    pace: Pace,
}

impl Session {
    /// Begins at an index, or with what happens next.
    pub(super) fn new(scope: Scope, from: Option<u64>, longest_wait: Duration) -> Self {
        Self {
            scope,
            next: from,
            quiet: 0,
            began: 0,
            reached: 0,
            missed: None,
            pace: Pace::new(longest_wait),
        }
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The first index that was not told yet, once a server was reached.
    pub(super) fn next(&self) -> Option<u64> {
        self.next
    }

    pub(super) fn ask(&self) -> Ask {
        match self.missed {
            Some(_) => Ask::List,
            None => Ask::Wait(self.next),
        }
    }

    /// A server has begun to answer, at this index of the store.
    pub(super) fn began(&mut self, index: u64, now: Instant) {
        self.pace.saw(index, now);
        self.began = index;
        self.reached = self.reached.max(index);
        // From here on events cannot be missed, even if the answer breaks off.
        self.next.get_or_insert(index + 1);
    }

    /// How long to wait for the event of the present answer.
    pub(super) fn wait(&self) -> Duration {
        let wait = self.pace.wait();
        match self.began < self.reached {
            true => wait.min(BEHIND),
            false => wait,
        }
    }

    /// The event of the present answer has come.
    pub(super) fn heard(&mut self, path: &str, action: Action, index: u64) -> Heard {
        if self.next.is_some_and(|next| index < next) {
            return Heard::Old;
        }
        self.reached = self.reached.max(index);
        self.passed(index);
        match self.scope.takes(path, action) {
            true => Heard::News,
            false => Heard::Foreign,
        }
    }

    /// The answer had no event: the server has ended it, or the wait was long enough.
    ///
    /// In the latter case the answer goes on, and should be listened to until there is another one.
    pub(super) fn silent(&mut self) {
        if self.began < self.reached {
            self.missed = Some(Missed::Behind);
            return;
        }
        let confirmed = self.quiet.saturating_add(1);
        self.next = self.next.map(|next| next.max(confirmed));
        self.quiet = self.began;
    }

    /// The server has forgotten the index that it was asked for.
    pub(super) fn cleared(&mut self) {
        match self.quiet.checked_add(1) {
            // It was looked at, if only once.
            Some(index) if self.next.is_some_and(|next| next < index) => {
                self.next = Some(index);
                self.quiet = 0;
            }
            _ => self.missed = Some(Missed::Cleared),
        }
    }

    /// Another server has begun to answer at this index, and the answer before, which was not broken, had
    /// no event until then.
    pub(super) fn bridged(&mut self, index: u64, now: Instant) {
        self.began(index, now);
        self.passed(index);
    }

    /// Everything was listed, at this index of the store.
    pub(super) fn listed(&mut self, index: u64, now: Instant) -> Listed {
        self.pace.saw(index, now);
        let listed = match self.missed {
            _ if index < self.reached => Listed::WentBack,
            Some(Missed::Behind) | None => {
                self.missed = None;
                return Listed::Needless;
            }
            Some(Missed::Cleared) => Listed::Cleared,
        };
        self.reached = index;
        self.passed(index);
        listed
    }

    fn passed(&mut self, index: u64) {
        self.next = Some(index + 1);
        self.quiet = 0;
        self.missed = None;
    }
}

#[cfg(test)]
mod tests;
