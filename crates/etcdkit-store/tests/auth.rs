//! Users, roles and permissions, as far as no network is needed to see them.

#![allow(clippy::unwrap_used)]

use etcdkit_proto::EtcdError;
use etcdkit_proto::authpb::{Permission, permission::Type};
use etcdkit_proto::etcdserverpb::{
    AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGrantPermissionRequest,
    AuthRoleRevokePermissionRequest, AuthUserAddRequest, AuthUserChangePasswordRequest,
    AuthUserDeleteRequest, AuthUserGrantRoleRequest,
};
use etcdkit_store::{Auth, Caller, Store};

fn user(name: &str) -> AuthUserAddRequest {
    AuthUserAddRequest {
        name: name.into(),
        ..Default::default()
    }
}

fn role(user: &str, role: &str) -> AuthUserGrantRoleRequest {
    AuthUserGrantRoleRequest {
        user: user.into(),
        role: role.into(),
    }
}

fn permission(kind: Type, key: &str, range_end: &str) -> AuthRoleGrantPermissionRequest {
    AuthRoleGrantPermissionRequest {
        name: "r".into(),
        perm: Some(Permission {
            perm_type: kind.into(),
            key: key.to_owned().into(),
            range_end: range_end.to_owned().into(),
        }),
    }
}

/// With root, and ann who has the role `r`; authentication is on.
fn guarded() -> Store {
    let mut store = Store::new();
    let auth = store.auth_mut();
    auth.user_add(user("root")).unwrap();
    auth.user_add(user("ann")).unwrap();
    auth.role_add(AuthRoleAddRequest { name: "r".into() })
        .unwrap();
    auth.user_grant_role(role("root", "root")).unwrap();
    auth.user_grant_role(role("ann", "r")).unwrap();
    auth.enable().unwrap();
    store
}

/// The ranges of the role `r`, in order.
fn granted(auth: &Auth) -> Vec<(i32, String)> {
    let permissions = auth.role_permissions("r").unwrap().into_iter();
    permissions
        .map(|p| {
            let range = [p.key.as_ref(), b"..", p.range_end.as_ref()].concat();
            (p.perm_type, String::from_utf8(range).unwrap())
        })
        .collect()
}

#[test]
fn each_change_counts_and_nothing_else_does() {
    let mut store = guarded();
    let auth = store.auth_mut();
    assert_eq!(auth.revision(), 6);
    auth.user_grant_role(role("ann", "r")).unwrap();
    auth.enable().unwrap();
    assert_eq!(auth.user_add(user("ann")), Err(EtcdError::UserExists));
    assert_eq!(auth.revision(), 6);
    auth.role_grant_permission(permission(Type::Read, "a", ""))
        .unwrap();
    auth.role_grant_permission(permission(Type::Read, "a", ""))
        .unwrap();
    assert_eq!(auth.revision(), 8, "etcd counts a repeated grant");
    assert!(auth.disable());
    assert!(!auth.disable());
    assert_eq!(auth.revision(), 9);
    assert_eq!(store.revision(), 1, "the store's has not moved");
}

/// Simple tokens never show this; those that name their revision do.
#[test]
fn a_token_older_than_the_last_change_is_refused() {
    let mut store = guarded();
    store
        .auth_mut()
        .role_grant_permission(permission(Type::Read, "a", ""))
        .unwrap();
    let auth = store.auth();
    let now = auth.revision();
    let read = |caller: &Caller, key: &[u8]| auth.check_read(caller, key, &[]);
    assert_eq!(read(&Caller::user("ann", now), b"a"), Ok(()));
    let old = Caller::user("ann", now - 1);
    assert_eq!(read(&old, b"a"), Err(EtcdError::AuthOldRevision));
    assert_eq!(read(&Caller::nobody(), b"a"), Err(EtcdError::UserEmpty));
    let gone = Caller::user("gone", now);
    assert_eq!(read(&gone, b"a"), Err(EtcdError::PermissionDenied));
    assert_eq!(auth.check_root(&gone), Err(EtcdError::UserNotFound));
    assert_eq!(read(&Caller::user("root", now), b"x"), Ok(()));
}

/// The order was seen on etcd 3.6.14.
#[test]
fn permissions_are_kept_in_etcds_order() {
    let mut store = guarded();
    let auth = store.auth_mut();
    for (kind, key, end) in [
        (Type::Read, "c", "e"),
        (Type::Read, "a", "c"),
        (Type::Readwrite, "a", "b"),
        (Type::Write, "a", "b"),
    ] {
        auth.role_grant_permission(permission(kind, key, end))
            .unwrap();
    }
    // Only the first permission from `a` on is looked at, so the second one from there is doubled.
    assert_eq!(
        granted(auth),
        [
            (0, "a..c".into()),
            (2, "a..b".into()),
            (1, "a..b".into()),
            (0, "c..e".into())
        ]
    );
    auth.role_grant_permission(permission(Type::Write, "a", "c"))
        .unwrap();
    assert_eq!(granted(auth)[0], (1, "a..c".into()));
    let revoke = AuthRoleRevokePermissionRequest {
        role: "r".into(),
        key: "a".into(),
        range_end: "b".into(),
    };
    auth.role_revoke_permission(&revoke).unwrap();
    assert_eq!(granted(auth), [(1, "a..c".into()), (0, "c..e".into())]);
    assert_eq!(
        auth.role_revoke_permission(&revoke),
        Err(EtcdError::PermissionNotGranted)
    );
}

#[test]
fn what_goes_takes_its_rights_along() {
    let mut store = guarded();
    let auth = store.auth_mut();
    auth.role_delete(&AuthRoleDeleteRequest { role: "r".into() })
        .unwrap();
    assert_eq!(auth.user_roles("ann"), Ok(Vec::new()));
    let name = "ann".to_owned();
    auth.user_delete(&AuthUserDeleteRequest { name }).unwrap();
    assert_eq!(auth.user_list(), ["root"]);
    assert_eq!(auth.password_hash("ann"), Err(EtcdError::AuthFailed));
}

#[test]
fn hashes_are_base64_and_shown_to_nobody() {
    let mut store = guarded();
    let auth = store.auth_mut();
    let change = |hashed_password: &str| AuthUserChangePasswordRequest {
        name: "ann".into(),
        hashed_password: hashed_password.into(),
        ..Default::default()
    };
    assert_eq!(
        auth.user_change_password(&change("?")),
        Err(EtcdError::NoPasswordUser)
    );
    auth.user_change_password(&change("c2VjcmV0")).unwrap();
    let (hash, revision) = auth.password_hash("ann").unwrap();
    assert_eq!((hash, revision), (b"secret".as_slice(), 7));
    let shown = format!("{auth:?}");
    assert!(!shown.contains("115, 101") && !shown.contains("secret"));
}
