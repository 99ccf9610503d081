//! How much a transaction may notice of others.

/// How much a [transaction in memory](crate::Client::stm) may notice of others that run at the same
/// time. The names and what they compare are those of etcd's Go client.
///
/// | | reads | commits if |
/// |---|---|---|
/// | [`SerializableSnapshot`](Self::SerializableSnapshot) | one revision | nothing read has changed, and nothing written was put since then |
/// | [`Serializable`](Self::Serializable) | one revision | nothing read has changed |
/// | [`RepeatableReads`](Self::RepeatableReads) | each key once, whenever | nothing read has changed |
/// | [`ReadCommitted`](Self::ReadCommitted) | each key once, whenever | always |
///
/// That a key does not exist is read and compared as a value is. So of two transactions that each put a key unless
/// they find the other's, one stays out, except under `ReadCommitted`. Ranges are not read, so a transaction
/// does not depend on keys that it has not named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isolation {
    /// As [`Serializable`](Self::Serializable), and a key that is written without having been read must
    /// not have been put by others since the first read. (Its deletion is not noticed: etcd keeps nothing
    /// of it to compare.)
    #[default]
    SerializableSnapshot,
    /// All reads see the store at one revision, that of the first read, and the transaction commits only
    /// if what it has read is still so: the effect is as if transactions had run one after the other.
    /// Between, a key that is only written may have been written by others.
    Serializable,
    /// Each key is read once, from whatever member has it, and may be as old as that member is behind;
    /// two keys may come from different revisions. The transaction commits only if what it has read is
    /// still so, so what is committed is as serializable as above, but until then the closure may see a
    /// mixture that never was. Saves the cluster's agreement on reads.
    RepeatableReads,
    /// Reads as [`RepeatableReads`](Self::RepeatableReads) does, and commits whatever has happened
    /// meanwhile: updates of others may be overwritten. For writes that do not depend on what was read.
    ReadCommitted,
}

impl Isolation {
    /// Whether all reads are of one revision.
    pub(super) fn is_pinned(self) -> bool {
        matches!(self, Self::SerializableSnapshot | Self::Serializable)
    }
}
