//! A place in a queue, from before it is taken until it has come to the front: pure.
//!
//! A place is a key. In its way are the older keys of a range, and it is admitted when fewer of them than
//! the limit are left. The machine says which request to make next, is told what came of it, and knows
//! nothing of connections and of time.

use bytes::Bytes;

use super::departure::Departure;
use crate::{Outcome, Revision};

/// Another key of the range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::sync) struct Rival {
    pub(super) key: Bytes,
    pub(super) value: Bytes,
}

/// How a place comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::sync) enum Bid {
    /// At the end of the queue, however long that is.
    Queue,
    /// Only if it is admitted at once.
    Try,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Put the key if it is missing, and nothing in the range is newer than this revision.
    Enter { newest: Option<Revision> },
    /// Give the key the value and the lease it should have, if it is as it was found.
    Rewrite {
        created: Revision,
        changed: Revision,
    },
    /// Wait until one of these keys is deleted, or the own one, after this revision.
    Watch { rivals: Vec<Bytes>, after: Revision },
    /// Read which older keys are left, if the own one is.
    Check { created: Revision },
    /// None: the place is at the front.
    Admitted { created: Revision },
    /// None: there will be no admission.
    Refused(Refusal),
}

/// Why there is no admission.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    /// It was but a try.
    Busy,
    /// The key was deleted by somebody else.
    Vanished,
    /// A rival takes part under another limit.
    Disagreement(Rival),
}

/// The answer to [`Step::Enter`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entered {
    pub(super) revision: Revision,
    pub(super) own: Own,
    /// The newest others in the range: one more than the limit or all there are, except that one less
    /// is enough where the own key was created.
    pub(super) others: Vec<Rival>,
}

/// What became of the own key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Own {
    Created,
    /// It was there.
    Found {
        created: Revision,
        changed: Revision,
        /// Whether its value and its lease are those it should have.
        is_right: bool,
    },
    /// It was not there and was not put, since something in the range is too new.
    Missing,
}

/// The answer to [`Step::Check`]: the newest rivals that are older than the own key, as many as the
/// limit or all there are; `None` if the own key is not there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Checked {
    pub(super) revision: Revision,
    pub(super) older: Option<Vec<Rival>>,
}

/// What came of [`Step::Watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum News {
    /// The own key was deleted.
    OwnGone,
    /// A rival was deleted, or nobody can tell.
    Doubt,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    limit: usize,
    bid: Bid,
    /// The value that all places must have, where they must.
    agreed: Option<Bytes>,
    /// Whether whatever is found under the key was put there by this place, or one before it.
    is_exclusive: bool,
    state: State,
    /// How many requests to enter are under way, or ended without an answer: each of them may put
    /// the key yet.
    at_large: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Outside {
        newest: Option<Revision>,
    },
    Wrong {
        created: Revision,
        changed: Revision,
    },
    Doubtful {
        created: Revision,
    },
    Waiting {
        created: Revision,
        after: Revision,
        rivals: Vec<Bytes>,
    },
    Admitted {
        created: Revision,
    },
    Refused {
        created: Option<Revision>,
        refusal: Refusal,
    },
}

impl Place {
    pub(super) fn new(limit: usize, bid: Bid, agreed: Option<Bytes>, is_exclusive: bool) -> Self {
        let newest = match bid {
            Bid::Queue => None,
            // Nothing is that old: the range must be empty.
            Bid::Try => Some(0),
        };
        Self {
            limit,
            bid,
            agreed,
            is_exclusive,
            state: State::Outside { newest },
            at_large: 0,
        }
    }

    pub(super) fn bid(&self) -> Bid {
        self.bid
    }

    pub(super) fn step(&self) -> Step {
        match self.state.clone() {
            State::Outside { newest } => Step::Enter { newest },
            State::Wrong { created, changed } => Step::Rewrite { created, changed },
            State::Doubtful { created } => Step::Check { created },
            State::Waiting { after, rivals, .. } => Step::Watch { rivals, after },
            State::Admitted { created } => Step::Admitted { created },
            State::Refused { refusal, .. } => Step::Refused(refusal),
        }
    }

    /// A request to enter is about to be sent.
    pub(super) fn enters(&mut self) {
        self.at_large += 1;
    }

    /// It has failed.
    pub(super) fn enter_failed(&mut self, outcome: Outcome) {
        if outcome == Outcome::NotApplied {
            self.at_large = self.at_large.saturating_sub(1);
        }
    }

    /// It was answered.
    pub(super) fn entered(&mut self, answer: Entered) {
        self.at_large = self.at_large.saturating_sub(1);
        let Entered {
            revision,
            own,
            others,
        } = answer;
        match own {
            Own::Created => self.stand(revision, revision, others),
            Own::Found {
                created,
                changed,
                is_right,
            } => {
                // One of those without an answer has put it then.
                if self.is_exclusive {
                    self.at_large = self.at_large.saturating_sub(1);
                }
                self.state = match is_right {
                    true => State::Doubtful { created },
                    false => State::Wrong { created, changed },
                };
            }
            Own::Missing if self.disagrees(None, &others) => {}
            Own::Missing if others.len() >= self.limit => self.refuse(None, Refusal::Busy),
            Own::Missing => {
                self.state = State::Outside {
                    newest: Some(revision),
                }
            }
        }
    }

    /// The key was given its value, or is found as it is now; `None` if it is not there, or was
    /// created anew.
    pub(super) fn rewritten(&mut self, now: Option<(Revision, bool)>) {
        let State::Wrong { created, .. } = self.state else {
            return;
        };
        match now {
            None => self.refuse(Some(created), Refusal::Vanished),
            Some((_, true)) => self.state = State::Doubtful { created },
            Some((changed, false)) => self.state = State::Wrong { created, changed },
        }
    }

    pub(super) fn checked(&mut self, answer: Checked) {
        let State::Doubtful { created } = self.state else {
            return;
        };
        match answer.older {
            Some(older) => self.stand(created, answer.revision, older),
            None => self.refuse(Some(created), Refusal::Vanished),
        }
    }

    pub(super) fn told(&mut self, news: News) {
        let State::Waiting { created, .. } = self.state else {
            return;
        };
        match news {
            News::OwnGone => self.refuse(Some(created), Refusal::Vanished),
            News::Doubt => self.state = State::Doubtful { created },
        }
    }

    /// What is to be done to leave no trace of it.
    pub(super) fn leave(&self) -> Departure {
        Departure::new(self.created(), self.at_large, self.is_exclusive)
    }

    /// How many requests may put the key yet.
    pub(super) fn at_large(&self) -> u32 {
        self.at_large
    }

    fn created(&self) -> Option<Revision> {
        match self.state {
            State::Outside { .. } => None,
            State::Wrong { created, .. }
            | State::Doubtful { created }
            | State::Waiting { created, .. }
            | State::Admitted { created } => Some(created),
            State::Refused { created, .. } => created,
        }
    }

    /// The place was there at this revision, with these before it.
    fn stand(&mut self, created: Revision, revision: Revision, mut older: Vec<Rival>) {
        older.truncate(self.limit);
        if self.disagrees(Some(created), &older) {
        } else if older.len() < self.limit {
            self.state = State::Admitted { created };
        } else if self.bid == Bid::Try {
            self.refuse(Some(created), Refusal::Busy);
        } else {
            // To be admitted it takes that one of these is deleted, whichever of the older ones are.
            self.state = State::Waiting {
                created,
                after: revision,
                rivals: older.into_iter().map(|rival| rival.key).collect(),
            };
        }
    }

    fn disagrees(&mut self, created: Option<Revision>, others: &[Rival]) -> bool {
        let Some(agreed) = &self.agreed else {
            return false;
        };
        let other = others.iter().find(|rival| rival.value != agreed);
        let Some(rival) = other.cloned() else {
            return false;
        };
        self.refuse(created, Refusal::Disagreement(rival));
        true
    }

    fn refuse(&mut self, created: Option<Revision>, refusal: Refusal) {
        self.state = State::Refused { created, refusal };
    }
}
