//! One stored change, in the bytes that etcd stores.

use bytes::Bytes;
use etcdkit_proto::mvccpb::KeyValue;
use prost::Message;
use prost::encoding::encoded_len_varint;

use crate::revision::{RecordKey, Revision};

/// One stored change: a value of a key, or the tombstone that deleted it.
#[derive(Clone, Debug)]
pub struct Record {
    revision: Revision,
    tombstone: bool,
    value: Bytes,
}

impl Record {
    /// Marshals `kv`, and gives it back with key and value as slices of the marshalled bytes.
    ///
    /// So one buffer of our own serves the record and every response, and the request's buffer,
    /// which may be a whole network read, is let go.
    pub(crate) fn of_put(sub: i64, kv: KeyValue) -> (Self, KeyValue) {
        let value = Bytes::from(kv.encode_to_vec());
        // The key is the first field and the lease, behind the value, the last; fields of 0 are
        // left out.
        let key_start = varint_field(kv.key.len() as u64);
        let value_end = value.len() - varint_field(kv.lease as u64);
        let shared = KeyValue {
            key: value.slice(key_start..key_start + kv.key.len()),
            value: value.slice(value_end - kv.value.len()..value_end),
            ..kv
        };
        let revision = Revision {
            main: kv.mod_revision,
            sub,
        };
        (
            Self {
                revision,
                tombstone: false,
                value,
            },
            shared,
        )
    }

    /// The tombstone of a key, of which etcd stores the key alone.
    pub(crate) fn of_delete(revision: Revision, key: &[u8]) -> Self {
        let kv = KeyValue {
            key: Bytes::copy_from_slice(key),
            ..Default::default()
        };
        Self {
            revision,
            tombstone: true,
            value: kv.encode_to_vec().into(),
        }
    }

    /// A record as it was stored.
    pub(crate) fn stored(key: RecordKey, value: Bytes) -> Self {
        Self {
            revision: key.revision(),
            tombstone: key.is_tombstone(),
            value,
        }
    }

    /// Where in history the change is.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Whether the change deleted the key.
    pub fn is_tombstone(&self) -> bool {
        self.tombstone
    }

    /// The bytes under which etcd stores the record.
    pub fn key(&self) -> RecordKey {
        RecordKey::new(self.revision, self.tombstone)
    }

    /// The marshalled [`KeyValue`]; a tombstone's has only its key set.
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    /// The key that changed.
    pub(crate) fn changed_key(&self) -> &[u8] {
        // The first field of the marshalled pair: a tag of one byte, a length, the key.
        let mut rest = self.value.get(1..).unwrap_or_default();
        let length = prost::encoding::decode_varint(&mut rest).unwrap_or(0);
        rest.get(..length as usize).unwrap_or_default()
    }

    /// The key after the change. A deleted one has only its key, and the revision of the deletion.
    pub(crate) fn key_value(&self) -> KeyValue {
        // What was encoded here can be decoded.
        let mut kv = KeyValue::decode(self.value.clone()).unwrap_or_default();
        kv.mod_revision = self.revision.main;
        kv
    }

    /// The size of key and value together, in bytes.
    pub(crate) fn len(&self) -> u64 {
        (self.key().as_slice().len() + self.value.len()) as u64
    }
}

/// The length of a one-byte tag and a varint, and of nothing for 0.
fn varint_field(number: u64) -> usize {
    if number == 0 {
        0
    } else {
        1 + encoded_len_varint(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_shares_the_record_of_its_own_bytes() {
        for key_len in [0, 1, 127, 128, 20_000] {
            for value_len in [0, 1, 127, 128, 20_000] {
                for lease in [0, 1, 300, i64::MAX, -1] {
                    let kv = KeyValue {
                        key: vec![b'k'; key_len].into(),
                        value: vec![b'v'; value_len].into(),
                        create_revision: 2,
                        mod_revision: 300,
                        version: 7,
                        lease,
                    };
                    let (record, shared) = Record::of_put(4, kv.clone());
                    assert_eq!(shared, kv);
                    assert_eq!(record.key_value(), kv);
                    assert_eq!(record.revision(), Revision { main: 300, sub: 4 });
                    assert!(!record.is_tombstone());
                    if key_len > 0 {
                        assert_eq!(record.changed_key(), shared.key);
                        let bytes = record.value().as_ptr_range();
                        assert!(bytes.contains(&shared.key.as_ptr()));
                    }
                }
            }
        }
    }

    #[test]
    fn a_tombstone_holds_the_key_alone() {
        let record = Record::of_delete(Revision { main: 5, sub: 1 }, b"a");
        assert_eq!(record.value().as_ref(), b"\x0a\x01a");
        assert_eq!(record.key().as_slice().len(), 18);
        assert_eq!(record.changed_key(), b"a");
        let kv = KeyValue {
            key: "a".into(),
            mod_revision: 5,
            ..Default::default()
        };
        assert_eq!(record.key_value(), kv);
        assert_eq!(record.len(), 21);
    }
}
