//! The administration of users, roles and permissions, on real etcd and the embedded server: each
//! request, and each way in which servers refuse it.

use std::any::Any;

use etcdkit::{Client, Error, ErrorKind, KeyRange, Outcome, Permission, PermissionKind};
use etcdkit_server::Server;
use etcdkit_testkit::etcd::{Binary, Cluster, Version};

const PASSWORD: &str = "correct horse";

/// Something that serves users and roles.
struct Place {
    version: Version,
    client: Client,
    /// What ends when it is dropped.
    _server: Box<dyn Any + Send>,
}

/// Every etcd that is found, and the embedded server, which behaves as etcd 3.6.
async fn places(members: usize) -> Vec<Place> {
    let server = Server::builder().start().await.expect("a server");
    let client = Client::connect(server.endpoint()).await;
    let mut places = vec![Place {
        version: Version::new(3, 6, 0),
        client: client.expect("a connection"),
        _server: Box::new(server),
    }];
    for etcd in Binary::all().expect("a real etcd") {
        let cluster = Cluster::builder(&etcd).flag("--bcrypt-cost=4");
        let cluster = cluster.members(members).start().await.expect("a cluster");
        let client = Client::connect(cluster.endpoints()).await;
        places.push(Place {
            version: etcd.version(),
            client: client.expect("a connection"),
            _server: Box::new(cluster),
        });
    }
    places
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("it succeeded; {kind:?} was expected"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
        }
    }
}

#[tokio::test]
async fn users_are_added_changed_and_deleted() {
    for place in places(1).await {
        let (version, client) = (place.version, &place.client);
        println!("etcd {version}");
        let auth = client.auth();
        let (alice, bob) = (auth.user("alice"), auth.user("bob"));
        assert!(auth.users().await.expect("a list").users.is_empty());

        let added = bob.add(PASSWORD).await.expect("a user");
        assert_ne!(added.header.cluster_id, 0);
        alice.add_without_password().await.expect("a user");
        refused(bob.add("another").await, ErrorKind::UserExists);
        let users = auth.users().await.expect("a list").users;
        assert_eq!(users, ["alice", "bob"]);

        auth.role("reader").add().await.expect("a role");
        auth.role("writer").add().await.expect("a role");
        bob.grant_role("writer").await.expect("a grant");
        bob.grant_role("reader").await.expect("a grant");
        bob.grant_role("reader").await.expect("it has it already");
        refused(bob.grant_role("none").await, ErrorKind::RoleNotFound);
        let roles = bob.get().await.expect("a user").roles;
        assert_eq!(roles, ["reader", "writer"]);
        bob.revoke_role("reader").await.expect("revoked");
        refused(bob.revoke_role("reader").await, ErrorKind::RoleNotGranted);
        assert_eq!(bob.get().await.expect("a user").roles, ["writer"]);

        // A deleted role is taken from its users.
        auth.role("writer").delete().await.expect("deleted");
        assert!(bob.get().await.expect("a user").roles.is_empty());

        bob.change_password("other").await.expect("changed");
        bob.delete().await.expect("deleted");
        for refusal in [
            bob.delete().await,
            bob.change_password("x").await,
            bob.grant_role("reader").await,
            bob.revoke_role("reader").await,
        ] {
            refused(refusal, ErrorKind::UserNotFound);
        }
        refused(bob.get().await, ErrorKind::UserNotFound);
    }
}

#[tokio::test]
async fn permissions_of_all_kinds_of_ranges_are_granted_and_revoked() {
    for place in places(1).await {
        let (version, client) = (place.version, &place.client);
        println!("etcd {version}");
        let auth = client.auth();
        let role = auth.role("app");
        refused(role.get().await, ErrorKind::RoleNotFound);
        role.add().await.expect("a role");
        refused(role.add().await, ErrorKind::RoleExists);
        assert!(role.get().await.expect("a role").permissions.is_empty());

        let granted = [
            Permission::read("a"),
            Permission::write("b".."c"),
            Permission::read_write(KeyRange::prefix("d/")),
            Permission::read(KeyRange::from_key("e")),
        ];
        for permission in granted.clone() {
            role.grant(permission).await.expect("a permission");
        }
        let permissions = role.get().await.expect("a role").permissions;
        assert_eq!(permissions, granted);

        // The same keys again replace what was granted for them.
        role.grant(Permission::write("a")).await.expect("replaced");
        let permissions = role.get().await.expect("a role").permissions;
        assert_eq!(permissions.len(), granted.len());
        let first = permissions.first().expect("four");
        assert_eq!(first.kind(), PermissionKind::Write);
        assert_eq!(first.keys(), &KeyRange::key("a"));

        // Only exactly what was granted can be taken.
        let part = role.revoke(KeyRange::key("d/1")).await;
        refused(part, ErrorKind::PermissionNotGranted);
        for permission in &granted {
            let keys = permission.keys().clone();
            role.revoke(keys.clone()).await.expect("revoked");
            refused(role.revoke(keys).await, ErrorKind::PermissionNotGranted);
        }
        assert!(role.get().await.expect("a role").permissions.is_empty());

        role.grant(Permission::read_write(..)).await.expect("all");
        let permissions = role.get().await.expect("a role").permissions;
        assert_eq!(permissions, [Permission::read_write(..)]);
        role.revoke(..).await.expect("revoked");

        auth.role("zeta").add().await.expect("a role");
        assert_eq!(auth.roles().await.expect("a list").roles, ["app", "zeta"]);
        role.delete().await.expect("deleted");
        for refusal in [
            role.delete().await,
            role.grant(Permission::read("a")).await,
            role.revoke("a").await,
        ] {
            refused(refusal, ErrorKind::RoleNotFound);
        }
        // The role root is everybody's who has it, without having been added.
        let root = auth.role("root").get().await;
        if let Ok(root) = root {
            assert_eq!(root.permissions, [Permission::read_write(..)]);
        }
    }
}

#[tokio::test]
async fn what_is_wrong_at_first_sight_is_not_sent() {
    let client = Client::builder().endpoint("http://127.0.0.1:1");
    let client = client.connect_lazy().expect("valid");
    let auth = client.auth();
    let (nobody, nothing, role) = (auth.user(""), auth.role(""), auth.role("app"));
    for refusal in [
        nobody.add(PASSWORD).await,
        nobody.add_without_password().await,
        nobody.delete().await,
        nobody.change_password(PASSWORD).await,
        nobody.grant_role("app").await,
        nobody.revoke_role("app").await,
    ] {
        refused(refusal, ErrorKind::UserEmpty);
    }
    refused(nobody.get().await, ErrorKind::UserEmpty);
    for refusal in [
        nothing.add().await,
        nothing.delete().await,
        nothing.grant(Permission::read("a")).await,
        nothing.revoke("a").await,
    ] {
        refused(refusal, ErrorKind::RoleEmpty);
    }
    refused(nothing.get().await, ErrorKind::RoleEmpty);
    refused(role.grant(Permission::read("")).await, ErrorKind::EmptyKey);
    let reversed = Permission::read("b".."a");
    refused(role.grant(reversed).await, ErrorKind::InvalidRequest);
    refused(role.revoke("b".."a").await, ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn authentication_needs_root_and_protects_it() {
    for place in places(3).await {
        let (version, client) = (place.version, &place.client);
        println!("etcd {version}");
        let auth = client.auth();
        let root = auth.user("root");
        refused(auth.enable().await, ErrorKind::RootUserNotExist);
        root.add(PASSWORD).await.expect("a user");
        refused(auth.enable().await, ErrorKind::RootRoleNotExist);
        root.grant_role("root").await.expect("a grant");

        let since_3_5 = version >= Version::new(3, 5, 0);
        let status = auth.status().await;
        let before = match since_3_5 {
            true => {
                let status = status.expect("a status");
                assert!(!status.enabled);
                status.auth_revision
            }
            false => {
                refused(status, ErrorKind::Unimplemented);
                0
            }
        };
        auth.disable().await.expect("it is off already");
        auth.enable().await.expect("enabled");
        client.set_user("root", PASSWORD).expect("valid");
        auth.enable().await.expect("it is on already");
        auth.role("app").add().await.expect("a role");
        if since_3_5 {
            let status = auth.status().await.expect("a status");
            assert!(status.enabled);
            assert_eq!(status.auth_revision, before + 1);
        }
        refused(root.delete().await, ErrorKind::InvalidAuthManagement);
        let revoked = root.revoke_role("root").await;
        refused(revoked, ErrorKind::InvalidAuthManagement);

        // Users may ask about themselves and their roles, and change nothing.
        auth.user("alice").add(PASSWORD).await.expect("a user");
        let granted = auth.user("alice").grant_role("app").await;
        granted.expect("a grant");
        let alice = Client::builder()
            .endpoints(client.endpoints().collect::<Vec<_>>())
            .user("alice", PASSWORD)
            .connect()
            .await
            .expect("a login");
        let myself = alice.auth().user("alice");
        assert_eq!(myself.get().await.expect("a user").roles, ["app"]);
        alice.auth().role("app").get().await.expect("a role");
        refused(
            alice.auth().user("root").get().await,
            ErrorKind::PermissionDenied,
        );
        refused(
            alice.auth().role("root").get().await,
            ErrorKind::PermissionDenied,
        );
        refused(
            myself.change_password("x").await,
            ErrorKind::PermissionDenied,
        );
        refused(alice.auth().disable().await, ErrorKind::PermissionDenied);

        auth.disable().await.expect("disabled");
        alice.put("key", "v").await.expect("anybody may");
    }
}
