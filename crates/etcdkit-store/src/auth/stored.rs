//! Users and roles in the bytes that etcd stores.

use std::collections::BTreeSet;

use bytes::Bytes;
use etcdkit_proto::authpb;
use prost::{DecodeError, Message};

use super::{Auth, User};
use crate::backend::{Bucket, Change, Entry};
use crate::journal::Dirty;

/// The names of etcd's entries.
const ENABLED: &str = "authEnabled";
const REVISION: &str = "authRevision";

/// What changed.
#[derive(Debug, Default)]
pub(super) struct DirtyAuth {
    pub(super) state: Dirty<()>,
    pub(super) users: Dirty<String>,
    pub(super) roles: Dirty<String>,
}

impl Auth {
    pub(crate) fn watch_changes(&mut self) {
        self.dirty.state.watch();
        self.dirty.users.watch();
        self.dirty.roles.watch();
    }

    pub(crate) fn forget_changes(&mut self) {
        self.dirty = DirtyAuth::default();
    }

    pub(crate) fn has_changes(&self) -> bool {
        let DirtyAuth {
            state,
            users,
            roles,
        } = &self.dirty;
        !(state.is_empty() && users.is_empty() && roles.is_empty())
    }

    pub(crate) fn take_changes(&mut self, changes: &mut Vec<Change>) {
        if !self.dirty.state.take().is_empty() {
            changes.extend(self.state_entries().map(Change::Put));
        }
        for name in self.dirty.users.take() {
            changes.push(match self.users.get(&name) {
                Some(user) => Change::Put(user_entry(&name, user)),
                None => Change::Delete(Bucket::AuthUsers, name.into()),
            });
        }
        for name in self.dirty.roles.take() {
            changes.push(match self.roles.get(&name) {
                Some(granted) => Change::Put(role_entry(&name, granted)),
                None => Change::Delete(Bucket::AuthRoles, name.into()),
            });
        }
    }

    pub(crate) fn entries(&self, entries: &mut Vec<Entry>) {
        entries.extend(self.state_entries());
        entries.extend(self.users.iter().map(|(name, user)| user_entry(name, user)));
        let roles = self.roles.iter();
        entries.extend(roles.map(|(name, granted)| role_entry(name, granted)));
    }

    fn state_entries(&self) -> impl Iterator<Item = Entry> + use<> {
        let entry = |key: &'static str, value: &[u8]| Entry {
            bucket: Bucket::Auth,
            key: key.into(),
            value: Bytes::copy_from_slice(value),
        };
        [
            entry(ENABLED, &[self.enabled.into()]),
            entry(REVISION, &self.revision.to_be_bytes()),
        ]
        .into_iter()
    }

    /// Takes back whether authentication is on, or its revision. Anything else is ignored, as newer
    /// versions of etcd may store more.
    ///
    /// Returns `None` if the value cannot be one.
    pub(crate) fn recover_state(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        if key == ENABLED.as_bytes() {
            self.enabled = match value {
                [0] => false,
                [1] => true,
                _ => return None,
            };
        } else if key == REVISION.as_bytes() {
            self.revision = u64::from_be_bytes(value.try_into().ok()?);
        }
        Some(())
    }

    pub(crate) fn recover_user(&mut self, value: &[u8]) -> Result<(), DecodeError> {
        let user = authpb::User::decode(value)?;
        let no_password = user.options.is_some_and(|options| options.no_password);
        let recovered = User {
            password_hash: (!no_password).then(|| user.password.to_vec()),
            roles: BTreeSet::from_iter(user.roles),
        };
        self.users.insert(lossy(&user.name), recovered);
        Ok(())
    }

    pub(crate) fn recover_role(&mut self, value: &[u8]) -> Result<(), DecodeError> {
        let role = authpb::Role::decode(value)?;
        self.roles.insert(lossy(&role.name), role.key_permission);
        Ok(())
    }

    /// Everything is taken back.
    pub(crate) fn recovered(&mut self) {
        self.combine_permissions();
    }
}

fn user_entry(name: &str, user: &User) -> Entry {
    let stored = authpb::User {
        name: name.to_owned().into(),
        password: user.password_hash.clone().unwrap_or_default().into(),
        roles: user.roles.iter().cloned().collect(),
        options: Some(authpb::UserAddOptions {
            no_password: user.password_hash.is_none(),
        }),
    };
    Entry {
        bucket: Bucket::AuthUsers,
        key: name.to_owned().into(),
        value: stored.encode_to_vec().into(),
    }
}

fn role_entry(name: &str, granted: &[authpb::Permission]) -> Entry {
    let stored = authpb::Role {
        name: name.to_owned().into(),
        key_permission: granted.to_vec(),
    };
    Entry {
        bucket: Bucket::AuthRoles,
        key: name.to_owned().into(),
        value: stored.encode_to_vec().into(),
    }
}

/// The API has names as text, so they are.
fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
