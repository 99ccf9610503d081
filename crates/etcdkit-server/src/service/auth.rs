//! `etcdserverpb.Auth`.

use std::sync::Arc;

use etcdkit_proto::EtcdError;
use etcdkit_proto::etcdserverpb::*;
use etcdkit_store::{Auth, Store};

use crate::gate::Credentials;
use crate::grpc::Status;
use crate::node::Node;
use crate::password;

/// Logs a user in. The password is compared without holding up others, so users may change
/// meanwhile; then it is compared anew.
pub(crate) async fn authenticate(
    node: &Arc<Node>,
    _: &Credentials,
    request: AuthenticateRequest,
) -> Result<AuthenticateResponse, Status> {
    let AuthenticateRequest { name, password } = request;
    node.leadership.needed_to_read().await?;
    loop {
        let (hash, revision) = node.applier.read(|store| {
            let (hash, revision) = store.auth().password_hash(&name)?;
            Ok((hash.to_vec(), revision))
        })?;
        if !password::matches(password.clone(), hash).await? {
            return Err(EtcdError::AuthFailed.into());
        }
        let token = node.gate.new_token(node, &name, revision)?;
        let assigned = node
            .applier
            .apply(|store| {
                if !store.auth().is_enabled() {
                    return Err(EtcdError::AuthNotEnabled);
                }
                if store.auth().revision() != revision {
                    return Ok(None);
                }
                let now = node.clock.now();
                node.gate.admit(&token, &name, now);
                Ok(Some(store.revision()))
            })
            .await?;
        if let Some(revision) = assigned {
            return Ok(AuthenticateResponse {
                header: Some(node.header(revision)),
                token,
            });
        }
    }
}

/// Makes a change that only root may make. Returns the header of the answer.
async fn change(
    node: &Node,
    credentials: &Credentials,
    change: impl FnOnce(&mut Auth) -> Result<(), EtcdError>,
) -> Result<Option<ResponseHeader>, Status> {
    let caller = node.identify(credentials)?;
    let revision = node
        .applier
        .apply(|store| {
            store.auth().check_root(&caller)?;
            change(store.auth_mut())?;
            Ok(store.revision())
        })
        .await?;
    Ok(Some(node.header(revision)))
}

/// Answers a question, if `check` lets the caller ask it.
async fn ask<T>(
    node: &Node,
    credentials: &Credentials,
    ask: impl FnOnce(&Store, &etcdkit_store::Caller) -> Result<T, EtcdError>,
) -> Result<(Option<ResponseHeader>, T), Status> {
    let caller = node.identify(credentials)?;
    let (revision, answer) = node
        .applier
        .apply(|store| Ok((store.revision(), ask(store, &caller)?)))
        .await?;
    Ok((Some(node.header(revision)), answer))
}

pub(crate) async fn enable(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: AuthEnableRequest,
) -> Result<AuthEnableResponse, Status> {
    let header = change(node, credentials, Auth::enable).await?;
    Ok(AuthEnableResponse { header })
}

pub(crate) async fn disable(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: AuthDisableRequest,
) -> Result<AuthDisableResponse, Status> {
    let header = change(node, credentials, |auth| {
        if auth.disable() {
            node.gate.forget_all();
        }
        Ok(())
    })
    .await?;
    Ok(AuthDisableResponse { header })
}

pub(crate) async fn status(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: AuthStatusRequest,
) -> Result<AuthStatusResponse, Status> {
    let (header, (enabled, auth_revision)) = ask(node, credentials, |store, caller| {
        let auth = store.auth();
        auth.check_root(caller)?;
        Ok((auth.is_enabled(), auth.revision()))
    })
    .await?;
    Ok(AuthStatusResponse {
        header,
        enabled,
        auth_revision,
    })
}

/// A password is hashed here, whoever asks; the engine knows hashes only.
pub(crate) async fn user_add(
    node: &Arc<Node>,
    credentials: &Credentials,
    mut request: AuthUserAddRequest,
) -> Result<AuthUserAddResponse, Status> {
    let no_password = request.options.is_some_and(|options| options.no_password);
    let password = std::mem::take(&mut request.password);
    if !no_password {
        request.hashed_password = password::hash(password, node.bcrypt_cost).await?;
    }
    let header = change(node, credentials, |auth| auth.user_add(request)).await?;
    Ok(AuthUserAddResponse { header })
}

/// An empty password leaves the hash that the client may have sent, as in etcd.
pub(crate) async fn user_change_password(
    node: &Arc<Node>,
    credentials: &Credentials,
    mut request: AuthUserChangePasswordRequest,
) -> Result<AuthUserChangePasswordResponse, Status> {
    let password = std::mem::take(&mut request.password);
    if !password.is_empty() {
        request.hashed_password = password::hash(password, node.bcrypt_cost).await?;
    }
    let header = change(node, credentials, |auth| {
        auth.user_change_password(&request)?;
        node.gate.forget_user(&request.name);
        Ok(())
    })
    .await?;
    Ok(AuthUserChangePasswordResponse { header })
}

pub(crate) async fn user_delete(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AuthUserDeleteRequest,
) -> Result<AuthUserDeleteResponse, Status> {
    let header = change(node, credentials, |auth| {
        auth.user_delete(&request)?;
        node.gate.forget_user(&request.name);
        Ok(())
    })
    .await?;
    Ok(AuthUserDeleteResponse { header })
}

/// Users may ask for themselves.
pub(crate) async fn user_get(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AuthUserGetRequest,
) -> Result<AuthUserGetResponse, Status> {
    let (header, roles) = ask(node, credentials, |store, caller| {
        store.auth().check_user_get(caller, &request.name)?;
        store.auth().user_roles(&request.name)
    })
    .await?;
    Ok(AuthUserGetResponse { header, roles })
}

pub(crate) async fn user_list(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: AuthUserListRequest,
) -> Result<AuthUserListResponse, Status> {
    let (header, users) = ask(node, credentials, |store, caller| {
        store.auth().check_root(caller)?;
        Ok(store.auth().user_list())
    })
    .await?;
    Ok(AuthUserListResponse { header, users })
}

pub(crate) async fn user_grant_role(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AuthUserGrantRoleRequest,
) -> Result<AuthUserGrantRoleResponse, Status> {
    let header = change(node, credentials, |auth| auth.user_grant_role(request)).await?;
    Ok(AuthUserGrantRoleResponse { header })
}

pub(crate) async fn user_revoke_role(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AuthUserRevokeRoleRequest,
) -> Result<AuthUserRevokeRoleResponse, Status> {
    let header = change(node, credentials, |auth| auth.user_revoke_role(&request)).await?;
    Ok(AuthUserRevokeRoleResponse { header })
}

pub(crate) async fn role_add(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AuthRoleAddRequest,
) -> Result<AuthRoleAddResponse, Status> {
    let header = change(node, credentials, |auth| auth.role_add(request)).await?;
    Ok(AuthRoleAddResponse { header })
}

pub(crate) async fn role_delete(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AuthRoleDeleteRequest,
) -> Result<AuthRoleDeleteResponse, Status> {
    let header = change(node, credentials, |auth| auth.role_delete(&request)).await?;
    Ok(AuthRoleDeleteResponse { header })
}

/// Users may ask for the roles that they have.
pub(crate) async fn role_get(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AuthRoleGetRequest,
) -> Result<AuthRoleGetResponse, Status> {
    let (header, perm) = ask(node, credentials, |store, caller| {
        store.auth().check_role_get(caller, &request.role)?;
        store.auth().role_permissions(&request.role)
    })
    .await?;
    Ok(AuthRoleGetResponse { header, perm })
}

pub(crate) async fn role_list(
    node: &Arc<Node>,
    credentials: &Credentials,
    _: AuthRoleListRequest,
) -> Result<AuthRoleListResponse, Status> {
    let (header, roles) = ask(node, credentials, |store, caller| {
        store.auth().check_root(caller)?;
        Ok(store.auth().role_list())
    })
    .await?;
    Ok(AuthRoleListResponse { header, roles })
}

pub(crate) async fn role_grant_permission(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AuthRoleGrantPermissionRequest,
) -> Result<AuthRoleGrantPermissionResponse, Status> {
    let header = change(node, credentials, |auth| {
        auth.role_grant_permission(request)
    })
    .await?;
    Ok(AuthRoleGrantPermissionResponse { header })
}

pub(crate) async fn role_revoke_permission(
    node: &Arc<Node>,
    credentials: &Credentials,
    request: AuthRoleRevokePermissionRequest,
) -> Result<AuthRoleRevokePermissionResponse, Status> {
    let header = change(node, credentials, |auth| {
        auth.role_revoke_permission(&request)
    })
    .await?;
    Ok(AuthRoleRevokePermissionResponse { header })
}
