//! Calls of users who log in: one login for all, again when servers forget or refuse a token.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use etcdkit::{Client, Error, ErrorKind, KeyRange, Outcome, Permission};
use etcdkit_testkit::etcd::{Binary, Cluster};
use tokio::{runtime::Handle, task::JoinSet, time::sleep};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_login_serves_all_calls_on_all_members() {
    for etcd in etcds() {
        for members in [1, 3] {
            let cluster = start(cluster(&etcd).members(members)).await;
            guard(&cluster).await;
            let client = as_root(&cluster).connect_lazy().expect("valid");
            put_and_get(&client, 100).await;
            for endpoint in cluster.endpoints() {
                let status = client.maintenance().status(endpoint).await;
                status.expect("the right to ask");
            }
            assert_eq!(logins(&cluster).await, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_typed_and_not_tried_by_every_call() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd)).await;
        guard(&cluster).await;
        let wrong = || as_root(&cluster).user("root", "battery staple");

        let error = wrong().connect().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");

        let before = handled(&cluster, "Authenticate", "InvalidArgument").await;
        let client = wrong().connect_lazy().expect("valid");
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let client = client.clone();
            tasks.spawn(async move { client.put("key", "v").await });
        }
        for result in tasks.join_all().await {
            let error = result.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
            assert_eq!(error.outcome(), Outcome::NotApplied);
            assert_eq!(error.operation(), Some("put"));
            assert!(error.hint().is_some());
        }
        let asked = handled(&cluster, "Authenticate", "InvalidArgument").await - before;
        // A refusal stands for a while, and then one of the calls tries again.
        let took = start.elapsed();
        assert!(asked <= 2 + took.as_secs(), "{asked} logins in {took:?}");

        client.set_user("root", PASSWORD).expect("valid");
        client.put("key", "v").await.expect("the right password");

        let stranger = as_root(&cluster).user("nobody", PASSWORD).connect().await;
        assert_eq!(stranger.expect_err("refused").kind(), ErrorKind::AuthFailed);
        let nameless = connect(&cluster).await.get("key").await;
        let error = nameless.expect_err("refused");
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::UserEmpty, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_after_the_token_has_expired_make_one_login() {
    for etcd in etcds() {
        tokio::join!(calls_after_expiry(&etcd, 1), calls_after_expiry(&etcd, 3));
    }
}

async fn calls_after_expiry(etcd: &Binary, members: usize) {
    let cluster = cluster(etcd).flag("--auth-token-ttl=2").members(members);
    let cluster = start(cluster).await;
    guard(&cluster).await;
    let client = root(&cluster).await;
    let before = logins(&cluster).await;
    // Servers look for tokens that have expired once a second.
    sleep(Duration::from_secs(4)).await;
    let start = Instant::now();
    put_and_get(&client, 50).await;
    // If the calls take so long, the next token expires, too.
    let most = 1 + start.elapsed().as_secs() / 2;
    let more = logins(&cluster).await - before;
    assert!((1..=most).contains(&more), "{more} logins");
    assert!(
        handled(&cluster, "Put", "Unauthenticated").await > 0,
        "it had not expired"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_when_servers_restart_and_forget_their_tokens() {
    for etcd in etcds() {
        for members in [1, 3] {
            let mut cluster = start(cluster(&etcd).members(members)).await;
            guard(&cluster).await;
            let client = root(&cluster).await;
            let token = token_from(cluster.endpoint()).await;
            let start = Instant::now();
            for endpoint in cluster.endpoints() {
                // From 3.5 on a follower may know the token a moment later.
                while let Some(refusal) = refusal(&endpoint, &token).await {
                    assert!(start.elapsed() < Duration::from_secs(60), "{refusal}");
                    sleep(Duration::from_millis(5)).await;
                }
            }

            // What the store has not committed is applied again, logins with it.
            commit(cluster.endpoint(), &token).await;
            cluster.member(0).restart().await.expect("a restart");
            let refusal = refusal(cluster.endpoint(), &token).await;
            let text = "etcdserver: invalid auth token";
            assert_eq!(refusal.as_deref(), Some(text), "it has forgotten");
            put_and_get(&client, 50).await;

            // A client that knows only the member that has forgotten.
            let one = as_root(&cluster).connect().await.expect("a login");
            one.put("key", "before").await.expect("a put");
            commit(cluster.endpoint(), &token_from(cluster.endpoint()).await).await;
            cluster.member(0).restart().await.expect("a restart");
            let status = one.maintenance().status(cluster.endpoint()).await;
            status.expect("a status");
            one.put("key", "after").await.expect("a put");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_users_and_roles_change() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd).members(3)).await;
        guard(&cluster).await;
        let client = root(&cluster).await;
        let before = logins(&cluster).await;
        changes_disturb_nobody(&cluster, &client).await;
        // The other client's, and none of this one's: the change was not about its token.
        assert_eq!(logins(&cluster).await - before, 1);
    }
}

/// Writes and reads while another client changes users and roles.
pub(crate) async fn changes_disturb_nobody(cluster: &Cluster, client: &Client) {
    let admin = root(cluster).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for call in 0..8 {
        let (client, done) = (client.clone(), Arc::clone(&done));
        tasks.spawn(async move {
            let key = format!("{call}");
            let mut written: i64 = 0;
            while !done.load(Ordering::Relaxed) {
                client.put(&key, "v").await?;
                written += 1;
                // No write was lost, and none was applied twice.
                let kv = client.get(&key).await?.expect("the key");
                assert_eq!(kv.version, written);
            }
            Ok::<(), Error>(())
        });
    }
    for round in 0..20 {
        let name = format!("user{round}");
        let user = admin.auth().user(&name);
        user.add(PASSWORD).await.expect("a user");
        let role = admin.auth().role(&name);
        role.add().await.expect("a role");
        let permission = Permission::read(KeyRange::prefix(&*name));
        role.grant(permission).await.expect("a permission");
        user.grant_role(&name).await.expect("a grant");
        user.delete().await.expect("a deletion");
    }
    done.store(true, Ordering::Relaxed);
    for result in tasks.join_all().await {
        result.expect("no call fails");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authentication_is_turned_on_and_off_under_a_client() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd).members(3)).await;
        add_root(&cluster).await;
        let client = root(&cluster).await;
        let other = root(&cluster).await;
        for _ in 0..3 {
            put_and_get(&client, 10).await;
            other.auth().enable().await.expect("enabled");
            put_and_get(&client, 10).await;
            let stranger = connect(&cluster).await.put("key", "v").await;
            assert_eq!(stranger.expect_err("refused").kind(), ErrorKind::UserEmpty);
            client.auth().disable().await.expect("disabled");
        }
        put_and_get(&client, 10).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_survives_the_death_of_the_leader() {
    for etcd in etcds() {
        let mut cluster = start(cluster(&etcd).members(3)).await;
        guard(&cluster).await;
        let client = root(&cluster).await;
        let endpoints = cluster.endpoints();
        let status = client.maintenance().status(&endpoints[0]).await;
        let leader = status.expect("a status").leader;
        for (place, endpoint) in endpoints.iter().enumerate() {
            let status = client.maintenance().status(endpoint).await;
            if Some(status.expect("a status").header.member_id) == leader {
                cluster.member(place).kill().expect("killed");
            }
        }
        client.set_user("root", PASSWORD).expect("valid");
        put_and_get(&client, 20).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_without_a_quorum_keeps_nobody_beyond_the_deadline() {
    for etcd in etcds() {
        let mut cluster = start(cluster(&etcd).members(3)).await;
        guard(&cluster).await;
        cluster.member(1).kill().expect("killed");
        cluster.member(2).kill().expect("killed");
        let client = Client::builder()
            .endpoint(cluster.endpoint())
            .user("root", PASSWORD)
            .request_timeout(Duration::from_secs(60))
            .connect_lazy()
            .expect("valid");
        let (start, limit) = (Instant::now(), Duration::from_secs(2));
        let error = client.put("key", "v").timeout(limit).await;
        let error = error.expect_err("no quorum");
        assert_eq!(
            (error.outcome(), error.attempts()),
            (Outcome::NotApplied, 0)
        );
        let late = start.elapsed().saturating_sub(limit);
        assert!(late < Duration::from_secs(10), "{late:?}");

        cluster.member(1).restart().await.expect("a restart");
        put_and_get(&client, 10).await;
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_client_that_is_dropped_while_it_logs_in() {
    let alive = || Handle::current().metrics().num_alive_tasks();
    for etcd in etcds() {
        let mut cluster = start(cluster(&etcd)).await;
        guard(&cluster).await;
        let client = as_root(&cluster).request_timeout(Duration::from_secs(3600));
        let client = client.connect().await.expect("a login");
        cluster.member(0).pause().expect("a pause");
        client.set_user("root", PASSWORD).expect("valid");
        let call = client.put("key", "v").timeout(Duration::from_millis(300));
        call.await.expect_err("nobody answers");
        assert!(alive() > 0, "it does not log in");
        drop(client);
        let start = Instant::now();
        while alive() > 0 {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{} tasks",
                alive()
            );
            sleep(Duration::from_millis(10)).await;
        }
        cluster.member(0).resume().expect("resumed");
    }
}

#[tokio::test]
async fn what_is_not_permitted_is_said_at_once() {
    for etcd in etcds() {
        let cluster = start(cluster(&etcd)).await;
        guard(&cluster).await;
        let admin = root(&cluster).await;
        let (role, user) = (admin.auth().role("app"), admin.auth().user("alice"));
        role.add().await.expect("a role");
        let mine = Permission::read_write(KeyRange::prefix("app/"));
        role.grant(mine).await.expect("a permission");
        user.add(PASSWORD).await.expect("a user");
        user.grant_role("app").await.expect("a grant");

        let alice = as_root(&cluster).user("alice", PASSWORD).connect().await;
        let alice = alice.expect("a login");
        alice.put("app/1", "v").await.expect("permitted");
        let before = logins(&cluster).await;
        for error in [
            alice.put("else", "v").await.expect_err("denied"),
            alice.get("else").await.expect_err("denied"),
            alice.range(..).await.expect_err("denied"),
            alice.auth().users().await.expect_err("denied"),
            alice.auth().enable().await.expect_err("denied"),
        ] {
            let told = (error.kind(), error.outcome(), error.attempts());
            let expected = (ErrorKind::PermissionDenied, Outcome::NotApplied, 1);
            assert_eq!(told, expected, "{error}");
        }
        assert_eq!(logins(&cluster).await, before);

        role.revoke(KeyRange::prefix("app/"))
            .await
            .expect("revoked");
        let error = alice.get("app/1").await.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);

        user.delete().await.expect("deleted");
        let error = alice.get("app/1").await.expect_err("gone");
        assert_eq!(error.kind(), ErrorKind::AuthFailed);
    }
}
