//! Whether a watch has kept what etcd promises about watches.
//!
//! Pure: it compares records. [`Writes`] are what writers did, as they know it; a [`History`] is what
//! happened, by a fresh watch over quiet connections after everything is done, and is compared with
//! the writes first; a [`Watched`] is what a watch asked for and delivered. [`History::check`] finds
//! each [`Violation`] of the eight promises:
//!
//! | promise | meaning |
//! |---|---|
//! | ordered | revisions never go back |
//! | unique | no event comes twice |
//! | atomic | the events of one revision come together |
//! | reliable | nothing between two delivered events is missing |
//! | resumable | all from the start revision comes, and nothing from before it |
//! | bookmarkable | after a promise that everything up to a revision was delivered, nothing of that comes |
//! | right prev-kv | the pair before a change is the one that was there |
//! | right filter | only what was asked for comes, and as it happened |

mod check;
mod history;
mod watched;
mod writes;

#[cfg(test)]
mod tests;

use std::fmt;

use etcdkit::{KeyValue, Revision};
use etcdkit_proto::mvccpb;

pub use check::{Promise, Violation};
pub use history::{Contradiction, History};
pub use watched::{Asked, Delivery, Watched};
pub use writes::{Change, Outcome, Write, Writes};

/// One change of one key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// Whether it is a deletion.
    pub is_delete: bool,
    /// The key and what the change made of it.
    pub kv: KeyValue,
    /// What it was before.
    pub prev_kv: Option<KeyValue>,
}

impl Event {
    /// The revision of the change.
    pub fn revision(&self) -> Revision {
        self.kv.mod_revision
    }
}

impl From<&etcdkit::Event> for Event {
    fn from(event: &etcdkit::Event) -> Self {
        Self {
            is_delete: event.is_delete(),
            kv: event.kv().clone(),
            prev_kv: event.prev_kv().cloned(),
        }
    }
}

impl From<mvccpb::Event> for Event {
    fn from(event: mvccpb::Event) -> Self {
        Self {
            is_delete: event.r#type == mvccpb::event::EventType::Delete as i32,
            kv: event.kv.unwrap_or_default().into(),
            prev_kv: event.prev_kv.map(Into::into),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kv = &self.kv;
        write!(f, "[{}] ", kv.mod_revision)?;
        match self.is_delete {
            true => write!(f, "delete {:?}", kv.key)?,
            false => write!(
                f,
                "put {:?} = {:?}, version {} since {}",
                kv.key, kv.value, kv.version, kv.create_revision
            )?,
        }
        match &self.prev_kv {
            Some(prev) => write!(f, ", was {:?} of {}", prev.value, prev.mod_revision),
            None => Ok(()),
        }
    }
}
