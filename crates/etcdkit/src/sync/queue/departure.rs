//! Leaving a queue without a trace: pure.
//!
//! A request whose answer is unknown may be carried out late, after everything has been cleaned up. So
//! the departure of a place that such requests were made for does not end when its key is deleted: it
//! goes on sweeping up what may still appear.

use crate::Revision;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Delete the key if it was created at this revision.
    Remove { created: Revision },
    /// Read whether there is a key.
    Look,
    /// Wait until the key is put, after this revision. Everything else may go on meanwhile.
    Sweep { after: Revision },
    /// None.
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Departure {
    state: State,
    /// How many requests may put the key yet.
    at_large: u32,
    /// Whether whatever is found under the key was put there by such a request.
    is_exclusive: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    /// The key of the place is there, as far as is known.
    There {
        created: Revision,
    },
    Unknown,
    /// A key that was put late is there.
    Late {
        created: Revision,
    },
    /// There was none at this revision.
    Gone {
        at: Revision,
    },
}

impl Departure {
    /// Of a place whose key was created at this revision, if that is known.
    pub(super) fn new(created: Option<Revision>, at_large: u32, is_exclusive: bool) -> Self {
        let state = match created {
            Some(created) => State::There { created },
            None if at_large > 0 => State::Unknown,
            None => State::Gone { at: 0 },
        };
        Self {
            state,
            at_large,
            is_exclusive,
        }
    }

    /// Of a place whose key was deleted by somebody else.
    pub(super) fn after_deletion(created: Revision, at_large: u32, is_exclusive: bool) -> Self {
        Self {
            state: State::Gone { at: created },
            at_large,
            is_exclusive,
        }
    }

    /// How many requests may put the key yet.
    pub(super) fn at_large(&self) -> u32 {
        self.at_large
    }

    /// So many more requests may put the key yet.
    pub(super) fn expect(&mut self, more: u32) {
        self.at_large = self.at_large.saturating_add(more);
    }

    pub(super) fn step(&self) -> Step {
        match self.state {
            State::There { created } | State::Late { created } => Step::Remove { created },
            State::Unknown => Step::Look,
            State::Gone { at } if self.at_large > 0 => Step::Sweep { after: at },
            State::Gone { .. } => Step::Done,
        }
    }

    /// The answer to [`Step::Remove`]: whether the key was there.
    pub(super) fn removed(&mut self, revision: Revision, was_there: bool) {
        let was_late = matches!(self.state, State::Late { .. });
        if was_late && was_there && self.is_exclusive {
            self.at_large = self.at_large.saturating_sub(1);
        }
        self.state = match self.at_large {
            0 => State::Gone { at: revision },
            // Another one may have been put before the removal or after it.
            _ => State::Unknown,
        };
    }

    /// The answer to [`Step::Look`]: the revision that created the key.
    pub(super) fn looked(&mut self, revision: Revision, created: Option<Revision>) {
        self.state = match created {
            Some(created) => State::Late { created },
            None => State::Gone { at: revision },
        };
    }

    /// What [`Step::Sweep`] waits for has come, or may have.
    pub(super) fn appeared(&mut self) {
        self.state = State::Unknown;
    }
}
