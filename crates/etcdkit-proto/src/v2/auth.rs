//! Requests and answers of `/v2/auth`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::members::list;

/// The answer of `GET /v2/auth/enable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthEnabled {
    /// Whether users are asked for.
    pub enabled: bool,
}

/// The keys that a permission is for: each exact, or a prefix when it ends in `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyPermissions {
    /// Which may be read. `None` is written as `null`, as for a role that was never granted anything.
    pub read: Option<Vec<String>>,
    /// Which may be written.
    pub write: Option<Vec<String>>,
}

/// What a role may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// With keys; there is nothing else.
    pub kv: KeyPermissions,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    /// Its name.
    pub role: String,
    /// What it may do.
    pub permissions: Permissions,
}

/// The answer of `GET /v2/auth/roles`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// All roles, by name; `root` is always among them.
    #[serde(default, deserialize_with = "list")]
    pub roles: Vec<Role>,
}

/// What creates or changes a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleChange {
    /// Its name, which the path has too.
    pub role: String,
    /// What a new role may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// What a role may do from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Permissions>,
    /// What a role may do no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Permissions>,
}

/// A user with the whole of its roles, as `GET` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    #[serde(default)]
    pub user: String,
    /// Its roles, by name.
    #[serde(default, deserialize_with = "list")]
    pub roles: Vec<Role>,
}

/// The answer of `GET /v2/auth/users`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Users {
    /// All users, by name. etcd writes `null` when there are none.
    pub users: Option<Vec<User>>,
}

/// A user with the names of its roles, as the answer to a change shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserNames {
    /// Its name.
    pub user: String,
    /// The names of its roles. etcd writes `null` when there are none.
    pub roles: Option<Vec<String>>,
}

/// What creates or changes a user.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserChange {
    /// Its name, which the path has too.
    pub user: String,
    /// Its new password; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// The roles of a new user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// The roles that the user has from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Vec<String>>,
    /// The roles that the user has no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Vec<String>>,
}

/// Without the password.
impl fmt::Debug for UserChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserChange")
            .field("user", &self.user)
            .field("roles", &self.roles)
            .field("grant", &self.grant)
            .field("revoke", &self.revoke)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_null() {
        let json = serde_json::to_string(&Users::default()).unwrap();
        assert_eq!(json, r#"{"users":null}"#);
        let role = Role {
            role: "r".to_owned(),
            ..Role::default()
        };
        assert_eq!(
            serde_json::to_string(&role).unwrap(),
            r#"{"role":"r","permissions":{"kv":{"read":null,"write":null}}}"#
        );
        let user: User = serde_json::from_str(r#"{"user":"u","roles":null}"#).unwrap();
        assert!(user.roles.is_empty());
    }

    #[test]
    fn passwords_are_not_shown() {
        let change = UserChange {
            user: "u".to_owned(),
            password: "secret".to_owned(),
            ..UserChange::default()
        };
        assert!(!format!("{change:?}").contains("secret"));
    }
}
