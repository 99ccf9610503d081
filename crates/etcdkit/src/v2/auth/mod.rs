//! Users, roles, and whether they are asked for.

mod roles;
mod users;

use etcdkit_proto::v2 as wire;

pub use self::{
    roles::{AuthRole, Permissions, Role},
    users::{AuthUser, CreateUser, User},
};
use super::{AdminRequest, Client, Error, Result, path, request::Request};

impl Client {
    /// Authentication: users, roles, and whether they are asked for. Since etcd 2.1.
    ///
    /// The v2 API has users of its own, which those of the v3 API know nothing of.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
    /// # let endpoint = server.endpoint();
    /// use etcdkit::v2::{Client, ErrorKind, Permissions};
    ///
    /// let client = Client::connect(&endpoint).await?;
    /// let auth = client.auth();
    /// auth.role("app").create(Permissions::read_write("/app/*")).await?;
    /// auth.user("app").create("secret").roles(["app"]).await?;
    /// auth.user("root").create("more secret").await?;
    /// auth.enable().await?;
    /// # // Everybody may do everything as a guest, unless the role is changed.
    /// # let root = Client::builder().endpoint(&endpoint).user("root", "more secret").connect().await?;
    /// # root.auth().role("guest").revoke(Permissions::read_write("/*")).await?;
    ///
    /// let app = Client::builder().endpoint(&endpoint).user("app", "secret").connect().await?;
    /// app.set("/app/state", "on").await?;
    /// let error = app.set("/other", "on").await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Unauthorized);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn auth(&self) -> Auth<'_> {
        Auth { client: self }
    }
}

/// Authentication, by [`Client::auth`].
///
/// With authentication on, everything but [`is_enabled`](Self::is_enabled) needs a user with the role `root`.
///
/// # Errors
///
/// Besides those of all calls, [`Unauthorized`](crate::v2::ErrorKind::Unauthorized) without such a user, and
/// [`Refused`](crate::v2::ErrorKind::Refused) with the server's words otherwise; its
/// [`status`](Error::status) is 404 for users and roles that do not exist, 409 for those that do and are to be
/// created, and 403 for the role `root`, which cannot be changed.
#[derive(Clone, Copy, Debug)]
pub struct Auth<'a> {
    client: &'a Client,
}

impl<'a> Auth<'a> {
    /// Whether users are asked for. Everybody may know.
    pub fn is_enabled(&self) -> AdminRequest<'a, bool> {
        let request = Request::get("auth status", ENABLE);
        AdminRequest::one(self.client, Ok(request), |answer| {
            Ok(answer.json::<wire::AuthEnabled>()?.enabled)
        })
    }

    /// Asks for users from now on. The user `root` has to exist, and gets the role `root` when it is created.
    ///
    /// Whoever does not say who asks has the role `guest`. If there is none it is created and may read and
    /// write everything: [change it](AuthRole::revoke) to keep others out.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::v2::ErrorKind::Refused) with status 409 if users are asked for already, or there is
    /// no user `root`; servers say the latter, too, after some time while they have no leader.
    pub fn enable(&self) -> AdminRequest<'a, ()> {
        let request = Request::put("auth enable", ENABLE);
        AdminRequest::one(self.client, Ok(request), |_| Ok(()))
    }

    /// Asks for users no more.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::v2::ErrorKind::Refused) with status 409 if none are asked for.
    pub fn disable(&self) -> AdminRequest<'a, ()> {
        let request = Request::delete("auth disable", ENABLE);
        AdminRequest::one(self.client, Ok(request), |_| Ok(()))
    }

    /// One user, which need not exist yet.
    pub fn user(&self, name: impl Into<String>) -> AuthUser<'a> {
        AuthUser::new(self.client, name.into())
    }

    /// All users, by name.
    pub fn users(&self) -> AdminRequest<'a, Vec<User>> {
        User::all(self.client)
    }

    /// One role, which need not exist yet.
    pub fn role(&self, name: impl Into<String>) -> AuthRole<'a> {
        AuthRole::new(self.client, name.into())
    }

    /// All roles, by name. `root` is always among them.
    pub fn roles(&self) -> AdminRequest<'a, Vec<Role>> {
        Role::all(self.client)
    }
}

const ENABLE: &str = "/v2/auth/enable";

/// The path of a user or role. Servers clean paths before they look at them, so some names lead elsewhere.
fn path_of(operation: &'static str, kind: &str, name: &str) -> Result<String> {
    if matches!(name, "" | "." | "..") || name.contains('/') {
        let what = format!("{name:?} cannot be a name: it has to be one part of a path");
        return Err(Error::invalid_request(what).with_operation(operation));
    }
    Ok(format!("/v2/auth/{kind}/{}", path::encode(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_part_of_a_path() {
        assert_eq!(
            path_of("user get", "users", "al ice").unwrap(),
            "/v2/auth/users/al%20ice"
        );
        for name in ["", ".", "..", "a/b", "/"] {
            assert!(path_of("role get", "roles", name).is_err(), "{name}");
        }
    }
}
