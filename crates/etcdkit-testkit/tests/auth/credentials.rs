//! Who a client says it is other than by a simple token: JWTs, made by servers or given, and
//! certificates.

use std::time::{Duration, Instant};

use etcdkit::{Client, ErrorKind, KeyRange, Outcome, Permission, Tls};
use etcdkit_testkit::certificates::Authority;

use crate::{calls::changes_disturb_nobody, support::*};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_changes_make_every_jwt_void() {
    let folder = folder();
    for etcd in etcds() {
        let cluster = start(issuing_jwts(&etcd, folder.path(), "300s").members(3)).await;
        guard(&cluster).await;
        let client = root(&cluster).await;
        let before = logins(&cluster).await;
        changes_disturb_nobody(&cluster, &client).await;
        assert!(logins(&cluster).await > before + 1, "nothing was void");
    }
}

#[tokio::test]
async fn a_jwt_is_renewed_before_it_ends() {
    let folder = folder();
    for etcd in etcds() {
        let cluster = start(issuing_jwts(&etcd, folder.path(), "4s")).await;
        guard(&cluster).await;
        let client = root(&cluster).await;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            client.put("key", "v").await.expect("a put");
        }
        assert_eq!(handled(&cluster, "Put", "Unauthenticated").await, 0);
        let (logins, most) = (logins(&cluster).await, start.elapsed().as_secs());
        assert!((2..=most.max(5)).contains(&logins), "{logins}");
    }
}

#[tokio::test]
async fn a_given_token_is_used_until_it_is_replaced() {
    let folder = folder();
    for etcd in etcds() {
        let cluster = start(issuing_jwts(&etcd, folder.path(), "300s")).await;
        guard(&cluster).await;
        let given = Client::builder()
            .endpoints(cluster.endpoints())
            .token(token_from(cluster.endpoint()).await);
        let client = given.connect().await.expect("a connection");
        client.put("key", "1").await.expect("a put");

        let admin = root(&cluster).await;
        admin.auth().role("new").add().await.expect("a role");
        let before = logins(&cluster).await;
        for error in [
            client.put("key", "2").await.expect_err("refused"),
            client.get("key").await.expect_err("refused"),
        ] {
            let told = (error.kind(), error.outcome(), error.attempts());
            let expected = (ErrorKind::AuthOldRevision, Outcome::NotApplied, 1);
            assert_eq!(told, expected, "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("new one")));
        }
        assert_eq!(logins(&cluster).await, before);

        let next = token_from(cluster.endpoint()).await;
        client.set_token(next).expect("a token");
        let kv = client.get("key").await.expect("a get").expect("the key");
        assert_eq!((kv.value_str().ok(), kv.version), (Some("1"), 1));

        client.set_token("no.such.token").expect("a token");
        let error = client.put("key", "2").await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidAuthToken);
        client.set_user("root", PASSWORD).expect("valid");
        client.put("key", "2").await.expect("a put");
    }
}

#[tokio::test]
async fn a_certificate_says_who_asks() {
    let folder = folder();
    let authority = Authority::new("ours");
    let server = authority.server(&["127.0.0.1"]);
    let (certificate, key) = server.write(folder.path(), "server");
    let ca = authority.write(folder.path());
    for etcd in etcds() {
        let builder = cluster(&etcd).tls(&certificate, &key).client_ca(&ca);
        let cluster = start(builder).await;
        let known_as = async |name: &str| {
            let identity = authority.client(name);
            let tls = Tls::new()
                .ca_pem(authority.pem())
                .identity_pem(identity.certificate, identity.key);
            let builder = Client::builder().endpoints(cluster.endpoints()).tls(tls);
            builder.connect().await.expect("a connection")
        };
        let root = known_as("root").await;
        let (admin, alice) = (root.auth().user("root"), root.auth().user("alice"));
        admin.add_without_password().await.expect("a user");
        admin.grant_role("root").await.expect("a grant");
        alice.add_without_password().await.expect("a user");
        let role = root.auth().role("app");
        role.add().await.expect("a role");
        let mine = Permission::read_write(KeyRange::prefix("app/"));
        role.grant(mine).await.expect("a permission");
        alice.grant_role("app").await.expect("a grant");
        root.auth().enable().await.expect("enabled");

        root.put("else", "v").await.expect("permitted");
        let alice = known_as("alice").await;
        alice.put("app/1", "v").await.expect("permitted");
        let error = alice.get("else").await.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let nobody = known_as("nobody").await.get("app/1").await;
        let error = nobody.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);

        // Who has no password cannot log in with one.
        alice.set_user("alice", PASSWORD).expect("valid");
        let error = alice.get("app/1").await.expect_err("refused");
        assert!(
            matches!(
                error.kind(),
                ErrorKind::AuthFailed | ErrorKind::NoPasswordUser
            ),
            "{error}"
        );
    }
}
