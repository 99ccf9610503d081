//! What a role permits.

use etcdkit_proto::authpb;

use crate::{KeyRange, Result};

/// The right to read or write a key or a range of keys.
///
/// # Examples
///
/// ```
/// use etcdkit::{KeyRange, Permission, PermissionKind};
///
/// let jobs = Permission::read_write(KeyRange::prefix("jobs/"));
/// assert_eq!(jobs.kind(), PermissionKind::ReadWrite);
/// assert!(jobs.keys().contains(b"jobs/1"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    kind: PermissionKind,
    keys: KeyRange<'static>,
}

/// What a [`Permission`] allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PermissionKind {
    /// Reading: gets, ranges, watches, conditions of transactions, and what a write replaced.
    Read,
    /// Writing: puts and deletions.
    Write,
    /// Both.
    ReadWrite,
    /// A kind that this version of the client does not know, by its number.
    Other(i32),
}

impl Permission {
    /// Allows to read keys.
    pub fn read<'a>(keys: impl Into<KeyRange<'a>>) -> Self {
        Self::new(PermissionKind::Read, keys.into())
    }

    /// Allows to write keys.
    pub fn write<'a>(keys: impl Into<KeyRange<'a>>) -> Self {
        Self::new(PermissionKind::Write, keys.into())
    }

    /// Allows to read and write keys.
    pub fn read_write<'a>(keys: impl Into<KeyRange<'a>>) -> Self {
        Self::new(PermissionKind::ReadWrite, keys.into())
    }

    fn new(kind: PermissionKind, keys: KeyRange<'_>) -> Self {
        let keys = keys.into_owned();
        Self { kind, keys }
    }

    /// What is allowed.
    pub fn kind(&self) -> PermissionKind {
        self.kind
    }

    /// With which keys.
    pub fn keys(&self) -> &KeyRange<'static> {
        &self.keys
    }

    pub(super) fn check(&self) -> Result<()> {
        Ok(self.keys.check()?)
    }

    pub(super) fn into_wire(self) -> authpb::Permission {
        let (key, range_end) = self.keys.into_wire();
        authpb::Permission {
            perm_type: match self.kind {
                PermissionKind::Read => authpb::permission::Type::Read.into(),
                PermissionKind::Write => authpb::permission::Type::Write.into(),
                PermissionKind::ReadWrite => authpb::permission::Type::Readwrite.into(),
                PermissionKind::Other(number) => number,
            },
            key,
            range_end,
        }
    }
}

impl From<authpb::Permission> for Permission {
    fn from(permission: authpb::Permission) -> Self {
        use authpb::permission::Type;
        Self {
            kind: match Type::try_from(permission.perm_type) {
                Ok(Type::Read) => PermissionKind::Read,
                Ok(Type::Write) => PermissionKind::Write,
                Ok(Type::Readwrite) => PermissionKind::ReadWrite,
                Err(_) => PermissionKind::Other(permission.perm_type),
            },
            // The role root has all keys from the empty one on, which nobody else can be given.
            keys: match (&permission.key[..], &permission.range_end[..]) {
                (b"", b"\0") => KeyRange::all(),
                _ => KeyRange::from_wire(permission.key, permission.range_end),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_survive_the_wire() {
        let ranges = [
            KeyRange::key("a"),
            KeyRange::prefix("a/"),
            KeyRange::from_key("a"),
            KeyRange::range("a", "b"),
            KeyRange::all(),
            KeyRange::prefix(""),
        ];
        for keys in ranges {
            for permission in [
                Permission::read(keys.clone()),
                Permission::write(keys.clone()),
                Permission::read_write(keys.clone()),
            ] {
                assert_eq!(Permission::from(permission.clone().into_wire()), permission);
            }
        }
    }

    #[test]
    fn the_role_root_has_all_keys() {
        let root = authpb::Permission {
            perm_type: 2,
            key: "".into(),
            range_end: "\0".into(),
        };
        assert_eq!(Permission::from(root), Permission::read_write(..));
    }

    #[test]
    fn kinds_of_the_future_keep_their_number() {
        let permission = authpb::Permission {
            perm_type: 9,
            key: "a".into(),
            ..Default::default()
        };
        let read = Permission::from(permission.clone());
        assert_eq!(read.kind(), PermissionKind::Other(9));
        assert_eq!(read.into_wire(), permission);
    }
}
