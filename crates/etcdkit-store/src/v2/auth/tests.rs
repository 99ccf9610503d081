//! Users, roles and access in a tree, beside what etcd 3.5.30 did with the same requests.

use super::*;
use crate::v2::{Namespace, Path};

const NOW: Duration = Duration::from_secs(1_700_000_000);

struct World(Tree);

impl World {
    /// As on a fresh member, whose first write has the index 4.
    fn new() -> Self {
        Self(Tree::default())
    }

    fn read(&self) -> Auth<'_> {
        Auth::of(&self.0)
    }

    fn change(&mut self) -> AuthMut<'_> {
        AuthMut::of(&mut self.0, NOW)
    }

    fn add_user(&mut self, name: &str) -> Result<User, AuthError> {
        self.change().create_user(UserRequest {
            user: name.to_owned(),
            password: NewPassword::Hashed(format!("hash of {name}")),
            ..UserRequest::default()
        })
    }

    fn grant(&mut self, user: &str, role: &str) -> Result<User, AuthError> {
        self.change().update_user(&UserRequest {
            user: user.to_owned(),
            grant: vec![role.to_owned()],
            ..UserRequest::default()
        })
    }

    fn add_role(&mut self, name: &str, read: &[&str]) -> Result<(), AuthError> {
        let mut role = Role {
            role: name.to_owned(),
            ..Role::default()
        };
        role.permissions.kv.read = Some(read.iter().map(|text| (*text).to_owned()).collect());
        self.change().create_role(&role)
    }
}

fn refused(status: u16, text: &str) -> AuthError {
    AuthError::Refused {
        status,
        text: format!("auth: {text}"),
    }
}

#[test]
fn the_first_change_costs_four_more_indexes() {
    let mut world = World::new();
    // What is refused before the tree is asked changes nothing.
    world
        .change()
        .create_user(UserRequest::default())
        .unwrap_err();
    world.change().enable().unwrap_err();
    world.grant("u", "r").unwrap_err();
    world.change().delete_role("root").unwrap_err();
    assert_eq!(world.0.index(), 0);
    world.add_user("u").unwrap();
    assert_eq!(world.0.index(), 5);
    world.add_user("v").unwrap();
    assert_eq!(world.0.index(), 6);
    world.add_user("v").unwrap_err();
    assert_eq!(world.0.index(), 6);
}

#[test]
fn even_a_removal_in_vain_makes_the_directories() {
    let mut world = World::new();
    let missing = world.change().delete_user("u").unwrap_err();
    assert_eq!(missing, refused(404, "User u does not exist"));
    assert_eq!(world.0.index(), 4);
    let missing = world.change().delete_role("r").unwrap_err();
    assert_eq!(missing, refused(404, "Role r doesn't exist."));
    assert_eq!(world.0.index(), 4);
}

#[test]
fn nothing_shows_among_the_keys_of_users() {
    let mut world = World::new();
    world.add_user("u").unwrap();
    let root = world.0.get(&Path::of_key("/"), true, NOW).unwrap();
    assert!(root.event.node.unwrap().nodes.is_empty());
}

#[test]
fn authentication_needs_root_and_makes_a_guest() {
    let mut world = World::new();
    let no_root = "No root user available, please create one";
    assert_eq!(world.change().enable(), Err(refused(409, no_root)));
    assert_eq!(
        world.change().disable(),
        Err(refused(409, "already disabled"))
    );
    let root = world.add_user("root").unwrap();
    assert!(root.is_root());
    assert!(!world.read().is_enabled());
    world.change().enable().unwrap();
    assert!(world.read().is_enabled());
    let guest = world.read().role("guest").unwrap();
    assert!(guest.allows(Access::Write, b"/a", true));
    assert_eq!(
        world.change().enable(),
        Err(refused(409, "already enabled"))
    );
    let needed = "Cannot delete root user while auth is enabled.";
    assert_eq!(
        world.change().delete_user("root"),
        Err(refused(403, needed))
    );
    world.change().disable().unwrap();
    assert!(!world.read().is_enabled());
    world.change().delete_user("root").unwrap();
    assert_eq!(world.read().roles().unwrap(), ["guest", "root"]);
}

#[test]
fn a_guest_role_that_is_there_stays() {
    let mut world = World::new();
    world.add_user("root").unwrap();
    world.add_role("guest", &["/public/*"]).unwrap();
    world.change().enable().unwrap();
    let may = |key: &str, subtree| {
        let auth = world.read();
        auth.may_touch(None, Access::Read, key.as_bytes(), subtree)
    };
    assert!(may("/public/x", false));
    assert!(may("/public/", true));
    // etcd gives a guest whatever is below a key that it may read; a user it does not.
    assert!(!may("/public", true));
    assert!(!may("/x", false));
}

#[test]
fn a_user_may_do_what_any_of_its_roles_may() {
    let mut world = World::new();
    world.add_role("a", &["/a"]).unwrap();
    world.add_role("b", &["/b/*"]).unwrap();
    let nobody = world.add_user("u").unwrap();
    world.grant("u", "missing").unwrap();
    world.grant("u", "b").unwrap();
    world.grant("u", "a").unwrap();
    let user = world.read().user("u").unwrap();
    assert_eq!(user.roles(), ["a", "b", "missing"]);
    assert_eq!(user.password_hash(), "hash of u");
    let may = |user: &User, key: &str, subtree| {
        let auth = world.read();
        auth.may_touch(Some(user), Access::Read, key.as_bytes(), subtree)
    };
    assert!(may(&user, "/a", false));
    assert!(!may(&user, "/a", true));
    assert!(may(&user, "/b/c", true));
    assert!(!may(&user, "/c", false));
    assert!(!may(&nobody, "/a", false));
    let auth = world.read();
    assert!(!auth.may_touch(Some(&user), Access::Write, b"/a", false));
}

#[test]
fn a_change_must_change_something() {
    let mut world = World::new();
    world.add_user("u").unwrap();
    world.add_role("r", &["/a"]).unwrap();
    let nothing = UserRequest {
        user: "u".to_owned(),
        ..UserRequest::default()
    };
    // As with a bare role, `null` becomes a list.
    let (user, is_new) = world.change().put_user(nothing.clone()).unwrap();
    assert!(!is_new && user.roles().is_empty());
    let text = "User not updated. Use grant/revoke/password to update the user.";
    assert_eq!(
        world.change().put_user(nothing).unwrap_err(),
        refused(400, text)
    );
    let request = Role {
        role: "r".to_owned(),
        revoke: Some(etcdkit_proto::v2::Permissions::default()),
        ..Role::default()
    };
    world.change().update_role(&request).unwrap();
    let text = "Role not updated. Use grant/revoke to update the role.";
    assert_eq!(
        world.change().update_role(&request).unwrap_err(),
        refused(400, text)
    );
}

#[test]
fn what_is_there_and_what_is_not_is_told() {
    let mut world = World::new();
    world.add_user("u").unwrap();
    world.add_role("r", &[]).unwrap();
    for (error, status, text) in [
        (
            world.add_user("u").unwrap_err(),
            409,
            "User u already exists.",
        ),
        (
            world.read().user("v").unwrap_err(),
            404,
            "User v does not exist.",
        ),
        (
            world.grant("v", "r").unwrap_err(),
            404,
            "User v does not exist.",
        ),
        (
            world.add_role("r", &[]).unwrap_err(),
            409,
            "Role r already exists.",
        ),
        (
            world.read().role("s").unwrap_err(),
            404,
            "Role s does not exist.",
        ),
    ] {
        assert_eq!(error, refused(status, text));
    }
    let root = "Cannot modify role root: is root role.";
    assert_eq!(world.add_role("root", &[]), Err(refused(403, root)));
    assert_eq!(world.change().delete_role("root"), Err(refused(403, root)));
    world.change().delete_role("r").unwrap();
    world.change().delete_user("u").unwrap();
    assert!(world.read().users().unwrap().is_empty());
}

/// A certificate may name anybody, and a user may be given any role.
#[test]
fn names_do_not_lead_elsewhere() {
    let mut world = World::new();
    world.add_user("root").unwrap();
    world.add_role("r", &[]).unwrap();
    for name in [
        "",
        ".",
        "..",
        "../users/root",
        "x/../root",
        "root/",
        "/root",
    ] {
        assert!(world.read().user(name).is_err(), "{name}");
        assert!(world.read().role(name).is_err(), "{name}");
    }
}

#[test]
fn names_are_listed_in_order_and_hidden_ones_are_not() {
    let mut world = World::new();
    for name in ["b", "_hidden", "a", "B"] {
        world.add_user(name).unwrap();
        world.add_role(name, &[]).unwrap();
    }
    assert_eq!(world.read().users().unwrap(), ["B", "a", "b"]);
    assert_eq!(world.read().roles().unwrap(), ["B", "a", "b", "root"]);
    world.read().user("_hidden").unwrap();
}

#[test]
fn records_are_etcds_json() {
    let mut world = World::new();
    world.add_user("<u>").unwrap();
    let path = Path::new(Namespace::Auth, "/users/<u>");
    let node = world.0.get(&path, false, NOW).unwrap().event.node.unwrap();
    let stored = r#"{"user":"\u003cu\u003e","password":"hash of \u003cu\u003e","roles":null}"#;
    assert_eq!(node.value.as_deref(), Some(stored));
    assert_eq!(world.read().user("<u>").unwrap().names().user, "<u>");
}
