//! Roles, and the keys they let their users touch.

use etcdkit_proto::v2::{KeyPermissions, Permissions};
use serde::{Deserialize, Serialize};

use super::error::AuthError;

/// Whoever has this role may do everything. It cannot be changed and is stored nowhere.
pub(super) const ROOT: &str = "root";

/// The role of those who do not say who they are.
pub(super) const GUEST: &str = "guest";

/// What a pattern ends in that stands for all keys that begin so.
const ANYTHING: char = '*';

/// What is done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// They are read or watched.
    Read,
    /// They are changed.
    Write,
}

/// A role, as it is stored and shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    /// Its name.
    pub role: String,
    /// What it may do.
    pub permissions: Permissions,
    /// What it is to be allowed. A role that was created with an empty list here keeps it until it is
    /// changed, in etcd too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Permissions>,
    /// What it is to be allowed no more; kept likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Permissions>,
}

impl Role {
    /// A role that may do everything with keys.
    pub(super) fn of_all_keys(name: &str) -> Self {
        let all = || Some(vec!["/*".to_owned()]);
        Self {
            role: name.to_owned(),
            permissions: Permissions {
                kv: KeyPermissions {
                    read: all(),
                    write: all(),
                },
            },
            ..Self::default()
        }
    }

    /// Whether this, as a request, creates a role instead of changing one.
    pub fn is_new(&self) -> bool {
        is_empty(self.grant.as_ref()) && is_empty(self.revoke.as_ref())
    }

    /// Whether this, as a request, says what a new role may do.
    pub fn has_permissions(&self) -> bool {
        !is_empty(Some(&self.permissions))
    }

    /// The role after the grants and then the revocations of a request.
    pub(super) fn changed_by(&self, request: &Self) -> Result<Self, AuthError> {
        let mut kv = self.permissions.kv.clone();
        if let Some(Permissions { kv: granted }) = &request.grant {
            kv = KeyPermissions {
                read: Some(with(kv.read, granted.read.as_deref(), "read")?),
                write: Some(with(kv.write, granted.write.as_deref(), "write")?),
            };
        }
        if let Some(Permissions { kv: revoked }) = &request.revoke {
            kv = KeyPermissions {
                read: Some(without(kv.read, revoked.read.as_deref())),
                write: Some(without(kv.write, revoked.write.as_deref())),
            };
        }
        Ok(Self {
            role: self.role.clone(),
            permissions: Permissions { kv },
            grant: None,
            revoke: None,
        })
    }

    /// Whether a user with this role may touch a key, given as the request's path has it; `subtree` if
    /// everything below it is touched, too.
    pub(super) fn allows(&self, access: Access, key: &[u8], subtree: bool) -> bool {
        if self.role == ROOT {
            return true;
        }
        let patterns = match access {
            Access::Read => &self.permissions.kv.read,
            Access::Write => &self.permissions.kv.write,
        };
        let mut patterns = patterns.iter().flatten();
        patterns.any(|pattern| match pattern.strip_suffix(ANYTHING) {
            Some(prefix) => key.starts_with(prefix.as_bytes()),
            None => !subtree && pattern.as_bytes() == key,
        })
    }
}

fn is_empty(permissions: Option<&Permissions>) -> bool {
    let is_empty = |patterns: &Option<Vec<String>>| patterns.as_ref().is_none_or(Vec::is_empty);
    permissions.is_none_or(|Permissions { kv }| is_empty(&kv.read) && is_empty(&kv.write))
}

fn with(
    patterns: Option<Vec<String>>,
    granted: Option<&[String]>,
    access: &str,
) -> Result<Vec<String>, AuthError> {
    let mut patterns = as_set(patterns);
    for pattern in granted.unwrap_or_default() {
        match patterns.binary_search(pattern) {
            Ok(_) => {
                return Err(AuthError::conflict(format!(
                    "Granting duplicate {access} permission {pattern}"
                )));
            }
            Err(at) => patterns.insert(at, pattern.clone()),
        }
    }
    Ok(patterns)
}

/// Revoking what was never granted changes nothing.
fn without(patterns: Option<Vec<String>>, revoked: Option<&[String]>) -> Vec<String> {
    let mut patterns = as_set(patterns);
    let revoked = revoked.unwrap_or_default();
    patterns.retain(|pattern| !revoked.contains(pattern));
    patterns
}

/// Sorted, and each once.
pub(super) fn as_set(names: Option<Vec<String>>) -> Vec<String> {
    let mut names = names.unwrap_or_default();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|text| (*text).to_owned()).collect())
    }

    fn permissions(read: &[&str], write: &[&str]) -> Permissions {
        Permissions {
            kv: KeyPermissions {
                read: patterns(read),
                write: patterns(write),
            },
        }
    }

    fn role(read: &[&str], write: &[&str]) -> Role {
        Role {
            role: "r".to_owned(),
            permissions: permissions(read, write),
            ..Role::default()
        }
    }

    #[test]
    fn patterns_are_exact_or_prefixes() {
        let role = role(&["/a", "/dev/*", "b*", ""], &["*"]);
        for (key, alone, subtree) in [
            ("/a", true, false),
            ("/a/", false, false),
            ("/ab", false, false),
            ("/dev", false, false),
            ("/dev/", true, true),
            ("/dev/x/y", true, true),
            ("b", true, true),
            ("", true, false),
        ] {
            assert_eq!(
                role.allows(Access::Read, key.as_bytes(), false),
                alone,
                "{key}"
            );
            assert_eq!(
                role.allows(Access::Read, key.as_bytes(), true),
                subtree,
                "{key}"
            );
            assert!(role.allows(Access::Write, key.as_bytes(), true), "{key}");
        }
    }

    #[test]
    fn root_needs_no_patterns() {
        let root = Role {
            role: ROOT.to_owned(),
            ..Role::default()
        };
        assert!(root.allows(Access::Write, b"/x", true));
        assert!(!Role::default().allows(Access::Read, b"/x", false));
    }

    #[test]
    fn grants_go_before_revocations() {
        let old = role(&["/b", "/a"], &[]);
        let request = Role {
            grant: Some(permissions(&["/d", "/c"], &["/w"])),
            revoke: Some(permissions(&["/c", "/never"], &[])),
            ..Role::default()
        };
        let new = old.changed_by(&request).unwrap();
        assert_eq!(new, role(&["/a", "/b", "/d"], &["/w"]));
    }

    #[test]
    fn the_same_is_not_granted_twice() {
        let old = role(&["/a"], &["/w"]);
        for (read, write, text) in [
            (
                vec!["/a"],
                vec!["/w"],
                "Granting duplicate read permission /a",
            ),
            (
                vec!["/b"],
                vec!["/w"],
                "Granting duplicate write permission /w",
            ),
            (
                vec!["/b", "/b"],
                vec![],
                "Granting duplicate read permission /b",
            ),
        ] {
            let request = Role {
                grant: Some(permissions(&read, &write)),
                ..Role::default()
            };
            let refused = old.changed_by(&request).unwrap_err();
            assert_eq!(refused, AuthError::conflict(text));
        }
    }

    /// In etcd the lists of a role that was never granted anything become empty ones when anything is
    /// revoked, and that is a change.
    #[test]
    fn a_bare_role_is_changed_by_revoking_nothing() {
        let bare = Role::default();
        let request = Role {
            revoke: Some(permissions(&["/a"], &[])),
            ..Role::default()
        };
        let changed = bare.changed_by(&request).unwrap();
        assert_ne!(changed, bare);
        assert_eq!(changed.changed_by(&request).unwrap(), changed);
    }

    #[test]
    fn an_empty_grant_creates() {
        let request = Role {
            grant: Some(Permissions::default()),
            revoke: Some(permissions(&[], &[])),
            ..Role::default()
        };
        assert!(request.is_new());
        assert!(!request.has_permissions());
        let request = Role {
            revoke: Some(permissions(&[], &["/a"])),
            ..Role::default()
        };
        assert!(!request.is_new());
    }
}
