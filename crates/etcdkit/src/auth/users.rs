//! Users: who may log in, and which roles they have.

use etcdkit_proto::{EtcdError, authpb, etcdserverpb as pb};
use prost::Message;

use super::{Auth, AuthRequest, AuthResponse, request::method};
use crate::{Error, Header, Result, exec::Method};

static ADD: Method = method("user add", "/etcdserverpb.Auth/UserAdd");
static DELETE: Method = method("user delete", "/etcdserverpb.Auth/UserDelete");
static GET: Method = method("user get", "/etcdserverpb.Auth/UserGet");
static LIST: Method = method("user list", "/etcdserverpb.Auth/UserList");
static CHANGE_PASSWORD: Method = method("user passwd", "/etcdserverpb.Auth/UserChangePassword");
static GRANT_ROLE: Method = method("user grant-role", "/etcdserverpb.Auth/UserGrantRole");
static REVOKE_ROLE: Method = method("user revoke-role", "/etcdserverpb.Auth/UserRevokeRole");

/// One user; made by [`Auth::user`].
///
/// An empty name is refused before anything is sent, with
/// [`UserEmpty`](crate::ErrorKind::UserEmpty). Passwords never show in errors or `Debug`; servers keep
/// them hashed.
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().start().await?;
/// # let client = etcdkit::Client::connect(server.endpoint()).await?;
/// let alice = client.auth().user("alice");
/// alice.add("wonderland").await?;
/// client.auth().role("reader").add().await?;
/// alice.grant_role("reader").await?;
/// assert_eq!(alice.get().await?.roles, ["reader"]);
///
/// alice.change_password("looking glass").await?;
/// alice.revoke_role("reader").await?;
/// alice.delete().await?;
/// assert!(client.auth().users().await?.users.is_empty());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct AuthUser<'a> {
    auth: Auth<'a>,
    name: String,
}

impl<'a> AuthUser<'a> {
    pub(super) fn new(auth: Auth<'a>, name: String) -> Self {
        Self { auth, name }
    }

    /// Adds the user, who logs in with this password.
    ///
    /// # Errors
    ///
    /// [`UserExists`](crate::ErrorKind::UserExists).
    pub fn add(&self, password: impl Into<String>) -> AuthRequest<'a, AuthResponse> {
        self.add_with(password.into(), false)
    }

    /// Adds the user, who cannot log in and is known by a client certificate with the user's name as
    /// its common name. Since etcd 3.4; servers need `--client-cert-auth` to look at certificates.
    ///
    /// # Errors
    ///
    /// [`UserExists`](crate::ErrorKind::UserExists).
    pub fn add_without_password(&self) -> AuthRequest<'a, AuthResponse> {
        self.add_with(String::new(), true)
    }

    fn add_with(&self, password: String, no_password: bool) -> AuthRequest<'a, AuthResponse> {
        let message = pb::AuthUserAddRequest {
            name: self.name.clone(),
            password,
            options: Some(authpb::UserAddOptions { no_password }),
            ..Default::default()
        };
        let request = self.auth.write(&ADD, &message);
        request.checked(self.check())
    }

    /// Deletes the user, whose tokens are void from then on.
    ///
    /// # Errors
    ///
    /// [`UserNotFound`](crate::ErrorKind::UserNotFound), and
    /// [`InvalidAuthManagement`](crate::ErrorKind::InvalidAuthManagement) for `root` while
    /// authentication is on.
    pub fn delete(&self) -> AuthRequest<'a, AuthResponse> {
        let name = self.name.clone();
        let message = pb::AuthUserDeleteRequest { name };
        let request = self.auth.write(&DELETE, &message);
        request.checked(self.check())
    }

    /// Asks for the user's roles. Users may ask for themselves.
    ///
    /// # Errors
    ///
    /// [`UserNotFound`](crate::ErrorKind::UserNotFound).
    pub fn get(&self) -> AuthRequest<'a, UserInfo> {
        let name = self.name.clone();
        let message = pb::AuthUserGetRequest { name };
        let request = self.auth.read(&GET, &message, |reply| {
            let response = pb::AuthUserGetResponse::decode(reply)?;
            Ok(UserInfo {
                header: response.header.into(),
                roles: response.roles,
            })
        });
        request.checked(self.check())
    }

    /// Gives the user another password. The user's tokens are void from then on: a client that is
    /// logged in as this user needs [`Client::set_user`](crate::Client::set_user).
    ///
    /// # Errors
    ///
    /// [`UserNotFound`](crate::ErrorKind::UserNotFound).
    pub fn change_password(&self, password: impl Into<String>) -> AuthRequest<'a, AuthResponse> {
        let message = pb::AuthUserChangePasswordRequest {
            name: self.name.clone(),
            password: password.into(),
            ..Default::default()
        };
        let request = self.auth.write(&CHANGE_PASSWORD, &message);
        request.checked(self.check())
    }

    /// Grants the user a role. Granting one that the user has changes nothing.
    ///
    /// # Errors
    ///
    /// [`UserNotFound`](crate::ErrorKind::UserNotFound) and
    /// [`RoleNotFound`](crate::ErrorKind::RoleNotFound); the role `root` need not have been added.
    pub fn grant_role(&self, role: impl Into<String>) -> AuthRequest<'a, AuthResponse> {
        let message = pb::AuthUserGrantRoleRequest {
            user: self.name.clone(),
            role: role.into(),
        };
        let request = self.auth.write(&GRANT_ROLE, &message);
        request.checked(self.check())
    }

    /// Takes a role from the user.
    ///
    /// # Errors
    ///
    /// [`UserNotFound`](crate::ErrorKind::UserNotFound),
    /// [`RoleNotGranted`](crate::ErrorKind::RoleNotGranted), and
    /// [`InvalidAuthManagement`](crate::ErrorKind::InvalidAuthManagement) for the role `root` of the
    /// user `root` while authentication is on.
    pub fn revoke_role(&self, role: impl Into<String>) -> AuthRequest<'a, AuthResponse> {
        let message = pb::AuthUserRevokeRoleRequest {
            name: self.name.clone(),
            role: role.into(),
        };
        let request = self.auth.write(&REVOKE_ROLE, &message);
        request.checked(self.check())
    }

    /// Servers would answer the same, in words that they also have for a client without a token.
    fn check(&self) -> Result<()> {
        match self.name.is_empty() {
            true => Err(Error::etcd(EtcdError::UserEmpty)),
            false => Ok(()),
        }
    }
}

/// What is known about a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserInfo {
    /// The answer's header.
    pub header: Header,
    /// The user's roles, in the order of their names.
    pub roles: Vec<String>,
}

/// The users of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserList {
    /// The answer's header.
    pub header: Header,
    /// Their names, in order.
    pub users: Vec<String>,
}

impl UserList {
    pub(super) fn request<'a>(auth: &Auth<'a>) -> AuthRequest<'a, Self> {
        auth.read(&LIST, &pb::AuthUserListRequest {}, |reply| {
            let response = pb::AuthUserListResponse::decode(reply)?;
            Ok(Self {
                header: response.header.into(),
                users: response.users,
            })
        })
    }
}
