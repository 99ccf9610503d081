//! Roles: named sets of permissions.

use etcdkit_proto::{EtcdError, etcdserverpb as pb};
use prost::Message;

use super::{Auth, AuthRequest, AuthResponse, Permission, request::method};
use crate::{Error, Header, KeyRange, Result, exec::Method};

static ADD: Method = method("role add", "/etcdserverpb.Auth/RoleAdd");
static DELETE: Method = method("role delete", "/etcdserverpb.Auth/RoleDelete");
static GET: Method = method("role get", "/etcdserverpb.Auth/RoleGet");
static LIST: Method = method("role list", "/etcdserverpb.Auth/RoleList");
static GRANT: Method = method(
    "role grant-permission",
    "/etcdserverpb.Auth/RoleGrantPermission",
);
static REVOKE: Method = method(
    "role revoke-permission",
    "/etcdserverpb.Auth/RoleRevokePermission",
);

/// One role; made by [`Auth::role`].
///
/// The role `root` is always there: whoever has it may do everything, and nothing can be added to it.
/// An empty name is refused before anything is sent, with
/// [`RoleEmpty`](crate::ErrorKind::RoleEmpty).
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().start().await?;
/// # let client = etcdkit::Client::connect(server.endpoint()).await?;
/// use etcdkit::{KeyRange, Permission};
///
/// let role = client.auth().role("app");
/// role.add().await?;
/// role.grant(Permission::read_write(KeyRange::prefix("app/"))).await?;
/// role.grant(Permission::read("shared")).await?;
/// assert_eq!(role.get().await?.permissions.len(), 2);
///
/// role.revoke("shared").await?;
/// role.delete().await?;
/// assert!(client.auth().roles().await?.roles.is_empty());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct AuthRole<'a> {
    auth: Auth<'a>,
    name: String,
}

impl<'a> AuthRole<'a> {
    pub(super) fn new(auth: Auth<'a>, name: String) -> Self {
        Self { auth, name }
    }

    /// Adds the role, which permits nothing yet.
    ///
    /// # Errors
    ///
    /// [`RoleExists`](crate::ErrorKind::RoleExists).
    pub fn add(&self) -> AuthRequest<'a, AuthResponse> {
        let name = self.name.clone();
        let message = pb::AuthRoleAddRequest { name };
        let request = self.auth.write(&ADD, &message);
        request.checked(self.check())
    }

    /// Deletes the role, and takes it from all users.
    ///
    /// # Errors
    ///
    /// [`RoleNotFound`](crate::ErrorKind::RoleNotFound), and
    /// [`InvalidAuthManagement`](crate::ErrorKind::InvalidAuthManagement) for `root` while
    /// authentication is on.
    pub fn delete(&self) -> AuthRequest<'a, AuthResponse> {
        let role = self.name.clone();
        let message = pb::AuthRoleDeleteRequest { role };
        let request = self.auth.write(&DELETE, &message);
        request.checked(self.check())
    }

    /// Asks what the role permits. Users may ask about roles that they have.
    ///
    /// # Errors
    ///
    /// [`RoleNotFound`](crate::ErrorKind::RoleNotFound).
    pub fn get(&self) -> AuthRequest<'a, RoleInfo> {
        let role = self.name.clone();
        let message = pb::AuthRoleGetRequest { role };
        let request = self.auth.read(&GET, &message, |reply| {
            let response = pb::AuthRoleGetResponse::decode(reply)?;
            Ok(RoleInfo {
                header: response.header.into(),
                permissions: response.perm.into_iter().map(Permission::from).collect(),
            })
        });
        request.checked(self.check())
    }

    /// Adds a permission to the role. One for exactly the same keys is replaced, so that granting to
    /// read and then to write leaves the right to write only.
    ///
    /// # Errors
    ///
    /// [`RoleNotFound`](crate::ErrorKind::RoleNotFound), also for `root` unless somebody added it;
    /// before anything is sent, [`EmptyKey`](crate::ErrorKind::EmptyKey) and
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest) for keys that are no range.
    pub fn grant(&self, permission: Permission) -> AuthRequest<'a, AuthResponse> {
        let check = self.check().and_then(|()| permission.check());
        let message = pb::AuthRoleGrantPermissionRequest {
            name: self.name.clone(),
            perm: Some(permission.into_wire()),
        };
        let request = self.auth.write(&GRANT, &message);
        request.checked(check)
    }

    /// Takes the permission for exactly these keys from the role, of whichever kind it is. A part of
    /// what was granted cannot be taken.
    ///
    /// # Errors
    ///
    /// [`RoleNotFound`](crate::ErrorKind::RoleNotFound) and
    /// [`PermissionNotGranted`](crate::ErrorKind::PermissionNotGranted); before anything is sent, as
    /// [`grant`](Self::grant).
    pub fn revoke<'k>(&self, keys: impl Into<KeyRange<'k>>) -> AuthRequest<'a, AuthResponse> {
        let keys = keys.into();
        let check = self.check().and_then(|()| Ok(keys.check()?));
        let (key, range_end) = keys.into_wire();
        let message = pb::AuthRoleRevokePermissionRequest {
            role: self.name.clone(),
            key,
            range_end,
        };
        let request = self.auth.write(&REVOKE, &message);
        request.checked(check)
    }

    fn check(&self) -> Result<()> {
        match self.name.is_empty() {
            true => Err(Error::etcd(EtcdError::RoleEmpty)),
            false => Ok(()),
        }
    }
}

/// What is known about a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleInfo {
    /// The answer's header.
    pub header: Header,
    /// What it permits, in the order of keys.
    pub permissions: Vec<Permission>,
}

/// The roles of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleList {
    /// The answer's header.
    pub header: Header,
    /// Their names, in order. `root` is among them only if somebody added it.
    pub roles: Vec<String>,
}

impl RoleList {
    pub(super) fn request<'a>(auth: &Auth<'a>) -> AuthRequest<'a, Self> {
        auth.read(&LIST, &pb::AuthRoleListRequest {}, |reply| {
            let response = pb::AuthRoleListResponse::decode(reply)?;
            Ok(Self {
                header: response.header.into(),
                roles: response.roles,
            })
        })
    }
}
