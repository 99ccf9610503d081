//! Users: who may ask, and which roles they have.

use std::{future::IntoFuture, time::Duration};

use etcdkit_proto::v2 as wire;

use super::{Role, path_of};
use crate::v2::{AdminRequest, Asker, Call, Client, Error, ErrorKind, Result, request::Request};

/// One user; made by [`Auth::user`](crate::v2::Auth::user).
///
/// Passwords never show in errors, traces or `Debug`; servers keep them hashed. A name is one part of a path:
/// one with `/` in it is refused before anything is sent, with [`InvalidRequest`](ErrorKind::InvalidRequest).
///
/// # Examples
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = etcdkit_server::Server::builder().enable_v2(true).start().await?;
/// # let client = etcdkit::v2::Client::connect(server.endpoint()).await?;
/// let alice = client.auth().user("alice");
/// alice.create("wonderland").await?;
/// client.auth().role("reader").create(None).await?;
/// alice.grant(["reader"]).await?;
/// assert_eq!(alice.get().await?.roles[0].name, "reader");
///
/// alice.change_password("looking glass").await?;
/// alice.revoke(["reader"]).await?;
/// alice.delete().await?;
/// assert!(client.auth().users().await?.is_empty());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct AuthUser<'a> {
    client: &'a Client,
    name: String,
}

impl<'a> AuthUser<'a> {
    pub(super) fn new(client: &'a Client, name: String) -> Self {
        Self { client, name }
    }

    /// The user with its roles.
    ///
    /// # Errors
    ///
    /// [`Refused`](ErrorKind::Refused) with status 404 if there is no such user, and if it has a role that
    /// does not exist.
    pub fn get(&self) -> AdminRequest<'a, User> {
        let path = self.path("user get");
        let request = path.map(|path| Request::get("user get", path));
        AdminRequest::one(self.client, request, |answer| {
            Ok(answer.json::<wire::User>()?.into())
        })
    }

    /// Creates the user, with [roles](CreateUser::roles) at once or none yet. The user `root` gets the role
    /// `root`.
    pub fn create(&self, password: impl Into<String>) -> CreateUser<'a> {
        CreateUser {
            client: self.client,
            path: self.path(CREATE),
            change: wire::UserChange {
                user: self.name.clone(),
                password: password.into(),
                ..wire::UserChange::default()
            },
            timeout: None,
        }
    }

    /// Gives the user another password.
    ///
    /// # Errors
    ///
    /// Before sending: [`InvalidRequest`](ErrorKind::InvalidRequest) for an empty password. From the server:
    /// [`Refused`](ErrorKind::Refused) with status 404 if there is no such user.
    pub fn change_password(&self, password: impl Into<String>) -> AdminRequest<'a, ()> {
        const OPERATION: &str = "user passwd";
        let path = self.path(OPERATION);
        let change = wire::UserChange {
            user: self.name.clone(),
            password: password.into(),
            ..wire::UserChange::default()
        };
        AdminRequest::several(self.client, |asker| async move {
            let path = path?;
            check_password(OPERATION, &change)?;
            // The same request would create a user that does not exist.
            asker.ask(Request::get(OPERATION, &*path)).await?;
            let request = Request::put(OPERATION, path).json(&change);
            asker.ask(request).await.map(drop)
        })
    }

    /// Gives the user roles, all or none of them. They need not exist.
    ///
    /// # Errors
    ///
    /// [`Refused`](ErrorKind::Refused) with status 409 if the user has one of them, 404 if there is no such
    /// user.
    pub fn grant<R: Into<String>>(
        &self,
        roles: impl IntoIterator<Item = R>,
    ) -> AdminRequest<'a, ()> {
        self.change_roles("user grant", roles, |change, roles| change.grant = roles)
    }

    /// Takes roles from the user, all or none of them.
    ///
    /// # Errors
    ///
    /// [`Refused`](ErrorKind::Refused) with status 409 if the user does not have one of them, 404 if there is
    /// no such user.
    pub fn revoke<R: Into<String>>(
        &self,
        roles: impl IntoIterator<Item = R>,
    ) -> AdminRequest<'a, ()> {
        self.change_roles("user revoke", roles, |change, roles| change.revoke = roles)
    }

    /// Deletes the user.
    ///
    /// # Errors
    ///
    /// [`Refused`](ErrorKind::Refused) with status 404 if there is no such user, and 403 for `root` while
    /// users are asked for.
    pub fn delete(&self) -> AdminRequest<'a, ()> {
        let path = self.path("user delete");
        let request = path.map(|path| Request::delete("user delete", path));
        AdminRequest::one(self.client, request, |_| Ok(()))
    }

    fn change_roles<R: Into<String>>(
        &self,
        operation: &'static str,
        roles: impl IntoIterator<Item = R>,
        place: impl FnOnce(&mut wire::UserChange, Option<Vec<String>>),
    ) -> AdminRequest<'a, ()> {
        let roles: Vec<String> = roles.into_iter().map(R::into).collect();
        let request = self.path(operation).and_then(|path| {
            // Without roles the request would be one for another password.
            if roles.is_empty() {
                let error = Error::invalid_request("no role is named");
                return Err(error.with_operation(operation));
            }
            let mut change = wire::UserChange {
                user: self.name.clone(),
                ..wire::UserChange::default()
            };
            place(&mut change, Some(roles));
            Ok(Request::put(operation, path).json(&change))
        });
        AdminRequest::one(self.client, request, |_| Ok(()))
    }

    fn path(&self, operation: &'static str) -> Result<String> {
        path_of(operation, "users", &self.name)
    }
}

const CREATE: &str = "user add";

/// Servers refuse an empty password of a new user, and take it for no change of another.
fn check_password(operation: &'static str, change: &wire::UserChange) -> Result<()> {
    match change.password.is_empty() {
        true => Err(Error::invalid_request("the password is empty").with_operation(operation)),
        false => Ok(()),
    }
}

/// A creation of a user that has not been sent yet: made by [`AuthUser::create`], sent when awaited.
///
/// # Errors
///
/// Before sending: [`InvalidRequest`](ErrorKind::InvalidRequest) for an empty password. From the server:
/// [`Refused`](ErrorKind::Refused) with status 409 if there is such a user.
///
/// Without roles the same request would change the password of a user that exists. So the client asks first,
/// and fails with status 409 itself; of two that create a user at the same time without roles, both succeed,
/// and the later password counts.
#[derive(Debug)]
#[must_use = "the request is sent when awaited"]
pub struct CreateUser<'a> {
    client: &'a Client,
    path: Result<String>,
    change: wire::UserChange,
    timeout: Option<Duration>,
}

impl CreateUser<'_> {
    /// Gives the user roles from the beginning. They need not exist.
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        let roles: Vec<String> = roles.into_iter().map(R::into).collect();
        self.change.roles = Some(roles).filter(|roles| !roles.is_empty());
        self
    }

    /// Limits the time for the whole call; the client's request timeout otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for CreateUser<'_> {
    type Output = Result<()>;
    type IntoFuture = Call<()>;

    fn into_future(self) -> Call<()> {
        let client = self.client.clone();
        let (path, change, timeout) = (self.path, self.change, self.timeout);
        Call::new(async move {
            let path = path?;
            check_password(CREATE, &change)?;
            let asker = Asker::new(&client, timeout);
            if change.roles.is_none() {
                must_not_exist(&asker, &path, &change.user).await?;
            }
            let request = Request::put(CREATE, path).json(&change);
            asker.ask(request).await.map(drop)
        })
    }
}

async fn must_not_exist(asker: &Asker, path: &str, user: &str) -> Result<()> {
    match asker.ask(Request::get(CREATE, path)).await {
        Ok(answer) => {
            let what = format!("the user {user} exists");
            Err(answer.told.error(ErrorKind::Refused, what).with_status(409))
        }
        // It is not there; or it is, with a role that is not.
        Err(error) if error.status() == Some(404) && !error.message().contains("Role ") => Ok(()),
        Err(error) => Err(error),
    }
}

/// A user and its roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its roles, by name.
    pub roles: Vec<Role>,
}

impl User {
    pub(super) fn all(client: &Client) -> AdminRequest<'_, Vec<Self>> {
        let request = Request::get("user list", "/v2/auth/users");
        AdminRequest::one(client, Ok(request), |answer| {
            let users = answer.json::<wire::Users>()?.users.unwrap_or_default();
            Ok(users.into_iter().map(Self::from).collect())
        })
    }
}

impl From<wire::User> for User {
    fn from(user: wire::User) -> Self {
        Self {
            name: user.user,
            roles: user.roles.into_iter().map(Role::from).collect(),
        }
    }
}
