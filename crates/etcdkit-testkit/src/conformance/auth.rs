//! Users, roles and permissions, which can be kept while nobody has to log in.

use etcdkit::{Client, ErrorKind, KeyRange, Permission, PermissionKind};

use super::keys::kind;

/// A name that no other case takes.
fn name(what: &str) -> String {
    format!("{what}-{:016x}", fastrand::u64(..))
}

pub(super) async fn nobody_has_to_log_in_at_first(client: &Client) {
    // The question itself is known since etcd 3.5.
    match client.auth().status().await {
        Ok(status) => assert!(!status.enabled),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unimplemented),
    }
}

pub(super) async fn nothing_is_switched_on_without_root(client: &Client) {
    let root = client.auth().user("root").get().await;
    assert_eq!(kind(root), ErrorKind::UserNotFound, "others' leftovers");
    let enabled = client.auth().enable().await;
    assert_eq!(kind(enabled), ErrorKind::RootUserNotExist);
}

pub(super) async fn users_come_and_go(client: &Client) {
    let auth = client.auth();
    let (with, without) = (name("with"), name("without"));
    auth.user(&with).add("password").await.expect("a user");
    let added = auth.user(&without).add_without_password().await;
    added.expect("a user");
    let again = auth.user(&with).add("another").await;
    assert_eq!(kind(again), ErrorKind::UserExists);
    let users = auth.users().await.expect("a list").users;
    assert!(users.contains(&with) && users.contains(&without));
    assert!(users.is_sorted());
    let found = auth.user(&with).get().await.expect("a user");
    assert!(found.roles.is_empty());
    let changed = auth.user(&with).change_password("other").await;
    changed.expect("a new password");

    for user in [&with, &without] {
        auth.user(user).delete().await.expect("a deletion");
    }
    assert_eq!(kind(auth.user(&with).get().await), ErrorKind::UserNotFound);
    assert_eq!(
        kind(auth.user(&with).delete().await),
        ErrorKind::UserNotFound
    );
    let changed = auth.user(&with).change_password("other").await;
    assert_eq!(kind(changed), ErrorKind::UserNotFound);
    let users = auth.users().await.expect("a list").users;
    assert!(!users.contains(&with) && !users.contains(&without));
}

pub(super) async fn users_have_the_roles_that_they_are_granted(client: &Client) {
    let auth = client.auth();
    let (user, first, second) = (name("user"), name("a"), name("b"));
    auth.user(&user).add("password").await.expect("a user");
    for role in [&first, &second] {
        auth.role(role).add().await.expect("a role");
    }
    let granting = auth.user(&user);
    for role in [&second, &first] {
        granting.grant_role(role).await.expect("a grant");
    }
    granting.grant_role(&first).await.expect("once more");
    let roles = async || granting.get().await.expect("a user").roles;
    assert_eq!(roles().await, [first.clone(), second.clone()]);
    let missing = granting.grant_role(name("missing")).await;
    assert_eq!(kind(missing), ErrorKind::RoleNotFound);

    granting.revoke_role(&first).await.expect("a revocation");
    let again = granting.revoke_role(&first).await;
    assert_eq!(kind(again), ErrorKind::RoleNotGranted);
    assert_eq!(roles().await, std::slice::from_ref(&second));
    // A role that goes is taken from its users.
    auth.role(&second).delete().await.expect("a deletion");
    assert!(roles().await.is_empty());
    auth.role(&first).delete().await.expect("a deletion");
    granting.delete().await.expect("a deletion");
}

pub(super) async fn roles_have_the_permissions_that_they_are_granted(client: &Client) {
    let auth = client.auth();
    let name = name("role");
    let role = auth.role(&name);
    assert_eq!(kind(role.get().await), ErrorKind::RoleNotFound);
    role.add().await.expect("a role");
    assert_eq!(kind(role.add().await), ErrorKind::RoleExists);
    assert!(auth.roles().await.expect("a list").roles.contains(&name));
    let granted = [
        Permission::read("a"),
        Permission::write("b".."c"),
        Permission::read_write(KeyRange::prefix("d/")),
        Permission::read(KeyRange::from_key("e")),
    ];
    for permission in granted.clone() {
        role.grant(permission).await.expect("a permission");
    }
    let permissions = async || role.get().await.expect("a role").permissions;
    assert_eq!(permissions().await, granted);

    // What is granted for the same keys again replaces what was.
    role.grant(Permission::write("a"))
        .await
        .expect("a permission");
    let all = permissions().await;
    assert_eq!(all.len(), granted.len());
    assert_eq!(all[0].kind(), PermissionKind::Write);

    // Only what was granted can be taken, not a part of it.
    let part = role.revoke("d/1").await;
    assert_eq!(kind(part), ErrorKind::PermissionNotGranted);
    for permission in &granted {
        let keys = permission.keys().clone();
        role.revoke(keys).await.expect("a revocation");
    }
    assert!(permissions().await.is_empty());
    role.delete().await.expect("a deletion");
    assert_eq!(kind(role.delete().await), ErrorKind::RoleNotFound);
}
