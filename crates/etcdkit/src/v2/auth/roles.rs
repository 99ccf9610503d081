//! Roles: what users may do with which keys.

use etcdkit_proto::v2 as wire;

use super::path_of;
use crate::v2::{AdminRequest, Client, Error, Result, request::Request};

/// One role; made by [`Auth::role`](crate::v2::Auth::role).
///
/// A name is one part of a path: one with `/` in it is refused before anything is sent, with
/// [`InvalidRequest`](crate::v2::ErrorKind::InvalidRequest).
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
/// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
/// use etcdkit::v2::Permissions;
///
/// let role = client.auth().role("app");
/// role.create(Permissions::read("/shared/*")).await?;
/// role.grant(Permissions::read_write("/app/*")).await?;
/// role.revoke(Permissions::read("/shared/*")).await?;
/// assert_eq!(role.get().await?.permissions, Permissions::read_write("/app/*"));
/// role.delete().await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct AuthRole<'a> {
    client: &'a Client,
    name: String,
}

impl<'a> AuthRole<'a> {
    pub(super) fn new(client: &'a Client, name: String) -> Self {
        Self { client, name }
    }

    /// What the role may do.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::v2::ErrorKind::Refused) with status 404 if there is no such role.
    pub fn get(&self) -> AdminRequest<'a, Role> {
        let path = self.path("role get");
        let request = path.map(|path| Request::get("role get", path));
        AdminRequest::one(self.client, request, |answer| {
            Ok(answer.json::<wire::Role>()?.into())
        })
    }

    /// Creates the role with these permissions, or with `None` without any yet.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::v2::ErrorKind::Refused) with status 409 if there is such a role.
    pub fn create(&self, permissions: impl Into<Option<Permissions>>) -> AdminRequest<'a, ()> {
        let permissions = permissions.into().map(wire::Permissions::from);
        self.put(
            "role add",
            wire::RoleChange {
                permissions,
                ..wire::RoleChange::default()
            },
        )
    }

    /// Lets the role do more, all or nothing of it.
    ///
    /// # Errors
    ///
    /// Before sending: [`InvalidRequest`](crate::v2::ErrorKind::InvalidRequest) without any permission. From
    /// the server: [`Refused`](crate::v2::ErrorKind::Refused) with status 409 if the role has one of the
    /// permissions, 404 if there is no such role.
    pub fn grant(&self, permissions: Permissions) -> AdminRequest<'a, ()> {
        self.put(
            "role grant",
            wire::RoleChange {
                grant: Some(permissions.into()),
                ..wire::RoleChange::default()
            },
        )
    }

    /// Lets the role do less. What it may not do already is passed over.
    ///
    /// # Errors
    ///
    /// Before sending: [`InvalidRequest`](crate::v2::ErrorKind::InvalidRequest) without any permission. From
    /// the server: [`Refused`](crate::v2::ErrorKind::Refused) with status 400 if that changes nothing, 404 if
    /// there is no such role.
    pub fn revoke(&self, permissions: Permissions) -> AdminRequest<'a, ()> {
        self.put(
            "role revoke",
            wire::RoleChange {
                revoke: Some(permissions.into()),
                ..wire::RoleChange::default()
            },
        )
    }

    /// Deletes the role. Users that have it keep its name.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::v2::ErrorKind::Refused) with status 404 if there is no such role.
    pub fn delete(&self) -> AdminRequest<'a, ()> {
        let path = self.path("role delete");
        let request = path.map(|path| Request::delete("role delete", path));
        AdminRequest::one(self.client, request, |_| Ok(()))
    }

    fn put(&self, operation: &'static str, change: wire::RoleChange) -> AdminRequest<'a, ()> {
        let request = self.path(operation).and_then(|path| {
            // A grant or revocation of nothing would be a creation.
            let nothing = wire::Permissions::from(Permissions::default());
            if [&change.grant, &change.revoke].contains(&&Some(nothing)) {
                let error = Error::invalid_request("no permission is named");
                return Err(error.with_operation(operation));
            }
            let change = wire::RoleChange {
                role: self.name.clone(),
                ..change
            };
            Ok(Request::put(operation, path).json(&change))
        });
        AdminRequest::one(self.client, request, |_| Ok(()))
    }

    fn path(&self, operation: &'static str) -> Result<String> {
        path_of(operation, "roles", &self.name)
    }
}

/// A role and what it may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
}

impl Role {
    pub(super) fn all(client: &Client) -> AdminRequest<'_, Vec<Self>> {
        let request = Request::get("role list", "/v2/auth/roles");
        AdminRequest::one(client, Ok(request), |answer| {
            let roles = answer.json::<wire::Roles>()?.roles;
            Ok(roles.into_iter().map(Self::from).collect())
        })
    }
}

impl From<wire::Role> for Role {
    fn from(role: wire::Role) -> Self {
        let keys = role.permissions.kv;
        Self {
            name: role.role,
            permissions: Permissions {
                read: keys.read.unwrap_or_default(),
                write: keys.write.unwrap_or_default(),
            },
        }
    }
}

/// What may be done with which keys.
///
/// Each is a path, or with `*` at its end everything that begins with what is before it: `/app/*` is what is in
/// the directory `/app`, without the directory itself. Listing a directory recursively needs a pattern that
/// covers its path with a slash behind it, and the path to be asked for in that way: `/app/`.
///
/// Permissions can be put together: `Permissions::read("/shared/*").and(Permissions::read_write("/app/*"))`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permissions {
    /// What may be read and watched.
    pub read: Vec<String>,
    /// What may be written and deleted.
    pub write: Vec<String>,
}

impl Permissions {
    /// To read what a pattern matches.
    pub fn read(pattern: impl Into<String>) -> Self {
        Self {
            read: vec![pattern.into()],
            write: Vec::new(),
        }
    }

    /// To write what a pattern matches.
    pub fn write(pattern: impl Into<String>) -> Self {
        Self {
            read: Vec::new(),
            write: vec![pattern.into()],
        }
    }

    /// To read and write what a pattern matches.
    pub fn read_write(pattern: impl Into<String>) -> Self {
        let pattern = pattern.into();
        Self::read(pattern.clone()).and(Self::write(pattern))
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.read.extend(others.read);
        self.write.extend(others.write);
        self
    }
}

impl From<Permissions> for wire::Permissions {
    fn from(permissions: Permissions) -> Self {
        Self {
            kv: wire::KeyPermissions {
                read: Some(permissions.read),
                write: Some(permissions.write),
            },
        }
    }
}
