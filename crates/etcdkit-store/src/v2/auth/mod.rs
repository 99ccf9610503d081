//! Users, roles and access to keys, as etcd's `/v2/auth` has them.
//!
//! Everything is kept in the tree, in a namespace of its own and as the JSON that etcd keeps there. So each
//! change moves the tree's index as it does in etcd: the first one by four more, since it makes the directories.
//!
//! Nothing here hashes passwords, which takes long. A change is given the hash, and who says to be a
//! user is one once somebody has compared the password with [`User::password_hash`]:
//!
//! ```text
//! is_enabled → user → (compare) → may_touch / is_root
//! ```

mod error;
mod records;
mod role;
mod user;

use std::time::Duration;

pub use error::AuthError;
pub use role::{Access, Role};
pub use user::{NewPassword, User, UserRequest};

use self::records::Kind;
use self::role::{GUEST, ROOT};
use super::Tree;

/// Reads of users and roles.
#[derive(Clone, Copy, Debug)]
pub struct Auth<'a>(&'a Tree);

impl<'a> Auth<'a> {
    /// Those of a tree.
    pub fn of(tree: &'a Tree) -> Self {
        Self(tree)
    }

    /// Whether it is asked who makes a request.
    pub fn is_enabled(&self) -> bool {
        records::is_enabled(self.0)
    }

    /// A user.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] if there is none of this name.
    pub fn user(&self, name: &str) -> Result<User, AuthError> {
        let user: User = records::read(self.0, Kind::User, name)?
            .ok_or_else(|| AuthError::missing(format!("User {name} does not exist.")))?;
        Ok(user.completed())
    }

    /// The names of all users, sorted. As with keys, a name that begins with an underscore is not listed.
    ///
    /// # Errors
    ///
    /// [`AuthError::Tree`] if the tree refuses to list them.
    pub fn users(&self) -> Result<Vec<String>, AuthError> {
        records::names(self.0, Kind::User)
    }

    /// A role.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] if there is none of this name.
    pub fn role(&self, name: &str) -> Result<Role, AuthError> {
        if name == ROOT {
            return Ok(Role::of_all_keys(ROOT));
        }
        records::read(self.0, Kind::Role, name)?
            .ok_or_else(|| AuthError::missing(format!("Role {name} does not exist.")))
    }

    /// The names of all roles, sorted; `root` is always among them.
    ///
    /// # Errors
    ///
    /// [`AuthError::Tree`] if the tree refuses to list them.
    pub fn roles(&self) -> Result<Vec<String>, AuthError> {
        let mut names = records::names(self.0, Kind::Role)?;
        names.push(ROOT.to_owned());
        names.sort_unstable();
        Ok(names)
    }

    /// Whether a user may touch a key, which is given as in the path of the request; `subtree` if the
    /// request concerns everything below it, too. Without a user the role `guest` decides.
    pub fn may_touch(
        &self,
        user: Option<&User>,
        access: Access,
        key: &[u8],
        subtree: bool,
    ) -> bool {
        let allows = |name: &str| {
            self.role(name)
                .is_ok_and(|role| role.allows(access, key, subtree))
        };
        match user {
            Some(user) => user.roles().iter().any(|role| allows(role)),
            None => allows(GUEST),
        }
    }
}

/// Changes of users and roles.
#[derive(Debug)]
pub struct AuthMut<'a> {
    tree: &'a mut Tree,
    /// Since 1970.
    now: Duration,
}

impl<'a> AuthMut<'a> {
    /// Changes those of a tree, at a time since 1970.
    pub fn of(tree: &'a mut Tree, now: Duration) -> Self {
        Self { tree, now }
    }

    /// Asks from now on who makes a request. Makes a role `guest` that may do everything, if there is none.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] if that is so already, or if there is no user `root`.
    pub fn enable(&mut self) -> Result<(), AuthError> {
        if self.read().is_enabled() {
            return Err(AuthError::conflict("already enabled"));
        }
        if self.read().user(ROOT).is_err() {
            return Err(AuthError::conflict(
                "No root user available, please create one",
            ));
        }
        if self.read().role(GUEST).is_err() {
            self.create_role(&Role::of_all_keys(GUEST))?;
        }
        records::set_enabled(self.tree, true, self.now)
    }

    /// Asks nobody any more.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] if that is so already.
    pub fn disable(&mut self) -> Result<(), AuthError> {
        if !self.read().is_enabled() {
            return Err(AuthError::conflict("already disabled"));
        }
        records::set_enabled(self.tree, false, self.now)
    }

    /// Creates a user, or changes the one that there is. Says which.
    ///
    /// # Errors
    ///
    /// Those of [`create_user`](Self::create_user) and [`update_user`](Self::update_user).
    pub fn put_user(&mut self, request: UserRequest) -> Result<(User, bool), AuthError> {
        if self.read().user(&request.user).is_ok() {
            return Ok((self.update_user(&request)?, false));
        }
        Ok((self.create_user(request)?, true))
    }

    /// Creates a user.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] without a password, or if there is one of this name.
    pub fn create_user(&mut self, request: UserRequest) -> Result<User, AuthError> {
        let user = request.into_user()?;
        match records::create(self.tree, Kind::User, &user.user, &user, self.now)? {
            true => Ok(user),
            false => Err(AuthError::conflict(format!(
                "User {} already exists.",
                user.user
            ))),
        }
    }

    /// Gives a user another password, grants it roles, revokes others.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] if there is none of this name, if it has a role that is granted or lacks one that is
    /// revoked, or if nothing would change.
    pub fn update_user(&mut self, request: &UserRequest) -> Result<User, AuthError> {
        let old = self.read().user(&request.user)?;
        let new = old.changed_by(request)?;
        if new == old {
            return Err(AuthError::invalid(
                "User not updated. Use grant/revoke/password to update the user.",
            ));
        }
        records::update(self.tree, Kind::User, &new.user, &new, self.now)?;
        Ok(new)
    }

    /// Removes a user.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] if there is none of this name; for `root` also while it is asked who makes a request.
    pub fn delete_user(&mut self, name: &str) -> Result<(), AuthError> {
        if self.read().is_enabled() && name == ROOT {
            return Err(AuthError::forbidden(
                "Cannot delete root user while auth is enabled.",
            ));
        }
        match records::delete(self.tree, Kind::User, name, self.now)? {
            true => Ok(()),
            false => Err(AuthError::missing(format!("User {name} does not exist"))),
        }
    }

    /// Creates a role.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] if there is one of this name; there always is one named `root`.
    pub fn create_role(&mut self, role: &Role) -> Result<(), AuthError> {
        refuse_root(&role.role)?;
        match records::create(self.tree, Kind::Role, &role.role, role, self.now)? {
            true => Ok(()),
            false => Err(AuthError::conflict(format!(
                "Role {} already exists.",
                role.role
            ))),
        }
    }

    /// Grants a role permissions, and revokes others.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] for `root`, if there is none of this name, if it has a permission that is granted, or
    /// if nothing would change.
    pub fn update_role(&mut self, request: &Role) -> Result<Role, AuthError> {
        refuse_root(&request.role)?;
        let old = self.read().role(&request.role)?;
        let new = old.changed_by(request)?;
        if new == old {
            return Err(AuthError::invalid(
                "Role not updated. Use grant/revoke to update the role.",
            ));
        }
        records::update(self.tree, Kind::Role, &new.role, &new, self.now)?;
        Ok(new)
    }

    /// Removes a role. Users keep its name.
    ///
    /// # Errors
    ///
    /// [`AuthError::Refused`] for `root`, or if there is none of this name.
    pub fn delete_role(&mut self, name: &str) -> Result<(), AuthError> {
        refuse_root(name)?;
        match records::delete(self.tree, Kind::Role, name, self.now)? {
            true => Ok(()),
            false => Err(AuthError::missing(format!("Role {name} doesn't exist."))),
        }
    }

    fn read(&self) -> Auth<'_> {
        Auth::of(self.tree)
    }
}

fn refuse_root(name: &str) -> Result<(), AuthError> {
    if name != ROOT {
        return Ok(());
    }
    Err(AuthError::forbidden(format!(
        "Cannot modify role {name}: is root role."
    )))
}

#[cfg(test)]
mod tests;
