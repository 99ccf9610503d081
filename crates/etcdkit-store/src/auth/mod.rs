//! Users, roles, and whether authentication is on.
//!
//! Passwords come and stay as hashes: making and comparing them is slow by design and needs
//! randomness, so it is the server's part.

mod access;
mod permissions;
mod stored;
mod tokens;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use etcdkit_proto::EtcdError;
use etcdkit_proto::authpb::Permission;
use etcdkit_proto::authpb::permission::Type;
use etcdkit_proto::etcdserverpb::{
    AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGrantPermissionRequest,
    AuthRoleRevokePermissionRequest, AuthUserAddRequest, AuthUserChangePasswordRequest,
    AuthUserDeleteRequest, AuthUserGrantRoleRequest, AuthUserRevokeRoleRequest,
};

pub use self::access::Caller;
pub use self::tokens::Tokens;

use self::permissions::Permissions;
use crate::span::Span;

/// The user, and the role, that may do everything.
const ROOT: &str = "root";

/// Who there is, and what they may do.
///
/// Requests are those that etcd logs: of a password only its hash, in base64. Every change raises the
/// revision of authentication by one, which has nothing to do with the store's.
#[derive(Debug)]
pub struct Auth {
    enabled: bool,
    revision: u64,
    users: BTreeMap<String, User>,
    /// By name; the permissions in etcd's order.
    roles: BTreeMap<String, Vec<Permission>>,
    /// By user: what all roles allow together.
    permissions: HashMap<String, Permissions>,
    dirty: stored::DirtyAuth,
}

#[derive(Clone, Default)]
struct User {
    /// `None` if the user has none, and can only log in by certificate.
    password_hash: Option<Vec<u8>>,
    roles: BTreeSet<String>,
}

/// Without the hash, which is a secret.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("has_password", &self.password_hash.is_some())
            .field("roles", &self.roles)
            .finish()
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            enabled: false,
            revision: 1,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
            permissions: HashMap::new(),
            dirty: stored::DirtyAuth::default(),
        }
    }
}

impl Auth {
    /// Whether requests need a user.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// 1 at first, and one more with each change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Turns authentication on. The revision stays.
    ///
    /// # Errors
    ///
    /// `RootUserNotExist`; `RootRoleNotExist` if the user root does not have the role root.
    pub fn enable(&mut self) -> Result<(), EtcdError> {
        if self.enabled {
            return Ok(());
        }
        let root = self.users.get(ROOT).ok_or(EtcdError::RootUserNotExist)?;
        if !root.roles.contains(ROOT) {
            return Err(EtcdError::RootRoleNotExist);
        }
        self.enabled = true;
        self.dirty.state.mark(&());
        Ok(())
    }

    /// Turns authentication off. Returns whether it was on.
    pub fn disable(&mut self) -> bool {
        let was_enabled = std::mem::replace(&mut self.enabled, false);
        if was_enabled {
            self.revision += 1;
            self.dirty.state.mark(&());
        }
        was_enabled
    }

    /// The hash to compare a password with, and the revision it is of.
    ///
    /// # Errors
    ///
    /// `AuthNotEnabled`; `AuthFailed` for an unknown user; `NoPasswordUser`.
    pub fn password_hash(&self, user: &str) -> Result<(&[u8], u64), EtcdError> {
        if !self.enabled {
            return Err(EtcdError::AuthNotEnabled);
        }
        let user = self.users.get(user).ok_or(EtcdError::AuthFailed)?;
        let hash = user.password_hash.as_deref();
        Ok((hash.ok_or(EtcdError::NoPasswordUser)?, self.revision))
    }

    /// Adds a user, with the hash of a password unless the options say that there is none.
    ///
    /// # Errors
    ///
    /// `UserEmpty`; `UserExists`; `NoPasswordUser`, like etcd, if the hash is no base64.
    pub fn user_add(&mut self, request: AuthUserAddRequest) -> Result<(), EtcdError> {
        if request.name.is_empty() {
            return Err(EtcdError::UserEmpty);
        }
        if self.users.contains_key(&request.name) {
            return Err(EtcdError::UserExists);
        }
        let no_password = request.options.is_some_and(|options| options.no_password);
        let password_hash = if no_password {
            None
        } else {
            Some(decoded(&request.hashed_password)?)
        };
        let user = User {
            password_hash,
            roles: BTreeSet::new(),
        };
        self.dirty.users.mark(&request.name);
        self.users.insert(request.name, user);
        self.changed();
        Ok(())
    }

    /// Removes a user.
    ///
    /// # Errors
    ///
    /// `InvalidAuthManagement` for root while authentication is on; `UserNotFound`.
    pub fn user_delete(&mut self, request: &AuthUserDeleteRequest) -> Result<(), EtcdError> {
        if self.enabled && request.name == ROOT {
            return Err(EtcdError::InvalidAuthManagement);
        }
        if self.users.remove(&request.name).is_none() {
            return Err(EtcdError::UserNotFound);
        }
        self.dirty.users.mark(&request.name);
        self.changed();
        Ok(())
    }

    /// Replaces the hash of a user's password. A user without one stays so, which is no error.
    ///
    /// # Errors
    ///
    /// `UserNotFound`; `NoPasswordUser`, like etcd, if the hash is no base64.
    pub fn user_change_password(
        &mut self,
        request: &AuthUserChangePasswordRequest,
    ) -> Result<(), EtcdError> {
        let user = self.user_mut(&request.name)?;
        if user.password_hash.is_some() {
            user.password_hash = Some(decoded(&request.hashed_password)?);
        }
        self.dirty.users.mark(&request.name);
        self.changed();
        Ok(())
    }

    /// Gives a user a role. The role root needs not to exist. Nothing changes, the revision
    /// included, if the user has it.
    ///
    /// # Errors
    ///
    /// `UserNotFound`; `RoleNotFound`.
    pub fn user_grant_role(&mut self, request: AuthUserGrantRoleRequest) -> Result<(), EtcdError> {
        let role_exists = request.role == ROOT || self.roles.contains_key(&request.role);
        let user = self.user_mut(&request.user)?;
        if !role_exists {
            return Err(EtcdError::RoleNotFound);
        }
        if user.roles.insert(request.role) {
            self.dirty.users.mark(&request.user);
            self.changed();
        }
        Ok(())
    }

    /// Takes a role from a user.
    ///
    /// # Errors
    ///
    /// `InvalidAuthManagement` for root's own role while authentication is on; `UserNotFound`;
    /// `RoleNotGranted`.
    pub fn user_revoke_role(
        &mut self,
        request: &AuthUserRevokeRoleRequest,
    ) -> Result<(), EtcdError> {
        if self.enabled && request.name == ROOT && request.role == ROOT {
            return Err(EtcdError::InvalidAuthManagement);
        }
        if !self.user_mut(&request.name)?.roles.remove(&request.role) {
            return Err(EtcdError::RoleNotGranted);
        }
        self.dirty.users.mark(&request.name);
        self.changed();
        Ok(())
    }

    /// A user's roles, sorted.
    ///
    /// # Errors
    ///
    /// `UserNotFound`.
    pub fn user_roles(&self, user: &str) -> Result<Vec<String>, EtcdError> {
        let user = self.users.get(user).ok_or(EtcdError::UserNotFound)?;
        Ok(user.roles.iter().cloned().collect())
    }

    /// The names of all users, sorted.
    pub fn user_list(&self) -> Vec<String> {
        self.users.keys().cloned().collect()
    }

    /// Adds a role without permissions.
    ///
    /// # Errors
    ///
    /// `RoleEmpty`; `RoleExists`.
    pub fn role_add(&mut self, request: AuthRoleAddRequest) -> Result<(), EtcdError> {
        if request.name.is_empty() {
            return Err(EtcdError::RoleEmpty);
        }
        if self.roles.contains_key(&request.name) {
            return Err(EtcdError::RoleExists);
        }
        self.dirty.roles.mark(&request.name);
        self.roles.insert(request.name, Vec::new());
        self.changed();
        Ok(())
    }

    /// Removes a role, from its users too.
    ///
    /// # Errors
    ///
    /// `InvalidAuthManagement` for root while authentication is on; `RoleNotFound`.
    pub fn role_delete(&mut self, request: &AuthRoleDeleteRequest) -> Result<(), EtcdError> {
        if self.enabled && request.role == ROOT {
            return Err(EtcdError::InvalidAuthManagement);
        }
        if self.roles.remove(&request.role).is_none() {
            return Err(EtcdError::RoleNotFound);
        }
        self.dirty.roles.mark(&request.role);
        for (name, user) in &mut self.users {
            if user.roles.remove(&request.role) {
                self.dirty.users.mark(name);
            }
        }
        self.changed();
        Ok(())
    }

    /// A role's permissions. Those of root are everything, whatever was granted.
    ///
    /// # Errors
    ///
    /// `RoleNotFound`.
    pub fn role_permissions(&self, role: &str) -> Result<Vec<Permission>, EtcdError> {
        let granted = self.roles.get(role).ok_or(EtcdError::RoleNotFound)?;
        if role == ROOT {
            return Ok(vec![Permission {
                perm_type: Type::Readwrite.into(),
                key: Default::default(),
                range_end: vec![0].into(),
            }]);
        }
        Ok(granted.clone())
    }

    /// The names of all roles, sorted.
    pub fn role_list(&self) -> Vec<String> {
        self.roles.keys().cloned().collect()
    }

    /// Grants a role a permission, or changes the kind of one that has the same range.
    ///
    /// # Errors
    ///
    /// `PermissionNotGiven`; `InvalidAuthManagement` for a range without keys; `RoleNotFound`.
    pub fn role_grant_permission(
        &mut self,
        request: AuthRoleGrantPermissionRequest,
    ) -> Result<(), EtcdError> {
        let new = request.perm.ok_or(EtcdError::PermissionNotGiven)?;
        if new.key.is_empty() || Span::new(&new.key, &new.range_end).is_empty() {
            return Err(EtcdError::InvalidAuthManagement);
        }
        let granted = self.role_mut(&request.name)?;
        // Of several permissions from one key on etcd looks at the first, and so it shows.
        let first = granted.partition_point(|permission| permission.key < new.key);
        match granted.get_mut(first) {
            Some(same) if same.key == new.key && same.range_end == new.range_end => {
                same.perm_type = new.perm_type;
            }
            _ => {
                let after = granted.partition_point(|permission| permission.key <= new.key);
                granted.insert(after, new);
            }
        }
        self.dirty.roles.mark(&request.name);
        self.changed();
        Ok(())
    }

    /// Takes a permission from a role, by its range.
    ///
    /// # Errors
    ///
    /// `RoleNotFound`; `PermissionNotGranted`.
    pub fn role_revoke_permission(
        &mut self,
        request: &AuthRoleRevokePermissionRequest,
    ) -> Result<(), EtcdError> {
        let granted = self.role_mut(&request.role)?;
        let before = granted.len();
        granted.retain(|permission| {
            permission.key != request.key || permission.range_end != request.range_end
        });
        if granted.len() == before {
            return Err(EtcdError::PermissionNotGranted);
        }
        self.dirty.roles.mark(&request.role);
        self.changed();
        Ok(())
    }

    fn user_mut(&mut self, name: &str) -> Result<&mut User, EtcdError> {
        self.users.get_mut(name).ok_or(EtcdError::UserNotFound)
    }

    fn role_mut(&mut self, name: &str) -> Result<&mut Vec<Permission>, EtcdError> {
        self.roles.get_mut(name).ok_or(EtcdError::RoleNotFound)
    }

    /// Takes note of a change of users or roles.
    fn changed(&mut self) {
        self.revision += 1;
        self.dirty.state.mark(&());
        self.combine_permissions();
    }

    fn combine_permissions(&mut self) {
        let roles = &self.roles;
        self.permissions = self
            .users
            .iter()
            .map(|(name, user)| {
                let granted = user.roles.iter().filter_map(|role| roles.get(role));
                (name.clone(), Permissions::of(granted.flatten()))
            })
            .collect();
    }
}

fn decoded(hash: &str) -> Result<Vec<u8>, EtcdError> {
    BASE64.decode(hash).map_err(|_| EtcdError::NoPasswordUser)
}
