//! `/v2/auth`: users, roles, and whether it is asked who makes a request.

mod caller;
mod request;

use std::str::FromStr;

use etcdkit_proto::v2::{AuthEnabled, ErrorCode, KeysError};
use etcdkit_store::v2::auth::{Access, Auth, AuthError, AuthMut, NewPassword, Role, UserRequest};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde::Serialize;

use self::request::{Invalid, UserBody};
use super::form::Form;
use super::{Call, answer, keys};
use crate::body::Body;
use crate::grpc::Status;
use crate::incoming::Incoming;
use crate::node::Node;
use crate::password;

/// The longest body that is read. etcd has no limit.
const LONGEST_BODY: usize = 10 * 1024 * 1024;

/// What a path below `/v2/auth` is about.
#[derive(Debug, PartialEq, Eq)]
enum Resource {
    Enable,
    Users,
    User(String),
    Roles,
    Role(String),
    /// More below a user or role than there is.
    Invalid,
}

/// There is nothing at a path.
#[derive(Debug, PartialEq, Eq)]
struct Unknown;

impl FromStr for Resource {
    type Err = Unknown;

    /// Reads what follows `/v2/auth`.
    fn from_str(path: &str) -> Result<Self, Unknown> {
        if path == "/enable" {
            return Ok(Self::Enable);
        }
        let mut parts = path.strip_prefix('/').ok_or(Unknown)?.splitn(2, '/');
        let (all, one): (_, fn(String) -> Self) = match parts.next() {
            Some("users") => (Self::Users, Self::User),
            Some("roles") => (Self::Roles, Self::Role),
            _ => return Err(Unknown),
        };
        let name = parts.next().unwrap_or_default();
        Ok(match name.strip_suffix('/').unwrap_or(name) {
            "" => all,
            name if name.contains('/') => Self::Invalid,
            name => one(name.to_owned()),
        })
    }
}

impl Resource {
    /// What may be done, as the header `Allow` says it.
    const fn methods(&self) -> &'static str {
        match self {
            Self::Enable | Self::User(_) | Self::Role(_) => "GET,PUT,DELETE",
            Self::Users | Self::Roles | Self::Invalid => "GET",
        }
    }
}

/// Why a request is refused.
enum Refusal {
    /// By the rules of users and roles.
    Rule(AuthError),
    /// By what the request must look like.
    Request(&'static str),
    /// By the server itself.
    Server(Status),
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self::Rule(error)
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Server(status)
    }
}

impl From<Invalid> for Refusal {
    fn from(Invalid: Invalid) -> Self {
        Self::Request("Invalid JSON in request body.")
    }
}

impl From<Refusal> for Response<Body> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rule(AuthError::Refused { status, text }) => {
                let status = StatusCode::from_u16(status);
                answer::message(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text)
            }
            Refusal::Rule(AuthError::Tree(error)) => answer::keys_error(&error),
            Refusal::Request(text) => answer::message(StatusCode::BAD_REQUEST, text),
            Refusal::Rule(AuthError::Internal) => internal(),
            Refusal::Server(status) => {
                tracing::warn!(?status, "a request about users and roles failed");
                internal()
            }
        }
    }
}

/// What etcd says when it keeps the reason to itself.
fn internal() -> Response<Body> {
    answer::message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

/// What those are told who may not do something.
const INSUFFICIENT: &str = "Insufficient credentials";

/// Refuses requests about a key, given as in the path, that the caller may not make; `subtree` if it is about
/// everything below the key, too. The index is not told to strangers.
pub(super) async fn admit(
    node: &Node,
    request: &Parts,
    key: &[u8],
    subtree: bool,
) -> Result<(), KeysError> {
    let access = match request.method {
        Method::GET | Method::HEAD => Access::Read,
        _ => Access::Write,
    };
    match caller::may_touch(node, request, access, key, subtree).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(KeysError::new(ErrorCode::Unauthorized, INSUFFICIENT, 0)),
        Err(status) => Err(keys::failed(status)),
    }
}

/// Refuses requests of everybody who may not do everything.
pub(super) async fn require_root(node: &Node, request: &Parts) -> Result<(), Box<Response<Body>>> {
    match caller::is_root(node, request).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(answer::message(StatusCode::UNAUTHORIZED, INSUFFICIENT)),
        Err(status) => Err(Refusal::from(status).into()),
    }
    .map_err(Box::new)
}

/// Answers a request below `/v2/auth`, of whose path this is the rest.
pub(super) async fn serve(call: &mut Call<'_>, rest: &[u8]) -> Response<Body> {
    let Ok(resource) = String::from_utf8_lossy(rest).parse::<Resource>() else {
        return answer::not_found();
    };
    if resource == Resource::Invalid {
        return answer::message(StatusCode::BAD_REQUEST, "Invalid path");
    }
    if let Err(refusal) = call.require_method(resource.methods()) {
        return *refusal;
    }
    // Whether users are asked for is nobody's secret.
    let is_open = resource == Resource::Enable && call.method() == Method::GET;
    if !is_open && let Err(refusal) = require_root(call.node(), &call.parts).await {
        return *refusal;
    }
    let answered = answered(call, resource).await;
    let response = answered.unwrap_or_else(Response::from);
    answer::with_cluster_id(response, call.node().identity.cluster_id)
}

async fn answered(call: &mut Call<'_>, resource: Resource) -> Result<Response<Body>, Refusal> {
    let Call {
        line, parts, body, ..
    } = call;
    let node = &*line.node;
    match (&parts.method, resource) {
        (method, Resource::Enable) => {
            // etcd looks before it knows what for, as its counter of reads shows.
            let enabled = look(node, |auth| Ok(auth.is_enabled())).await?;
            match *method {
                Method::GET => Ok(answer::json_line(StatusCode::OK, &AuthEnabled { enabled })),
                Method::PUT => change(node, |auth| auth.enable()).await.map(nothing),
                _ => change(node, |auth| auth.disable()).await.map(nothing),
            }
        }

        (_, Resource::Users) => {
            let query = read_query(parts, body).await;
            let users = look(node, |auth| all_users(auth, query)).await?;
            Ok(answer::json_line(StatusCode::OK, &ShownUsers { users }))
        }
        (&Method::GET, Resource::User(name)) => {
            let query = read_query(parts, body).await;
            let user = look(node, |auth| shown_user(auth, &name, query)).await?;
            Ok(answer::json_line(StatusCode::OK, &user))
        }
        (&Method::PUT, Resource::User(name)) => {
            let request = request::user(&read(body).await?)?;
            put_user(node, &name, request).await
        }
        (_, Resource::User(name)) => {
            let deleted = change(node, |auth| auth.delete_user(&name));
            deleted.await.map(nothing)
        }

        (_, Resource::Roles) => {
            let query = read_query(parts, body).await;
            let roles = look(node, |auth| all_roles(auth, query)).await?;
            Ok(answer::json_line(StatusCode::OK, &ShownRoles { roles }))
        }
        (&Method::GET, Resource::Role(name)) => {
            let role = look(node, |auth| auth.role(&name)).await?;
            Ok(answer::json_line(StatusCode::OK, &role))
        }
        (&Method::PUT, Resource::Role(name)) => {
            let request = request::role(&read(body).await?)?;
            put_role(node, &name, request).await
        }
        (_, Resource::Role(name)) => {
            let deleted = change(node, |auth| auth.delete_role(&name));
            deleted.await.map(nothing)
        }
        (_, Resource::Invalid) => Ok(answer::not_found()),
    }
}

/// Roles may be given to a new user, granted and revoked. A password alone creates a user or changes the
/// password of the one that there is.
async fn put_user(node: &Node, name: &str, body: UserBody) -> Result<Response<Body>, Refusal> {
    if body.user != name {
        let text = "User JSON name does not match the name in the URL";
        return Err(Refusal::Request(text));
    }
    let has_roles = body.roles.as_ref().is_some_and(|roles| !roles.is_empty());
    let changes_roles = !body.grant.is_empty() || !body.revoke.is_empty();
    if has_roles && changes_roles {
        let text = "User JSON contains both roles and grant/revoke";
        return Err(Refusal::Request(text));
    }
    let password = match body.password {
        password if password.is_empty() => NewPassword::None,
        password => match password::hash_text(password, node.bcrypt_cost).await {
            Ok(hash) => NewPassword::Hashed(hash),
            Err(status) => {
                tracing::debug!(?status, "a password could not be hashed");
                NewPassword::Unusable
            }
        },
    };
    let request = UserRequest {
        user: body.user,
        password,
        roles: body.roles,
        grant: body.grant,
        revoke: body.revoke,
    };
    let (user, is_new) = change(node, |auth| match (has_roles, changes_roles) {
        (true, _) => auth.create_user(request).map(|user| (user, false)),
        (false, true) => auth.update_user(&request).map(|user| (user, false)),
        (false, false) => auth.put_user(request),
    })
    .await?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok(answer::json_line(status, &user.names()))
}

/// Without anything granted or revoked it is a new role.
async fn put_role(node: &Node, name: &str, role: Role) -> Result<Response<Body>, Refusal> {
    if role.role != name {
        let text = "Role JSON name does not match the name in the URL";
        return Err(Refusal::Request(text));
    }
    if role.is_new() {
        change(node, |auth| auth.create_role(&role)).await?;
        return Ok(answer::json_line(StatusCode::CREATED, &role));
    }
    if role.has_permissions() {
        let text = "Role JSON contains both permissions and grant/revoke";
        return Err(Refusal::Request(text));
    }
    let role = change(node, |auth| auth.update_role(&role)).await?;
    Ok(answer::json_line(StatusCode::OK, &role))
}

/// A user with the whole of its roles.
#[derive(Serialize)]
struct ShownUser {
    user: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Role>,
}

#[derive(Serialize)]
struct ShownUsers {
    users: Option<Vec<ShownUser>>,
}

#[derive(Serialize)]
struct ShownRoles {
    roles: Vec<Role>,
}

fn all_roles(auth: Auth<'_>, query: Result<(), AuthError>) -> Result<Vec<Role>, AuthError> {
    let names = auth.roles()?;
    query?;
    names.iter().map(|name| auth.role(name)).collect()
}

/// Roles that do not exist are left out here.
fn all_users(
    auth: Auth<'_>,
    query: Result<(), AuthError>,
) -> Result<Option<Vec<ShownUser>>, AuthError> {
    let names = auth.users()?;
    query?;
    let users = names.into_iter().map(|name| {
        let roles = auth.user(&name)?;
        let roles = roles.roles().iter();
        let roles = roles.filter_map(|role| auth.role(role).ok()).collect();
        Ok(ShownUser { user: name, roles })
    });
    let users: Vec<_> = users.collect::<Result<_, AuthError>>()?;
    Ok((!users.is_empty()).then_some(users))
}

/// A role that does not exist is an error here.
fn shown_user(
    auth: Auth<'_>,
    name: &str,
    query: Result<(), AuthError>,
) -> Result<ShownUser, AuthError> {
    let user = auth.user(name)?;
    query?;
    let roles = user.roles().iter().map(|role| auth.role(role));
    Ok(ShownUser {
        user: name.to_owned(),
        roles: roles.collect::<Result<_, _>>()?,
    })
}

async fn look<T>(
    node: &Node,
    look: impl FnOnce(Auth<'_>) -> Result<T, AuthError>,
) -> Result<T, Refusal> {
    let found = node.applier.ask_v2(|tree| look(Auth::of(tree)));
    Ok(found.await??)
}

async fn change<T>(
    node: &Node,
    change: impl FnOnce(&mut AuthMut<'_>) -> Result<T, AuthError>,
) -> Result<T, Refusal> {
    let now = node.clock.unix_time();
    let changed = node
        .applier
        .apply(|store| Ok(change(&mut AuthMut::of(store.v2_mut(), now))));
    Ok(changed.await??)
}

fn nothing((): ()) -> Response<Body> {
    answer::streamed(Body::empty())
}

/// etcd reads the query although it has no use for it, and after it has looked at the first thing asked for.
async fn read_query(parts: &Parts, body: &mut Incoming) -> Result<(), AuthError> {
    let read = Form::read(parts, body).await;
    read.map(drop).map_err(|_| AuthError::Internal)
}

async fn read(body: &mut Incoming) -> Result<Vec<u8>, Refusal> {
    let read = body.read(LONGEST_BODY).await;
    Ok(read.map_err(|_| Invalid)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        let user = |name: &str| Ok(Resource::User(name.to_owned()));
        for (path, resource) in [
            ("/enable", Ok(Resource::Enable)),
            ("/users", Ok(Resource::Users)),
            ("/users/", Ok(Resource::Users)),
            ("/users/u", user("u")),
            ("/users/u/", user("u")),
            ("/users/users", user("users")),
            ("/users/a/b", Ok(Resource::Invalid)),
            ("/roles", Ok(Resource::Roles)),
            ("/roles/r", Ok(Resource::Role("r".to_owned()))),
            ("", Err(Unknown)),
            ("/", Err(Unknown)),
            ("/enable/", Err(Unknown)),
            ("/usersx", Err(Unknown)),
            ("x/users", Err(Unknown)),
        ] {
            assert_eq!(path.parse(), resource, "{path}");
        }
    }
}
