//! Authentication: the token that requests carry, and the administration of users and roles.

mod admin;
mod credentials;
mod jwt;
mod permission;
mod request;
mod roles;
mod source;
mod tokens;
mod users;

#[cfg(feature = "v2")]
pub(crate) use self::credentials::Secret;
pub use self::{
    admin::{Auth, AuthStatus},
    permission::{Permission, PermissionKind},
    request::{AuthRequest, AuthResponse},
    roles::{AuthRole, RoleInfo, RoleList},
    users::{AuthUser, UserInfo, UserList},
};
pub(crate) use self::{
    credentials::Offered,
    source::{Admission, TokenSource},
    tokens::Refusal,
};
use crate::{Client, Result};

impl Client {
    /// Replaces the token that all clones of this client send, and streams opened from now on. A
    /// client that has logged in as a user until now stops doing so.
    ///
    /// Calls under way that are refused because of the old token are sent again with the new one.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the token is empty or cannot be sent; the
    /// old one then stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> etcdkit::Result<()> {
    /// # let issue = || "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl";
    /// let client = etcdkit::Client::builder()
    ///     .endpoint("http://127.0.0.1:2379")
    ///     .token(issue())
    ///     .connect_lazy()?;
    /// // Later, before the first one ends:
    /// client.set_token(issue())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_token(&self, token: impl Into<String>) -> Result<()> {
        let mut offered = Offered::default();
        offered.token(token.into());
        self.core.tokens.replace(offered.credentials()?);
        Ok(())
    }

    /// Replaces the user that all clones of this client log in as, such as after a change of the
    /// password. The next call or stream logs in; streams that are open stay so.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if the name is empty. Whether the server
    /// accepts the password shows in the calls that follow.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().start().await?;
    /// # let client = etcdkit::Client::connect(server.endpoint()).await?;
    /// # client.auth().user("alice").add("old password").await?;
    /// client.auth().user("alice").change_password("new password").await?;
    /// client.set_user("alice", "new password")?;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn set_user(&self, name: impl Into<String>, password: impl Into<String>) -> Result<()> {
        let mut offered = Offered::default();
        offered.user(name.into(), password.into());
        self.core.tokens.replace(offered.credentials()?);
        Ok(())
    }
}
