//! The layout of etcd's file, which backends and snapshots share.

use std::fmt;

use bytes::Bytes;

/// A bucket of etcd's file: a table of byte strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// The alarms that are raised.
    Alarm,
    /// Whether authentication is on, and its revision.
    Auth,
    /// The roles and their permissions.
    AuthRoles,
    /// The users, with the hashes of their passwords.
    AuthUsers,
    /// The version of the cluster.
    Cluster,
    /// Every change of every key that compaction left, by revision.
    Key,
    /// The leases.
    Lease,
    /// The members of the cluster.
    Members,
    /// The ids of members that were removed.
    MembersRemoved,
    /// How far compaction is, and what etcd notes about the file.
    Meta,
    /// The tree of the v2 API. It is none of etcd's buckets, and in no snapshot.
    V2,
}

impl Bucket {
    /// All buckets that etcd makes, in the order of their names.
    pub const ALL: [Self; 10] = [
        Self::Alarm,
        Self::Auth,
        Self::AuthRoles,
        Self::AuthUsers,
        Self::Cluster,
        Self::Key,
        Self::Lease,
        Self::Members,
        Self::MembersRemoved,
        Self::Meta,
    ];

    /// All buckets of a data file: those that etcd makes, and our own.
    pub const STORED: [Self; 11] = [
        Self::Alarm,
        Self::Auth,
        Self::AuthRoles,
        Self::AuthUsers,
        Self::Cluster,
        Self::Key,
        Self::Lease,
        Self::Members,
        Self::MembersRemoved,
        Self::Meta,
        Self::V2,
    ];

    /// The bucket's name in etcd's file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Auth => "auth",
            Self::AuthRoles => "authRoles",
            Self::AuthUsers => "authUsers",
            Self::Cluster => "cluster",
            Self::Key => "key",
            Self::Lease => "lease",
            Self::Members => "members",
            Self::MembersRemoved => "members_removed",
            Self::Meta => "meta",
            Self::V2 => "v2",
        }
    }

    /// The bucket of a name; `None` for one that etcd does not make.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|bucket| bucket.name().as_bytes() == name)
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One entry of a bucket, in the bytes that etcd stores.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it belongs.
    pub bucket: Bucket,
    /// Its name in the bucket.
    pub key: Bytes,
    /// What it holds.
    pub value: Bytes,
}

/// One change of a bucket.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets an entry.
    Put(Entry),
    /// Removes an entry.
    Delete(Bucket, Bytes),
}

impl Change {
    /// Where the entry belongs.
    pub fn bucket(&self) -> Bucket {
        match self {
            Self::Put(entry) => entry.bucket,
            Self::Delete(bucket, _) => *bucket,
        }
    }

    pub(crate) fn put(bucket: Bucket, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self::Put(Entry {
            bucket,
            key: key.into(),
            value: value.into(),
        })
    }
}

/// Without the value, which may be secret.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} ({} bytes)",
            self.bucket,
            self.key.escape_ascii(),
            self.value.len()
        )
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(entry) => write!(f, "put {entry:?}"),
            Self::Delete(bucket, key) => write!(f, "delete {bucket}/{}", key.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_found_by_their_names_and_sorted_by_them() {
        for bucket in Bucket::ALL {
            assert_eq!(Bucket::of_name(bucket.name().as_bytes()), Some(bucket));
        }
        assert!(Bucket::ALL.is_sorted_by_key(|bucket| bucket.name()));
        assert!(Bucket::ALL.is_sorted());
        assert_eq!(Bucket::STORED[..10], Bucket::ALL);
        assert_eq!(Bucket::of_name(b"v2"), None, "it is not etcd's");
        assert_eq!(Bucket::of_name(b"test"), None);
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        let change = Change::put(Bucket::AuthUsers, "ann", "secret");
        assert_eq!(format!("{change:?}"), "put authUsers/ann (6 bytes)");
    }
}
