//! Authentication of the whole cluster: on, off, and how it stands.

use etcdkit_proto::etcdserverpb as pb;
use prost::Message;

use super::{AuthRequest, AuthResponse, AuthRole, AuthUser, RoleList, UserList, request::method};
use crate::{
    Client, Header,
    exec::{Decode, Method},
    policy::Class,
};
static ENABLE: Method = method("auth enable", "/etcdserverpb.Auth/AuthEnable");
static DISABLE: Method = method("auth disable", "/etcdserverpb.Auth/AuthDisable");
static STATUS: Method = method("auth status", "/etcdserverpb.Auth/AuthStatus");

impl Client {
    /// Users, roles, their permissions, and whether the cluster asks for them.
    pub fn auth(&self) -> Auth<'_> {
        Auth { client: self }
    }
}

/// The administration of users and roles; made by [`Client::auth`].
///
/// Keys in permissions are the cluster's, in full, whatever the client's namespace.
///
/// # Examples
///
/// A user who may read all keys below `app/`, and authentication turned on:
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().start().await?;
/// # let client = etcdkit::Client::connect(server.endpoint()).await?;
/// use etcdkit::{KeyRange, Permission};
///
/// let auth = client.auth();
/// auth.role("reader").add().await?;
/// auth.role("reader")
///     .grant(Permission::read(KeyRange::prefix("app/")))
///     .await?;
/// auth.user("alice").add("wonderland").await?;
/// auth.user("alice").grant_role("reader").await?;
///
/// // Authentication needs a user named root with the role root.
/// auth.user("root").add("secret").await?;
/// auth.user("root").grant_role("root").await?;
/// auth.enable().await?;
///
/// let alice = etcdkit::Client::builder()
///     .endpoint(server.endpoint())
///     .user("alice", "wonderland")
///     .connect()
///     .await?;
/// alice.range(KeyRange::prefix("app/")).await?;
/// let denied = alice.put("app/color", "red").await.unwrap_err();
/// assert_eq!(denied.kind(), etcdkit::ErrorKind::PermissionDenied);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Auth<'a> {
    pub(super) client: &'a Client,
}

impl<'a> Auth<'a> {
    /// Turns authentication on: from now on the cluster wants to know who asks.
    ///
    /// # Errors
    ///
    /// [`RootUserNotExist`](crate::ErrorKind::RootUserNotExist) and
    /// [`RootRoleNotExist`](crate::ErrorKind::RootRoleNotExist) unless there is a user named `root` that
    /// has the role `root`. Where it is on already, nothing happens.
    pub fn enable(&self) -> AuthRequest<'a, AuthResponse> {
        self.write(&ENABLE, &pb::AuthEnableRequest {})
    }

    /// Turns authentication off: anybody may do anything. Where it is off already, nothing happens.
    pub fn disable(&self) -> AuthRequest<'a, AuthResponse> {
        self.write(&DISABLE, &pb::AuthDisableRequest {})
    }

    /// Asks whether authentication is on. Since etcd 3.5.
    ///
    /// # Errors
    ///
    /// [`Unimplemented`](crate::ErrorKind::Unimplemented) before 3.5; as [`AuthRequest`] where
    /// authentication is on, up to etcd 3.6, later servers tell everybody.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// assert!(!client.auth().status().await?.enabled);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn status(&self) -> AuthRequest<'a, AuthStatus> {
        self.read(&STATUS, &pb::AuthStatusRequest {}, |reply| {
            let response = pb::AuthStatusResponse::decode(reply)?;
            Ok(AuthStatus {
                header: response.header.into(),
                enabled: response.enabled,
                auth_revision: response.auth_revision,
            })
        })
    }

    /// Lists all users, in the order of their names.
    pub fn users(&self) -> AuthRequest<'a, UserList> {
        UserList::request(self)
    }

    /// Lists all roles, in the order of their names.
    pub fn roles(&self) -> AuthRequest<'a, RoleList> {
        RoleList::request(self)
    }

    /// The user with this name, who need not exist yet.
    pub fn user(&self, name: impl Into<String>) -> AuthUser<'a> {
        AuthUser::new(*self, name.into())
    }

    /// The role with this name, which need not exist yet.
    pub fn role(&self, name: impl Into<String>) -> AuthRole<'a> {
        AuthRole::new(*self, name.into())
    }

    pub(super) fn write(
        &self,
        method: &'static Method,
        message: &impl Message,
    ) -> AuthRequest<'a, AuthResponse> {
        let decode = AuthResponse::decode;
        AuthRequest::new(self.client, method, Class::Write, message, decode)
    }

    pub(super) fn read<T>(
        &self,
        method: &'static Method,
        message: &impl Message,
        decode: Decode<T>,
    ) -> AuthRequest<'a, T> {
        AuthRequest::new(self.client, method, Class::Read, message, decode)
    }
}

/// Whether the cluster asks who its clients are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthStatus {
    /// The answer's header.
    pub header: Header,
    /// Whether authentication is on.
    pub enabled: bool,
    /// Counts the changes of users, roles and permissions, and how often authentication was turned
    /// off.
    pub auth_revision: u64,
}
