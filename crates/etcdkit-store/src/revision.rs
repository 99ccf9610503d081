//! Revisions, and the keys under which etcd stores the records of a revision.

/// The place of one change in the store's history.
///
/// `main` counts the requests that changed something; `sub` counts the changes within one request,
/// from 0. Revisions order as `main`, then `sub`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// What the API calls "revision".
    pub main: i64,
    /// The position among the changes of the same request.
    pub sub: i64,
}

/// The bytes under which etcd keeps a record in its `key` bucket: `main` as eight big-endian bytes,
/// `_`, `sub` as eight big-endian bytes, and a `t` if the record is a tombstone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordKey {
    bytes: [u8; 18],
    tombstone: bool,
}

impl RecordKey {
    pub(crate) fn new(revision: Revision, tombstone: bool) -> Self {
        let mut bytes = *b"........_........t";
        bytes[..8].copy_from_slice(&revision.main.to_be_bytes());
        bytes[9..17].copy_from_slice(&revision.sub.to_be_bytes());
        Self { bytes, tombstone }
    }

    /// Takes a stored key apart; `None` if it is none.
    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let (main, rest) = key.split_first_chunk()?;
        let (sub, tombstone) = match rest.strip_prefix(b"_")?.split_first_chunk()? {
            (sub, []) => (sub, false),
            (sub, b"t") => (sub, true),
            _ => return None,
        };
        let revision = Revision {
            main: i64::from_be_bytes(*main),
            sub: i64::from_be_bytes(*sub),
        };
        let is_valid = revision.main >= 0 && revision.sub >= 0;
        is_valid.then(|| Self::new(revision, tombstone))
    }

    pub(crate) fn revision(&self) -> Revision {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&self.bytes[at..at + 8]);
            i64::from_be_bytes(bytes)
        };
        Revision {
            main: number(0),
            sub: number(9),
        }
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.tombstone
    }

    /// The 17 bytes of a value's key, or the 18 of a tombstone's.
    pub fn as_slice(&self) -> &[u8] {
        if self.tombstone {
            &self.bytes
        } else {
            &self.bytes[..17]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_keys_are_etcds() {
        let revision = Revision {
            main: 0x0102,
            sub: 3,
        };
        let key = RecordKey::new(revision, false);
        assert_eq!(key.as_slice(), b"\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\x03");
        let key = RecordKey::new(revision, true);
        assert_eq!(key.as_slice(), b"\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\x03t");
    }

    #[test]
    fn record_keys_are_taken_apart() {
        for tombstone in [false, true] {
            let revision = Revision {
                main: 1 << 40,
                sub: 7,
            };
            let key = RecordKey::new(revision, tombstone);
            assert_eq!(RecordKey::parse(key.as_slice()), Some(key));
            assert_eq!(key.revision(), revision);
            assert_eq!(key.is_tombstone(), tombstone);
        }
        let whole = RecordKey::new(Revision::default(), true);
        let whole = whole.as_slice();
        for broken in [&whole[..16], &[whole, b"t"].concat(), b"", &[0xff; 17]] {
            assert_eq!(RecordKey::parse(broken), None);
        }
    }

    #[test]
    fn revisions_order_by_main_then_sub() {
        let revision = |main, sub| Revision { main, sub };
        assert!(revision(2, 9) < revision(3, 0));
        assert!(revision(3, 0) < revision(3, 1));
    }
}
