//! Who leads.

use std::{fmt, ops::Deref};

use crate::{Compare, Header, KeyValue, Revision};

/// Who leads an election: the key of the candidate that has stood the longest, and what it has
/// proclaimed as its value. Derefs to the [`KeyValue`].
///
/// As of one revision: somebody else may lead by the time that this is looked at. What must be done
/// only while it leads is done in a transaction on the condition [`fence`](Self::fence).
#[derive(Clone, PartialEq, Eq)]
pub struct Leader {
    kv: KeyValue,
}

impl Leader {
    pub(super) fn new(kv: KeyValue) -> Self {
        Self { kv }
    }

    /// The revision that made the candidate one: it grows from leader to leader, and is the same as long
    /// as one leads, whatever it proclaims.
    pub fn fencing_token(&self) -> Revision {
        self.kv.create_revision
    }

    /// The condition that it still leads.
    pub fn fence(&self) -> Compare {
        Compare::create_revision(&self.kv.key).eq(self.kv.create_revision)
    }

    /// The candidate's key and value.
    pub fn into_kv(self) -> KeyValue {
        self.kv
    }
}

impl Deref for Leader {
    type Target = KeyValue;

    fn deref(&self) -> &KeyValue {
        &self.kv
    }
}

impl fmt::Debug for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader")
            .field("key", &self.kv.key)
            .field("create_revision", &self.kv.create_revision)
            .field("mod_revision", &self.kv.mod_revision)
            .field("lease", &self.kv.lease)
            .finish_non_exhaustive()
    }
}

/// What became of the leadership at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observation {
    /// Who leads from this revision on; `None` if nobody does.
    pub leader: Option<Leader>,
    /// The revision of the change; of the first observation, and after a compaction, that of the list
    /// it was found in.
    pub revision: Revision,
    /// The header of the server's message. Its revision is the newest of the member, which may be ahead.
    pub header: Header,
}
