//! A key with its value.

use std::str::{self, Utf8Error};

use bytes::Bytes;
use etcdkit_proto::mvccpb as pb;

use super::{LeaseId, Revision};

/// A key with its value, as of one revision.
///
/// Key and value are slices of the answer they came with, which is freed when the last of them is
/// dropped. Programs that keep a few pairs of a large answer for long should [`detach`](Self::detach)
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value; empty if only keys were asked for.
    pub value: Bytes,
    /// The revision that created the key (for the last time, if it was deleted in between).
    pub create_revision: Revision,
    /// The revision that last changed the key.
    pub mod_revision: Revision,
    /// How many times the key has been put since it was created: 1 after the first put.
    pub version: i64,
    /// The lease that the key is attached to, if any; the key is deleted when the lease ends.
    pub lease: Option<LeaseId>,
}

impl KeyValue {
    /// The key as text.
    ///
    /// # Errors
    ///
    /// If the key is not UTF-8.
    pub fn key_str(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.key)
    }

    /// The value as text.
    ///
    /// # Errors
    ///
    /// If the value is not UTF-8.
    pub fn value_str(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.value)
    }

    /// The same pair in memory of its own, so that keeping it does not keep the whole answer.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self {
            key: Bytes::copy_from_slice(&self.key),
            value: Bytes::copy_from_slice(&self.value),
            ..*self
        }
    }
}

impl From<pb::KeyValue> for KeyValue {
    fn from(kv: pb::KeyValue) -> Self {
        Self {
            key: kv.key,
            value: kv.value,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: (kv.lease != 0).then_some(LeaseId(kv.lease)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_message_arrives() {
        let kv = KeyValue::from(pb::KeyValue {
            key: "k".into(),
            create_revision: 2,
            mod_revision: 3,
            version: 4,
            value: "v".into(),
            lease: 5,
        });
        assert_eq!((kv.key_str(), kv.value_str()), (Ok("k"), Ok("v")));
        assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 3, 4));
        assert_eq!(kv.lease, Some(LeaseId(5)));
        assert_eq!(KeyValue::from(pb::KeyValue::default()).lease, None);
    }

    #[test]
    fn a_detached_pair_does_not_hold_the_answer() {
        let answer = Bytes::from(vec![b'x'; 100]);
        let kv = KeyValue {
            key: answer.slice(..1),
            value: answer.slice(1..2),
            ..KeyValue::default()
        };
        let detached = kv.detach();
        assert_eq!(detached, kv);
        drop(kv);
        assert!(answer.is_unique());
    }
}
