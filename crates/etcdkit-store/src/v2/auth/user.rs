//! Users, and the roles they have.

use std::fmt;

use etcdkit_proto::v2::UserNames;
use serde::{Deserialize, Serialize};

use super::error::AuthError;
use super::role::{ROOT, as_set};

/// A user, as it is stored.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    pub(super) user: String,
    /// What bcrypt makes of the password.
    #[serde(rename = "password", skip_serializing_if = "String::is_empty")]
    pub(super) hash: String,
    /// The names of roles, which need not exist.
    pub(super) roles: Option<Vec<String>>,
}

/// Without the hash.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("user", &self.user)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl User {
    /// What bcrypt makes of the password.
    pub fn password_hash(&self) -> &str {
        &self.hash
    }

    /// Whether the user may do everything.
    pub fn is_root(&self) -> bool {
        self.roles().iter().any(|role| role == ROOT)
    }

    /// The names of the user's roles. They need not exist.
    pub fn roles(&self) -> &[String] {
        self.roles.as_deref().unwrap_or_default()
    }

    /// What the answer to a change shows.
    pub fn names(&self) -> UserNames {
        UserNames {
            user: self.user.clone(),
            roles: self.roles.clone(),
        }
    }

    /// Gives the user `root` the role of the same name, whatever was stored.
    pub(super) fn completed(mut self) -> Self {
        if self.user == ROOT && !self.is_root() {
            self.roles.get_or_insert_default().push(ROOT.to_owned());
        }
        self
    }

    /// The user after the grants and then the revocations of a request.
    pub(super) fn changed_by(&self, request: &UserRequest) -> Result<Self, AuthError> {
        let hash = match &request.password {
            NewPassword::None => self.hash.clone(),
            NewPassword::Hashed(hash) => hash.clone(),
            NewPassword::Unusable => return Err(AuthError::Internal),
        };
        let mut roles = as_set(self.roles.clone());
        for role in &request.grant {
            match roles.binary_search(role) {
                Ok(_) => {
                    return Err(AuthError::conflict(format!(
                        "Granting duplicate role {role} for user {}",
                        self.user
                    )));
                }
                Err(at) => roles.insert(at, role.clone()),
            }
        }
        for role in &request.revoke {
            match roles.binary_search(role) {
                Ok(at) => drop(roles.remove(at)),
                Err(_) => {
                    return Err(AuthError::conflict(format!(
                        "Revoking ungranted role {role} for user {}",
                        self.user
                    )));
                }
            }
        }
        Ok(Self {
            user: self.user.clone(),
            hash,
            roles: Some(roles),
        })
    }
}

/// What creates or changes a user.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserRequest {
    /// Its name.
    pub user: String,
    /// Its new password.
    pub password: NewPassword,
    /// The roles of a new user.
    pub roles: Option<Vec<String>>,
    /// The roles that a user is to have from now on.
    pub grant: Vec<String>,
    /// The roles that a user is to have no more.
    pub revoke: Vec<String>,
}

/// Without the hash.
impl fmt::Debug for UserRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRequest")
            .field("user", &self.user)
            .field("password", &self.password)
            .field("roles", &self.roles)
            .field("grant", &self.grant)
            .field("revoke", &self.revoke)
            .finish()
    }
}

impl UserRequest {
    /// Whether roles are granted or revoked, which is done to users that exist.
    pub fn changes_roles(&self) -> bool {
        !self.grant.is_empty() || !self.revoke.is_empty()
    }

    /// The user that the request creates.
    pub(super) fn into_user(self) -> Result<User, AuthError> {
        let hash = match self.password {
            NewPassword::Hashed(hash) => hash,
            NewPassword::None => {
                return Err(AuthError::invalid(format!(
                    "Cannot create user {} with an empty password",
                    self.user
                )));
            }
            NewPassword::Unusable => return Err(AuthError::Internal),
        };
        let user = User {
            user: self.user,
            hash,
            roles: self.roles,
        };
        Ok(user.completed())
    }
}

/// What a request says of a password. Hashing takes long, so it has been done before.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum NewPassword {
    /// Nothing.
    #[default]
    None,
    /// What bcrypt has made of it.
    Hashed(String),
    /// bcrypt did not take it: etcd 3.5 refuses more than 72 bytes.
    Unusable,
}

/// Without the hash.
impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Hashed(_) => "Hashed",
            Self::Unusable => "Unusable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn user(name: &str, roles: Option<&[&str]>) -> User {
        User {
            user: name.to_owned(),
            hash: "hash".to_owned(),
            roles: roles.map(names),
        }
    }

    fn request(grant: &[&str], revoke: &[&str]) -> UserRequest {
        UserRequest {
            grant: names(grant),
            revoke: names(revoke),
            ..UserRequest::default()
        }
    }

    #[test]
    fn users_are_stored_as_etcd_stores_them() {
        let stored = serde_json::to_string(&user("u", None)).unwrap();
        assert_eq!(stored, r#"{"user":"u","password":"hash","roles":null}"#);
        let read: User = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, user("u", None));
    }

    #[test]
    fn roles_change_as_a_set() {
        let old = user("u", Some(&["r", "q", "r"]));
        let new = old.changed_by(&request(&["b", "a"], &["r", "b"])).unwrap();
        assert_eq!(new, user("u", Some(&["a", "q"])));
        assert_eq!(
            old.changed_by(&request(&["q"], &[])).unwrap_err(),
            AuthError::conflict("Granting duplicate role q for user u")
        );
        assert_eq!(
            old.changed_by(&request(&[], &["x"])).unwrap_err(),
            AuthError::conflict("Revoking ungranted role x for user u")
        );
    }

    #[test]
    fn root_always_has_its_role() {
        assert_eq!(
            user("root", None).completed(),
            user("root", Some(&["root"]))
        );
        let given = user("root", Some(&["a"])).completed();
        assert_eq!(given, user("root", Some(&["a", "root"])));
        assert_eq!(given.clone().completed(), given);
        assert_eq!(user("u", None).completed(), user("u", None));
    }

    #[test]
    fn nobody_is_created_without_a_password() {
        let mut request = UserRequest {
            user: "u".to_owned(),
            ..UserRequest::default()
        };
        let refused = request.clone().into_user().unwrap_err();
        assert_eq!(
            refused,
            AuthError::invalid("Cannot create user u with an empty password")
        );
        request.password = NewPassword::Unusable;
        assert_eq!(request.into_user().unwrap_err(), AuthError::Internal);
    }

    #[test]
    fn hashes_are_not_shown() {
        let user = user("u", None);
        assert!(!format!("{user:?}").contains("hash"));
        let request = UserRequest {
            password: NewPassword::Hashed("secret".to_owned()),
            ..UserRequest::default()
        };
        assert!(!format!("{request:?} {:?}", request.password).contains("secret"));
    }
}
