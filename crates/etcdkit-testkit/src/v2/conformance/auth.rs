//! Users and roles, as far as a server can be asked without switching authentication on.

use etcdkit::v2::{Client, ErrorKind, Permissions};

use super::room::{Room, refused};

pub(super) async fn nobody_has_to_say_who_he_is_at_first(client: &Client) {
    assert!(!client.auth().is_enabled().await.expect("an answer"));
    let enabled = client.auth().enable().await;
    let error = refused(enabled, ErrorKind::Refused);
    assert!(
        error.message().contains("No root user available"),
        "{error}"
    );
}

pub(super) async fn users_and_roles_come_and_go(client: &Client) {
    let name = Room::new().name();
    let auth = client.auth();
    let role = auth.role(&name);
    role.create(Permissions::read("/a/*"))
        .await
        .expect("a role");
    role.grant(Permissions::write("/b")).await.expect("a grant");
    let found = role.get().await.expect("a role");
    assert_eq!(found.permissions.read, ["/a/*"]);
    assert_eq!(found.permissions.write, ["/b"]);
    role.revoke(Permissions::read("/a/*"))
        .await
        .expect("an end");
    assert!(
        role.get()
            .await
            .expect("a role")
            .permissions
            .read
            .is_empty()
    );

    let user = auth.user(&name);
    user.create("pw").await.expect("a user");
    user.grant([name.as_str()]).await.expect("a grant");
    let found = user.get().await.expect("a user");
    assert_eq!(found.name, name);
    assert!(found.roles.iter().map(|role| &role.name).eq([&name]));
    let users = auth.users().await.expect("a list");
    assert!(users.iter().any(|user| user.name == name));
    user.revoke([name.as_str()]).await.expect("an end");
    user.delete().await.expect("an end");
    role.delete().await.expect("an end");
    let missing = user.get().await;
    let error = refused(missing, ErrorKind::Refused);
    assert_eq!(error.status(), Some(404), "{error}");
}
