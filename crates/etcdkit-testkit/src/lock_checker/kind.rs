//! Who is in whose way.

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One holder.
    Lock,
    /// Any number of readers, or one writer. Keys of readers are below `read/`, those of writers below
    /// `write/`.
    RwLock,
    /// So many holders.
    Semaphore(u32),
}

/// A queue of keys: the older one has its turn first.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) kind: Kind,
    /// What all its keys begin with, the slash included.
    pub(super) keys: String,
    /// What the keys begin with that are written under the lock.
    pub(super) data: String,
}

impl Queue {
    /// The queue of the lock of this name, which protects what is below `data`.
    pub fn new(kind: Kind, name: &str, data: &str) -> Self {
        Self {
            kind,
            keys: format!("{name}/"),
            data: data.to_owned(),
        }
    }

    /// How many of those in its way a holder may have before it.
    pub(super) fn limit(&self) -> usize {
        match self.kind {
            Kind::Lock | Kind::RwLock => 1,
            Kind::Semaphore(limit) => limit as usize,
        }
    }

    /// Whether the first key has to wait for the second, if that is older.
    pub(super) fn is_in_the_way(&self, key: &[u8], of: &[u8]) -> bool {
        self.is_exclusive(key) || self.is_exclusive(of) || matches!(self.kind, Kind::Semaphore(_))
    }

    /// Whether the holder of this key is the only one.
    pub(super) fn is_exclusive(&self, key: &[u8]) -> bool {
        match self.kind {
            Kind::Lock => true,
            Kind::RwLock => {
                let below = key.strip_prefix(self.keys.as_bytes()).unwrap_or_default();
                !below.starts_with(b"read/")
            }
            Kind::Semaphore(limit) => limit <= 1,
        }
    }
}
